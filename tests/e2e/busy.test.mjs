// Renderers that are busy: what needs none of them does not wait for them, what waits is told apart from what renders, and who
// waits has a clock of his own (semantics 7.3, 7.5, 7.8; renderers A3, A7, B2, K7, K14).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { test } from 'node:test'
import { all, freePort, gate, outcome, page, rawOrigin, renderer, request, tempDir, until, varve } from './lib.mjs'
import { NODE, SERVER } from './spawning.mjs'

const navigation = { accept: 'text/html', 'sec-fetch-dest': 'document' }
const SHELL = '<!doctype html><div id=app></div>'
/** For what must not have to wait: it fails, rather than hangs, when it does. */
const soon = () => ({ signal: AbortSignal.timeout(20000) })
const waiting = (v, n) => until(async () => (await v.metric('varve_queue_depth{origin="renderer"}')) === n, `${n} to wait`)

/**
 * A renderer as a process of its own that can be stopped dead, as an endless loop stops it: the system takes connections for it,
 * and nothing reads them.
 */
async function processOf(t) {
  const port = await freePort()
  const child = spawn(NODE, [SERVER], { stdio: 'ignore', env: { ...process.env, PORT: port } })
  t.after(() => child.kill('SIGKILL'))
  const listens = () => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false))
  })
  await until(listens, 'the renderer to listen')
  const is = (state) => new RegExp(`\\) ${state} `).test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))
  const freeze = () => (child.kill('SIGSTOP'), until(() => is('T'), 'it to stand still'))
  return { url: `http://127.0.0.1:${port}`, freeze, thaw: () => child.kill('SIGCONT') }
}

test('B2, K14, A7 the only renderer stands still: hits, shells, 503s and /readyz come all the same, and then the pages', async (t) => {
  const r = await processOf(t)
  const dir = tempDir()
  writeFileSync(`${dir}/shell.html`, SHELL)
  const v = await varve(t, `shell: {file: ${dir}/shell.html}
origins: {renderer: {workers: ["${r.url}"], slots: 1, client_wait: 60s, queue: {shell_at: 1, shed_at: 3}}}
routes: [{match: "/**", ttl: {force: 60s}}]\n`, { dir })
  assert.equal((await v.get('/hot', navigation)).status, 200)
  await r.freeze()
  const pages = Array.from({ length: 4 }, (_, i) => v.get(`/data/${i}`))
  await waiting(v, 3)
  for (const res of await all(30, () => v.get('/hot', navigation, soon()))) assert.equal(outcome(res), 'hit')
  for (const res of await all(30, (i) => v.get(`/page/${i}`, navigation, soon()))) assert.equal(res.body, SHELL)
  for (const res of await all(30, (i) => v.get(`/more/${i}`, {}, soon()))) {
    assert.equal(res.status, 503)
    assert.match(res.headers['retry-after'], /^\d+$/)
  }
  for (const target of ['/healthz', '/readyz', '/readyz?renderers']) assert.equal((await v.admin('GET', target)).status, 200)
  r.thaw()
  for (const res of await Promise.all(pages)) assert.equal(res.status, 200)
})

test('K7, 7.3 all slots are taken: who can have something older has it at once, however many wait, and adds nobody to the queue', async (t) => {
  const held = []
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) return page(res, 'older', { age: '100', 'cache-control': 'max-age=60' })
    held.push(gate())
    await held.at(-1).promise
    page(res, `page ${req.url}`)
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, revalidate_max: 0, client_wait: 60s, queue: {shed_at: 2}}}\nroutes: [{match: "/**"}]\n`)
  await v.get('/known')
  const others = [0, 1, 2].map((i) => v.get(`/${i}`))
  await waiting(v, 2)
  for (const res of await all(20, () => v.get('/known', {}, soon()))) assert.equal(res.body, 'older')
  await until(() => v.accessLog().filter((line) => line.path === '/known' && line.reason === 'stale_busy').length === 20, 'the log to tell why')
  assert.equal((await v.get('/unknown', {}, soon())).status, 503)
  assert.equal(await v.metric('varve_queue_depth{origin="renderer"}'), 2)
  await until(() => held.length === 1, 'the render')
  for (let i = 0; i < 3; i++) {
    await until(() => held.length > i, 'a render')
    held[i].open()
  }
  for (const res of await Promise.all(others)) assert.equal(res.status, 200)
})

test('A3 five at once, one slot: how long they waited and how long their renders took are two numbers, in the log, the answer and the metrics', async (t) => {
  const held = []
  const origin = await renderer(t, async (req, res) => {
    held.push(gate())
    await held.at(-1).promise
    page(res, 'page', { 'cache-control': 'no-store' })
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, client_wait: 60s}}\nroutes: [{match: "/**", cache: never}]\n`)
  const come = async (i) => ({ path: `/${i}`, res: await v.get(`/${i}`), at: performance.now() })
  const answers = [come(0)]
  await until(() => held.length === 1, 'the first render')
  for (let i = 1; i < 5; i++) {
    answers.push(come(i))
    await waiting(v, i)
  }
  const allWait = performance.now()
  const ends = []
  for (let i = 0; i < 5; i++) {
    await until(() => held.length > i, `render ${i}`)
    await new Promise((resolve) => setTimeout(resolve, 120)) // each render takes that long at least
    ends.push(performance.now())
    held[i].open()
  }
  const got = await Promise.all(answers)
  await until(() => v.accessLog().length === 5, 'the log')
  const lines = new Map(v.accessLog().map((line) => [line.path, line]))
  let waits = 0
  for (const [i, { path, res, at }] of got.entries()) {
    const { queue_ms, render_ms, total_ms } = lines.get(path)
    const said = /queue;dur=(\d+), render;dur=(\d+)/.exec(res.headers['server-timing']).slice(1).map(Number)
    assert.deepEqual(said, [queue_ms, render_ms], path)
    assert.ok(render_ms >= 60, `${path} was rendered in ${render_ms} ms`) // it counts from when varve has seen that it was sent
    if (i > 0) {
      assert.ok(queue_ms >= ends[i - 1] - allWait - 5, `${path} waited ${queue_ms} ms: it begins when the one before it ends`)
      assert.ok(render_ms <= at - ends[i - 1] + 5, `${path} took ${render_ms} ms: waiting is no rendering`)
    } else assert.ok(queue_ms <= total_ms - render_ms + 5)
    waits += queue_ms
  }
  const metric = async (name) => (await v.admin('GET', '/metrics')).body.split('\n').filter((l) => l.startsWith(name)).reduce((n, l) => n + Number(l.split(' ').pop()), 0)
  assert.equal(await metric('varve_render_seconds_count'), 5)
  assert.equal(await metric('varve_queue_wait_seconds_count'), 5)
  const sum = await metric('varve_queue_wait_seconds_sum')
  assert.ok(Math.abs(sum * 1000 - waits) < 6, `${sum} s in the metric, ${waits} ms in the log`)
})

test('A16 client_wait and slot_max are two clocks: the shell after the first, the slot still taken, the page stored when it comes', async (t) => {
  const held = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/slow') await held.promise
    page(res, `page ${req.url}`, { 'cache-control': 'max-age=60' })
  })
  const dir = tempDir()
  writeFileSync(`${dir}/shell.html`, SHELL)
  const v = await varve(t, `shell: {file: ${dir}/shell.html}
origins: {renderer: {workers: ["${origin.url}"], slots: 1, client_wait: 50ms, slot_max: 60s, timeouts: {first_byte: 30s}}}
routes: [{match: "/**"}]\n`, { dir })
  assert.equal((await v.get('/slow', navigation)).body, SHELL)
  const data = request(`${v.url}/data`, { headers: { accept: 'application/json' } })
  await waiting(v, 1)
  assert.equal(origin.requests.length, 1, 'the slot is still the slow one’s')
  held.open()
  assert.equal((await data).body, 'page /data')
  await until(async () => outcome(await v.get('/slow', navigation)) === 'hit', 'the slow page to be stored')
  assert.equal(origin.requests.length, 2)
})

test('B1 a page that is good for a second, asked for all the time: one render for each lifetime, whoever asks, and no error', async (t) => {
  const begun = []
  const origin = await renderer(t, (req, res) => {
    begun.push(performance.now())
    setTimeout(() => page(res, 'page'), 50)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", ttl: 1s}]\n`)
  let isOver = false
  const start = performance.now()
  const statuses = new Map()
  const visitors = all(8, async () => {
    while (!isOver) {
      const { status } = await v.get('/')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  await until(() => begun.length >= 4, 'four renders', 60000)
  isOver = true
  await visitors
  assert.deepEqual([...statuses.keys()], [200])
  assert.ok(statuses.get(200) > begun.length * 2)
  // a lifetime that varve invents is up to a tenth shorter, and counts from the request on
  for (const [i, at] of begun.entries()) assert.ok(at - start >= i * 895, `render ${i} after ${at - start} ms`)
})

test('A3 an origin that answers before it has read the request: nothing waited, nothing was rendered, and no number is below zero', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.pause()
    socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!')
  })
  const v = await varve(t, `renderer: ${origin.url}\nlimits: {request_body: 64MiB}\nroutes: [{match: "/**"}]\n`)
  const res = await v.get('/upload', {}, { method: 'POST', body: Buffer.alloc(48 << 20) })
  assert.deepEqual([res.status, res.body], [413, 'no!'])
  const said = /^queue;dur=(\d+), render;dur=(\d+)$/.exec(res.headers['server-timing'])
  assert.ok(said, res.headers['server-timing'])
  assert.equal(said[2], '0')
  await until(() => v.accessLog().length === 1, 'the log')
  const [{ queue_ms, render_ms, total_ms }] = v.accessLog()
  assert.ok(queue_ms >= 0 && queue_ms <= total_ms, `${queue_ms} of ${total_ms} ms`)
  assert.equal(render_ms, 0)
  const { body: metrics } = await v.admin('GET', '/metrics')
  const waits = [...metrics.matchAll(/^varve_queue_wait_seconds_sum\S* (\S+)/gm)].map(([, sum]) => Number(sum))
  assert.ok(waits.length > 0 && waits.every((sum) => sum <= total_ms / 1000), String(waits))
})
