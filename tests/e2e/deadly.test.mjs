// Pages whose render kills its worker (semantics 7.7): two deaths, then no more of it for a while.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gate, page, renderer, request, tempDir, until, varve } from './lib.mjs'

const navigation = { accept: 'text/html', 'sec-fetch-dest': 'document' }
const fresh = { 'cache-control': 'max-age=60' }
const old = { age: '100', 'cache-control': 'max-age=60' }

const MORTAL = `
const server = require('node:http').createServer((req, res) => {
  if (req.url.startsWith('/boom')) process.exit(1)
  res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=60' }).end('page ' + req.url)
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

/** Renderers as processes of their own, that exit when they are asked for /boom; `alive()` counts those that have not. */
async function mortals(t, count) {
  const children = Array.from({ length: count }, () => spawn(process.execPath, ['-e', MORTAL], { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.after(() => children.forEach((child) => child.kill('SIGKILL')))
  const ports = await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', (text) => resolve(Number(text))))))
  return { workers: ports.map((port) => `"http://127.0.0.1:${port}"`).join(', '), alive: () => children.filter((child) => child.exitCode === null).length }
}

/** A renderer that closes the connection of each request for which `kills(req, n)` says so, as if it had died of it. */
const killedBy = (t, kills, answer = (req, res, n) => page(res, `render ${n}`, fresh)) =>
  renderer(t, (req, res, n) => (kills(req, n) ? req.socket.destroy() : answer(req, res, n)))
const reasonOf = async (v, count) => {
  await until(() => v.accessLog().length >= count, `${count} lines in the log`)
  return v.accessLog().map((line) => line.reason)
}

test('7.7 a page that kills its renderer takes two of four with it, however often it is asked for; others are unharmed', async (t) => {
  const m = await mortals(t, 4)
  const v = await varve(t, `origins: {renderer: {workers: [${m.workers}], slots: 1, retries: 10, balance: round-robin}}\nroutes: [{match: "/**"}]\n`)
  await Promise.all(Array.from({ length: 12 }, (_, i) => v.get(`/warm/${i}`))) // connections that are kept: a death looks like one that timed out
  const first = await v.get('/boom?x=1')
  assert.equal(first.status, 503)
  await until(() => m.alive() === 2, 'two to have died')
  for (let i = 0; i < 10; i++) {
    const res = await v.get('/boom?x=1')
    assert.equal(res.status, 503)
    assert.equal(JSON.parse(res.body).reason, 'deadly')
    assert.ok(Number(res.headers['retry-after']) >= 2)
  }
  for (let i = 0; i < 10; i++) assert.equal((await v.get(`/page/${i}`)).body, `page /page/${i}`)
  assert.equal(m.alive(), 2)
  const told = () => v.log.split('\n').slice(0, -1).filter((line) => line.includes('kill workers'))
  await until(() => told().length > 0, 'the log to tell')
  const lines = told()
  assert.equal(lines.length, 1, v.log)
  assert.match(lines[0], /url=127\.0\.0\.1:\d+\/boom worker=renderer\/\d seconds=30/)
})

test('7.7 while a page is deadly: stale, else the shell, else 503, all with that reason and without a render', async (t) => {
  let isDeadly = false
  const origin = await killedBy(t, () => isDeadly, (req, res, n) => page(res, `render ${n}`, { ...old, connection: 'close' }))
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, 'the shell')
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], retries: 1}}\nshell: {file: ${dir}/shell.html}\nroutes: [{match: "/**"}]\n`, { dir })
  await v.get('/known', navigation)
  isDeadly = true
  for (const target of ['/known', '/new']) for (let i = 0; i < 2; i++) await v.get(target, navigation)
  assert.equal(origin.requests.length, 5, 'one good render, and two deaths for each page')
  isDeadly = false
  await reasonOf(v, 5)
  assert.equal((await v.get('/known', navigation)).body, 'render 1')
  assert.equal((await v.get('/new', navigation)).body, 'the shell')
  const data = await v.get('/new', { accept: 'text/html', 'sec-fetch-dest': 'empty' })
  assert.equal(data.status, 503)
  assert.deepEqual((await reasonOf(v, 8)).slice(-3), ['deadly', 'deadly', 'deadly'])
  assert.equal(await v.metric('varve_shell_total{reason="deadly"}'), 1, 'the two before came of deaths')
  assert.equal(origin.requests.length, 5)
})

test('7.7 one user\'s deadly page is not another\'s; a POST is known by its body', async (t) => {
  const origin = await killedBy(t, (req) => req.headers.cookie === 'sid=bad' || req.headers['x-body'] === 'bad')
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], retries: 0}}\nroutes: [{match: "/**"}]\n`)
  const status = async (sid) => (await v.get('/account', { cookie: `sid=${sid}` })).status
  const post = async (body) => (await request(`${v.url}/form`, { method: 'POST', body, headers: { 'x-body': body } })).status
  assert.deepEqual([await status('bad'), await status('bad'), await status('bad')], [503, 503, 503])
  assert.deepEqual([await post('bad'), await post('bad'), await post('bad')], [503, 503, 503])
  assert.equal(origin.requests.length, 4)
  assert.deepEqual([await status('good'), await post('good'), (await v.get('/account')).status], [200, 200, 200])
  assert.equal(origin.requests.length, 7)
})

test('7.7 a death counts when the client has left, and when it comes in the middle of the body', async (t) => {
  const held = []
  const origin = await renderer(t, (req, res, n) => {
    if (req.url === '/left') return held.push(req.socket)
    res.writeHead(200, { 'content-type': 'text/html', 'content-length': 100 })
    res.write('half of it')
    setImmediate(() => res.socket.destroy())
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"]}}\nroutes: [{match: "/**", cache: never}]\n`)
  for (const n of [1, 2]) {
    const leaving = new AbortController()
    const asked = v.get('/left', {}, { signal: leaving.signal }).catch(() => {})
    await until(() => held.length === n, 'the render')
    leaving.abort()
    await asked
    await until(() => v.accessLog().length === n, 'the client to be gone')
    held[n - 1].destroy()
    await until(async () => (await v.metric('varve_slots{worker="renderer/0",state="busy"}')) === 0, 'the death to be seen')
  }
  assert.equal(JSON.parse((await v.get('/left')).body).reason, 'deadly')
  for (let i = 0; i < 2; i++) assert.equal((await v.get('/half')).aborted, true)
  assert.equal(JSON.parse((await v.get('/half')).body).reason, 'deadly')
  assert.equal(origin.requests.length, 4)
})

test('7.7, B7 a renderer that dies with several renders of one page has died once: the page is rendered again when it is back', async (t) => {
  let held = []
  const origin = await renderer(t, (req, res) => (held ? held.push(req.socket) : page(res, 'page')))
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], retries: 0}}\nroutes: [{match: "/**", cache: never}]\n`)
  const answers = Array.from({ length: 4 }, () => v.get('/'))
  await until(() => held.length === 4, 'four renders of it')
  for (const socket of held) socket.destroy()
  assert.deepEqual((await Promise.all(answers)).map((res) => res.status), Array(4).fill(503))
  held = null
  assert.equal((await v.get('/')).body, 'page')
})

test('7.7 no death: idle connections to two workers have timed out, and one of the two takes no new one', async (t) => {
  const both = gate()
  const workers = []
  for (let i = 0; i < 2; i++) {
    const worker = { sockets: new Set() }
    worker.origin = await renderer(t, async (req, res) => {
      if (req.url === '/page') {
        if (i === 0) worker.origin.stop()
        return worker.sockets.has(req.socket) ? req.socket.destroy() : page(res, 'page', fresh)
      }
      worker.sockets.add(req.socket)
      if (workers.every((w) => w.sockets.size)) both.open()
      await both.promise
      page(res, 'warm')
    })
    workers.push(worker)
  }
  const list = workers.map((w) => `"${w.origin.url}"`).join(', ')
  const v = await varve(t, `threads: 1\norigins: {renderer: {workers: [${list}], slots: 1, balance: first}}\nroutes: [{match: "/**"}]\n`)
  await Promise.all([v.get('/warm/1'), v.get('/warm/2')])
  const res = await v.get('/page')
  assert.equal(res.body, 'page')
  assert.deepEqual(workers.map((w) => w.origin.requests.filter((r) => r.url === '/page').length), [1, 2])
  assert.doesNotMatch(v.log, /kill workers/)
})

test('7.7 what is no death: a time-out, an error, an answer that makes no sense, a stream that ends', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.url === '/slow') return
    if (req.url === '/error') return res.writeHead(500).end('error')
    if (req.url === '/nonsense') return req.socket.end('nonsense\r\n\r\n')
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    setImmediate(() => res.socket.destroy())
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], timeouts: {first_byte: 100ms}, slot_max: 150ms}}\nroutes: [{match: "/**"}]\n`)
  for (const target of ['/error', '/nonsense', '/stream']) {
    const before = origin.requests.length
    for (let i = 0; i < 4; i++) await v.get(target, target === '/stream' ? { accept: 'text/event-stream' } : {})
    assert.equal(origin.requests.length, before + 4, target)
  }
  const before = origin.requests.length
  for (let i = 0; i < 4; i++) await v.get('/slow')
  assert.equal(origin.requests.length, before + 4)
})

test('7.7 those who wait for a slot with the same page are not sent either when it turns out to be deadly', async (t) => {
  const held = []
  const first = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/first') {
      await first.promise
      return page(res, 'first', { ...fresh, connection: 'close' })
    }
    held.push(req.url)
    req.socket.destroy()
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, retries: 0, client_wait: 60s}}\nroutes: [{match: "/**", cache: never}]\n`)
  const busy = v.get('/first')
  await until(() => origin.requests.length === 1, 'the slot to be taken')
  const waiting = Array.from({ length: 8 }, () => v.get('/boom'))
  await until(async () => /^varve_queue_depth\{.*\} 8$/m.test((await v.admin('GET', '/metrics')).body), 'eight to wait')
  first.open()
  assert.deepEqual((await Promise.all(waiting)).map((res) => res.status), Array(8).fill(503))
  assert.equal((await busy).status, 200)
  assert.equal(held.length, 2)
})
