// Renderers under varve (`spawn`) are replaced: by `varve restart`, or because they hang or are worn out. Never two at a time.
// Rows A21, V5 and V7 of what sites that render on servers learned.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { isAlive, until, varve } from './lib.mjs'
import { NODE, SERVER, ask, load, most, policy, ready, said, started } from './spawning.mjs'

test('A21 V5 a rolling restart under load: no request fails, never more than the N processes, both are new', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2', routes: 'match: "/assets/**", assets: true, cache: never}, {match: "/**"', origin: 'slots_cover: pages,' }))
  await ready(v, 2)
  const old = started(v)
  const clients = load(v, 6, (i) => (i < 4 ? '/slow?ms=20' : '/assets/a.js'))
  await until(() => clients.good > 50)
  const { code, stdout } = await v.cli('restart', 'renderer')
  assert.equal(`${code} ${stdout}`, '0 restarted 2 renderers\n')
  const good = clients.good
  await until(() => clients.good > good + 50)
  const { bad } = await clients.stop()
  assert.deepEqual(bad, [])
  assert.equal(most(v), 2)
  assert.ok(!old.some(isAlive))
  assert.deepEqual(said(v, 'renderer restarts').map(({ worker, why }) => `${worker} ${why}`), ['renderer/0 asked', 'renderer/1 asked'])
  const order = v.log.split('\n').filter((line) => / renderer (restarts|ready) /.test(line)).map((line) => /renderer (restarts|ready) worker=(\S+)/.exec(line).slice(1).join(' '))
  assert.deepEqual(order.slice(2), ['restarts renderer/0', 'ready renderer/0', 'restarts renderer/1', 'ready renderer/1'])
})

test('V5 with one process alone, requests wait while it restarts', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1' }))
  await ready(v, 1)
  const clients = load(v, 3, '/slow?ms=10')
  await until(() => clients.good > 10)
  const asked = performance.now()
  assert.equal((await v.cli('restart')).code, 0)
  const [shown] = JSON.parse((await v.admin('GET', '/v1/slots')).body).workers
  assert.equal(shown.state, 'live')
  assert.ok(shown.since_seconds * 1000 <= performance.now() - asked, 'the new one, not the one before it')
  const good = clients.good
  await until(() => clients.good > good + 10)
  assert.deepEqual((await clients.stop()).bad, [])
})

test('V5 a restart whose first renderer does not come back leaves the others as they are, and says so', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2' }))
  await ready(v, 2)
  const [, second] = started(v)
  writeFileSync(`${v.dir}/broken`, '')
  const { code, stderr } = await v.cli('restart')
  assert.equal(code, 1)
  assert.match(stderr, /renderer\/0 did not come back \(see the log\); those after it were not restarted/)
  assert.ok(isAlive(second))
  assert.equal((await ask(v)).pid, second)
  assert.match(said(v, 'rolling restart given up: a renderer did not come back; the others stay as they are')[0].stderr, /cannot find module/)
  rmSync(`${v.dir}/broken`)
  await ready(v, 3)
  assert.equal((await v.cli('restart')).code, 0)
  assert.ok(!isAlive(second))
})

test('A21 9.1 the command is a shell around the server: what the shell leaves behind is not taken for another process', async (t) => {
  const shell = `command: ["/bin/sh", "-c", "${NODE} ${SERVER} & wait"]`
  const v = await varve(t, policy({ spawn: 'workers: 2' }).replace(/command: \[.*?\]/, shell))
  await ready(v, 2)
  for (let i = 0; i < 2; i++) assert.deepEqual(await v.cli('restart'), { code: 0, stdout: 'restarted 2 renderers\n', stderr: '' })
  const group = started(v)[4]
  process.kill(group, 'SIGKILL')
  await ready(v, 7)
  assert.ok(!v.log.includes('another process listens at its address'))
})

test('`varve restart` refuses what it cannot do', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1' }).replace('origins: {', 'origins: {api: {workers: ["http://127.0.0.1:1"]}, '))
  for (const [words, message] of [[['nosuch'], /there is no origin "nosuch"/], [['api'], /it has no "spawn"/]]) {
    const { code, stderr } = await v.cli('restart', ...words)
    assert.equal(code, 1)
    assert.match(stderr, message)
  }
  assert.equal((await v.cli('restart', 'a', 'b')).code, 2)
  for (const body of [[], { orgin: 'renderer' }, { origin: 'renderer', soft: true }, { origin: 7 }])
    assert.equal((await v.admin('POST', '/v1/restart', body)).status, 400, JSON.stringify(body))
})

test('7.5 an endless loop that outlives slot_max: the process is killed, its slot comes back', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1', origin: 'slot_max: 3s, timeouts: {first_byte: 3s}, retries: 0,' }))
  await ready(v, 1)
  const [first] = started(v)
  assert.ok((await v.get('/busy?ms=600000')).status >= 500)
  await ready(v, 2)
  assert.ok(!isAlive(first))
  assert.equal((await ask(v)).status, 200)
  assert.equal(await v.metric('varve_renderer_restarts_total{worker="renderer/0",why="stuck"}'), 1)
})

test('7.5 beside a render that hangs, others of the same process end before it is killed', async (t) => {
  const limits = 'slot_max: 8s, timeouts: {first_byte: 8s}, retries: 0,'
  const v = await varve(t, policy({ spawn: 'workers: 1', origin: limits }).replace('slots: 1', 'slots: 2'))
  await ready(v, 1)
  const hung = v.get('/hang')
  await new Promise((resolve) => setTimeout(resolve, 4000)) // so that the other one may last longer than this one's slot_max
  const beside = ask(v, '/held')
  const busy = async () => JSON.parse((await v.admin('GET', '/v1/slots')).body).workers[0].busy
  await until(async () => (await busy()) === 2, 'both to be rendered')
  assert.ok((await hung).status >= 500)
  await until(() => said(v, 'renderer restarts').length === 1, 'it to be seen')
  await new Promise((resolve) => setTimeout(resolve, 500)) // in which it must not be killed
  process.kill(started(v)[0], 'SIGUSR2')
  assert.equal((await beside).status, 200)
  await ready(v, 2)
  assert.deepEqual(said(v, 'renderer restarts').map(({ why }) => why), ['stuck'])
})

test('V7 one that makes errors is replaced, one that does not stays', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2, recycle: {errors: 3/60s}' }))
  await ready(v, 2)
  const bad = []
  for (const target of ['/error', '/', '/error', '/', '/error', '/']) bad.push((await v.get(target)).status)
  assert.deepEqual(bad, [500, 200, 500, 200, 500, 200], 'the longest idle one is asked: each second request is of the same one')
  await ready(v, 3)
  assert.deepEqual(said(v, 'renderer restarts').map(({ worker, why }) => `${worker} ${why}`), ['renderer/0 errors'])
  assert.equal(await v.metric('varve_renderer_restarts_total{worker="renderer/0",why="errors"}'), 1)
})

test('V7 after so many renders they are replaced, one at a time, and no request fails', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2, recycle: {renders: 40}' }))
  await ready(v, 2)
  const old = started(v)
  const clients = load(v, 3, '/slow?ms=5')
  await ready(v, 4)
  assert.deepEqual((await clients.stop()).bad, [])
  assert.ok(!old.some(isAlive))
  assert.equal(most(v), 2)
  const order = v.log.split('\n').flatMap((line) => / renderer (restarts|ready) worker=(\S+)/.exec(line)?.slice(1).join(' ') ?? []).slice(2, 6)
  assert.deepEqual(order, [order[0], order[0].replace('restarts', 'ready'), order[2], order[2].replace('restarts', 'ready')])
  assert.notEqual(order[0], order[2])
})

test('one that has grown too large is replaced', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, recycle: {memory: 300MiB}' }))
  await ready(v, 1)
  assert.equal((await ask(v, '/grow?mb=400')).status, 200)
  await ready(v, 2)
  assert.deepEqual(said(v, 'renderer restarts').map(({ why }) => why), ['memory'])
  assert.equal((await ask(v)).status, 200)
  assert.ok(await v.metric('varve_renderer_memory_bytes{worker="renderer/0"}') < 300 << 20)
})

test('React on Express under varve: pages over a rolling restart are the same, and all arrive', async (t) => {
  const site = path.resolve(path.dirname(SERVER), 'spawned-react.mjs')
  const v = await varve(t, policy({ spawn: 'workers: 2' }).replace(SERVER, site))
  await ready(v, 2)
  const first = await v.get('/p/1')
  assert.match(first.body, /^<!DOCTYPE html><html>.*<h1>Page \/p\/1<\/h1>.*Suspended until now/s)
  const clients = load(v, 3, (i, n) => `/p/${n % 5}`)
  assert.equal((await v.cli('restart')).code, 0)
  assert.deepEqual((await clients.stop()).bad, [])
  assert.equal((await v.get('/p/1')).body, first.body)
})
