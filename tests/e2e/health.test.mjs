// Which workers are up, and what varve does about it: slow start, probes, warm-up, drain, mode (semantics 7.5, 7.6; renderers A13, B3, B7, G2).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, page, renderer, until, varve } from './lib.mjs'

const documents = { accept: 'text/html' }

test('7.6, B7 all down, then the first sign of life: one render at a time until one more is answered', async (t) => {
  const port = await freePort()
  const v = await varve(t, `origins: {renderer: {workers: ["http://127.0.0.1:${port}"], slots: 4, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/down', documents)).status, 503)
  const gates = []
  const origin = await renderer(
    t,
    async (req, res) => {
      if (req.url.startsWith('/held')) {
        const g = gate()
        gates.push(g)
        await g.promise
      }
      page(res, `page ${req.url}`, { 'cache-control': 'no-store' })
    },
    { port },
  )
  await until(async () => (await v.get('/first', documents)).status === 200, 'the worker to be tried')
  const held = [0, 1, 2, 3].map((i) => v.get(`/held/${i}`, documents))
  await until(async () => (await v.metric('varve_queue_depth{origin="renderer"}')) === 3, 'three to wait')
  await until(() => gates.length === 1, 'the one that does not wait')
  gates[0].open()
  await until(() => gates.length === 4, 'full weight')
  await until(() => origin.now === 3, 'three renders beside each other')
  for (const g of gates) g.open()
  for (const res of await Promise.all(held)) assert.equal(res.status, 200)
  await until(() => /worker is down worker=renderer\/0/.test(v.log), 'the log to tell')
  await until(() => /worker is up[^\n]*worker=renderer\/0/.test(v.log), 'the log to tell')
  assert.equal(await v.metric('varve_worker_changes_total{worker="renderer/0",to="up"}'), 1)
  assert.equal(await v.metric('varve_worker_changes_total{worker="renderer/0",to="down"}'), 1)
})

/** A worker whose probe and warm-up are counted, and never beside a render. */
async function probed(t, { port, health = () => 200 } = {}) {
  const w = { probes: 0, warmups: 0, paths: [], headers: [] }
  w.origin = await renderer(
    t,
    (req, res) => {
      w.paths.push(req.url)
      w.headers.push(req.headers)
      if (req.url === '/_ah/warmup') w.warmups++
      if (req.url !== '/healthz') return page(res, `page ${req.url}`, { 'cache-control': 'no-store' })
      w.probes++
      res.writeHead(health()).end('health')
    },
    { port },
  )
  w.up = (v, i) => v.metric(`varve_worker_up{worker="renderer/${i}"}`)
  return w
}

const often = 'probe: {path: /healthz, every: 100ms, timeout: 10s, down_after: 3, up_after: 2}'

test('7.6, B3 the renderer is up but /healthz says 500: down after three, back after two, and not by a visitor', async (t) => {
  let status = 200
  const said = []
  const w = await probed(t, { health: () => (said.push(status), status) })
  const v = await varve(t, `origins: {renderer: {workers: ["${w.origin.url}"], slots: 1, ${often}, set_headers: {X-Secret: s3}}}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/a', documents)).status, 200)
  await until(() => w.probes >= 3, 'probes')
  assert.equal(await w.up(v, 0), 1)
  assert.equal(w.headers.find((_, i) => w.paths[i] === '/healthz')['x-secret'], 's3')
  status = 500
  await until(async () => (await w.up(v, 0)) === 0, 'the worker to be down')
  assert.ok(said.filter((s) => s === 500).length >= 3, `down after ${said}`)
  const seen = w.paths.filter((p) => p !== '/healthz').length
  assert.equal((await v.get('/b', documents)).status, 503)
  assert.equal(w.paths.filter((p) => p !== '/healthz').length, seen, 'no visitor tries it')
  await until(() => /worker is down worker=renderer\/0 why="?probe: status 500/.test(v.log), 'the log to tell')
  status = 200
  await until(async () => (await w.up(v, 0)) === 1, 'the worker to be up')
  assert.ok(said.length - 1 - said.lastIndexOf(500) >= 2, `up after ${said}`)
  assert.equal((await v.get('/c', documents)).status, 200)
  assert.equal(w.origin.most, 1, 'never a probe beside a render, nor two probes')
})

test('7.1, B3 no probe beside a render on a worker with one slot, however long the render takes', async (t) => {
  const g = gate()
  let probes = 0
  let ofOther = 0
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/healthz') return probes++, res.end('well')
    await g.promise
    page(res, 'page', { 'cache-control': 'no-store' })
  })
  const other = await renderer(t, (req, res) => (ofOther++, res.end('well'))) // of an origin of its own: nobody is sent there while the first is probed
  const origins = [['renderer', origin], ['other', other]].map(([name, { url }]) => `${name}: {workers: ["${url}"], slots: 1, ${often}}`)
  const v = await varve(t, `origins: {${origins.join(', ')}}\nroutes: [{match: "/**"}]\n`)
  await until(() => probes >= 2, 'probes')
  const render = v.get('/slow', documents)
  await until(() => origin.requests.some((r) => r.url === '/slow'), 'the render')
  const before = probes
  const then = ofOther
  await until(() => ofOther >= then + 5, 'the idle worker to be probed five times')
  assert.equal(probes, before)
  g.open()
  assert.equal((await render).status, 200)
  await until(() => probes > before, 'probes to go on')
  assert.equal(origin.most, 1)
})

test('G2 warm-up once per new worker, before its first render; again after it was down, not after a reload', async (t) => {
  const port = await freePort()
  const policy = `origins: {renderer: {workers: ["http://127.0.0.1:${port}"], slots: 2, client_wait: 60s, warmup: /_ah/warmup}}\nroutes: [{match: "/**"}]\n`
  const first = await probed(t, { port })
  const v = await varve(t, policy)
  for (const res of await Promise.all([1, 2, 3].map((i) => v.get(`/${i}`, documents)))) assert.equal(res.status, 200)
  assert.equal(first.paths[0], '/_ah/warmup')
  assert.equal(first.warmups, 1)
  assert.equal((await v.cli('reload')).code, 0)
  assert.equal((await v.get('/4', documents)).status, 200)
  assert.equal(first.warmups, 1)
  await first.origin.stop()
  assert.equal((await v.get('/down', documents)).status, 503)
  const second = await probed(t, { port })
  await until(async () => (await v.get('/again', documents)).status === 200, 'pages again')
  assert.equal(second.paths[0], '/_ah/warmup')
  assert.equal(second.warmups, 1)
})

const slots = async (v) => JSON.parse((await v.admin('GET', '/v1/slots')).body)

test('A24 varve slots shows workers, what each slot renders and since when, and who waits', async (t) => {
  const g = gate()
  const origin = await renderer(t, async (req, res) => {
    await g.promise
    page(res, 'page', { 'cache-control': 'no-store' })
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  const all = [v.get('/one?token=secret', documents)]
  await until(() => origin.now === 1, 'the render')
  all.push(v.get('/two', documents))
  await until(async () => (await slots(v)).queue.length === 1, 'somebody to wait')
  const seen = await slots(v)
  assert.equal(seen.workers[0].worker, 'renderer/0')
  assert.equal(seen.workers[0].state, 'live')
  assert.deepEqual([seen.workers[0].busy, seen.workers[0].slots], [1, 1])
  assert.equal(seen.renders.length, 1)
  assert.equal(seen.renders[0].path, '/one', 'without its query')
  assert.ok(seen.renders[0].seconds >= 0)
  assert.deepEqual([seen.queue[0].class, seen.queue[0].waiting], ['people', 1])
  assert.ok(seen.queue[0].oldest_seconds <= seen.renders[0].seconds)
  const { stdout } = await v.cli('slots')
  assert.match(stdout, /worker +state +since_seconds +busy +slots\n +renderer\/0 +live/)
  assert.match(stdout, /\/one/)
  g.open()
  for (const res of await Promise.all(all)) assert.equal(res.status, 200)
})

test('9.1, A21 a drained worker finishes what it has and gets nothing new, over reloads and a crash, until it is up', async (t) => {
  const g = gate()
  const handler = (name) => async (req, res) => {
    if (req.url === '/held') await g.promise
    page(res, name, { 'cache-control': 'no-store' })
  }
  const a = await renderer(t, handler('a'))
  const b = await renderer(t, handler('b'))
  const v = await varve(t, `origins: {renderer: {workers: ["${a.url}", "${b.url}"], slots: 2, balance: first}}\nroutes: [{match: "/**"}]\n`)
  const held = v.get('/held', documents)
  await until(() => a.now === 1, 'the render')
  const asked = performance.now()
  const drained = await v.cli('slots', 'drain', 'renderer/0')
  const answered = performance.now()
  assert.equal(drained.code, 0, drained.stderr)
  const expectB = async () => {
    for (let i = 0; i < 4; i++) assert.equal((await v.get(`/x${i}`, documents)).body, 'b')
  }
  await expectB()
  const seen = await slots(v)
  assert.equal(seen.workers[0].state, 'draining')
  assert.equal(seen.workers[0].busy, 1)
  assert.ok(seen.workers[0].since_seconds * 1000 <= performance.now() - asked, 'since it was drained, not since it lives')
  g.open()
  assert.equal((await held).body, 'a')
  assert.equal((await v.cli('reload')).code, 0)
  const least = performance.now() - answered
  assert.ok((await slots(v)).workers[0].since_seconds * 1000 > least - 10, 'nor since the reload')
  await expectB()
  process.kill(v.workerPid(), 'SIGKILL')
  await until(async () => (await v.get('/ready', documents).catch(() => ({}))).body === 'b', 'the next worker process')
  await expectB()
  assert.equal((await v.admin('POST', '/v1/slots/renderer/1', { state: 'drain' })).status, 200)
  assert.equal((await v.get('/nobody', documents)).status, 503, 'as if all were down')
  assert.equal((await v.admin('POST', '/v1/slots/renderer/1', { state: 'up' })).status, 200)
  assert.equal((await v.cli('slots', 'up', 'renderer/0')).code, 0)
  await until(async () => (await v.get('/y', documents)).body === 'a', 'the worker to be back')
  await until(() => /worker is drained worker=renderer\/0/.test(v.log) && /no longer drained worker=renderer\/0/.test(v.log), 'the log to tell')
  assert.equal((await v.admin('POST', '/v1/slots/renderer/7', { state: 'drain' })).status, 404)
  assert.equal((await v.admin('POST', '/v1/slots/renderer/0', { state: 'off' })).status, 400)
  assert.equal((await v.admin('GET', '/v1/slots/renderer/0')).status, 405)
  assert.equal((await v.cli('slots', 'drain')).code, 2)
})

test('7.5, A13, A14 one of four loops: one client is affected, and it is used again when it was restarted', async (t) => {
  const ports = await Promise.all([0, 1, 2, 3].map(() => freePort()))
  const handler = (req, res) => {
    if (req.url !== '/loop') page(res, 'page', { 'cache-control': 'no-store' })
  }
  const workers = await Promise.all(ports.map((port) => renderer(t, handler, { port })))
  const urls = ports.map((port) => `"http://127.0.0.1:${port}"`).join(', ')
  const timeouts = 'timeouts: {first_byte: 5s}, slot_max: 5s, client_wait: 60s'
  const v = await varve(t, `origins: {renderer: {workers: [${urls}], slots: 1, retries: 0, ${timeouts}}}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/loop', documents)).status, 503)
  const states = async () => (await slots(v)).workers.map((w) => w.state)
  await until(async () => (await states()).includes('quarantined'), 'the quarantine')
  const looping = workers.findIndex((w) => w.requests.some((r) => r.url === '/loop'))
  const before = workers[looping].requests.length
  for (let i = 0; i < 40; i++) assert.equal((await v.get(`/${i}`, documents)).status, 200)
  assert.equal(workers[looping].requests.length, before, 'nothing goes to the one that loops')
  await workers[looping].stop()
  await until(async () => !(await states()).includes('quarantined'), 'the slot to be given back')
  const restarted = await renderer(t, handler, { port: ports[looping] })
  await until(async () => (await v.get('/again', documents)).status === 200 && restarted.requests.length > 0, 'the restarted one to be used')
  for (let i = 0; i < 8; i++) assert.equal((await v.get(`/${i}`, documents)).status, 200)
})
