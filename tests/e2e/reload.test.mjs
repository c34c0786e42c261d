// Reloads and stops: no request is lost, nothing is changed by a bad file, and whoever is being answered is answered to the end.
import assert from 'node:assert/strict'
import http from 'node:http'
import http2 from 'node:http2'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { all, gate, http2Client, isAlive, page, renderer, request, tempDir, tlsListener, until, varve } from './lib.mjs'

const RELOADS = Number(process.env.RELOADS ?? 20)
const ROUTES = 'routes: [{match: "/**"}]'

/** How long a connection has to rest before it may be closed under one's hands: what a worker that drains waits, and a bit less. */
const REST_MS = 900

/** Asks on one connection until `isOver`; a failure is whatever is not the page. */
async function askingOverHttp1(url, isOver, results) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  let answered = performance.now()
  const ask = (target) => {
    const hasRested = performance.now() - answered > REST_MS // this process stood still
    return request(url + target, { agent }).catch((error) => (error.isReused && hasRested ? ask(target) : { error: error.message }))
  }
  for (let n = 0; !isOver(); n++) {
    const target = n % 3 === 0 ? `/uncached/${n}` : `/cached/${n % 7}`
    const res = await ask(target)
    answered = performance.now()
    if (res.status === 200 && res.body === `page ${target}` && !res.aborted) results.http1++
    else results.failed.push({ target, protocol: 'HTTP/1.1', status: res.status, error: res.error, aborted: res.aborted })
  }
  agent.destroy()
}

const getOverHttp2 = (session, target) =>
  new Promise((resolve) => {
    const res = { body: '' }
    const stream = session.request({ ':path': target })
    stream.on('response', (headers) => (res.status = headers[':status']))
    stream.on('data', (chunk) => (res.body += chunk))
    stream.on('error', (error) => (res.error = error.message))
    stream.on('close', () => resolve(res))
  })

const connect = (port) =>
  new Promise((resolve, reject) => {
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    session.once('error', reject)
    session.on('goaway', () => (session.isLeaving = true))
    session.once('remoteSettings', () => resolve(session))
  })

/** Four at a time on one connection, a new one after GOAWAY. */
async function askingOverHttp2(port, isOver, results) {
  let session = await connect(port)
  for (let n = 0; !isOver(); n++) {
    if (session.isLeaving || session.closed) {
      session.close()
      session = await connect(port)
      results.sessions++
    }
    const targets = [0, 1, 2, 3].map((i) => (i === 0 ? `/uncached/${n}` : `/cached/${(n + i) % 7}`))
    const answers = await Promise.all(targets.map((target) => getOverHttp2(session, target)))
    answers.forEach((res, i) => {
      if (res.status === 200 && res.body === `page ${targets[i]}`) results.http2++
      else if (session.isLeaving && res.error?.includes('REFUSED_STREAM')) results.again++ // not taken: asked again elsewhere (RFC 9113 §8.7)
      else results.failed.push({ target: targets[i], protocol: 'HTTP/2', ...res })
    })
  }
  session.close()
}

/** A worker that is leaving says so; the next one answers. */
async function reload(v) {
  for (;;) {
    const { status, body } = await v.admin('POST', '/v1/reload', {})
    if (status === 200) return
    assert.equal(status, 503, body)
  }
}

test(`${RELOADS} reloads under load: no request fails over HTTP/1.1 and HTTP/2`, { timeout: 240000 }, async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `page ${req.url}`, { 'cache-control': req.url.startsWith('/cached') ? 'max-age=1' : 'no-store' }))
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const policy = (n) => `${tls.yaml}renderer: ${origin.url}\nvary: {max_variants: ${10 + n}}\n${ROUTES}\n`
  const v = await varve(t, policy(0), { dir })
  const results = { http1: 0, http2: 0, again: 0, sessions: 0, failed: [] }
  let isOver = false
  const clients = [
    ...[1, 2, 3, 4].map(() => askingOverHttp1(v.url, () => isOver, results)),
    ...[1, 2].map(() => askingOverHttp2(tls.port, () => isOver, results)),
  ]
  for (let n = 1; n <= RELOADS; n++) {
    v.write(policy(n))
    await reload(v)
  }
  isOver = true
  await Promise.all(clients)
  t.diagnostic(JSON.stringify({ ...results, failed: results.failed.length }))
  assert.deepEqual(results.failed.slice(0, 5), [])
  assert.ok(results.http1 > RELOADS * 5 && results.http2 > RELOADS * 5 && results.sessions >= RELOADS / 2, JSON.stringify(results))
})

test('9.2 a bad file changes nothing, and `varve reload` prints every error and exits 2', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  const pid = v.workerPid()
  v.write(`renderer: ${origin.url}\nstael: 1h\nthread: 2\nroutes: [{match: "/**", ttl: soon}]\n`)
  const { code, stderr } = await v.cli('reload')
  assert.equal(code, 2)
  for (const part of ['unknown key "stael"', 'unknown key "thread"', 'ttl']) assert.ok(stderr.includes(part), `${part} not in ${stderr}`)
  assert.match(stderr, /varve\.yaml:\d+:\d+: /)
  assert.equal(v.workerPid(), pid)
  assert.equal((await v.get('/')).body, 'render 1')
  v.write(`renderer: ${origin.url}\n${ROUTES}\n`)
  assert.equal((await v.cli('reload')).code, 0)
  assert.notEqual(v.workerPid(), pid)
  assert.equal((await v.get('/')).body, 'render 1', 'the new worker reads the old one’s store')
})

test('9.2 who is told that a reload is over is answered by the new policy from then on', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', { 'cache-control': 'max-age=60' }))
  const policy = (n) => `renderer: ${origin.url}\nroutes: [{match: "/**", client_cache: "max-age=${n}"}]\n`
  const v = await varve(t, policy(0))
  for (let n = 1; n <= 8; n++) {
    const old = v.workerPid()
    v.write(policy(n))
    assert.equal((await v.admin('POST', '/v1/reload', {})).status, 200)
    for (const res of await all(8, (i) => v.get(`/${i}`))) assert.equal(res.headers['cache-control'], `max-age=${n}`)
    await until(() => !isAlive(old), 'the old worker to leave')
  }
})

test('9.2 what no reload can change is refused by name, and the rest of the file as well', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  const pid = v.workerPid()
  v.write(`renderer: ${origin.url}\nstore: {path: $DIR/elsewhere, size: 32MiB}\nadmin: {listen: "unix:$DIR/other.sock"}\nroutes: [{match: "/**", cache: never}]\n`)
  const { code, stderr } = await v.cli('reload')
  assert.equal(code, 2)
  for (const name of ['store.path', 'store.size', 'admin.listen']) assert.ok(stderr.includes(name), `${name} not in ${stderr}`)
  assert.equal(v.workerPid(), pid)
  await v.get('/')
  assert.equal((await v.get('/')).body, 'render 1', 'the old policy stores')
})

test('9.1 a reload that cannot listen changes nothing and says why', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  v.write(`listen: ["127.0.0.1:$PORT", "127.0.0.1:${origin.port}"]\nrenderer: ${origin.url}\n${ROUTES}\n`)
  const { code, stderr } = await v.cli('reload')
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`${origin.port}.*in use`, 'i'))
  assert.equal((await v.get('/')).status, 200)
})

/** A renderer that stops half-way until told to go on. */
async function slowSite(t, more = '') {
  const half = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url !== '/slow') return page(res, 'quick', { 'cache-control': 'max-age=60' })
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=60' })
    res.write('first half, ')
    await half.promise
    res.end('second half')
  })
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n${more}`)
  const begun = gate()
  const answer = request(`${v.url}/slow`, { onData: begun.open })
  await begun.promise
  return { v, half, answer, origin }
}

test('9.1 a stream that began before a reload ends as it should, and is stored', async (t) => {
  const { v, half, answer, origin } = await slowSite(t)
  const old = v.workerPid()
  assert.equal((await v.cli('reload')).code, 0)
  assert.notEqual(v.workerPid(), old)
  assert.equal((await v.get('/quick')).body, 'quick', 'the new worker serves meanwhile')
  half.open()
  const res = await answer
  assert.equal(res.body, 'first half, second half')
  assert.equal(res.aborted, false)
  await until(() => v.log.includes(`worker left pid=${old} status=0`), 'the old worker to leave')
  assert.equal((await v.get('/slow')).body, 'first half, second half')
  assert.equal(origin.requests.filter(({ url }) => url === '/slow').length, 1)
})

test('SIGTERM drains: no new connection, and what is under way ends as it should', async (t) => {
  const { v, half, answer } = await slowSite(t)
  v.child.kill('SIGTERM')
  await until(() => v.get('/quick').then(() => false, () => true), 'connections to be refused')
  assert.equal(v.stopped, false)
  half.open()
  const res = await answer
  assert.equal(res.body, 'first half, second half')
  assert.equal(res.aborted, false)
  assert.deepEqual(await v.exit, { code: 0, signal: null })
})

test('shutdown.drain is the longest that a stop waits; what is cut is seen to be cut', async (t) => {
  const { v, answer } = await slowSite(t, 'shutdown: {drain: 300ms}\n')
  v.child.kill('SIGTERM')
  const res = await answer
  assert.equal(res.aborted, true)
  await v.exit
})

test('SIGHUP reloads, and several at once become one after the other', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  v.write(`renderer: ${origin.url}\nroutes: [{match: "/**", cache: never}]\n`)
  const old = v.workerPid()
  for (let i = 0; i < 5; i++) v.child.kill('SIGHUP')
  await until(() => v.log.includes('reloaded') && !isAlive(old), 'the reload')
  await v.get('/')
  assert.equal((await v.get('/')).body, 'render 2', 'the new policy does not store')
})

test('9.1 at most one worker drains: reloads meanwhile wait until it has left, become one, and the newest file wins', async (t) => {
  const { v, half, answer, origin } = await slowSite(t)
  const old = v.workerPid()
  const age = (n) => `renderer: ${origin.url}\nroutes: [{match: "/**", client_cache: "max-age=${n}"}]\n`
  v.write(age(1))
  assert.equal((await v.cli('reload')).code, 0)
  const second = v.workerPid()
  const isOver = []
  v.write(age(2))
  const waiting = [v.cli('reload').then((res) => (isOver.push(2), res))]
  v.write(age(3))
  waiting.push(v.cli('reload').then((res) => (isOver.push(3), res)))
  v.child.kill('SIGHUP')
  await sleep(500) /* a reload takes less */
  assert.deepEqual(isOver, [])
  assert.equal(v.workerPid(), second)
  assert.match((await v.get('/a')).headers['cache-control'], /max-age=1$/)
  half.open()
  assert.equal((await answer).body, 'first half, second half')
  await until(() => v.log.includes(`worker left pid=${old} status=0`), 'the old worker to leave')
  for (const { code, stderr } of await Promise.all(waiting)) assert.equal(code, 0, stderr)
  assert.match((await v.get('/b')).headers['cache-control'], /max-age=3$/)
  const reloads = await v.metric('varve_config_reloads_total{result="ok"}')
  assert.ok(reloads >= 2 && reloads <= 3, `${reloads} reloads for four that were asked for`)
})

test('9.1, 7.2 a worker that nobody but a slot waits for stays until the renderer is free', { timeout: 120000 }, async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/slow') await slow.promise
    page(res, req.url, { 'cache-control': 'no-store' })
  })
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const v = await varve(t, `${tls.yaml}origins: {renderer: {workers: ["${origin.url}"], slots: 1, slot_max: 10m, client_wait: 60s}}\n${ROUTES}\n`, { dir })
  const { session, settled } = await http2Client(t, v, tls.port)
  const left = session.request({ ':method': 'POST', ':path': '/slow', ':authority': `127.0.0.1:${v.port}` }).on('error', () => {}).end()
  await until(() => origin.now === 1, 'the render')
  left.close(http2.constants.NGHTTP2_CANCEL)
  await settled()
  session.destroy()
  const old = v.workerPid()
  assert.equal((await v.cli('reload')).code, 0)
  const next = v.get('/next')
  for (let i = 0; i < 50 && !v.log.includes(`worker left pid=${old}`); i++) await sleep(10)
  assert.ok(!v.log.includes(`worker left pid=${old}`), 'it must not leave: its slot would be taken for slot_max')
  slow.open()
  assert.equal((await next).body, '/next')
  assert.equal(origin.most, 1)
})

test('9.1, 7.2 reload.drain is the longest that a worker stays; the render that it leaves behind still has its slot', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/slow') await slow.promise
    page(res, req.url, { 'cache-control': 'no-store' })
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, client_wait: 60s, timeouts: {first_byte: 10s}, slot_max: 10s}}\n${ROUTES}\nreload: {drain: 300ms}\n`)
  const old = v.workerPid()
  const cut = v.get('/slow').catch(() => ({ aborted: true }))
  await until(() => origin.now === 1, 'the render')
  assert.equal((await v.cli('reload')).code, 0)
  const next = v.get('/next')
  assert.notEqual((await cut).status, 200)
  await until(() => v.log.includes(`worker left pid=${old}`), 'the old worker to leave')
  await sleep(500) /* a free slot is seen within 20 ms */
  assert.equal(origin.requests.filter(({ url }) => url === '/next').length, 0, 'it waits for the slot')
  slow.open()
  assert.equal((await next).body, '/next')
  assert.equal(origin.most, 1)
})

test('9.1, 7.2 a worker that leaves nothing but a slot behind at its deadline does not say that it cuts connections', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/slow') await slow.promise
    page(res, req.url, { 'cache-control': 'no-store' })
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1, timeouts: {first_byte: 100ms}}}\n${ROUTES}\nreload: {drain: 300ms}\n`)
  const old = v.workerPid()
  assert.equal((await v.get('/slow')).status, 503)
  assert.equal((await v.cli('reload')).code, 0)
  await until(() => v.log.includes(`worker left pid=${old}`), 'the old worker to leave')
  assert.match(v.log, /drain deadline: a render is left behind/)
  assert.doesNotMatch(v.log, /connections are cut/)
  slow.open()
})

test('of more warnings than are kept, the log says how many it does not show', async (t) => {
  const v = await varve(t, `renderer: http://127.0.0.1:9\n${ROUTES}\n`)
  const routes = (count) => `renderer: http://127.0.0.1:9\nroutes:\n- match: "/**"\n${Array.from({ length: count }, (_, i) => `- match: /${i}\n`).join('')}`
  const logOf = async (count) => {
    const before = v.log.length
    v.write(routes(count))
    assert.equal((await v.cli('reload')).code, 0)
    await until(() => v.log.slice(before).includes('info reloaded'), 'the end of the reload') // what it warns of stands before that
    return v.log.slice(before)
  }
  assert.doesNotMatch(await logOf(100), /not shown/)
  assert.match(await logOf(102), /warn policy .*2 more warnings not shown/)
})
