// HTTP/1 to the byte: the corpus of right and wrong requests with a renderer behind, and what passes through unchanged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, renderer, request, tempDir, until, varve } from './lib.mjs'
import { certificate, exchange, h2, raw, recorder, table } from './wire.mjs'

const limits = 'limits: {header_bytes: 4KiB, url: 256B, headers: 20, request_body: 1000B}\n'

/** Sends every row of the corpus with another request right behind it, in one piece. */
async function runCorpus(t, v, origin, where, more) {
  let refused = 0
  for (const [name, bytes, status, state] of table('raw_requests.def', 'RAW')) {
    const before = origin.requests.length
    const behind = `GET /behind-${before} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`
    const c = await exchange(t, where, bytes + behind, { ...more, methods: [bytes.split(' ')[0]] })
    const answers = c.answers()
    for (const { head } of origin.requests.slice(before)) {
      assert.doesNotMatch(head, /smuggled/, name)
      assert.equal(head.match(/^host:/gim).length, 1, `${name}: Host`)
      assert.ok((head.match(/^(content-length|transfer-encoding):/gim) ?? []).length <= 1, `${name}: one framing`)
    }
    const wasBehindSeen = origin.requests.some((r) => r.url === `/behind-${before}`)
    assert.ok(!c.isReset, `${name}: reset`)
    // where it ends within a chunk, what is behind it may be what is wrong first
    const isRight = answers[0]?.status === status || (/^chunks over/.test(name) && answers[0]?.status === 400)
    assert.ok(isRight, `${name}: ${answers[0]?.status}, not ${status}`)
    assert.equal(answers.length, state === 'OPEN' ? 2 : 1, `${name}: number of answers`)
    assert.equal(wasBehindSeen, state === 'OPEN', `${name}: what was behind it`)
    assert.ok(answers.every((a) => a.broken === undefined && !a.isUntilClose), `${name}: framing`)
    assert.equal(origin.requests.length - before, (status === 200) + (state === 'OPEN'), `${name}: what reached the renderer`)
    if (status === 200) continue
    refused++
    assert.equal(answers[0].headers.connection, 'close', name)
    assert.equal(answers[0].headers['content-type'], 'application/problem+json', name)
    if (answers[0].body) assert.equal(JSON.parse(answers[0].body).status, answers[0].status, name)
  }
  return refused
}

test('raw requests: what is refused never reaches the renderer, and what follows it is not taken for a request', async (t) => {
  const origin = await recorder(t)
  const v = await varve(t, `${limits}renderer: ${origin.url}\n`)
  const refused = await runCorpus(t, v, origin, v.port)
  const log = await until(() => {
    const lines = v.accessLog()
    return lines.length >= refused + origin.requests.length && lines
  }, 'everything to be in the log')
  assert.equal(log.filter((l) => l.status >= 400).length, refused)
  assert.equal(log.filter((l) => l.status === 200).length, origin.requests.length)
})

test('raw requests over TLS: the same', async (t) => {
  const port = await freePort()
  const origin = await recorder(t)
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `${limits}listen: [{address: "127.0.0.1:${port}", tls: [${yaml}]}]\nrenderer: ${origin.url}\n`)
  const secure = { servername: 'a.example', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
  await runCorpus(t, v, origin, port, { secure })
})

test('raw requests: nothing of the client\'s framing goes on to the renderer', async (t) => {
  const origin = await recorder(t)
  const v = await varve(t, `renderer: ${origin.url}\n`)
  const close = 'Connection: close, X-Hop\r\nX-Hop: a\r\nKeep-Alive: timeout=9\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n' +
    'HTTP2-Settings: AAMAAABkAAQAAP__\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n'
  await exchange(t, v.port, `POST http://A.example:80/p?q=1 HTTP/1.1\r\nHost: A.example:80\r\n${close}Transfer-Encoding: chunked\r\n\r\n` +
    '5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX: trailer\r\n\r\n')
  const [{ line, head, body }] = origin.requests
  assert.equal(line, 'POST /p?q=1 HTTP/1.1')
  assert.equal(body, 'hello!')
  assert.match(head, /^content-length: 6\r$/m)
  assert.match(head, /^connection: keep-alive\r$/m)
  assert.equal(head.match(/^host:/gim).length, 1)
  assert.doesNotMatch(head, /^(x-hop|keep-alive|te|trailer|upgrade|http2-settings|proxy-connection|transfer-encoding):/im)
})

test('pipelined requests are answered one after the other, in order, however they are cut', async (t) => {
  const origin = await recorder(t, (r) => `HTTP/1.1 200 OK\r\nContent-Length: ${r.url.length}\r\n\r\n${r.url}`)
  const v = await varve(t, `renderer: ${origin.url}\n`)
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`)
  const bytes = paths.map((p, i) => (i % 3 === 0
    ? `POST ${p} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`
    : `GET ${p} HTTP/1.1\r\nHost: a\r\n\r\n`)).join('')
  for (const step of [bytes.length, 100, 7]) {
    const c = await raw(t, v.port)
    c.socket.setNoDelay(true)
    for (let i = 0; i < bytes.length; i += step) {
      c.send(bytes.slice(i, i + step))
      await new Promise(setImmediate)
    }
    await c.answer(paths.length)
    assert.deepEqual(c.answers().map((a) => a.body), paths)
    c.socket.destroy()
  }
})

test('Expect: 100-continue is answered once the head is fine, and not at all for a body over the limit', async (t) => {
  const origin = await recorder(t)
  const v = await varve(t, `${limits}renderer: ${origin.url}\n`)
  const head = (n) => `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${n}\r\nConnection: close\r\n\r\n`
  const c = await raw(t, v.port)
  c.send(head(5))
  await until(() => c.bytes.toString() === 'HTTP/1.1 100 Continue\r\n\r\n', '100')
  c.send('hello')
  await c.ended
  assert.equal(c.answers()[0].status, 200)
  assert.equal(origin.requests[0].body, 'hello')
  assert.doesNotMatch(origin.requests[0].head, /expect/i)
  const large = await exchange(t, v.port, head(1001))
  assert.match(large.bytes.toString(), /^HTTP\/1.1 413 /)
})

test('4.1 bodies of every method reach the renderer whole, over both protocols, up to the limit', async (t) => {
  const port = await freePort()
  const origin = await recorder(t)
  const { yaml } = certificate(tempDir(t), 'a.example')
  const list = `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nlimits: {request_body: 2MiB}\n`
  const v = await varve(t, `${list}renderer: ${origin.url}\nroutes: [{match: "/**", ttl: 60s}]\n`)
  const client = await h2(t, port)
  const large = Buffer.alloc(2 << 20, 'abcdefghijklmnopqrstuvwxyz')
  const rows = [['POST', 'a=1'], ['PUT', large], ['PATCH', '{}'], ['DELETE', 'why'], ['REPORT', '<x/>'], ['POST', ''], ['OPTIONS', 'o'], ['POST', large]]
  for (const [method, body] of rows) {
    const length = { 'content-length': Buffer.byteLength(body) } // node's client leaves it out for DELETE
    for (const ask of [() => request(`${v.url}/x`, { method, body, headers: length }), () => client.get('/x', { method, body }),
      () => request(`${v.url}/x`, { method, body, headers: { 'transfer-encoding': 'chunked' } })]) {
      const before = origin.requests.length
      const res = await ask()
      assert.equal(res.status, 200, method)
      assert.equal(origin.requests.length, before + 1)
      assert.equal(origin.requests[before].method, method)
      assert.ok(origin.requests[before].body === body.toString('latin1'), `${method}: body as sent`)
    }
  }
  const unknown = await exchange(t, v.port, 'BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntea')
  assert.equal(unknown.answers()[0].status, 200)
  const last = origin.requests.at(-1)
  assert.deepEqual([last.line, last.body], ['BREW /pot HTTP/1.1', 'tea'])
  const over = await exchange(t, v.port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${(2 << 20) + 1}\r\n\r\n`)
  assert.match(over.bytes.toString(), /^HTTP\/1.1 413 /)
})

test('any status is passed on, with its reason and body; HEAD, 204 and 304 have none', async (t) => {
  const port = await freePort()
  const origin = await recorder(t, ({ method, url }) => {
    const [, status, length] = url.split('/')
    const hasBody = method !== 'HEAD' && status !== '204' && status !== '304'
    return `HTTP/1.1 ${status} Odd Reason\r\n${length ? `Content-Length: ${length}\r\n` : ''}X-Y: z\r\n\r\n${hasBody ? 'x'.repeat(length) : ''}`
  })
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nrenderer: ${origin.url}\n`)
  const client = await h2(t, port)
  for (const status of [200, 206, 299, 300, 303, 404, 418, 499, 500, 503, 599, 600, 999]) {
    const one = await v.get(`/${status}/3`)
    assert.deepEqual([one.status, one.body, one.headers['x-y']], [status, 'xxx', 'z'])
    const two = await client.get(`/${status}/3`)
    assert.deepEqual([two.status, two.body], [status, 'xxx'])
    const head = await v.get(`/${status}/3`, {}, { method: 'HEAD' })
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [status, '', '3'])
  }
  for (const status of [204, 304])
    for (const path of [`/${status}`, `/${status}/3`]) {
      const c = await exchange(t, v.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\n\r\nGET /200/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      assert.deepEqual(c.answers().map((a) => a.status), [status, 200], path)
      assert.equal((await client.get(path)).status, status)
    }
  const odd = await exchange(t, v.port, 'GET /299/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.equal(odd.answers()[0].line, 'HTTP/1.1 299 Odd Reason')
})

test('behind an answer without a length the connection stays open, whatever its status', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeHead(Number(req.url.slice(1)))
    res.write('two ')
    res.end('parts')
  })
  const v = await varve(t, `renderer: ${origin.url}\n`)
  for (const status of [200, 201, 302, 303, 401, 404, 410, 422, 500]) {
    const next = `GET /${status} HTTP/1.1\r\nHost: a\r\n`
    const c = await exchange(t, v.port, `${next}\r\n${next}Connection: close\r\n\r\n`)
    const [first, second] = c.answers()
    assert.deepEqual([first.status, first.headers.connection, first.headers['transfer-encoding']], [status, 'keep-alive', 'chunked'])
    assert.deepEqual([second?.status, second?.headers.connection, second?.body], [status, 'close', 'two parts'])
  }
})

test('an answer without a length is chunked for HTTP/1.1 and ends by closing for HTTP/1.0', async (t) => {
  const origin = await renderer(t, (req, res) => {
    res.writeHead(req.url === '/404' ? 404 : 200)
    res.write('two ')
    res.end('parts')
  })
  const v = await varve(t, `renderer: ${origin.url}\n`)
  for (const path of ['/', '/404']) {
    const one = await exchange(t, v.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    assert.equal(one.answers()[0].headers['transfer-encoding'], 'chunked')
    assert.equal(one.answers()[0].body, 'two parts')
    const zero = await exchange(t, v.port, `GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`)
    assert.equal(zero.answers()[0].headers['transfer-encoding'], undefined)
    assert.equal(zero.answers()[0].body, 'two parts')
    const kept = await exchange(t, v.port, `GET ${path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`)
    assert.equal(kept.answers()[0].body, 'two parts')
  }
})
