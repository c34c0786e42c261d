// What the documents say is so: the example policy is valid, every command, endpoint, metric and file that they name is there.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { page, renderer, request, tempDir, until, varve, VARVE } from './lib.mjs'
import { certificate } from './wire.mjs'

const ROOT = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..')
const read = (name) => readFileSync(path.join(ROOT, name), 'utf8')
const DOCUMENTS = ['README.md', ...readdirSync(path.join(ROOT, 'docs')).filter((f) => f.endsWith('.md')).map((f) => `docs/${f}`)]
const sources = (folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true }).filter((f) => /\.([ch]|def)$/.test(f)).map((f) => read(`${folder}/${f}`)).join('\n')

test('the policy of the README is valid', (t) => {
  const dir = tempDir(t)
  const [, policy] = /```yaml\n(.*?)```/s.exec(read('README.md'))
  mkdirSync(path.join(dir, 'dist'))
  writeFileSync(path.join(dir, 'dist/index.html'), '<!doctype html>')
  const { cert, key } = certificate(dir, 'shop.example')
  copyFileSync(cert, path.join(dir, 'site.pem'))
  copyFileSync(key, path.join(dir, 'site.key'))
  writeFileSync(path.join(dir, 'varve.yaml'), policy)
  const { status, stderr } = spawnSync(VARVE, ['check', '--config', path.join(dir, 'varve.yaml')], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})

test('what the README shows of a page that is not stored is what is logged', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/about')
  const [shown] = /(?<=^2\S+Z )info not stored .*$/m.exec(read('README.md'))
  await until(() => v.log.includes(`Z ${shown}\n`), 'the line to be written')
})

test('links lead to files, and the presets that are named are there', (t) => {
  for (const name of DOCUMENTS)
    for (const [, target] of read(name).matchAll(/\]\(([^)#:]+)\)/g)) assert.ok(existsSync(path.join(ROOT, path.dirname(name), target)), `${name}: ${target}`)
  for (const preset of ['next', 'nuxt', 'sveltekit', 'react-router', 'angular', 'render-gateway']) {
    assert.ok(read('README.md').includes(`\`${preset}\``) || read('README.md').includes(`--preset ${preset}`), preset)
    const file = path.join(tempDir(t), 'varve.yaml')
    execFileSync(VARVE, ['init', '--preset', preset, '--output', file])
    assert.equal(spawnSync(VARVE, ['check', '--config', file]).status, 0, preset)
  }
})

test('links to a heading lead to one', () => {
  const slug = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
  let seen = 0
  for (const name of DOCUMENTS)
    for (const [, file, anchor] of read(name).matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)) {
      const target = file ? path.join(path.dirname(name), file) : name
      const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map((m) => slug(m[1]))
      assert.ok(headings.includes(anchor), `${name}: ${file}#${anchor}`)
      seen++
    }
  assert.ok(seen > 0)
})

test('the source files that docs/internals.md names are there', () => {
  const files = new Set(['base', 'policy', 'cache', 'edge', 'tests'].flatMap((folder) => readdirSync(path.join(ROOT, folder), { recursive: true }).map((f) => `${folder}/${f}`)))
  const FOREIGN = ['lmdb.h', 'xxhash.h', 'h2o.h']
  const named = [...read('docs/internals.md').matchAll(/`([a-z0-9_/*]+\.(?:c|h|def))`/g)].map((m) => m[1]).filter((name) => !FOREIGN.includes(name))
  assert.ok(named.length > 20)
  for (const name of named) {
    const pattern = new RegExp(`(^|/)${name.replaceAll('*', '[a-z0-9_]*').replace('.', '\\.')}$`)
    assert.ok([...files].some((file) => pattern.test(file)), name)
  }
})

test('every command of the README is there, and every command is in the README', () => {
  const help = execFileSync(VARVE, ['--help'], { encoding: 'utf8' })
  const commands = [...help.matchAll(/^ {2}([a-z]+) {2,}/gm)].map((m) => m[1]).filter((name) => name !== 'version')
  const named = new Set([...read('README.md').matchAll(/\bvarve ([a-z]+)\b(?= |`|$)/gm)].map((m) => m[1]))
  for (const command of commands) assert.ok(named.has(command), `README.md does not name varve ${command}`)
  for (const [, block] of read('README.md').matchAll(/^```\n(.*?)^```/gms))
    for (const [, command] of block.matchAll(/^(?:\$ )?(?:build\/)?varve ([a-z]+)/gm)) assert.ok(commands.includes(command), `varve ${command}`)
})

test('what docs/limits.md says is not there is not', () => {
  const [, section] = /^## Not there(.*?)^## /ms.exec(read('docs/limits.md'))
  const [, commands] = /\*\*Commands\*\* (.*?)\./.exec(section)
  const names = [...commands.matchAll(/`([a-z]+)`/g)].map((m) => m[1])
  assert.ok(names.length > 3)
  for (const name of names) assert.equal(spawnSync(VARVE, [name, '--help']).status, 2, name)
  const [, keys] = /^## Known, but not in this version\n+These keys are refused with a clear word: (.*)$/m.exec(read('docs/configuration.md'))
  const file = path.join(tempDir(), 'varve.yaml')
  for (const [, section, key] of keys.matchAll(/`(?:(\w+)\[\]\.)?(\w+)`/g)) {
    writeFileSync(file, `renderer: http://127.0.0.1:1\n${section ? `${section}: [{match: "/**", ${key}: true}]` : `${key}: x`}\n`)
    const { status, stderr } = spawnSync(VARVE, ['check', '--config', file], { encoding: 'utf8' })
    assert.deepEqual([status, stderr.includes(`"${key}" is not supported by this version`)], [2, true], stderr)
  }
  writeFileSync(file, 'renderer: http://127.0.0.1:1\nroutes: [{match: "/**", upgrade: false}]\n')
  const accepted = spawnSync(VARVE, ['check', '--config', file], { encoding: 'utf8' })
  assert.equal(accepted.status, 0, `upgrade: false is what varve does: ${accepted.stderr}`)
})

test('every metric is documented, and nothing else', () => {
  const inSource = new Set(['base', 'policy', 'cache', 'edge'].flatMap((folder) => [...sources(folder).matchAll(/"(varve_[a-z0-9_]+)/g)].map((m) => m[1])))
  const section = read('docs/operations.md').split('## Metrics')[1]
  const documented = new Set([...section.matchAll(/`(varve_[a-z0-9_]+)/g)].map((m) => m[1]))
  assert.deepEqual([...documented].sort(), [...inSource].sort())
})

test('every reason is documented, and nothing else', () => {
  const [, section] = /^### Reasons(.*?)^## /ms.exec(read('docs/operations.md'))
  const documented = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([a-z_]+)`/g)].map((m) => m[1]))
  const known = [...read('policy/reason.def').matchAll(/^REASON\(\w+, "([a-z_]+)"\)/gm)].map((m) => m[1])
  assert.ok(known.length > 30)
  assert.deepEqual([...documented].sort(), [...known].sort())
})

test('every fuzzer is in the table of docs/internals.md, and nothing else; each has a corpus', () => {
  const files = ['base', 'policy', 'cache', 'edge'].flatMap((folder) => readdirSync(path.join(ROOT, 'tests/fuzz', folder)))
  const fuzzers = files.filter((name) => name.endsWith('_fuzz.c')).map((name) => name.replace('_fuzz.c', '')).sort()
  const [, section] = read('docs/internals.md').split('## Fuzzers')
  assert.deepEqual([...section.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map((m) => m[1]), fuzzers)
  for (const name of fuzzers) assert.ok(readdirSync(path.join(ROOT, 'tests/fuzz/corpus', name)).length > 0, name)
  for (const name of readdirSync(path.join(ROOT, 'tests/fuzz/dict'))) assert.ok(fuzzers.includes(name.replace('.dict', '')), name)
})

test('every endpoint that is documented answers', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const app = `app: {spawn: {command: ["${process.execPath}", "${ROOT}/tests/e2e/spawned.mjs"], workers: 1, listen: unix}}`
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"]}, ${app}}\nroutes: [{match: "/**"}]\n`)
  const endpoints = [...read('docs/operations.md').matchAll(/^\| `(GET|POST) (\/[a-zA-Z0-9/]+)/gm)]
  assert.ok(endpoints.length > 5)
  const bodies = { '/v1/purge': { urls: [`${v.url}/`] }, '/v1/slots/renderer/0': { state: 'up' }, '/v1/mode': { mode: 'auto' } }
  for (const [, method, path] of endpoints) {
    const target = path.replace('WORKER', 'renderer/0')
    const body = method === 'POST' ? (bodies[target] ?? {}) : undefined
    const query = /explain|variants/.test(target) ? `?url=${encodeURIComponent(`${v.url}/`)}` : ''
    let answer
    do answer = await v.admin(method, target + query, body)
    while (answer.status === 503 && answer.body.includes('ask again')) /* the worker that a reload replaced */
    assert.equal(answer.status, 200, `${method} ${target}`)
  }
  assert.equal((await request(`http://localhost/`, { socketPath: `${v.dir}/store/admin.sock` })).status, 404)
  assert.deepEqual(readdirSync(`${v.dir}/store`).filter((f) => !read('docs/operations.md').includes(f)), [])
})

test('a line of the access log has the fields that are documented, in both formats', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const line = async (format) => {
    const file = path.join(tempDir(t), 'access.log')
    const v = await varve(t, `renderer: ${origin.url}\nlog: {access: {path: ${file}, format: ${format}}}\nroutes: [{match: "/**"}]\n`)
    await v.get('/a', { referer: 'http://r.example/', 'user-agent': 'tester' })
    return until(() => existsSync(file) && readFileSync(file, 'utf8').trimEnd(), 'the line to be written')
  }
  const json = Object.keys(JSON.parse(await line('json')))
  const [, documented] = /^The access log .* one JSON object per request: `([a-z_ ]+)`/m.exec(read('docs/operations.md'))
  assert.deepEqual(documented.split(' '), json)
  assert.deepEqual(Object.keys(JSON.parse(/^{"time":.*$/m.exec(read('README.md'))[0])), json)
  assert.match(await line('ncsa'), /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/a HTTP\/1\.1" 200 4 "http:\/\/r\.example\/" "tester"$/)
})

/** Every test that is named in the last column of these rows is there, and named once; a title may be the beginning of one. */
function assertTestsAreThere(rows) {
  for (const row of rows) {
    const named = row.split(' | ').at(-1)
    const files = [...named.matchAll(/`([a-z0-9_-]+)(\.test\.mjs|_test\.c)`/g)]
    assert.ok(files.length, `no test: ${row}`)
    const proofs = [...named.matchAll(/\*[^*]+\*|`[a-z0-9_]+_test\.c`/g)].map((m) => m[0])
    assert.deepEqual(proofs.filter((proof, i) => proofs.indexOf(proof) !== i), [], `named twice: ${row}`)
    for (const [, name, kind] of files.filter((f) => f[2] === '_test.c'))
      assert.ok(['base', 'cache', 'edge', 'policy'].some((folder) => existsSync(path.join(ROOT, 'tests/unit', folder, name + kind))), name + kind)
    for (const [, name, titles] of named.matchAll(/`([a-z0-9-]+\.test\.mjs)`: ((?:\*[^*]+\*(?:, )?)+)/g)) {
      const source = read(`tests/e2e/${name}`).replaceAll("\\'", "'")
      for (const [, title] of titles.matchAll(/\*([^*]+)\*/g)) assert.ok(source.includes(`test('${title}`) || source.includes(`test(\`${title}`), `${name}: ${title}`)
    }
    assert.equal(files.filter((f) => f[2] === '.test.mjs').length, [...named.matchAll(/\.test\.mjs`: \*/g)].length, `a file without a test's name: ${row}`)
  }
}

test('every test that docs/security.md names is there', () => {
  const [, section] = /^## What has gone wrong(.*?)^## /ms.exec(read('docs/security.md'))
  const rows = section.split('\n').filter((line) => line.startsWith('| ')).slice(1)
  assert.ok(rows.length > 10)
  assertTestsAreThere(rows)
})

test('every test and every bench that docs/renderers.md names is there, and every row that a test is named after is in it', () => {
  const rows = read('docs/renderers.md').split('\n').filter((line) => /^\| [A-Z]/.test(line))
  const ids = rows.flatMap((row) => row.split(' | ')[0].slice(2).split(', '))
  assert.equal(new Set(ids).size, ids.length)
  assertTestsAreThere(rows)
  const benches = readdirSync(path.join(ROOT, 'tests/bench/rows')).map((name) => read(`tests/bench/rows/${name}`)).join('\n')
  for (const [row, id] of rows.map((r) => [r, /; measured: (\w+) \|$/.exec(r)?.[1]]).filter(([, bench]) => bench)) assert.match(benches, new RegExp(`id: '(?:\\w+, )*${id}\\b`), row)
  const tests = readdirSync(path.join(ROOT, 'tests/e2e')).filter((name) => name.endsWith('.test.mjs'))
  for (const name of tests)
    for (const [, title] of read(`tests/e2e/${name}`).matchAll(/^ *test\(['`]([^'`]+)/gm))
      for (const [, id] of title.matchAll(/\b([ABGKV]\d+)\b/g)) assert.ok(ids.includes(id), `${name}: ${id}`)
})

test('every rule of docs/semantics.md has a test that is named after it, and every rule that is cited is there', () => {
  const rules = [...read('docs/semantics.md').matchAll(/^\*\*(\d+\.\d+)\b/gm)].map((m) => m[1])
  assert.ok(rules.length > 50)
  assert.equal(new Set(rules).size, rules.length)
  const files = (folder, pattern) => readdirSync(path.join(ROOT, folder), { recursive: true }).filter((f) => pattern.test(f) && !f.includes('node_modules')).map((f) => `${folder}/${f}`)
  const sourceFiles = ['base', 'cache', 'policy', 'edge', 'tests'].flatMap((folder) => files(folder, /\.([ch]|def|mjs)$/))
  for (const name of sourceFiles)
    for (const [, list] of read(name).matchAll(/\bsemantics (\d+\.\d+(?:(?:, | and )\d+\.\d+)*)/g))
      for (const number of list.split(/, | and /)) assert.ok(rules.includes(number), `${name} cites semantics ${number}`)
  const tested = new Set()
  for (const name of sourceFiles.filter((f) => f.startsWith('tests/')))
    for (const [, unit, e2e] of read(name).matchAll(/\btest_(\d+_\d+)_|^ *test\(['`](\d+\.\d+(?:(?:, | and )\d+\.\d+)*)/gm))
      for (const number of (unit?.replace('_', '.') ?? e2e).split(/, | and /)) tested.add(number)
  assert.deepEqual(rules.filter((rule) => !tested.has(rule)), [])
})
