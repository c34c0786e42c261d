// A renderer that breaks off: who has seen nothing of the answer gets something else, who has seen some of it sees the break.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, page, rawOrigin, renderer, request, tempDir, until, varve } from './lib.mjs'
import { certificate, raw } from './wire.mjs'

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\n'

test('3.2 a cut between head and body: stale for who has it, an error for who has not', async (t) => {
  let isCut = false
  const origin = await renderer(t, (req, res, n) => {
    if (!isCut) return page(res, `render ${n}`, { 'cache-control': 'max-age=0, stale-if-error=60' })
    res.writeHead(200, { 'content-type': 'text/html' })
    res.flushHeaders()
    setImmediate(() => req.socket.destroy())
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/known')
  isCut = true
  const known = await v.get('/known')
  assert.equal(known.status, 200)
  assert.equal(known.body, 'render 1')
  const unknown = await v.get('/unknown')
  assert.ok([502, 503].includes(unknown.status), `${unknown.status}`)
  const posted = await v.get('/unknown', {}, { method: 'POST', body: 'a=b' })
  assert.ok([502, 503].includes(posted.status), `${posted.status}`)
})

test('3.2 a body that is broken by the time it is looked at: stale for who has not seen a byte of it', async (t) => {
  const origin = await rawOrigin(t, (socket, head, n) => {
    if (n === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=0, stale-if-error=60\r\nContent-Length: 8\r\n\r\nrender 1')
    else socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nno size\r\n`)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/page')).body, 'render 1')
  const broken = await v.get('/page')
  assert.deepEqual([broken.status, broken.body, broken.aborted], [200, 'render 1', false])
  assert.equal(origin.requests, 2)
})

for (const [framing, head, tail] of [
  ['Content-Length', `${HEAD}Content-Length: 100\r\n\r\n`, ''],
  ['chunks', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '\r\n'],
])
  test(`a cut inside the body (${framing}) is seen by everybody who streams along, and nothing is stored`, async (t) => {
    const cut = gate()
    const origin = await rawOrigin(t, async (socket) => {
      socket.write(head + (tail ? 'a\r\n0123456789\r\n' : '0123456789'))
      await cut.promise
      socket.destroy()
    })
    const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
    const seen = [gate(), gate()]
    const answers = seen.map((begun) => request(`${v.url}/page`, { onData: begun.open }))
    await Promise.all(seen.map((begun) => begun.promise))
    cut.open()
    for (const res of await Promise.all(answers)) assert.deepEqual([res.aborted, res.body], [true, '0123456789'])
    assert.equal(origin.requests, 1)
    await v.get('/page').catch(() => {})
    await until(() => origin.requests === 2, 'a second render')
  })

for (const [how, path, version, isFramed] of [
  ['Content-Length', '/length', '1.1', true], ['chunks', '/chunks', '1.1', true], ['chunks, to HTTP/1.0', '/chunks', '1.0', false],
  ['Content-Length, to HTTP/1.0', '/length', '1.0', true]])
  test(`RFC 9112 §8 a cut body (${how}): ${isFramed ? 'all that was there arrives, and its frame stays open' : 'only a reset tells'}; over TLS too`, async (t) => {
    const cut = gate()
    const origin = await rawOrigin(t, async (socket, head) => {
      const isChunked = head.startsWith('GET /chunks')
      socket.write(isChunked ? `${HEAD}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n` : `${HEAD}Content-Length: 100\r\n\r\n0123456789`)
      await cut.promise
      socket.destroy()
    })
    const port = await freePort()
    const { yaml } = certificate(tempDir(t), 'a.example')
    const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nrenderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
    const secure = { servername: 'a.example', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
    const clients = [await raw(t, v.port), await raw(t, port, { secure })]
    const cleanEnds = []
    for (const [i, c] of clients.entries()) {
      c.socket.on('end', () => cleanEnds.push(i))
      c.send(`GET ${path} HTTP/${version}\r\nHost: a.example\r\n\r\n`)
      await until(() => c.bytes.includes('0123456789'), 'the part that is there')
    }
    cut.open()
    for (const [i, c] of clients.entries()) {
      await c.ended
      assert.equal(c.isReset, !isFramed, `client ${i}`)
      assert.equal(c.answers()[0].broken !== undefined, isFramed, `client ${i}`)
    }
    assert.deepEqual(cleanEnds.sort(), isFramed ? [0, 1] : [])
  })
