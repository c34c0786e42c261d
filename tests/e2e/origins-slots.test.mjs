// `slots: 1`: a renderer never has two renders at a time, whoever leaves, reloads or dies (semantics 7.1, 7.2, 3.4; A1, A15).
import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { test } from 'node:test'
import { all, freePort, gate, page, random, renderer, request, tempDir, until, varve } from './lib.mjs'
import { certificate, h2 } from './wire.mjs'

const slotsOne = (origin, more = '') =>
  `origins: {renderer: {workers: ["${origin.url}"], slots: 1${more}}}\nroutes: [{match: "/pass/**", cache: never}, {match: "/**"}]\n`
const waiting = async (v) => (await v.admin('GET', '/metrics')).body.split('\n')
  .filter((l) => l.startsWith('varve_queue_depth')).reduce((sum, l) => sum + Number(l.split(' ').pop()), 0)

/**
 * A renderer whose work goes on when its client has left, as a synchronous render's does: `rendering` counts that work, not
 * connections. A render ends when the test opens its gate (or at once, when `isFast`).
 */
async function worker(t) {
  const w = { rendering: 0, mostRendering: 0, arrived: [], gates: [], isFast: false }
  const origin = await renderer(t, async (req, res) => {
    w.mostRendering = Math.max(w.mostRendering, ++w.rendering)
    w.arrived.push({ url: req.url, at: Date.now() })
    const g = gate()
    w.gates.push(g)
    if (!w.isFast) await g.promise
    else await new Promise(setImmediate)
    w.rendering--
    page(res, req.url, { 'cache-control': 'max-age=60' })
  })
  w.next = (n) => until(() => w.arrived.length >= n, `render ${n}`)
  w.openAll = () => ((w.isFast = true), w.gates.forEach((g) => g.open()))
  return Object.assign(w, { url: origin.url, origin })
}

test('7.1 60 at once, fills and passes of all methods: one render at a time, and everybody is answered', async (t) => {
  const w = await worker(t)
  w.isFast = true
  const v = await varve(t, slotsOne(w, ', queue: {shed_at: 100}'))
  const got = await all(60, (i) => request(`${v.url}${i % 2 ? '/pass' : ''}/${i}`, { method: i % 3 === 1 ? 'POST' : 'GET' }))
  assert.ok(got.every((res) => res.status === 200))
  assert.equal(w.arrived.length, 60)
  assert.equal(w.mostRendering, 1)
})

test('3.4, A15: clients that leave free no slot; the render that ran is stored, those that waited are not rendered', async (t) => {
  const w = await worker(t)
  const v = await varve(t, slotsOne(w))
  const leaving = new AbortController()
  setMaxListeners(20, leaving.signal)
  const left = all(20, (i) => v.get(`/${i}`, {}, { signal: leaving.signal }).catch(() => 'left'))
  await w.next(1)
  await until(async () => (await waiting(v)) === 19, 'the others to wait')
  leaving.abort()
  assert.deepEqual([...new Set(await left)], ['left'])
  await until(async () => (await waiting(v)) === 0, 'those who left to be out of the queue')
  const stays = v.get('/stays')
  await until(async () => (await waiting(v)) === 1, 'the one who stays to wait')
  assert.equal(w.rendering, 1)
  w.openAll()
  assert.equal((await stays).body, '/stays')
  assert.deepEqual(w.arrived.map((r) => r.url), [w.arrived[0].url, '/stays'])
  await until(async () => /; hit/.test((await v.get(w.arrived[0].url)).headers['cache-status']), 'the page whose client left')
  assert.equal(w.arrived.length, 2, 'and it was not rendered again for that')
  assert.equal(w.mostRendering, 1)
})

test('3.4 a pass whose client left before the head keeps its slot until the renderer has answered', async (t) => {
  const w = await worker(t)
  const v = await varve(t, slotsOne(w))
  const leaving = new AbortController()
  const left = v.get('/pass/1', {}, { signal: leaving.signal }).catch(() => 'left')
  await w.next(1)
  leaving.abort()
  await left
  await until(() => v.accessLog().length === 1, 'varve to see that the client has left')
  const second = v.get('/pass/2')
  await until(async () => (await waiting(v)) === 1, 'the second to wait')
  assert.equal(w.arrived.length, 1)
  w.openAll()
  assert.equal((await second).body, '/pass/2')
  assert.equal(w.mostRendering, 1)
})

test('7.2 a reload: two worker processes share the slot, and nobody gets an error', async (t) => {
  const w = await worker(t)
  const v = await varve(t, slotsOne(w))
  const first = v.get('/pass/1')
  await w.next(1)
  const queued = v.get('/pass/2')
  await until(async () => (await waiting(v)) === 1, 'the second to wait in the old process')
  assert.equal((await v.cli('reload')).code, 0)
  const third = v.get('/pass/3')
  await until(async () => (await waiting(v)) === 1, 'the third to wait in the new process')
  assert.equal(w.arrived.length, 1)
  w.openAll()
  for (const [i, res] of (await Promise.all([first, queued, third])).entries()) {
    assert.equal(res.status, 200)
    assert.equal(res.body, `/pass/${i + 1}`)
  }
  const more = await all(30, (i) => v.get(`/pass/more${i}`))
  assert.ok(more.every((res) => res.status === 200))
  assert.equal(w.mostRendering, 1)
})

test('7.2 kill -9 of the worker process: its slot stays taken until slot_max, and until the renderer answers a probe', async (t) => {
  const w = await worker(t)
  const slotMax = 8000 // longer than it takes a new process to come, so that the second one is seen waiting
  const v = await varve(t, slotsOne(w, ', slot_max: 8s, timeouts: {first_byte: 8s}'))
  const lost = v.get('/pass/lost').catch(() => 'lost')
  await w.next(1)
  const pid = v.workerPid()
  process.kill(pid, 'SIGKILL')
  assert.equal(await lost, 'lost')
  await until(() => v.workerPid() !== pid, 'the new process')
  const second = v.get('/pass/2')
  await until(async () => (await waiting(v)) === 1, 'the second to wait')
  w.openAll() // the lost render ends long before slot_max
  assert.equal((await second).body, '/pass/2')
  assert.ok(w.arrived[1].at - w.arrived[0].at >= slotMax - 50, `after ${w.arrived[1].at - w.arrived[0].at} ms`)
  assert.equal(w.mostRendering, 1)
  assert.deepEqual((await all(5, (i) => v.get(`/pass/then${i}`))).map((r) => r.status), Array(5).fill(200))
  assert.equal(w.mostRendering, 1)
})

test('7.4 the queue is first in, first out', async (t) => {
  const w = await worker(t)
  const port = await freePort()
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\n${slotsOne(w)}`)
  const client = await h2(t, port)
  const paths = Array.from({ length: 20 }, (_, i) => `/pass/${i}`)
  const got = paths.map((path) => client.get(path))
  await until(async () => (await waiting(v)) === 19, 'the queue')
  w.openAll()
  assert.ok((await Promise.all(got)).every((res) => res.status === 200))
  assert.deepEqual(w.arrived.map((r) => r.url), paths)
})

test('7.1 two origins that name the same renderer share its slot; assets count too', async (t) => {
  const w = await worker(t)
  const one = `{workers: ["${w.url}"], slots: 1}`
  const v = await varve(t, `origins: {a: ${one}, b: ${one}}\nroutes: [{match: "/a/**", origin: a, cache: never}, {match: "/b/**", origin: b, cache: never}, {match: "/asset/**", origin: a, assets: true}]\n`)
  const first = v.get('/a/1')
  await w.next(1)
  const others = [v.get('/b/1'), v.get('/asset/1.js')]
  await until(async () => (await waiting(v)) >= 2, 'both to wait')
  assert.equal(w.arrived.length, 1)
  w.openAll()
  for (const res of await Promise.all([first, ...others])) assert.equal(res.status, 200)
  assert.equal(w.mostRendering, 1)
})

test('7.5, A14 a render that is stuck: its client is told, nobody else is sent there until the renderer has answered', async (t) => {
  const w = await worker(t)
  const v = await varve(t, slotsOne(w, ', slot_max: 2s, timeouts: {first_byte: 2s}'))
  const stuck = await v.get('/pass/stuck')
  assert.equal(stuck.status, 503)
  const next = v.get('/pass/next')
  await until(async () => (await waiting(v)) === 1, 'the next to wait')
  const slots = await v.admin('GET', '/v1/slots')
  assert.match(slots.body, /quarantined/)
  assert.equal(w.arrived.length, 1)
  w.openAll() // the late answer
  assert.equal((await next).body, '/pass/next')
  assert.equal(w.mostRendering, 1)
})

/* --- all of it at once --- */

const SEED = Number(process.env.STORM_SEED ?? 1)

test(`A1, A2, K17 clients that leave, time-outs, probes, reloads and kill -9 together: never two renders at a time (STORM_SEED=${SEED})`, async (t) => {
  const dice = random(SEED)
  const w = await worker(t)
  const v = await varve(t, slotsOne(w, ', slot_max: 3s, timeouts: {first_byte: 200ms}, client_wait: 60s, retries: 1, queue: {shed_at: 100}, warmup: /warm, probe: {path: /probe, every: 100ms, timeout: 100ms}'))
  let isOver = false
  t.after(() => (isOver = true))
  const renders = (async () => { // one after the other: a few are longer than first_byte, none as long as slot_max
    for (let i = 0; !isOver; i++) {
      await until(() => isOver || w.gates.length > i, 'a render', 60000)
      if (dice() < 0.2) await new Promise((resolve) => setTimeout(resolve, 300))
      w.gates[i]?.open()
    }
  })()
  const seen = new Map()
  const visitor = async (lane) => {
    for (let n = 0; !isOver; n++) {
      if (dice() < 0.1) await new Promise((resolve) => setTimeout(resolve, 50))
      const leaving = new AbortController()
      const leaves = dice() < 0.3
      const asked = request(`${v.url}${dice() < 0.5 ? '/pass' : ''}/${lane}-${n}`, { method: dice() < 0.2 ? 'POST' : 'GET', signal: leaving.signal })
      if (leaves) setTimeout(() => leaving.abort(), dice() * 20)
      const status = await asked.then((res) => res.status, () => 'gone')
      seen.set(status, (seen.get(status) ?? 0) + 1)
    }
  }
  await until(() => w.arrived.some((r) => r.url === '/probe'), 'a probe') // later they are few: it takes an idle slot
  const visitors = all(6, visitor)
  for (let i = 0; i < 2; i++) {
    const before = w.arrived.length
    await until(() => w.arrived.length > before + 15, 'renders', 60000)
    assert.equal((await v.cli('reload')).code, 0)
  }
  const pid = v.workerPid()
  process.kill(pid, 'SIGKILL')
  const killed = w.arrived.length
  await until(() => v.workerPid() !== pid, 'the new process')
  await until(() => w.arrived.length > killed + 15, 'renders after the kill', 60000)
  await until(() => [200, 503, 'gone'].every((status) => seen.has(status)), 'all of it to have come to pass', 60000)
  isOver = true
  w.openAll()
  await Promise.all([visitors, renders])
  t.diagnostic(`${w.arrived.length} renders, ${JSON.stringify([...seen])}`)
  assert.equal(w.mostRendering, 1)
})

test('K6 counters go up for each request and down for each end of one: after 600, left, refused and cut at random, all are at 0', async (t) => {
  const dice = random(SEED)
  const origin = await renderer(t, async (req, res) => {
    const [, kind] = req.url.split('/')
    if (kind === 'cut') return res.writeHead(200, { 'content-length': 100 }).write('half', () => res.socket?.destroy())
    if (kind === 'closed') return req.socket.destroy()
    if (kind === 'late') await new Promise((resolve) => setTimeout(resolve, 5))
    page(res, 'x'.repeat(kind === 'large' ? 300_000 : 10), kind === 'stored' ? { 'cache-control': 'max-age=60' } : {})
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 3, queue: {shed_at: 1}}}\nroutes: [{match: "/stored/**"}, {match: "/**", cache: never}]\n`)
  const kinds = ['stored', 'late', 'large', 'cut', 'closed', 'plain']
  const visitor = async (lane) => {
    for (let n = 0; n < 60; n++) {
      const leaving = new AbortController()
      const asked = request(`${v.url}/${kinds[Math.floor(dice() * kinds.length)]}/${lane}-${n}`, { method: dice() < 0.2 ? 'POST' : 'GET', signal: leaving.signal })
      if (dice() < 0.4) setTimeout(() => leaving.abort(), dice() * 10)
      await asked.catch(() => 'gone')
    }
  }
  await all(10, visitor)
  const left = async () => {
    const lines = (await v.admin('GET', '/metrics')).body.split('\n')
    return lines.filter((l) => /^varve_(queue_depth|flights)|^varve_slots\{.*state="busy"/.test(l)).filter((l) => !/ 0$/.test(l))
  }
  await until(async () => (await left()).length === 0, 'all to be at 0')
  const slots = JSON.parse((await v.admin('GET', '/v1/slots')).body)
  assert.deepEqual([slots.renders, slots.queue], [[], []])
  assert.equal(await v.metric('varve_slots{worker="renderer/0",state="free"}'), 3)
  for (let i = 0; i < 10; i++) assert.equal((await v.get(`/plain/after${i}`)).status, 200)
})
