// HTTP/2 through the whole of varve: many streams, flow control, streams that are reset, and clients that reset for a living.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { freePort, gate, outcome, page, renderer, tempDir, until, varve } from './lib.mjs'
import { FRAME, frame, headers, rawH2, reset } from './h2-frames.mjs'
import { certificate, h2 } from './wire.mjs'

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex')
const fresh = { 'cache-control': 'max-age=60' }

async function start(t, handler, more = 'routes: [{match: "/**"}]\n') {
  const port = await freePort()
  const origin = await renderer(t, handler)
  const { yaml } = certificate(tempDir(t), 'a.example')
  const list = `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\n`
  const origins = `origins: {renderer: {workers: ["${origin.url}"], slots: 200}}\n`
  const v = await varve(t, `${list}${origins}${more}`)
  return { port, origin, v }
}

test('100 streams at a time on one connection, each with its own answer, all rendered at once', async (t) => {
  const all = gate()
  const { port, origin } = await start(t, async (req, res) => {
    await all.promise
    page(res, `for ${req.url}`, fresh)
  })
  const client = await h2(t, port)
  const answers = Array.from({ length: 100 }, (_, i) => client.get(`/${i}`))
  await until(() => origin.now === 100, '100 renders')
  all.open()
  for (const [i, res] of (await Promise.all(answers)).entries()) assert.equal(res.body, `for /${i}`)
  const again = await Promise.all(Array.from({ length: 300 }, (_, i) => client.get(`/${i % 100}`)))
  assert.ok(again.every((res, i) => res.body === `for /${i % 100}` && outcome(res) === 'hit'))
  assert.equal(origin.requests.length, 100)
  assert.equal(client.goaway, undefined)
})

test('a big answer under flow control: a stream that does not read holds up no other, and gets every byte in the end', async (t) => {
  const big = Buffer.alloc(6 << 20)
  for (let i = 0; i < big.length; i += 4) big.writeUInt32LE(i, i)
  const { port } = await start(t, (req, res) => page(res, req.url === '/big' ? big : 'small', fresh))
  const client = await h2(t, port)
  const stopped = client.session.request({ ':path': '/big' })
  await new Promise((resolve) => stopped.once('response', resolve)) // nobody reads it: 64 KiB of window and no more
  for (let i = 0; i < 20; i++) assert.equal((await client.get('/small')).body, 'small')
  const other = await (await h2(t, port)).get('/big')
  assert.equal(sha(other.bytes), sha(big))
  const chunks = []
  stopped.on('data', (chunk) => chunks.push(chunk))
  await new Promise((resolve) => stopped.once('end', resolve))
  assert.equal(sha(Buffer.concat(chunks)), sha(big))
  const hits = await Promise.all(Array.from({ length: 8 }, () => client.get('/big')))
  assert.ok(hits.every((res) => outcome(res) === 'hit' && sha(res.bytes) === sha(big)))
})

test('3.4 a stream reset in the middle of a body: the others go on, the page is stored, a pass is given up', async (t) => {
  const rest = gate()
  const closed = gate()
  const { port, origin } = await start(t, async (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', ...(req.url === '/page' ? fresh : { 'cache-control': 'no-store' }) })
    res.write('first ')
    if (req.url === '/endless') {
      const timer = setInterval(() => res.write('x'.repeat(65536)), 1)
      return res.on('close', () => (clearInterval(timer), closed.open()))
    }
    await rest.promise
    res.end('and last')
  })
  const client = await h2(t, port)
  const resetAtData = { onData: (chunk, stream) => stream.close(http2.constants.NGHTTP2_CANCEL) }
  const gone = client.get('/page', resetAtData)
  const stays = client.get('/page')
  assert.equal((await gone).aborted, true)
  rest.open()
  assert.equal((await stays).body, 'first and last')
  assert.equal((await client.get('/endless', resetAtData)).aborted, true)
  await closed.promise
  assert.equal(outcome(await client.get('/page')), 'hit')
  assert.equal(origin.requests.filter((r) => r.url === '/page').length, 1)
  assert.equal(client.goaway, undefined)
})

test('a reset upload never reaches the renderer', async (t) => {
  const { port, origin } = await start(t, (req, res, n, body) => page(res, body))
  const c = await rawH2(t, port)
  const post = (stream, path) => headers(stream, { ':method': 'POST', ':path': path }, false)
  c.send(Buffer.concat([post(1, '/upload'), frame(FRAME.DATA, 0, 1, Buffer.from('half of it'))]))
  c.send(Buffer.concat([reset(1), post(3, '/other'), frame(FRAME.DATA, 1, 3, Buffer.from('whole'))]))
  // a head, its body and its reset in one read: begun and over before any work
  c.send(Buffer.concat([post(5, '/in-one'), frame(FRAME.DATA, 1, 5, Buffer.from('whole')), reset(5), headers(7, { ':path': '/last' }, true)]))
  await until(() => [3, 7].every((stream) => c.frames().some((f) => f.stream === stream && f.flags & 1)), 'the answers')
  assert.deepEqual(origin.requests.map((r) => r.url).sort(), ['/last', '/other'])
  c.socket.destroy()
})

test('RFC 9110 §10.1.1 Expect: 100-continue over HTTP/2: the body is asked for, and one over the limit is refused unsent', { timeout: 120000 }, async (t) => {
  const { port, origin } = await start(t, (req, res, n, body) => page(res, `got ${body}`), 'limits: {request_body: 1KiB}\nroutes: [{match: "/**"}]\n')
  const { session } = await h2(t, port)
  const ask = (length) => session.request({ ':method': 'POST', ':path': '/', ':authority': 'a.example', expect: '100-continue', 'content-length': length })
  const asked = ask(5)
  await once(asked, 'continue')
  assert.equal(origin.requests.length, 0)
  asked.end('hello')
  const [{ ':status': status }] = await once(asked, 'response')
  assert.equal(status, 200)
  assert.equal(await text(asked), 'got hello')
  const refused = ask(2000)
  refused.on('continue', () => assert.fail('it is not wanted'))
  const [{ ':status': verdict }] = await once(refused, 'response')
  assert.equal(verdict, 413)
  assert.equal(origin.requests.length, 1)
  refused.close()
})

test('9.5 rapid reset: the flood is cut, few of its requests reach the renderer, and another client loses no hit', async (t) => {
  const { port, origin, v } = await start(t, (req, res) => page(res, 'page', fresh))
  await v.get('/')
  const good = await h2(t, port)
  assert.equal((await good.get('/hot')).status, 200)
  const before = origin.requests.length
  let isOver = false
  let floods = 0
  const flooding = (async () => {
    while (!isOver) {
      const flood = await rawH2(t, port)
      /* no more than what is read behind a GOAWAY: a reset may overtake it otherwise */
      for (let i = 0; i < 300 && !flood.socket.destroyed; i += 10) {
        const pairs = Array.from({ length: 10 }, (_, k) => [headers(2 * (i + k) + 1, { ':path': `/cold-${i + k}` }, true), reset(2 * (i + k) + 1)])
        flood.send(Buffer.concat(pairs.flat()))
        await new Promise(setImmediate)
      }
      await flood.ended
      const goaway = flood.frames().find((f) => f.type === FRAME.GOAWAY)
      assert.equal(goaway?.payload.readUInt32BE(4), http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
      floods++
    }
  })()
  for (let i = 0; i < 100; i++) assert.equal(outcome(await good.get('/hot')), 'hit')
  isOver = true
  await flooding
  assert.equal(await v.metric('varve_http2_floods_total'), floods)
  assert.ok(origin.requests.length - before <= 20 * floods, `${origin.requests.length - before} renders of ${floods} floods`)
  assert.equal(outcome(await good.get('/hot')), 'hit')
  assert.equal(good.goaway, undefined)
})

test('a reload says GOAWAY, and what is under way ends well', async (t) => {
  const held = gate()
  const { port, v, origin } = await start(t, async (req, res) => {
    if (req.url === '/held') await held.promise
    page(res, req.url, fresh)
  })
  const client = await h2(t, port)
  const waiting = client.get('/held')
  await until(() => origin.now === 1, 'the render')
  assert.equal((await v.cli('reload')).code, 0)
  await until(() => client.goaway !== undefined, 'GOAWAY')
  assert.equal(client.goaway, http2.constants.NGHTTP2_NO_ERROR)
  assert.equal((await (await h2(t, port)).get('/new')).body, '/new')
  held.open()
  assert.equal((await waiting).body, '/held')
  await until(() => client.isOver, 'the old connection to end')
})
