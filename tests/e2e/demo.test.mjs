// The demo as a stranger runs it: each thing that tests/demo/run.sh proposes to try, and the README promises, happens.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { freePort, isAlive, outcome, request, tempDir, until, VARVE } from './lib.mjs'

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..')
const BROWSER = { accept: 'text/html,application/xhtml+xml', 'accept-language': 'en-GB,en;q=0.9' }
const GERMAN = { ...BROWSER, 'accept-language': 'de-AT,de;q=0.8,en;q=0.5' }

/** run.sh with ports and a directory of its own. `start()` again after `over()`: the same demo, as after another ./dev run. */
async function demo(t) {
  const d = { dir: tempDir(t), port: await freePort(), rendererPort: await freePort(), out: '' }
  d.url = `http://127.0.0.1:${d.port}`
  d.config = path.join(d.dir, 'varve.yaml')
  cpSync(path.join(ROOT, 'tests/demo/shell.html'), path.join(d.dir, 'shell.html'))
  const text = readFileSync(path.join(ROOT, 'tests/demo/varve.yaml'), 'utf8')
  writeFileSync(d.config, text.replace(/^ +slots:/m, '    client_wait: 1m\n$&')) // on a slow machine a render may take longer than the 2 s after which there is the shell
  const env = { ...process.env, VARVE, PORT: d.port, RENDERER_PORT: d.rendererPort, DEMO_DIR: d.dir, DEMO_CONFIG: d.config }
  env.LSAN_OPTIONS ??= `suppressions=${path.join(ROOT, 'tests/lsan.supp')}`
  d.start = async () => {
    d.out = ''
    d.child = spawn(path.join(ROOT, 'tests/demo/run.sh'), { cwd: ROOT, env, stdio: 'pipe' })
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
  d.cli = async (...words) => {
    const child = spawn(VARVE, [...words, '--config', d.config], { env })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes))
    return { code: await new Promise((resolve) => child.on('exit', resolve)), text }
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
  process.kill(d.pids[0], 'SIGKILL')
  await d.over
  assert.match(d.out, /varve was killed/)
  await until(() => ![...d.pids, d.worker].some(isAlive), 'everything to be gone')
  await d.start()
  assert.equal((await d.get('/p/4')).body, pages[0].body)
  assert.equal((await d.get('/p/4', GERMAN)).body, pages[1].body)
})

test('Ctrl-C leaves no process behind, and a second demo says that the port is taken', async (t) => {
  const d = await demo(t)
  const second = spawn(path.join(ROOT, 'tests/demo/run.sh'), { env: { ...process.env, VARVE, PORT: d.port, DEMO_DIR: d.dir } })
  let said = ''
  second.stderr.on('data', (bytes) => (said += bytes))
  assert.equal(await new Promise((resolve) => second.on('exit', resolve)), 1)
  assert.match(said, new RegExp(`port ${d.port} is in use; choose another: PORT=`))
  d.child.kill('SIGINT')
  await d.over
  assert.deepEqual([...d.pids, d.worker].filter(isAlive), [])
  rmSync(path.join(d.dir, 'store'), { recursive: true })
})
