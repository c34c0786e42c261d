// Interim responses (RFC 9110 §15.2, RFC 8297): what the renderer says ahead of its answer reaches the client whose request it
// works on, in order, over HTTP/1.1 and HTTP/2, and nobody else; nothing of it is stored.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gate, http2Client, outcome, page, rawOrigin, renderer, tempDir, tlsListener, until, varve } from './lib.mjs'
import { raw } from './wire.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const HINT = '</app.css>; rel=preload; as=style'

/** Heads in the order in which they came: [status, fields by name], interim ones too. */
function heads(bytes) {
  return [...bytes.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/g)].map(([, status, lines]) => [
    Number(status),
    Object.fromEntries(lines.split('\r\n').filter(Boolean).map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()])),
  ])
}
const statuses = (c) => heads(c.bytes).map(([status]) => status)
const get = (path, more = '', version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: a.example\r\n${more}\r\n`

/**
 * varve on a plain and a TLS port in front of `origin`. What `connect()` and `h2()` open is closed before varve is stopped: it
 * would wait for them.
 */
async function start(t, origin, more = 'routes: [{match: "/**"}]\n', { wait = '2s', dir = tempDir() } = {}) {
  const open = []
  t.after(() => open.forEach((one) => one.destroy()))
  const tls = await tlsListener(dir)
  const v = await varve(t, `${tls.yaml}origins: {renderer: {workers: ["${origin.url}"], slots: 200, client_wait: ${wait}}}\n${more}`, { dir })
  v.connect = async (options) => {
    const c = await raw(t, options?.secure ? tls.port : v.port, options)
    open.push(c.socket)
    return c
  }
  v.h2 = async () => {
    const c = await http2Client(t, v, tls.port)
    open.push(c.session)
    return c
  }
  return v
}

/** A renderer that sends a hint and then waits until `open` says so. */
async function hinting(t) {
  const go = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeEarlyHints({ link: HINT })
    await go.promise
    page(res, `body of ${req.url}`, fresh)
  })
  return Object.assign(origin, { open: go.open })
}

test('http-caching §2: a 103 reaches an HTTP/1.1 client before the answer is made, and the answer follows', async (t) => {
  const origin = await hinting(t)
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a'))
  await until(() => statuses(c).length === 1, 'the hint')
  assert.deepEqual(heads(c.bytes), [[103, { link: HINT }]])
  origin.open()
  const answer = await c.answer()
  assert.equal(answer.body, 'body of /a')
  assert.deepEqual(statuses(c), [103, 200])
  assert.equal(answer.headers.link, undefined)
})


test('RFC 9110 §15.2: several interim responses go on in order, whatever their status below 200, and the connection lives on', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeProcessing()
    res.writeEarlyHints({ link: [HINT, '</app.js>; rel=preload; as=script'], 'x-trace': 'abc' })
    res.writeEarlyHints({ link: '</late.css>; rel=preload; as=style' })
    page(res, 'page', fresh)
  })
  const v = await start(t, origin)
  const c = await v.connect()
  for (let n = 1; n <= 3; n++) {
    c.send(get(`/${n}`))
    assert.equal((await c.answer(n)).body, 'page')
    assert.deepEqual(statuses(c).slice(-4), [102, 103, 103, 200])
  }
  const [processing, first, second] = heads(c.bytes)
  assert.deepEqual(processing, [102, {}])
  assert.equal(first[1]['x-trace'], 'abc')
  assert.match(first[1].link, /app\.(css|js)/)
  assert.deepEqual(second[1], { link: '</late.css>; rel=preload; as=style' })
})

test('http-caching §2: an interim response is never stored: a hit sends none, and has none of its fields', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeEarlyHints({ link: HINT, 'x-hint': 'yes', 'cache-control': 'no-store' })
    page(res, 'page', fresh)
  })
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a'))
  const miss = await c.answer(1)
  assert.deepEqual(statuses(c), [103, 200])
  c.send(get('/a'))
  const hit = await c.answer(2)
  assert.deepEqual(statuses(c), [103, 200, 200])
  assert.equal(outcome(hit), 'hit')
  for (const answer of [miss, hit]) {
    assert.equal(answer.headers.link ?? answer.headers['x-hint'], undefined)
    assert.equal(answer.headers['cache-control'], 'max-age=60')
    assert.equal(answer.body, 'page')
  }
  assert.equal(origin.requests.length, 1)
})

test('a hint that comes in one piece with the answer comes before it, also to whom several requests are answered at a time', async (t) => {
  const origin = await rawOrigin(t, (socket, head) => {
    const body = /GET \/big/.test(head) ? 'x'.repeat(3 << 20) : `for ${head.split(' ')[1]}`
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: <${head.split(' ')[1]}>\r\n\r\n`
    socket.write(`${hint}${hint}HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  })
  const v = await start(t, origin)
  const c = await v.connect()
  c.socket.pause()
  c.send(get('/big') + get('/1') + get('/big2') + get('/2') + get('/3', 'Connection: close\r\n'))
  await until(() => origin.requests === 1, 'the first')
  c.socket.resume()
  await c.ended
  assert.deepEqual(statuses(c), [103, 103, 200, 103, 103, 200, 103, 103, 200, 103, 103, 200, 103, 103, 200])
  assert.deepEqual(heads(c.bytes).filter(([status]) => status === 103).map(([, fields]) => fields.link),
    ['/big', '/1', '/big2', '/2', '/3'].flatMap((path) => [`<${path}>`, `<${path}>`]))
  assert.deepEqual(c.answers().map((a) => a.body.length), [3 << 20, 6, 3 << 20, 6, 6])
})

test('a HEAD, a POST and a request with a cookie get their hints too', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeEarlyHints({ link: HINT })
    page(res, req.method, { 'cache-control': 'no-store' })
  })
  const v = await start(t, origin)
  const c = await v.connect({ methods: ['HEAD', 'POST', 'GET'] })
  c.send('HEAD /h HTTP/1.1\r\nHost: a.example\r\n\r\n')
  await c.answer(1)
  c.send('POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello')
  await c.answer(2)
  c.send(get('/c', 'Cookie: session=1\r\n'))
  await c.answer(3)
  assert.deepEqual(statuses(c), [103, 200, 103, 200, 103, 200])
})

test('RFC 9110 §15.2: an HTTP/1.0 client gets no interim response', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeEarlyHints({ link: HINT })
    page(res, 'page', fresh)
  })
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a', '', '1.0'))
  await c.ended
  assert.deepEqual(statuses(c), [200])
  assert.match(c.bytes.toString(), /^HTTP\/1\.1 200 /)
})

test('the renderer\'s 100 stays here; the client that expects one gets exactly one, and after it the hints', async (t) => {
  const origin = await rawOrigin(t, (socket) =>
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  const v = await start(t, origin)
  const c = await v.connect()
  c.send('POST /p HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  await until(() => statuses(c).length === 1, 'the 100')
  c.send('hello')
  await c.answer(1)
  assert.deepEqual(statuses(c), [100, 103, 200])
})

test('http-caching §3: cookies, lengths and hop-by-hop fields of a hint do not go on', async (t) => {
  const hint = ['Link: </a>', 'Set-Cookie: id=1', 'Content-Length: 9', 'Transfer-Encoding: chunked', 'Connection: x-mine, close', 'X-Mine: 1',
    'Keep-Alive: timeout=5', 'TE: trailers', 'Upgrade: websocket', 'Proxy-Authenticate: Basic', 'X-Kept: 1']
  const origin = await rawOrigin(t, (socket) =>
    socket.write(`HTTP/1.1 103 Early Hints\r\n${hint.join('\r\n')}\r\n\r\nHTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok`))
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a'))
  assert.equal((await c.answer()).body, 'ok')
  assert.deepEqual(heads(c.bytes)[0], [103, { link: '</a>', 'x-kept': '1' }])
  const r = ask(await v.h2(), '/b')
  await r.done
  const fields = Object.fromEntries(Object.entries(r.interim[0]).filter(([name]) => name !== 'date')) // varve's own
  assert.deepEqual(fields, { ':status': 103, link: '</a>', 'x-kept': '1' })
})

test('semantics 3.1: who joins a render gets no hint of it, only its answer', async (t) => {
  const origin = await hinting(t)
  const v = await start(t, origin)
  const leader = await v.connect()
  leader.send(get('/a'))
  await until(() => statuses(leader).length === 1, 'the hint')
  const c = await v.h2()
  const joined = ask(c, '/a', { 'x-forwarded-proto': 'http' }) // the key is the same
  await c.settled()
  origin.open()
  await Promise.all([leader.answer(), joined.done])
  assert.deepEqual([statuses(leader), joined.interim.length, joined.head[':status'], joined.body], [[103, 200], 0, 200, 'body of /a'])
  assert.match(joined.head['cache-status'], /collapsed/)
  assert.equal(origin.requests.length, 1)
})

test('hints of a refresh behind people go to nobody', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    if (n > 1) res.writeEarlyHints({ link: HINT })
    page(res, `page ${n}`, { 'cache-control': n > 1 ? 'max-age=60' : 'max-age=0, stale-while-revalidate=60' })
  })
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a'))
  await c.answer(1)
  c.send(get('/a'))
  assert.equal((await c.answer(2)).body, 'page 1')
  await until(async () => /page 2/.test((await v.get('/a', { host: 'a.example' })).body), 'the refresh')
  c.send(get('/a'))
  assert.equal((await c.answer(3)).body, 'page 2')
  assert.deepEqual(statuses(c), [200, 200, 200])
})

test('semantics 7.5: a hint that comes after the shell was given is not sent', async (t) => {
  const [late, end] = [gate(), gate()]
  const origin = await renderer(t, async (req, res) => {
    if (req.url !== '/slow') return page(res, 'next', fresh)
    await late.promise
    res.writeEarlyHints({ link: HINT })
    await end.promise
    page(res, 'slow', fresh)
  })
  const dir = tempDir()
  writeFileSync(`${dir}/shell.html`, 'the shell')
  const v = await start(t, origin, `shell: {file: ${dir}/shell.html}\nroutes: [{match: "/**"}]\n`, { dir, wait: '50ms' })
  const c = await v.connect()
  c.send(get('/slow', 'Accept: text/html\r\n'))
  assert.equal((await c.answer(1)).body, 'the shell')
  late.open()
  end.open()
  await until(async () => (await v.get('/slow', { host: 'a.example', accept: 'text/html' })).body === 'slow', 'the render to be stored')
  c.send(get('/next', 'Accept: application/json\r\n')) // to which no shell is given, however long it takes
  assert.equal((await c.answer(2)).body, 'next')
  assert.deepEqual(statuses(c), [200, 200])
})

test('semantics 2.9: a sealed fill that is repeated as a pass may say its hints twice, and then its answer once', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeEarlyHints({ link: HINT })
    page(res, 'mine', { 'set-cookie': 'id=1' })
  })
  const v = await start(t, origin, 'routes: [{match: "/**", ttl: 60s}]\n')
  const c = await v.connect()
  c.send(get('/a'))
  assert.equal((await c.answer()).body, 'mine')
  assert.equal(origin.requests.length, 2)
  assert.deepEqual(statuses(c), [103, 103, 200])
})

test('a renderer that hints without end is bounded: 16 go on, with one more it has failed', async (t) => {
  const hint = (n) => `HTTP/1.1 103 Early Hints\r\nLink: </${n}>\r\n\r\n`
  const origin = await rawOrigin(t, (socket, head) => {
    const count = Number(/GET \/(\d+)/.exec(head)[1])
    for (let n = 1; n <= count; n++) socket.write(hint(n))
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const v = await start(t, origin)
  for (const count of [16, 1000]) {
    const c = await v.connect()
    c.send(get(`/${count}`))
    const answer = await c.answer()
    const hints = heads(c.bytes).filter(([status]) => status === 103)
    assert.deepEqual(hints.map(([, fields]) => fields.link), Array.from({ length: hints.length }, (_, i) => `</${i + 1}>`))
    assert.ok(hints.length <= 16)
    assert.equal(hints.length === 16 && answer.status === 200, count === 16)
    if (count > 16) assert.ok(answer.status >= 500)
  }
})

test('hints of more than 16 KiB together are dropped, the answer is not', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    for (const [letter, size] of [['a', 9000], ['b', 9000], ['c', 5000], ['d', 50000]])
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <${letter.repeat(size)}>\r\n\r\n`)
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const v = await start(t, origin)
  const c = await v.connect()
  c.send(get('/a'))
  assert.equal((await c.answer()).body, 'ok')
  assert.deepEqual(heads(c.bytes).slice(0, -1).map(([status, { link }]) => [status, link[1], link.length]), [[103, 'a', 9002], [103, 'c', 5002]])
  const r = ask(await v.h2(), '/b')
  await r.done
  assert.deepEqual(r.interim.map((fields) => [fields.link[1], fields.link.length]), [['a', 9002], ['c', 5002]])
  assert.equal(await v.metric('varve_interim_responses_total{result="taken"}'), 4)
  assert.equal(await v.metric('varve_interim_responses_total{result="dropped"}'), 4)
  assert.equal(r.body, 'ok')
})

test('a client that leaves at the hint harms nobody, and its render is stored all the same', async (t) => {
  const origin = await hinting(t)
  const v = await start(t, origin)
  const clients = await Promise.all(Array.from({ length: 20 }, () => v.connect()))
  clients.forEach((c, i) => c.send(get(`/${i}`)))
  await until(() => clients.every((c) => statuses(c).length === 1), 'the hints')
  for (const c of clients) c.socket.resetAndDestroy()
  await until(() => v.accessLog().length === 20, 'varve to see that they have left')
  origin.open()
  for (let i = 0; i < 20; i++) assert.equal((await v.get(`/${i}`, { host: 'a.example' })).body, `body of /${i}`)
  assert.equal(origin.requests.length, 20)
})

/* --- HTTP/2 --- */

/** One stream: its interim heads, head, body; `done` resolves when it is over, however it ended. */
function ask(c, path, fields = {}) {
  const r = { interim: [], body: '', stream: c.session.request({ ':path': path, ':authority': 'a.example', ...fields }) }
  r.stream.on('headers', (head) => r.interim.push(head))
  r.stream.on('response', (head) => (r.head = head))
  r.stream.on('data', (chunk) => (r.body += chunk))
  r.stream.on('error', (error) => (r.error = error))
  r.done = new Promise((resolve) => r.stream.on('close', resolve))
  return r
}

test('http-caching §2: a 103 reaches HTTP/2 clients before the answer, on each of 50 streams at a time, again and again', async (t) => {
  let go = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeEarlyHints({ link: `<${req.url}>; rel=preload`, 'x-own-name': 'value' })
    await go.promise
    page(res, `body of ${req.url}`, fresh)
  })
  const v = await start(t, origin)
  const c = await v.h2()
  for (let round = 0; round < 3; round++) {
    go = gate()
    const asked = Array.from({ length: 50 }, (_, i) => ask(c, `/${round}/${i}`))
    await until(() => asked.every((r) => r.interim.length === 1), 'the hints')
    asked.forEach((r, i) => {
      const [hint] = r.interim
      assert.deepEqual([hint[':status'], hint.link, hint['x-own-name'], r.head], [103, `</${round}/${i}>; rel=preload`, 'value', undefined])
    })
    go.open()
    await Promise.all(asked.map((r) => r.done))
    asked.forEach((r, i) => {
      assert.deepEqual([r.head[':status'], r.head.link, r.body, r.interim.length], [200, undefined, `body of /${round}/${i}`, 1])
    })
  }
  const hit = ask(c, '/0/0')
  await hit.done
  assert.deepEqual([outcome({ headers: hit.head }), hit.interim.length, hit.head.link, hit.body], ['hit', 0, undefined, 'body of /0/0'])
  assert.equal(origin.requests.length, 150)
})

test('HTTP/2: several hints and the answer in one piece, HEAD and POST, all in order', async (t) => {
  const origin = await rawOrigin(t, (socket, head) => {
    const body = head.startsWith('HEAD') ? '' : 'ok'
    socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </1>\r\nLink: </2>\r\n\r\nHTTP/1.1 199 Odd\r\nX-Odd: 1\r\n\r\n' +
      `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\n${body}`)
  })
  const v = await start(t, origin)
  const c = await v.h2()
  for (const method of ['GET', 'HEAD', 'POST']) {
    const r = ask(c, '/a', { ':method': method })
    r.stream.end()
    await r.done
    assert.deepEqual(r.interim.map((head) => head[':status']), [102, 103, 199])
    assert.match(r.interim[1].link, /<\/1>, ?<\/2>/)
    assert.deepEqual([r.head[':status'], r.body], [200, method === 'HEAD' ? '' : 'ok'])
  }
})

test('HTTP/2: streams that are reset while their hint is under way, and the connection serves the others', async (t) => {
  const go = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeEarlyHints({ link: HINT })
    res.writeEarlyHints({ link: HINT })
    await go.promise
    page(res, `body of ${req.url}`, fresh)
  })
  const v = await start(t, origin)
  const c = await v.h2()
  const kept = Array.from({ length: 5 }, (_, i) => ask(c, `/kept/${i}`))
  const dropped = Array.from({ length: 15 }, (_, i) => {
    const r = ask(c, `/dropped/${i}`)
    if (i % 3) r.stream.once('headers', () => r.stream.close(8))
    else setTimeout(() => r.stream.close(8), i) // before the hint, in the middle of it, after it: whatever comes
    return r
  })
  await Promise.all(dropped.map((r) => r.done))
  await until(() => kept.every((r) => r.interim.length === 2), 'the hints of the others')
  go.open()
  await Promise.all(kept.map((r) => r.done))
  kept.forEach((r, i) => assert.deepEqual([r.head[':status'], r.body], [200, `body of /kept/${i}`]))
  assert.ok(dropped.every((r) => r.head === undefined))
  assert.equal((await c.get('/kept/0', { ':authority': 'a.example', 'x-forwarded-proto': 'https' })).body, 'body of /kept/0')
})

test('HTTP/1.1 over TLS gets hints too', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeEarlyHints({ link: HINT })
    page(res, 'page', fresh)
  })
  const v = await start(t, origin)
  const c = await v.connect({ secure: { servername: 'a.example', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] } })
  for (let n = 1; n <= 2; n++) {
    c.send(get(`/${n}`))
    assert.equal((await c.answer(n)).body, 'page')
  }
  assert.deepEqual(statuses(c), [103, 200, 103, 200])
})
