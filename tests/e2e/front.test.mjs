// The front door as clients meet it: listeners, certificates, who the client is, which hosts are served, limits and patience.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, page, renderer, request, tempDir, until, varve } from './lib.mjs'
import { certificate, exchange, h2, raw } from './wire.mjs'

const get = (host, more = '') => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`
const tellHeaders = (req, res) => page(res, JSON.stringify(req.headers), { 'x-version': req.httpVersion })
const listens = (...all) => `listen: [${all.join(', ')}]\n`

/** One request over TLS by HTTP/1.1: {answer, certificate, protocol}. */
async function askTls(t, port, servername, host = servername) {
  const c = await raw(t, port, { secure: { servername, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] } })
  const subject = c.socket.getPeerCertificate().subject?.CN
  c.send(get(host))
  await c.ended
  return { answer: c.answers()[0], subject, protocol: c.socket.alpnProtocol }
}

test('1.7 TLS: ALPN gives HTTP/1.1 and HTTP/2, the name asked for its own certificate, others the first', async (t) => {
  const dir = tempDir(t)
  const certs = ['a.example', 'b.example'].map((name) => certificate(dir, name))
  const wild = certificate(dir, 'wild', { names: ['*.shop.example'] })
  const port = await freePort()
  const origin = await renderer(t, tellHeaders)
  const all = [...certs, wild].map((c) => c.yaml).join(', ')
  const v = await varve(t, `${listens('"127.0.0.1:$PORT"', `{address: "127.0.0.1:${port}", tls: [${all}]}`)}renderer: ${origin.url}\n`)
  for (const [name, subject] of [['a.example', 'a.example'], ['b.example', 'b.example'], ['x.shop.example', 'wild'],
    ['unknown.example', 'a.example'], [undefined, 'a.example']]) {
    const got = await askTls(t, port, name, name ?? 'none.example')
    assert.equal(got.subject, subject, `certificate for ${name}`)
    assert.equal(got.protocol, 'http/1.1')
    assert.equal(JSON.parse(got.answer.body)['x-forwarded-proto'], 'https')
  }
  const client = await h2(t, port)
  assert.equal(client.session.alpnProtocol, 'h2')
  const res = await client.get('/')
  assert.equal(res.status, 200)
  assert.equal(JSON.parse(res.body)['x-forwarded-proto'], 'https')
  assert.equal(JSON.parse(res.body).host, `localhost:${port}`)
  assert.equal(JSON.parse((await v.get('/')).body)['x-forwarded-proto'], 'http')
})

test('TLS: without ALPN it is HTTP/1.1, TLS 1.1 and plain text are turned away, a session is resumed', async (t) => {
  const dir = tempDir(t)
  const port = await freePort()
  const origin = await renderer(t, tellHeaders)
  await varve(t, `${listens(`{address: "127.0.0.1:${port}", tls: [${certificate(dir, 'a.example').yaml}]}`)}renderer: ${origin.url}\n`)
  const secure = { servername: 'a.example', rejectUnauthorized: false }
  const first = await raw(t, port, { secure })
  const session = new Promise((resolve) => first.socket.once('session', resolve))
  first.send(get('a.example'))
  await first.ended
  assert.equal(first.answers()[0].status, 200)
  const again = await raw(t, port, { secure: { ...secure, session: await session } })
  assert.ok(again.socket.isSessionReused())
  again.socket.destroy()
  const old = await raw(t, port, { secure: { ...secure, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } })
  await old.ended
  assert.equal(old.bytes.length, 0)
  const plain = await exchange(t, port, get('a.example'))
  assert.equal(plain.answers().filter((a) => a.status === 200).length, 0)
  assert.equal(origin.requests.length, 1)
  assert.equal((await askTls(t, port, 'a.example')).answer.status, 200)
})

test('IPv4, IPv6 and a unix socket at once, with one cache behind them', async (t) => {
  const dir = tempDir(t)
  const [four, six] = [await freePort(), await freePort()]
  const origin = await renderer(t, (req, res) => page(res, 'once', { 'cache-control': 'max-age=60' }))
  const list = listens(`"127.0.0.1:${four}"`, `"[::1]:${six}"`, `"unix:${dir}/front.sock"`)
  await varve(t, `${list}renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const where of [four, { host: '::1', port: six }, `${dir}/front.sock`]) {
    const c = await exchange(t, where, get('a.example'))
    assert.equal(c.answers()[0].body, 'once', JSON.stringify(where))
  }
  assert.equal(origin.requests.length, 1)
})

test('redirect_http: 308 to https with the port of the TLS listener, but not for what a trusted proxy had by https', async (t) => {
  const dir = tempDir(t)
  const port = await freePort()
  const origin = await renderer(t, tellHeaders)
  const list = listens('"127.0.0.1:$PORT"', `{address: "127.0.0.1:${port}", tls: [${certificate(dir, 'a.example').yaml}]}`)
  const v = await varve(t, `${list}redirect_http: true\nrenderer: ${origin.url}\n`)
  const res = await v.get('/a?b=%20c', { host: `a.example:${v.port}` })
  assert.equal(res.status, 308)
  assert.equal(res.headers.location, `https://a.example:${port}/a?b=%20c`)
  assert.equal(res.headers['cache-control'], 'no-store') // a cache in front that keys without the scheme would make a loop of it
  assert.equal((await v.get('/', { host: 'a.example' })).headers.location, 'https://a.example/')
  assert.equal((await v.get('/', { 'x-forwarded-proto': 'https' })).status, 200)
  assert.equal((await askTls(t, port, 'a.example')).answer.status, 200)
  assert.equal(origin.requests.length, 2)
})

/* --- who the client is --- */

/** PROXY protocol version 2 for an IPv4 client; `isTls`: with the TLV that says whether it came by TLS. */
function proxyV2(client, isTls) {
  const address = Buffer.from([...client.split('.').map(Number), 127, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb])
  const tlv = isTls === undefined ? Buffer.alloc(0) : Buffer.from([0x20, 0, 5, isTls ? 1 : 0, 0, 0, 0, 0])
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0', 'latin1')
  head.writeUInt16BE(address.length + tlv.length, 14)
  return Buffer.concat([head, address, tlv])
}

/** varve whose only listener takes PROXY headers; `ask(prefix, fields)` → what the renderer saw. */
async function behindProxy(t, more = '') {
  const origin = await renderer(t, tellHeaders)
  const v = await varve(t, `${listens('{address: "127.0.0.1:$PORT", proxy_protocol: true}')}renderer: ${origin.url}\n${more}`)
  const ask = async (prefix, fields = '') => {
    const bytes = Buffer.concat([Buffer.from(prefix, 'latin1'), Buffer.from(get('a.example', fields))])
    const c = await exchange(t, v.port, bytes)
    return c.bytes.length ? JSON.parse(c.answers()[0].body) : undefined
  }
  return { v, ask, origin }
}

const v1 = (client) => `PROXY TCP4 ${client} 127.0.0.1 1234 443\r\n`

test('1.7, 2.8 PROXY protocol names the client; the TLS bit of version 2 is the scheme', async (t) => {
  const { v, ask, origin } = await behindProxy(t)
  const rows = [
    [v1('198.51.100.7'), '198.51.100.7', 'http'],
    ['PROXY TCP6 2001:db8::7 ::1 1 2\r\n', '2001:db8::7', 'http'],
    ['PROXY UNKNOWN\r\n', '127.0.0.1', 'http'],
    [proxyV2('198.51.100.8'), '198.51.100.8', 'http'],
    [proxyV2('198.51.100.8', true), '198.51.100.8', 'https'],
    [proxyV2('198.51.100.8', false), '198.51.100.8', 'http'],
  ]
  for (const [prefix, client, proto] of rows) {
    const seen = await ask(prefix)
    assert.equal(seen['x-forwarded-for'], client)
    assert.equal(seen['x-forwarded-proto'], proto)
  }
  const log = await until(() => v.accessLog().length === rows.length && v.accessLog(), 'the log')
  assert.deepEqual(log.map((l) => l.client), rows.map((r) => r[1]))

  const count = origin.requests.length
  for (const bad of ['', 'PROXY TCP4 1.2.3.4\r\n', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n', '\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c'])
    assert.equal(await ask(bad), undefined, JSON.stringify(bad))
  assert.equal(origin.requests.length, count, 'without a right header nothing is read')
})

test('1.7, 2.8 what an untrusted client says about itself is replaced; a trusted one is believed from the right end', async (t) => {
  const { v, ask } = await behindProxy(t, 'trusted_proxies: [10.0.0.0/8, "2001:db8:1::/48"]\n')
  const lies = 'X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 1\r\n' +
    'X-Request-Id: chosen-by-me\r\nForwarded: for=2.2.2.2;proto=https\r\n'
  const stranger = await ask(v1('198.51.100.7'), lies)
  assert.equal(stranger['x-forwarded-for'], '198.51.100.7')
  assert.equal(stranger['x-forwarded-proto'], 'http')
  assert.equal(stranger['x-forwarded-host'], 'a.example')
  assert.equal(stranger['x-forwarded-port'], undefined)
  assert.match(stranger['x-request-id'], /^[0-9a-f]{16}$/)

  const friend = await ask(v1('10.1.2.3'), lies)
  assert.equal(friend['x-forwarded-for'], '1.1.1.1, 10.1.2.3')
  assert.equal(friend['x-forwarded-proto'], 'https')
  assert.equal(friend['x-forwarded-host'], 'a.example', 'the host is never taken from there')
  assert.equal(friend['x-request-id'], 'chosen-by-me')

  const chain = 'X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.9.9.9\r\nX-Forwarded-Proto: http, https\r\n'
  assert.equal((await ask(v1('10.1.2.3'), chain))['x-forwarded-proto'], 'https', 'the last member')
  await ask(v1('10.1.2.3'), 'Forwarded: for=6.6.6.6, for="[2001:db8::9]:4711";proto=https;by=10.0.0.1\r\n')
  await ask(v1('10.1.2.3'), 'Forwarded: for=unknown\r\n')
  await ask(v1('10.1.2.3'), 'X-Forwarded-Proto: gopher\r\n')
  await ask('PROXY TCP6 2001:db8:1::1 ::1 1 2\r\n', 'X-Forwarded-For: 203.0.113.10:99\r\n')
  const log = await until(() => v.accessLog().length === 7 && v.accessLog(), 'the log')
  assert.deepEqual(log.map((l) => l.client),
    ['198.51.100.7', '1.1.1.1', '203.0.113.9', '2001:db8::9', 'unknown', '10.1.2.3', '203.0.113.10'])
})

test('2.1, 2.8 the client address goes with passes, with fills only when the origin wants it; traceparent never with a sealed fill', async (t) => {
  const origin = await renderer(t, tellHeaders)
  const policy = (more) => `origins: {renderer: {workers: ["${origin.url}"]${more}}}\n` +
    'routes: [{match: "/never/**", cache: never}, {match: "/sealed/**", ttl: 10s}, {match: "/**"}]\n'
  const v = await varve(t, policy(''))
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  const ask = async (path) => JSON.parse((await v.get(path, { ...trace, 'x-forwarded-for': '203.0.113.9' })).body)
  const passed = await ask('/never/1')
  assert.equal(passed['x-forwarded-for'], '203.0.113.9, 127.0.0.1')
  assert.equal(passed.traceparent, trace.traceparent)
  const filled = await ask('/1')
  assert.equal(filled['x-forwarded-for'], undefined)
  const sealed = await ask('/sealed/1')
  assert.equal(sealed['x-forwarded-for'], undefined)
  assert.equal(sealed.traceparent, undefined)
  assert.equal(sealed['user-agent'], 'varve')
  for (const seen of [passed, filled, sealed]) assert.ok(seen['x-request-id'])
  v.write(policy(', forward_client_address: true'))
  assert.equal((await v.cli('reload')).code, 0)
  assert.equal((await ask('/2'))['x-forwarded-for'], '203.0.113.9, 127.0.0.1')
})

test('X-Request-Id is the client\'s own only from a trusted peer, is in the log, and Via and Date are on every answer', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers['x-request-id'], { via: '1.0 inner', server: 'x' }))
  const v = await varve(t, `renderer: ${origin.url}\n`)
  const res = await v.get('/', { 'x-request-id': 'abc.DEF-1_2' })
  assert.equal(res.body, 'abc.DEF-1_2')
  assert.equal(res.headers.via, '1.0 inner, 1.1 varve')
  assert.ok(res.headers.date)
  await until(() => v.accessLog().length === 1, 'its line')
  const made = await Promise.all(['a b', 'x'.repeat(65), 'ä', ''].map((id) => v.get('/', { 'x-request-id': Buffer.from(id).toString('latin1') })))
  for (const m of made) assert.match(m.body, /^[0-9a-f]{16}$/)
  assert.equal(new Set(made.map((m) => m.body)).size, made.length)
  const log = await until(() => v.accessLog().length === 5 && v.accessLog(), 'the log')
  assert.equal(log[0].id, 'abc.DEF-1_2')
})

test('hosts: others get 421, and 1.5 a host over :authority of another name gets 400', async (t) => {
  const dir = tempDir(t)
  const port = await freePort()
  const origin = await renderer(t, tellHeaders)
  const list = listens('"127.0.0.1:$PORT"', `{address: "127.0.0.1:${port}", tls: [${certificate(dir, 'a.example').yaml}]}`)
  const v = await varve(t, `${list}hosts: [a.example, "*.shop.example"]\nrenderer: ${origin.url}\n`)
  for (const host of ['a.example', 'A.Example', 'a.example.', 'a.example:8080', 'x.shop.example', 'y.x.shop.example'])
    assert.equal((await v.get('/', { host })).status, 200, host)
  const count = origin.requests.length
  for (const host of ['b.example', 'shop.example', 'a.example.evil.example', 'xshop.example', '127.0.0.1'])
    assert.equal((await v.get('/', { host })).status, 421, host)
  const client = await h2(t, port)
  assert.equal((await client.get('/', { headers: { ':authority': 'b.example' } })).status, 421)
  assert.equal((await client.get('/', { headers: { ':authority': 'a.example', host: 'x.shop.example' } })).status, 400)
  assert.equal(origin.requests.length, count)
  assert.equal((await client.get('/', { headers: { ':authority': 'a.example' } })).status, 200)
})

/* --- limits --- */

test('limits: URL, head, number of fields and body are refused over both protocols, with an answer of varve\'s own', async (t) => {
  const dir = tempDir(t)
  const port = await freePort()
  const origin = await renderer(t, (req, res, n, body) => page(res, String(body.length)))
  const list = listens('"127.0.0.1:$PORT"', `{address: "127.0.0.1:${port}", tls: [${certificate(dir, 'a.example').yaml}]}`)
  const v = await varve(t, `${list}limits: {url: 256B, header_bytes: 4KiB, headers: 20, request_body: 1000B}\nrenderer: ${origin.url}\n`)
  const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`x-${i}`, 'y']))
  const rows = [
    [414, { path: `/${'x'.repeat(300)}` }],
    [431, { headers: { x: 'y'.repeat(5000) } }],
    [431, { headers: many }],
    [413, { method: 'POST', body: 'x'.repeat(1001) }],
  ]
  for (const [status, { path = '/', ...more }] of rows) {
    const one = await request(v.url + path, more)
    assert.equal(one.status, status)
    assert.equal(one.headers['content-type'], 'application/problem+json')
    const client = await h2(t, port) // some of these end the connection
    const two = await client.get(path, more)
    assert.ok(two.status === status || two.aborted, `HTTP/2: ${two.status} for ${status}`)
    for (const res of two.aborted ? [one] : [one, two]) {
      const problem = JSON.parse(res.body)
      assert.deepEqual([problem.status, problem.reason, problem.request_id], [status, 'policy', res.headers['x-request-id']])
      const line = await until(() => v.accessLog().find((l) => l.id === problem.request_id), 'its line')
      assert.deepEqual([line.status, line.reason], [status, 'policy'])
    }
  }
  assert.equal(origin.requests.length, 0)
  assert.equal((await request(v.url, { method: 'POST', body: 'x'.repeat(1000) })).body, '1000')
  assert.equal((await (await h2(t, port)).get('/', { method: 'POST', body: 'x'.repeat(1000) })).body, '1000')
})

test('patience: slow heads, slow bodies and idle connections end; a slow render does not', async (t) => {
  const dir = tempDir(t)
  const [secure, proxied] = [await freePort(), await freePort()]
  const held = gate()
  const origin = await renderer(t, async (req, res) => {
    await held.promise
    page(res, 'late')
  })
  const list = listens('"127.0.0.1:$PORT"', `{address: "127.0.0.1:${secure}", tls: [${certificate(dir, 'a.example').yaml}]}`,
    `{address: "127.0.0.1:${proxied}", proxy_protocol: true}`)
  const v = await varve(t, `${list}limits: {header_timeout: 2s, idle: 2s, stall: 2s}\nrenderer: ${origin.url}\n` +
    'routes: [{match: "/varve", cache: never}]\n')
  const waiting = v.get('/')
  const ends = async (where, bytes, status) => {
    const c = await raw(t, where)
    if (bytes) c.send(bytes)
    await c.ended
    assert.equal(c.answers()[0]?.status, status, JSON.stringify(bytes))
  }
  const trickle = async () => {
    const c = await raw(t, v.port)
    c.send('GET / HTTP/1.1\r\n')
    const timer = setInterval(() => c.send('X: y\r\n'), 200)
    await c.ended
    clearInterval(timer)
    assert.equal(c.answers()[0]?.status, 408)
  }
  const idleH2 = async () => {
    const client = await h2(t, secure)
    await until(() => client.isOver, 'an idle HTTP/2 connection to be closed')
  }
  await Promise.all([
    ends(v.port, '', undefined),
    ends(v.port, 'GET / HTTP/1.1\r\nHost', 408),
    ends(v.port, '\r', undefined),
    ends(v.port, 'GE: T / HTTP/1.1\r\nHost: a\r\n\r\n', 400),
    ends(v.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc', 408),
    ends(v.port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab', 408),
    ends(secure, '', undefined),
    ends(secure, '\x16\x03\x01', undefined),
    ends(proxied, 'PROXY TC', undefined),
    trickle(),
    idleH2(),
  ])
  assert.equal(origin.requests.length, 1)
  held.open()
  assert.equal((await waiting).body, 'late')
})

test('a connection that rests between two requests ends after `idle`, quietly', async (t) => {
  const origin = await renderer(t, tellHeaders)
  const v = await varve(t, `limits: {idle: 1s}\nrenderer: ${origin.url}\n`)
  const c = await raw(t, v.port)
  c.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await c.answer()).status, 200)
  await c.ended
  assert.equal(c.answers().length, 1)
  assert.ok(!c.isReset)
})

test('limits.connections: idle ones give way, busy ones make others wait, and nobody is refused', async (t) => {
  const gates = new Map()
  const origin = await renderer(t, async (req, res) => {
    if (req.url !== '/quick') await new Promise((resolve) => gates.set(req.url, resolve))
    page(res, req.url)
  })
  const v = await varve(t, `threads: 1\nlimits: {connections: 4}\norigins: {renderer: {workers: ["${origin.url}"], slots: 0}}\n`)
  const ask = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const idle = []
  for (let i = 0; i < 4; i++) {
    idle.push(await raw(t, v.port))
    idle[i].send(ask('/quick'))
    await idle[i].answer()
  }
  const busy = []
  for (let i = 0; i < 4; i++) {
    busy.push(await raw(t, v.port))
    busy[i].send(ask(`/${i}`))
    await until(() => gates.has(`/${i}`), 'the request to arrive')
    await until(() => idle[i].isOver, 'the longest idle one to give way')
  }
  const fifth = await raw(t, v.port)
  fifth.send(ask('/quick'))
  const admin = await v.admin('GET', '/healthz')
  assert.equal(admin.status, 200, 'the admin socket is not one of them')
  assert.equal(fifth.bytes.length, 0)
  gates.get('/0')()
  assert.equal((await fifth.answer()).body, '/quick')
  for (let i = 1; i < 4; i++) gates.get(`/${i}`)()
  for (let i = 0; i < 4; i++) assert.equal((await busy[i].answer()).body, `/${i}`)
})
