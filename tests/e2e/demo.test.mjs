// The demo as a stranger runs it: each thing that tests/demo/run.sh proposes to try, and the README promises, happens.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { freePort, isAlive, outcome, request, tempDir, until, VARVE } from './lib.mjs'

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..')
const BROWSER = { accept: 'text/html,application/xhtml+xml', 'accept-language': 'en-GB,en;q=0.9' }
const GERMAN = { ...BROWSER, 'accept-language': 'de-AT,de;q=0.8,en;q=0.5' }

/** run.sh with ports and a directory of its own, which looks like the repository from where it runs. `start()` again after `over()`: the same demo, as after another ./dev run. */
async function demo(t) {
  const d = { dir: tempDir(t), port: await freePort(), rendererPort: await freePort(), out: '' }
  d.url = `http://127.0.0.1:${d.port}`
  for (const folder of ['build', 'tests/demo']) mkdirSync(path.join(d.dir, folder), { recursive: true })
  symlinkSync(VARVE, path.join(d.dir, 'build/varve'))
  d.config = path.join(d.dir, 'tests/demo/varve.yaml')
  cpSync(path.join(ROOT, 'tests/demo/shell.html'), path.join(d.dir, 'tests/demo/shell.html'))
  const text = readFileSync(path.join(ROOT, 'tests/demo/varve.yaml'), 'utf8').replace(/^# Every key.*\n/m, '') // so that lines keep their numbers
  writeFileSync(d.config, text.replace(/^ +slots:/m, '    client_wait: 1m\n$&')) // on a slow machine a render may take longer than the 2 s after which there is the shell
  d.store = path.join(d.dir, '.cache/demo')
  const env = { ...process.env, VARVE, PORT: d.port, RENDERER_PORT: d.rendererPort, DEMO_DIR: d.store, DEMO_CONFIG: d.config }
  env.LSAN_OPTIONS ??= `suppressions=${path.join(ROOT, 'tests/lsan.supp')}`
  d.start = async () => {
    d.out = ''
    d.child = spawn(path.join(ROOT, 'tests/demo/run.sh'), { cwd: d.dir, env, stdio: 'pipe' })
    d.over = new Promise((resolve) => d.child.on('exit', (code, signal) => resolve(code ?? signal)))
    for (const stream of [d.child.stdout, d.child.stderr]) stream.on('data', (bytes) => (d.out += bytes))
    d.over.then((code) => (d.ended = code))
    d.ended = undefined
    await until(() => d.ended !== undefined || d.out.includes('Ctrl-C ends'), 'the demo to be ready', 60000)
    if (d.ended !== undefined) throw new Error(`the demo did not start:\n${d.out}`)
    d.pids = /varve: pid (\d+), renderer: pid (\d+)/.exec(d.out).slice(1).map(Number)
    d.worker = Number(/worker started pid=(\d+)/.exec(d.out)[1])
  }
  d.get = (target, headers = BROWSER) => request(d.url + target, { headers })
  d.post = (target, body = '', headers = BROWSER) =>
    request(d.url + target, { method: 'POST', body, headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' } })
  const said = async (program, words) => {
    const child = spawn(program, words, { cwd: d.dir, env })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes))
    return { code: await new Promise((resolve) => child.on('close', resolve)), text }
  }
  d.cli = (...words) => said(VARVE, [...words, '--config', d.config])
  d.type = (line) => said('bash', ['-c', line.replaceAll('http://127.0.0.1:8080', d.url)])
  d.kill = async () => {
    process.kill(d.pids[0], 'SIGKILL')
    await d.over
    await until(() => ![...d.pids, d.worker].some(isAlive), 'everything to be gone')
  }
  await d.start()
  t.after(async () => {
    d.child.kill('SIGTERM')
    await d.over
    assert.doesNotMatch(d.out, /ERROR: \w+Sanitizer|runtime error:/)
  })
  return d
}

const render = (res) => Number(/id="render">#(\d+)/.exec(res.body)?.[1])
const price = (res) => Number(/id="price">\D*(\d+)/.exec(res.body)?.[1])

test('1: a page is rendered once, and once in the other language', async (t) => {
  const d = await demo(t)
  const first = await d.get('/')
  assert.match(first.body, /A small shop of layered things/)
  const again = await d.get('/')
  assert.equal(outcome(again), 'hit')
  assert.equal(render(again), render(first))
  const german = await d.get('/', GERMAN)
  assert.match(german.body, /<html lang="de">.*Ein kleiner Laden/s)
  assert.notEqual(render(german), render(first))
  assert.equal(render(await d.get('/', { ...GERMAN, 'accept-language': 'de' })), render(german))
  assert.equal(render(await d.get('/?utm_source=x', BROWSER)), render(first))
})

test('2: without the renderer, pages seen before are served, others are the shell; Enter brings it back', async (t) => {
  const d = await demo(t)
  const seen = await d.get('/p/2')
  await d.post('/crash')
  await until(() => !isAlive(d.pids[1]), 'the renderer to be gone')
  assert.equal((await d.get('/p/2')).body, seen.body)
  const shell = await d.get('/p/3')
  assert.equal(shell.status, 200)
  assert.match(shell.body, /<body id="shell">/)
  assert.match(shell.headers['cache-control'], /no-store/)
  await until(() => d.out.includes('press Enter'), 'the demo to notice')
  d.child.stdin.write('\n')
  await until(async () => render(await d.get('/p/3')) > 0, 'the renderer to be back')
})

test('3: who logs in gets pages of their own, and nobody else does', async (t) => {
  const d = await demo(t)
  const anonymous = await d.get('/')
  const login = await d.post('/login', 'name=Ada')
  assert.equal(login.status, 303)
  const ada = { ...BROWSER, cookie: login.headers['set-cookie'][0].split(';')[0] }
  const own = await d.get('/', ada)
  assert.match(own.body, /Hello, Ada/)
  assert.ok(render(await d.get('/', ada)) > render(own))
  assert.match((await d.get('/account', ada)).body, /Hello, Ada/)
  const others = await d.get('/')
  assert.equal(render(others), render(anonymous))
  assert.doesNotMatch(others.body, /Ada/)
  assert.equal((await d.get('/account')).headers.location, '/login')
})

test('4: publishing purges the pages of the product, in both languages, and no other', async (t) => {
  const d = await demo(t)
  const pages = [['/p/2', BROWSER], ['/p/2', GERMAN], ['/', BROWSER], ['/p/3', BROWSER]]
  const before = []
  for (const [target, headers] of pages) before.push(await d.get(target, headers))
  const published = await d.post('/publish', 'id=2')
  assert.equal(published.status, 303, published.body)
  assert.equal(published.headers.location, '/p/2')
  const after = []
  for (const [target, headers] of pages) after.push(await d.get(target, headers))
  assert.deepEqual(after.slice(0, 2).map(price), before.slice(0, 2).map((res) => price(res) + 1))
  assert.ok(render(after[2]) > render(before[2]))
  assert.equal(render(after[3]), render(before[3]))
})

test('5: an edited policy is in force after a reload, and a wrong one is refused with every error', async (t) => {
  const d = await demo(t)
  const text = readFileSync(d.config, 'utf8')
  const ttl = (res) => Number(/ttl=(-?\d+)/.exec(res.headers['cache-status'])[1])
  const first = await d.get('/p/1')
  assert.ok(ttl(await d.get('/p/1')) > 60)
  writeFileSync(d.config, text.replaceAll('ttl: 5m', 'ttl: 50s'))
  assert.deepEqual(await d.cli('reload'), { code: 0, text: 'reloaded\n' })
  const later = await d.get('/p/1')
  assert.equal(render(later), render(first))
  assert.ok(ttl(later) <= 50)
  writeFileSync(d.config, text.replaceAll('stale:', 'stael:').replace('ttl: 5m', 'ttl: 5z'))
  const request = await d.cli('reload')
  assert.notEqual(request.code, 0)
  assert.match(request.text, /varve\.yaml:\d+:\d+: unknown key "stael" \(did you mean "stale"\?\)/)
  assert.match(request.text, /expected a duration/)
  assert.equal(render(await d.get('/p/1')), render(first))
})

test('last: after kill -9 of varve the cache is still there', async (t) => {
  const d = await demo(t)
  const pages = await Promise.all([d.get('/p/4'), d.get('/p/4', GERMAN)])
  await until(async () => /varve_store_objects +2/.test((await d.cli('stat', '--once')).text), 'the pages to be stored')
  await d.kill()
  assert.match(d.out, /varve was killed/)
  await d.start()
  assert.equal((await d.get('/p/4')).body, pages[0].body)
  assert.equal((await d.get('/p/4', GERMAN)).body, pages[1].body)
})

test('Ctrl-C leaves no process behind, and a second demo says that the port is taken', async (t) => {
  const d = await demo(t)
  const second = spawn(path.join(ROOT, 'tests/demo/run.sh'), { env: { ...process.env, VARVE, PORT: d.port, DEMO_DIR: d.store } })
  let said = ''
  second.stderr.on('data', (bytes) => (said += bytes))
  assert.equal(await new Promise((resolve) => second.on('exit', resolve)), 1)
  assert.match(said, new RegExp(`port ${d.port} is in use; choose another: PORT=`))
  d.child.kill('SIGINT')
  await d.over
  assert.deepEqual([...d.pids, d.worker].filter(isAlive), [])
  rmSync(path.join(d.store, 'store'), { recursive: true })
})

// --- the tour of the README, typed from top to bottom ---

/** Its texts and its blocks: of a block each command, and what is shown below it. */
function tour() {
  const [, section] = /^## Five minutes(.*?)^## /ms.exec(readFileSync(path.join(ROOT, 'README.md'), 'utf8'))
  const parts = section.split(/^```\n/m)
  const commands = (block) => block.split(/^\$ /m).slice(1).map((text) => /^(?<line>.*)\n(?<shown>[^]*)$/.exec(text).groups)
  return parts.map((text, i) => (i % 2 ? { commands: commands(text) } : { text }))
}

/** Without what differs from one time to the next: times, lengths, an id. */
const settled = (text) =>
  text.replaceAll('\r', '').trimEnd().split('\n')
    .map((line) => line.replace(/^\d+\.\d+ s$|(?<=^Date: ).*|(?<=^Content-Length: )\d+|(?<=^age: )\d+|(?<=ttl=)\d+|(?<="request_id":")\w+|(?<=utf-8) +\d+ +\d+|(?<="identity":)\d+/g, '…').replace(/ +/g, ' ').trimEnd())
const lifetimes = (text) => [...text.matchAll(/ttl=(\d+)/g)].map((found) => Number(found[1]))

test('the tour of the README shows what comes when it is typed, and leaves the policy as it was', async (t) => {
  const d = await demo(t)
  const policy = readFileSync(d.config, 'utf8')
  let typed = 0
  for (const { text, commands = [] } of tour()) {
    if (text?.includes('Enter in the first terminal')) {
      await until(() => d.out.includes('press Enter'), 'the demo to notice')
      d.child.stdin.write('\n')
    }
    if (text?.includes('`kill -9`')) {
      await until(() => d.out.includes('worker left'), 'the worker of before the reload to have written its pages')
      await d.kill()
      await d.start()
    }
    for (const { line, shown } of commands) {
      const { text: came } = await d.type(line)
      assert.deepEqual(settled(came), settled(shown), line)
      lifetimes(came).forEach((ttl, i) => assert.ok(ttl > lifetimes(shown)[i] / 2 && ttl < lifetimes(shown)[i] * 2, `${line}: ${came}`))
      if (line.includes('/crash')) await until(() => !isAlive(d.pids[1]), 'the renderer to be gone')
      typed++
    }
  }
  assert.ok(typed > 20, `${typed} commands`)
  assert.equal(readFileSync(d.config, 'utf8'), policy)
})
