// Flights: many ask, one render; who shares it, who must not, and what becomes of it when somebody or something goes away.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { all, anyRoute, gate, http2Client, outcome, page, rawOrigin, renderer, request, tempDir, tlsListener, until, varve } from './lib.mjs'
import { h2 } from './wire.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const sha = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** A body for as long as somebody reads it. */
function withoutEnd(res) {
  const more = () => {
    while (!res.closed && res.write(Buffer.alloc(65536)));
  }
  res.on('drain', more)
  more()
}

/** `n` clients are connected and the first render has begun: as good as all of them wait for it. */
const gathered = (v, origin, n) =>
  until(async () => origin.requests.length > 0 && (await v.metric('varve_connections')) >= n, 'everybody to be there')

/** varve on one thread, and an HTTP/2 client that knows when all that it asked for waits for its flight. */
async function oneThread(t, origin) {
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const v = await varve(t, `threads: 1\n${tls.yaml}${anyRoute(origin)}`, { dir })
  return { v, client: await http2Client(t, v, tls.port) }
}

test('3.1 500 requests of a cold URL are one render, and its bytes arrive while it streams', async (t) => {
  const rest = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', ...fresh })
    res.write('first part, ')
    await rest.promise
    res.end('and the rest')
  })
  const v = await varve(t, anyRoute(origin))
  const began = new Set()
  const answers = all(500, (i) => v.get('/storm', {}, { onData: () => began.add(i) }))
  await until(() => began.size === 500, 'everybody to have the first part')
  rest.open()
  const got = await answers
  assert.equal(origin.requests.length, 1)
  assert.ok(got.every((res) => res.status === 200 && res.body === 'first part, and the rest' && !res.aborted))
  assert.equal(got.filter((res) => /collapsed/.test(res.headers['cache-status'])).length, 499)
  assert.equal(outcome(await v.get('/storm')), 'hit')
})

test('3.1, RFC 9111 §5.1 who joins a flight is told how old its answer is, who began it what the origin said', async (t) => {
  const rest = gate()
  const before = { '/date': { date: () => new Date(Date.now() - 30000).toUTCString() }, '/age': { age: () => 7, date: () => new Date(Date.now() - 30000).toUTCString() }, '/new': {} }
  const origin = await rawOrigin(t, async (socket, head) => {
    const lines = Object.entries(before[head.split(' ')[1]]).map(([name, value]) => `${name}: ${value()}\r\n`)
    socket.write(`HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n${lines.join('')}\r\nfirst`)
    await rest.promise
    socket.write(' rest')
  })
  const v = await varve(t, anyRoute(origin))
  const answers = []
  for (const target of Object.keys(before)) {
    const leads = gate(), joins = gate()
    answers.push(v.get(target, {}, { onData: leads.open }))
    await leads.promise
    answers.push(v.get(target, {}, { onData: joins.open }))
    await joins.promise
  }
  rest.open()
  const [date, dateJoined, age, ageJoined, , joined] = (await Promise.all(answers)).map(({ headers }) => headers)
  assert.equal(date.age, undefined)
  assert.ok(dateJoined.age >= 30 && dateJoined.age < 60, dateJoined.age)
  assert.equal(age.age, '7')
  assert.ok(ageJoined.age >= 30 && ageJoined.age < 60, ageJoined.age)
  assert.match(joined['cache-status'], /collapsed/)
  assert.ok(joined.age === undefined || joined.age >= 1, joined.age)
})

test('3.1 a cold URL that turns out to vary: one render per variant, and everybody gets his own', async (t) => {
  const first = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await first.promise
    page(res, `in ${req.headers['accept-language']}`, { ...fresh, vary: 'accept-language' })
  })
  const v = await varve(t, anyRoute(origin))
  const languages = ['en', 'fr', 'de']
  const answers = all(60, (i) => v.get('/', { 'accept-language': languages[i % 3] }))
  await gathered(v, origin, 60)
  assert.equal(origin.requests.length, 1, 'one flight while the union is unknown')
  first.open()
  for (const [i, res] of (await answers).entries()) assert.equal(res.body, `in ${languages[i % 3]}`)
  assert.equal(origin.requests.length, 3)
})

test('1.6 max_queries: a crowd at one cold query is one query; over the limit one is stored at its second request', async (t) => {
  const first = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await first.promise
    page(res, req.url, fresh)
  })
  const v = await varve(t, anyRoute(origin, ', max_queries: 2'))
  const crowd = all(20, () => v.get('/p?q=1'))
  await gathered(v, origin, 20)
  first.open()
  for (const res of await crowd) assert.equal(res.body, '/p?q=1')
  const seen = []
  for (const target of ['/p?q=1', '/p?q=2', '/p?q=2', '/p?q=3', '/p?q=3', '/p?q=3'])
    seen.push(/hit|stored|$/.exec((await v.get(target)).headers['cache-status'])[0])
  assert.deepEqual(seen, ['hit', 'stored', 'hit', '', 'stored', 'hit'])
})

test('RFC 9111 §5.2.2.7 fields that `private` names are for who began the render, not for who joined it', async (t) => {
  const rest = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=60, private="x-own"', 'x-own': 'his', 'x-all': 'theirs' })
    res.write('first part, ')
    await rest.promise
    res.end('and the rest')
  })
  const v = await varve(t, anyRoute(origin))
  let begun = 0
  const answers = all(20, () => v.get('/', {}, { onHead: () => begun++ }))
  await until(() => begun === 20, 'everybody to have the head')
  rest.open()
  const got = await answers
  assert.equal(origin.requests.length, 1)
  assert.deepEqual(got.filter((res) => res.headers['x-own']).map((res) => /collapsed/.test(res.headers['cache-status'])), [false])
  assert.ok(got.every((res) => res.headers['x-all'] === 'theirs' && res.body === 'first part, and the rest'))
  assert.equal((await v.get('/')).headers['x-own'], undefined)
})

test('http-caching §4 who comes when the lifetime of what still streams is over asks anew', async (t) => {
  const rest = gate()
  const origin = await renderer(t, async (req, res, n) => {
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=1' })
    res.write(`page ${n}, `)
    if (n === 1) await rest.promise
    res.end('whole')
  })
  const v = await varve(t, anyRoute(origin))
  const began = gate()
  const first = v.get('/slow', {}, { onData: () => began.open() })
  await began.promise
  await new Promise((resolve) => setTimeout(resolve, 1100))
  assert.equal((await v.get('/slow')).body, 'page 2, whole')
  rest.open()
  assert.equal((await first).body, 'page 1, whole')
})

test('3.1 an answer that may not be stored is its own client\'s alone', async (t) => {
  for (const field of ['no-store', 'private']) {
    const first = gate()
    const origin = await renderer(t, async (req, res, n) => {
      if (n === 1) await first.promise
      page(res, `secret of ${req.headers['x-client']}`, { 'cache-control': field })
    })
    const v = await varve(t, anyRoute(origin))
    const answers = all(30, (i) => v.get('/mine', { 'x-client': `client ${i}` }))
    await gathered(v, origin, 30)
    assert.equal(origin.requests.length, 1)
    first.open()
    for (const [i, res] of (await answers).entries()) assert.equal(res.body, `secret of client ${i}`)
    assert.equal(origin.requests.length, 30)
  }
})

test('3.1, 2.9 on a sealed route nobody gets the answer of the flight that may not be stored: all pass', async (t) => {
  const first = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await first.promise
    page(res, `for ${req.headers['x-client'] ?? 'nobody'}`, { 'cache-control': 'private' })
  })
  const v = await varve(t, anyRoute(origin, ', ttl: 1m'))
  const answers = all(20, (i) => v.get('/mine', { 'x-client': `client ${i}` }))
  await gathered(v, origin, 20)
  first.open()
  for (const [i, res] of (await answers).entries()) assert.equal(res.body, `for client ${i}`)
  assert.equal(origin.requests.length, 21)
})

test('2.9 a sealed answer that is too large to store is passed as well', async (t) => {
  const origin = await renderer(t, (req, res) => {
    const body = (req.headers['x-client'] ?? '-').repeat(2 << 20)
    page(res, body, { 'content-length': body.length })
  })
  const v = await varve(t, `store: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 1MiB}\n${anyRoute(origin, ', ttl: 1m')}`)
  for (const client of ['a', 'b']) assert.equal((await v.get('/', { 'x-client': client })).body.slice(-1), client)
  assert.equal(origin.requests.length, 3)
})

test('3.1 a key marked uncacheable is rendered for each, and stored again as soon as it may be', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `${n}`, { 'cache-control': n < 3 ? 'no-store' : 'max-age=60' }))
  const v = await varve(t, anyRoute(origin))
  for (const n of ['1', '2', '3']) assert.equal((await v.get('/')).body, n)
  assert.equal((await v.get('/')).body, '3')
})

test('3.1 an answer with lifetime 0 is stored for bad times, but not shared', async (t) => {
  const first = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await first.promise
    page(res, `render ${n}`, { 'cache-control': 'max-age=0, stale-if-error=600' })
  })
  const { v, client } = await oneThread(t, origin)
  const answers = all(6, () => client.get('/'))
  await until(() => origin.requests.length === 1)
  await client.settled()
  first.open()
  assert.equal(new Set((await answers).map((res) => res.body)).size, 6)
  assert.equal(origin.requests.length, 6)
  await origin.stop()
  const stale = await v.get('/')
  assert.equal(stale.status, 200)
})

test('3.2 a failed flight fails for all its waiters at once', async (t) => {
  for (const fail of [(req) => req.socket.destroy(), (req, res) => res.writeHead(503).end('busy')]) {
    const begin = gate()
    const origin = await renderer(t, async (req, res) => {
      if (req.url === '/warm') return page(res, 'warm', fresh)
      await begin.promise
      fail(req, res)
    })
    const { v, client } = await oneThread(t, origin)
    const answers = all(40, () => client.get('/'))
    await until(() => origin.requests.length === 1)
    await client.settled()
    await client.get('/warm') // the disk answers in order: whoever asked it about / has heard by now
    begin.open()
    for (const res of await answers) assert.equal(res.status, 503)
    assert.equal(origin.requests.filter((req) => req.url === '/').length, 1, 'nobody retried on his own')
  }
})

test('3.2 a failure is no mark: the next request is an ordinary fill, shared again', async (t) => {
  const second = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) return res.writeHead(500).end()
    await second.promise
    page(res, 'well', fresh)
  })
  const v = await varve(t, anyRoute(origin))
  assert.ok((await v.get('/')).status >= 500)
  const answers = all(5, () => v.get('/'))
  await until(() => origin.requests.length > 1, 'the second render')
  await gathered(v, origin, 5)
  second.open()
  assert.ok((await answers).every((res) => res.body === 'well'))
  assert.equal(origin.requests.length, 2)
})

const clientThatLeaves = async (v, target, ready) => {
  const leaving = new AbortController()
  const left = v.get(target, {}, { signal: leaving.signal }).catch(() => {})
  await ready()
  leaving.abort()
  await left
  await until(() => v.accessLog().some((line) => line.path === target), 'varve to notice')
}

test('3.4 the client leaves: a storable render is finished and stored', async (t) => {
  const head = gate(), tail = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (req.url === '/early') await head.promise
    res.writeHead(200, { 'content-type': 'text/html', ...fresh })
    res.write('begin ')
    if (req.url === '/late') await tail.promise
    res.end(`end ${n}`)
  })
  const v = await varve(t, anyRoute(origin))
  await clientThatLeaves(v, '/early', () => until(() => origin.requests.length === 1))
  head.open()
  await until(async () => outcome(await v.get('/early')) === 'hit', 'the page to be stored')
  await clientThatLeaves(v, '/late', () => until(() => origin.requests.length === 2))
  tail.open()
  await until(async () => outcome(await v.get('/late')) === 'hit', 'the page to be stored')
  assert.equal(origin.requests.length, 2)
})

test('3.4 the client leaves: a render that waits in the queue never starts', async (t) => {
  const running = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/a') await running.promise
    page(res, req.url, fresh)
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1}}\nroutes: [{match: "/**"}]\n`)
  const a = v.get('/a')
  await until(() => origin.requests.length === 1)
  const queued = () => v.metric('varve_queue_depth{origin="renderer"}')
  await clientThatLeaves(v, '/b', () => until(async () => (await queued()) === 1, 'it to be queued'))
  await until(async () => (await queued()) === 0, 'it to be out of the queue')
  const c = v.get('/c')
  await until(async () => (await queued()) === 1, 'the other to be queued alone')
  running.open()
  assert.equal((await a).body, '/a')
  assert.equal((await c).body, '/c')
  assert.deepEqual(origin.requests.map((req) => req.url), ['/a', '/c'])
})

test('3.4 the client leaves: an event stream is closed at once', async (t) => {
  const closed = gate()
  const origin = await renderer(t, (req, res) => {
    res.on('close', closed.open)
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write('data: 1\n\n')
  })
  const v = await varve(t, anyRoute(origin))
  const leaving = new AbortController()
  const events = v.get('/events', { accept: 'text/event-stream' }, { signal: leaving.signal, onData: () => leaving.abort() })
  await events.catch(() => {})
  await closed.promise
})

test('3.4 a refresh whose answer is not stored is not read to its end when who waited for it has left', async (t) => {
  const [head, closed] = [gate(), gate()]
  const origin = await renderer(t, async (req, res, n) => {
    if (n !== 2) return page(res, `render ${n}`, { 'cache-control': 'max-age=0, stale-while-revalidate=60' })
    await head.promise
    res.on('close', closed.open)
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'no-store' })
    withoutEnd(res)
  })
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}${anyRoute(origin, ', client_cache_control: honour')}`)
  for (let i = 0; i < 2; i++) assert.equal((await v.get('/p')).body, 'render 1')
  await until(() => origin.requests.length === 2, 'the refresh')
  const { get, settled } = await http2Client(t, v, tls.port)
  const joined = get('/p', { 'cache-control': 'no-cache' })
  await settled()
  head.open()
  assert.equal((await joined).body, 'render 3')
  await closed.promise
})

test('7.1 the head of an event stream does not wait for its first event, which may be long in coming', async (t) => {
  const event = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).flushHeaders()
    await event.promise
    res.end('data: 1\n\n')
  })
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}${anyRoute(origin)}`)
  const { get } = await h2(t, tls.port)
  const asked = { headers: { accept: 'text/event-stream' } }
  const ways = [(onHead) => v.get('/one', asked.headers, { onHead }), (onHead) => get('/two', { ...asked, onHead })]
  const opened = ways.map(() => gate())
  const answers = ways.map((ask, i) => ask(opened[i].open))
  await Promise.all(opened.map((head) => head.promise))
  event.open()
  for (const res of await Promise.all(answers)) assert.deepEqual([res.status, res.body], [200, 'data: 1\n\n'])
})

test('3.4 the client leaves a body that is not stored: the renderer is not kept busy with it', async (t) => {
  const closed = gate()
  const origin = await renderer(t, (req, res) => {
    res.on('close', closed.open)
    res.writeHead(200, { 'content-type': 'application/pdf', 'cache-control': 'no-store' })
    withoutEnd(res)
  })
  const v = await varve(t, anyRoute(origin))
  const leaving = new AbortController()
  await v.get('/endless', {}, { signal: leaving.signal, onData: () => leaving.abort() }).catch(() => {})
  await closed.promise
})

test('3.4 the client leaves a body that turns out too large to store: it is not read to its end for nobody', async (t) => {
  const [closed, hasLeft] = [gate(), gate()]
  const origin = await renderer(t, async (req, res) => {
    res.on('close', closed.open)
    res.writeHead(200, { 'content-type': 'text/html', ...fresh }).write('the first of it')
    await hasLeft.promise
    withoutEnd(res)
  })
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 0}}\nstore: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 1MiB}\nroutes: [{match: "/**"}]\n`)
  const leaving = new AbortController()
  await v.get('/endless', {}, { signal: leaving.signal, onData: () => leaving.abort() }).catch(() => {})
  await until(() => v.accessLog().length === 1, 'varve to see that the client has left')
  hasLeft.open()
  await closed.promise
})

test('3.3 a purge during a slow fill: later arrivals render anew, the old answer is not stored', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await slow.promise
    page(res, `render ${n}`, fresh)
  })
  const v = await varve(t, anyRoute(origin))
  const before = v.get('/p')
  await until(() => origin.requests.length === 1)
  assert.equal((await v.admin('POST', '/v1/purge', { urls: [`${v.url}/p`] })).status, 200)
  const after = await v.get('/p')
  assert.equal(after.body, 'render 2')
  slow.open()
  assert.equal((await before).body, 'render 1')
  const third = await v.get('/p')
  assert.equal(third.body, 'render 2')
  assert.equal(outcome(third), 'hit')
})

test('6.2 a purge between head and end: what was rendered before it is not stored', async (t) => {
  for (const purge of [{ urls: ['/p'] }, { prefixes: ['/p'] }, { all: true }, { tags: ['news'] }]) {
    const rest = gate()
    const origin = await renderer(t, async (req, res, n) => {
      res.writeHead(200, { 'content-type': 'text/html', 'surrogate-key': 'news', ...fresh })
      res.write(`render ${n}`)
      if (n === 1) await rest.promise
      res.end()
    })
    const v = await varve(t, anyRoute(origin))
    const begun = gate()
    const first = v.get('/p', {}, { onData: begun.open })
    await begun.promise
    const whole = { ...purge, ...(purge.urls && { urls: [`${v.url}/p`] }), ...(purge.prefixes && { prefixes: [`${v.url}/p`] }) }
    const purged = await v.admin('POST', '/v1/purge', { ...whole, ...(purge.all && { soft: false }) })
    assert.equal(purged.status, 200, purged.body)
    rest.open()
    assert.equal((await first).body, 'render 1')
    assert.equal((await v.get('/p')).body, 'render 2', JSON.stringify(purge))
  }
})

/** The first render of /p is under way, older than a soft purge, and ends when `slow` opens. */
async function purgedWhileRendered(t) {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await slow.promise
    page(res, `render ${n}`, fresh)
  })
  const v = await varve(t, anyRoute(origin))
  const first = v.get('/p')
  await until(() => origin.requests.length === 1)
  assert.equal((await v.admin('POST', '/v1/purge', { urls: [`${v.url}/p`], soft: true })).status, 200)
  return { origin, v, first, slow }
}

test('3.3 a soft purge during a slow fill: stored stale', async (t) => {
  const { origin, v, first, slow } = await purgedWhileRendered(t)
  slow.open()
  assert.equal((await first).body, 'render 1')
  await origin.stop()
  const stale = await v.get('/p')
  assert.equal(stale.body, 'render 1')
  assert.equal(stale.status, 200)
})

test('3.3 a tag purge while the head is awaited: earlier arrivals get the answer, later ones a new one', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await slow.promise
    page(res, `render ${n}`, { ...fresh, 'surrogate-key': 'product-7' })
  })
  const { v, client } = await oneThread(t, origin)
  const before = [client.get('/p'), client.get('/p')]
  await until(() => origin.requests.length === 1)
  await client.settled()
  assert.equal((await v.admin('POST', '/v1/purge', { tags: ['product-7'] })).status, 200)
  const after = client.get('/p')
  await client.settled()
  slow.open()
  for (const res of await Promise.all(before)) assert.equal(res.body, 'render 1')
  assert.equal((await after).body, 'render 2')
  assert.equal((await v.get('/p')).body, 'render 2')
  assert.equal(origin.requests.length, 2)
})

test('3.3 a soft purge during a slow fill: what was rendered after it is not replaced by what was rendered before', async (t) => {
  const { v, first, slow } = await purgedWhileRendered(t)
  assert.equal((await v.get('/p')).body, 'render 2')
  await storedAnswer(v, '/p')
  slow.open()
  assert.equal((await first).body, 'render 1')
  await until(async () => (await v.admin('GET', '/metrics')).body.includes('\nvarve_flights 0\n'))
  const third = await v.get('/p')
  assert.equal(third.body, 'render 2')
  assert.equal(outcome(third), 'hit')
})

/** A client may have the last byte a moment before varve has stored it: until then others share the flight. */
const storedAnswer = (v, target) =>
  until(async () => {
    const res = await v.get(target)
    return outcome(res) === 'hit' && res
  }, `${target} to be stored`)

/** Reads nothing before `begin`; resolves to the body's hash. */
const slowReader = (v, target, begin) =>
  request(v.url + target, {
    onHead: async (res) => {
      res.pause()
      await begin
      res.resume()
    },
  })

const megabytes = (n) => Buffer.alloc(n << 20, 'The page goes on and on. ').map((byte, i) => (i % 4099 === 0 ? i % 251 : byte))

test('large bodies, with a length and in chunks, reach slow and fast readers whole, and are stored whole', async (t) => {
  const bodies = { '/known': megabytes(3), '/chunked': megabytes(5) }
  const origin = await renderer(t, (req, res) => {
    const body = bodies[req.url]
    res.writeHead(200, { 'content-type': 'application/pdf', ...fresh, ...(req.url === '/known' && { 'content-length': body.length }) })
    for (let at = 0; at < body.length; at += 100_000) res.write(body.subarray(at, at + 100_000))
    res.end()
  })
  // room for them in memory: what does not fit there is not found between its last byte and the store's next commit
  const v = await varve(t, `store: {path: $DIR/store, size: 128MiB, memory: 64MiB}\n${anyRoute(origin)}`)
  for (const [target, body] of Object.entries(bodies)) {
    const begin = gate()
    const slow = [slowReader(v, target, begin.promise), slowReader(v, target, begin.promise)]
    const fast = await v.get(target)
    begin.open()
    const stored = await storedAnswer(v, target)
    assert.equal(stored.headers['content-length'], String(body.length))
    for (const res of [...(await Promise.all(slow)), fast, stored]) assert.equal(sha(res.bytes), sha(body))
  }
  assert.equal(origin.requests.length, 2)
})

test('a body over max_object is handed on whole to everybody, at the pace of the slowest, and not stored', async (t) => {
  const body = megabytes(9)
  for (const length of [{ 'content-length': body.length }, {}]) {
    const half = gate()
    const origin = await renderer(t, async (req, res, n) => {
      res.writeHead(200, { 'content-type': 'application/pdf', ...fresh, ...length })
      res.write(body.subarray(0, 500_000))
      if (n === 1) await half.promise
      res.end(body.subarray(500_000))
    })
    const v = await varve(t, `store: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 1MiB}\n${anyRoute(origin)}`)
    const begin = gate()
    const began = new Set()
    const answers = [slowReader(v, '/big', begin.promise), ...[1, 2].map((i) => v.get('/big', {}, { onData: () => began.add(i) }))]
    await until(() => began.size === 2, 'the fast ones to read')
    half.open()
    begin.open()
    for (const res of await Promise.all(answers)) assert.equal(sha(res.bytes), sha(body))
    const renders = origin.requests.length
    assert.notEqual(outcome(await v.get('/big')), 'hit')
    assert.equal(origin.requests.length, renders + 1)
  }
})

test('K26 a body that breaks off at any tenth is never stored, and the client sees that it broke', async (t) => {
  const body = 'x'.repeat(40_000)
  const frame = (text) => `${text.length.toString(16)}\r\n${text}\r\n`
  const cutAt = (kind, bytes) =>
    kind === 'length'
      ? `content-length: ${body.length}\r\n\r\n${body.slice(0, bytes)}`
      : `transfer-encoding: chunked\r\n\r\n${bytes ? frame(body.slice(0, bytes)) : ''}`
  const seen = new Map()
  const origin = await rawOrigin(t, (socket, head) => {
    const [, target] = head.split(' ')
    const [, kind, tenth] = target.split('/')
    const times = (seen.get(target) ?? 0) + 1
    seen.set(target, times)
    const start = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncache-control: max-age=60\r\n'
    if (times === 1) return socket.end(start + cutAt(kind, (body.length * Number(tenth)) / 10))
    socket.write(start + cutAt(kind, body.length) + (kind === 'chunked' ? '0\r\n\r\n' : ''))
  })
  const v = await varve(t, anyRoute(origin))
  for (const kind of ['length', 'chunked'])
    for (let tenth = 0; tenth < 10; tenth++) {
      const target = `/${kind}/${tenth}`
      const first = await v.get(target).catch(() => ({ aborted: true }))
      assert.ok(first.aborted || first.status === 503, `${target} looked complete`) // before its first byte: a failure
      const whole = await v.get(target)
      assert.equal(whole.body, body, target)
      assert.equal(seen.get(target), 2)
      assert.equal((await storedAnswer(v, target)).body, body)
    }
})
