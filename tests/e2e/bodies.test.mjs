// Bodies of requests in memory (limits.request_bodies, request_body, per_client, stall): what has arrived counts, whoever takes much or stops
// keeps nobody else from sending his.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, page, renderer, request, tempDir, until, varve } from './lib.mjs'
import { FRAME, frame, headers, rawH2 } from './h2-frames.mjs'
import { certificate, h2, raw } from './wire.mjs'

const head = (length, more = '') => `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${length}\r\n${more}\r\n`

/** varve with three listeners: plain, TLS, and one whose clients say by a PROXY header who they are. /held waits for `held`. */
async function start(t, limits = '{}') {
  const held = gate()
  const origin = await renderer(t, async (req, res, n, body) => {
    if (req.url === '/held') await held.promise
    page(res, String(body.length))
  })
  const [secure, proxied] = [await freePort(), await freePort()]
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${secure}", tls: [${yaml}]}, ` +
    `{address: "127.0.0.1:${proxied}", proxy_protocol: true}]\nlimits: ${limits}\nrenderer: ${origin.url}\n`)
  const post = (bytes) => request(v.url, { method: 'POST', body: 'x'.repeat(bytes) })
  /** A client at `address` that announces `length` bytes and sends `bytes` of them. */
  const upload = async (address, length, bytes) => {
    const c = await raw(t, proxied)
    c.send(`PROXY TCP4 ${address} 127.0.0.1 1234 80\r\n${head(length)}${'x'.repeat(bytes)}`)
    return c
  }
  return { v, origin, held, secure, post, upload }
}

test('9.5 bodies that are only announced take no room: others post over HTTP/1 and HTTP/2', async (t) => {
  const s = await start(t)
  const client = await h2(t, s.secure)
  const held = client.get('/held')
  await until(() => s.origin.now === 1, 'the render')
  const heads = []
  for (let i = 0; i < 16; i++) { // 16 times 16 MiB are all that may be in memory
    const c = await raw(t, s.v.port)
    heads.push(c)
    c.send(head(16 << 20, 'Expect: 100-continue\r\n'))
    await until(() => c.bytes.includes('100 Continue'), 'the head to be taken')
  }
  assert.equal((await s.post(1)).body, '1')
  const posted = await client.get('/', { method: 'POST', body: 'x' })
  assert.equal(posted.status, 200)
  assert.equal(posted.body, '1')
  s.held.open()
  assert.equal((await held).status, 200)
  assert.equal(client.goaway, undefined)
  for (const c of heads) c.socket.destroy()
})

test('9.5 DATA that is announced for a stream that is over takes no room', async (t) => {
  const s = await start(t, '{request_bodies: 16MiB}')
  const c = await rawH2(t, s.secure)
  const noPath = headers(1, { ':method': 'POST', ':path': undefined }, false)
  const announced = Buffer.from([0xff, 0xff, 0xfe, FRAME.DATA, 0, 0, 0, 0, 1])
  c.send(Buffer.concat([noPath, announced]))
  await until(() => c.frames().some((f) => f.type === FRAME.RST_STREAM && f.stream === 1), 'the stream to be reset')
  for (let i = 0; i < 3; i++) assert.equal((await s.post(100000)).body, '100000')
  c.socket.destroy()
})

test('9.5 a body for which there is no room is answered 503; over HTTP/2 that is its stream\'s matter alone', async (t) => {
  const s = await start(t, '{request_bodies: 64KiB, request_body: 48KiB}')
  const client = await h2(t, s.secure)
  const held = client.get('/held')
  await until(() => s.origin.now === 1, 'the render')
  let slow
  const hold = async () => {
    slow = await raw(t, s.v.port)
    slow.send(head(40001) + 'x'.repeat(40000))
  }
  await hold()
  await until(async () => {
    if (slow.bytes.length) await hold() // the other one was there before it
    return (await s.post(30000)).status === 503
  }, 'the body to be counted')
  const renders = s.origin.requests.length
  const over = () => client.get('/', { method: 'POST', body: 'x'.repeat(30000) })
  const refused = await over() // its second frame has no room
  assert.equal(refused.status, 503)
  assert.equal(JSON.parse(refused.body).status, 503)
  assert.equal(refused.headers['content-type'], 'application/problem+json')
  const all = await Promise.all(Array.from({ length: 30 }, over))
  assert.ok(all.every((res) => res.status === 503))
  assert.equal((await client.get('/', { method: 'POST', body: 'x'.repeat(100) })).body, '100')
  assert.equal(s.origin.requests.length, renders + 1)
  slow.send('x')
  assert.equal((await slow.answer()).body, '40001')
  // given back when the request is freed, which may be just after its answer was read
  await until(async () => (await s.post(30000)).body === '30000', 'the bytes to be given back')
  assert.equal((await over()).body, '30000')
  s.held.open()
  assert.equal((await held).status, 200)
  assert.equal(client.goaway, undefined)
})

test('limits.stall: a body that stops is given up, however much of it came before', async (t) => {
  const s = await start(t, '{stall: 1s}')
  const part = Buffer.alloc(16384, 'x')
  const one = await raw(t, s.v.port)
  one.send(head(2 << 20) + 'x'.repeat(1 << 20))
  const chunked = await raw(t, s.v.port)
  chunked.send(`POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n${'x'.repeat(1 << 20)}`)
  const two = await rawH2(t, s.secure)
  two.send(Buffer.concat([headers(1, { ':method': 'POST' }, false), ...Array(64).fill(frame(FRAME.DATA, 0, 1, part))]))
  const inFrame = await rawH2(t, s.secure) // the last frame is announced, and never ends
  inFrame.send(Buffer.concat([headers(1, { ':method': 'POST' }, false), ...Array(64).fill(frame(FRAME.DATA, 0, 1, part)),
    frame(FRAME.DATA, 1, 1, part).subarray(0, 100)]))
  for (const c of [one, chunked, two, inFrame]) await until(() => c.isOver, 'the end of a body that stopped')
  for (const c of [one, chunked]) assert.equal(c.answers()[0].status, 408)
  assert.equal(s.origin.requests.length, 0)
  await until(async () => (await s.v.metric('varve_client_timeouts_total')) >= 2, 'them to be counted')
})

test('9.5 one address fills no more than leaves a share of request_bodies to others; a trusted proxy has no share', async (t) => {
  const s = await start(t, '{request_bodies: 64KiB, request_body: 8KiB, per_client: 25%}')
  const flood = []
  for (let i = 0; i < 8; i++) flood.push(await s.upload('198.51.100.7', 8000, 7900))
  await until(() => flood.filter((c) => c.answers()[0]?.status === 503).length === 2, 'what is more than three quarters to be refused')
  const visitors = []
  for (let i = 0; i < 2; i++) visitors.push(await s.upload('203.0.113.9', 8000, 8000))
  for (const c of visitors) assert.equal((await c.answer()).body, '8000')
  assert.equal((await s.post(8000)).body, '8000', 'loopback is trusted')
  const more = await s.upload('198.51.100.7', 8000, 8000)
  assert.equal((await more.answer()).status, 503)
  for (const c of flood) c.send('x'.repeat(100))
  for (const c of flood) assert.match((await c.answer()).line, /200|503/)
  const again = async () => (await (await s.upload('198.51.100.7', 8000, 8000)).answer()).status === 200
  await until(again, 'the bytes to be given back')
})
