// HTTP/2 to the frame: the corpus of right and wrong requests with a renderer behind.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { freePort, gate, rawOrigin, tempDir, until, varve } from './lib.mjs'
import { FRAME, frame, framesOf, headers, rawH2, statusOf } from './h2-frames.mjs'
import { certificate, recorder, table } from './wire.mjs'

const limits = 'limits: {header_bytes: 4KiB, url: 256B, headers: 20, request_body: 1000B}\n'

async function start(t, answer) {
  const port = await freePort()
  const origin = await recorder(t, answer)
  const { yaml } = certificate(tempDir(t), 'a.example')
  const list = `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\n`
  const v = await varve(t, `${limits}${list}renderer: ${origin.url}\nroutes: [{match: "/**", cache: never}]\n`)
  return { port, origin, v }
}

/** What became of stream `stream`: its status and body, or the code it was reset with. */
function fateOf(c, stream) {
  const of = (type) => c.frames().filter((f) => f.stream === stream && f.type === type)
  const head = of(FRAME.HEADERS).find((f) => statusOf(f.payload) >= 200) // not an interim one
  return {
    status: head && statusOf(head.payload),
    body: Buffer.concat(of(FRAME.DATA).map((f) => f.payload)).toString(),
    isWhole: [head, ...of(FRAME.DATA)].some((f) => f && f.flags & 1),
    resets: of(FRAME.RST_STREAM).map((f) => f.payload.readUInt32BE(0)),
  }
}

const goaway = (c) => c.frames().find((f) => f.type === FRAME.GOAWAY)?.payload.readUInt32BE(4)

/** Sends the frames of a row and a request on stream 101 behind them, `step` bytes at a time. */
async function play(t, port, script, behind, step) {
  const c = await rawH2(t, port)
  const bytes = Buffer.concat([framesOf(script), headers(101, { ':path': behind }, true)])
  c.socket.setNoDelay(true)
  for (let at = 0; at < bytes.length && !c.isOver; at += step) {
    c.send(bytes.subarray(at, at + step))
    if (step < bytes.length) await new Promise(setImmediate)
  }
  await until(() => c.isOver || fateOf(c, 101).isWhole, `the end, or the answer to what is behind: ${script}`)
  return c
}

const STREAM_CLOSED = 5
const ENHANCE_YOUR_CALM = 11
const rows = table('raw_h2.def', 'H2')

for (const [how, step] of [['at once', Infinity], ['in pieces', 13]])
  test(`raw HTTP/2, ${how}: what is refused never reaches the renderer, and what follows it gets its own answer or none`, async (t) => {
    const { port, origin, v } = await start(t, (r) => `HTTP/1.1 200 OK\r\nContent-Length: ${r.url.length}\r\n\r\n${r.url}`)
    assert.ok(rows.length >= 100)
    for (const [name, script, outcome, code] of rows) {
      const before = origin.requests.length
      const behind = `/behind-${before}`
      const c = await play(t, port, script, behind, step)
      const [own, next] = [fateOf(c, 1), fateOf(c, 101)]
      const seen = origin.requests.slice(before)
      const told = `${name}: ${JSON.stringify([own, next.status, goaway(c), seen.map((r) => r.line)])}`
      assert.ok(seen.every((r) => !/smuggled/.test(r.head)), told)
      if (outcome === 'CONNECTION') {
        // who goes on sending may lose it to a reset of the connection
        assert.ok(c.isOver && (goaway(c) === undefined ? c.isReset && step < Infinity : code === 0 || goaway(c) === code), told)
        assert.ok(next.status === undefined && seen.every((r) => r.url !== behind), told)
        continue
      }
      assert.equal(goaway(c), undefined, told)
      assert.deepEqual([next.status, next.body], [200, behind], told)
      if (outcome === 'STREAM') assert.ok(own.resets.includes(code), told)
      else {
        // a body that still comes behind its answer may find the stream gone
        const mayCome = (r) => r === 0 || (r === STREAM_CLOSED && step < Infinity)
        assert.ok(own.status === code && own.isWhole && own.resets.every(mayCome), told)
      }
      const isDoneBefore = outcome === 'STREAM' && code === STREAM_CLOSED && step < Infinity
      if (!isDoneBefore) assert.equal(seen.filter((r) => r.url !== behind).length, code === 200 ? 1 : 0, told)
      if (outcome === 'ANSWERED' && code !== 200) assert.equal(JSON.parse(own.body).status, code, told)
      c.socket.destroy()
    }
    assert.equal(await v.metric('varve_http2_floods_total'), rows.filter((row) => row[3] === ENHANCE_YOUR_CALM).length)
  })

test('HTTP/2: trailers of a request are no fields of it, whatever they are called', async (t) => {
  const { port, origin } = await start(t)
  const c = await play(t, port, 'HEADERS 1 MORE :method=POST|:scheme=https|:path=/|:authority=a.example|cookie=a=b|x-own=yes\n' +
    'DATA 1 OPEN hello\nHEADERS 1 END cookie=c=d|x-trailer=t|x-own=no|content-type=text/evil|x-forwarded-host=evil', '/behind', Infinity)
  const { head, body } = origin.requests.find((r) => r.url === '/')
  assert.equal(body, 'hello')
  assert.deepEqual(head.match(/^(cookie|x-own): .*(?=\r)/gim).map((l) => l.toLowerCase()).sort(), ['cookie: a=b', 'x-own: yes'])
  assert.doesNotMatch(head, /x-trailer|evil/)
  c.socket.destroy()
})

test('HTTP/2: a body over the limit gets its 413 while it is still sent, and the rest takes neither memory nor window', async (t) => {
  const { port, origin } = await start(t)
  const c = await rawH2(t, port)
  const post = (stream) => headers(stream, { ':method': 'POST' }, false)
  const data = frame(FRAME.DATA, 0, 1, Buffer.alloc(16000, 'x'))
  c.send(Buffer.concat([post(1), data]))
  await until(() => fateOf(c, 1).isWhole, 'the answer')
  assert.equal(fateOf(c, 1).status, 413)
  c.send(data)
  await until(() => fateOf(c, 1).resets.length === 1, 'RST_STREAM, as it goes on sending')
  assert.deepEqual(fateOf(c, 1).resets, [0])
  // 3 times what the connection's window holds, on streams of their own and each within its window
  const window = () => c.frames().filter((f) => f.type === FRAME.WINDOW_UPDATE && f.stream === 0).reduce((sum, f) => sum + f.payload.readUInt32BE(0), 0)
  let sent = 32000
  for (let stream = 3; sent < 48 << 20; stream += 2) {
    const more = frame(FRAME.DATA, 0, stream, Buffer.alloc(16000, 'x'))
    c.send(Buffer.concat([post(stream), more]))
    await until(() => fateOf(c, stream).status === 413, `the answer to stream ${stream}`)
    for (let i = 0; i < 250; i++) c.send(more)
    sent += 251 * 16000
    c.send(frame(FRAME.DATA, 1, stream))
    await until(() => sent - window() < 16 << 20, 'the window of the connection to be renewed')
  }
  c.send(headers(1001, { ':path': '/behind' }, true))
  await until(() => fateOf(c, 1001).isWhole, 'the answer to what is behind')
  assert.deepEqual(origin.requests.map((r) => r.url), ['/behind'])
  assert.equal(goaway(c), undefined)
  c.socket.destroy()
})

test('HTTP/2: a header block that goes on behind the GOAWAY of a reload ends its connection, and holds up nobody', async (t) => {
  const held = gate()
  const port = await freePort()
  const origin = await rawOrigin(t, async (socket) => {
    await held.promise
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld')
  })
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `threads: 1\nlisten: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nrenderer: ${origin.url}\nroutes: [{match: "/**", cache: never}]\n`)
  const old = v.workerPid()
  const held1 = headers(1, { ':path': '/held' }, true) // keeps the connection while it drains
  const [c, d, other] = [await rawH2(t, port), await rawH2(t, port), await rawH2(t, port)]
  c.send(Buffer.concat([held1, framesOf('HEADERS 3 LAST :method=GET|:scheme=https|:path=/|:authority=a.example')]))
  d.send(Buffer.concat([held1, framesOf('HEADERS 3 MORE :method=POST|:scheme=https|:path=/|:authority=a.example')]))
  other.send(held1)
  await until(() => origin.requests === 3, 'the renders')
  assert.equal((await v.cli('reload')).code, 0)
  const goaways = (x) => x.frames().filter((f) => f.type === FRAME.GOAWAY).length
  await until(() => [c, d, other].every((x) => goaways(x) === 2), 'the second GOAWAY')
  c.send(framesOf('CONTINUATION 3 MORE x=y'))
  d.send(framesOf('HEADERS 3 LAST x=y\nCONTINUATION 3 MORE x=y'))
  await until(() => c.isOver && d.isOver, 'both to be closed')
  held.open()
  await until(() => fateOf(other, 1).isWhole, 'the answer to the other client')
  await until(() => !existsSync(`/proc/${old}`), 'the old worker to have left')
})

test('RFC 9113 §3.4 a connection that a reload finds before its preface hears SETTINGS first, and is answered', async (t) => {
  const port = await freePort()
  const origin = await rawOrigin(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere'))
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `threads: 1\nlisten: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nrenderer: ${origin.url}\nroutes: [{match: "/**", cache: never}]\n`)
  const [busy, late] = [await rawH2(t, port), await rawH2(t, port, { isSilent: true })]
  const saysGoaway = (c) => c.frames().some((f) => f.type === FRAME.GOAWAY)
  await until(() => busy.frames().length > 0, 'the connection that is open')
  assert.equal((await v.cli('reload')).code, 0)
  await until(() => saysGoaway(busy), 'the drain')
  late.begin()
  late.send(headers(1, {}, true))
  await until(() => fateOf(late, 1).isWhole, 'the answer')
  assert.equal(late.frames()[0].type, FRAME.SETTINGS)
})
