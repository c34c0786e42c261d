// Ranges (RFC 9110 §14): a hit gives the parts that were asked for; a miss is the origin's own answer (semantics 4.1).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { outcome, renderer, varve } from './lib.mjs'

const film = '0123456789'.repeat(100)

function answer(req, res) {
  const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '')
  const headers = { 'content-type': 'video/mp4', 'cache-control': 'max-age=60', 'accept-ranges': 'bytes', etag: '"film"', 'x-own': 'kept' }
  if (!range) return res.writeHead(200, headers).end(film)
  const [from, to] = range.slice(1).map(Number)
  res.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${to}/${film.length}` })
  res.end(film.slice(from, to + 1))
}

async function filmServer(t, policy = 'routes: [{match: "/**"}]\n') {
  const origin = await renderer(t, answer)
  const v = await varve(t, `renderer: ${origin.url}\n${policy}`)
  return { origin, v }
}

test('4.1 a Range request that misses is a pass with its Range, and is not stored', async (t) => {
  const { origin, v } = await filmServer(t)
  const part = await v.get('/film.mp4', { range: 'bytes=10-19' })
  assert.equal(part.status, 206)
  assert.equal(part.body, '0123456789')
  assert.equal(part.headers['content-range'], 'bytes 10-19/1000')
  assert.equal(outcome(part), 'uri-miss')
  assert.equal(origin.requests[0].headers.range, 'bytes=10-19')
  const whole = await v.get('/film.mp4')
  assert.equal(whole.status, 200)
  assert.equal(whole.body, film)
  assert.equal(outcome(whole), 'uri-miss')
})

test('http-caching §6 a Range request that hits gets its bytes, other stored fields unchanged', async (t) => {
  const { origin, v } = await filmServer(t)
  const whole = await v.get('/film.mp4')
  const rows = [
    ['bytes=10-19', film.slice(10, 20), 'bytes 10-19/1000'],
    ['bytes=995-', film.slice(995), 'bytes 995-999/1000'],
    ['bytes=-3', film.slice(-3), 'bytes 997-999/1000'],
    ['bytes=990-5000', film.slice(990), 'bytes 990-999/1000'],
    ['bytes=0-', film, 'bytes 0-999/1000'],
  ]
  for (const [range, body, contentRange] of rows) {
    const part = await v.get('/film.mp4', { range })
    assert.equal(part.status, 206, range)
    assert.equal(part.body, body)
    assert.equal(part.headers['content-range'], contentRange)
    assert.equal(part.headers['content-length'], String(body.length))
    for (const name of ['content-type', 'etag', 'x-own', 'cache-control', 'date'])
      assert.equal(part.headers[name], whole.headers[name])
    assert.equal(outcome(part), 'hit')
  }
  assert.equal(origin.requests.length, 1)
})

test('RFC 9110 §14.6 several ranges come as multipart/byteranges', async (t) => {
  const { v } = await filmServer(t)
  await v.get('/film.mp4')
  const parts = await v.get('/film.mp4', { range: 'bytes=0-3, 5000-6000, -4' })
  assert.equal(parts.status, 206)
  assert.equal(parts.headers['content-range'], undefined)
  const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(parts.headers['content-type'])[1]
  assert.equal(parts.body,
    `\r\n--${boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-3/1000\r\n\r\n0123` +
    `\r\n--${boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes 996-999/1000\r\n\r\n6789` +
    `\r\n--${boundary}--\r\n`)
  assert.equal(parts.headers['content-length'], String(parts.body.length))
})

test('RFC 9110 §15.5.17 what lies behind the end is a 416 that no cache keeps', async (t) => {
  const { v } = await filmServer(t)
  await v.get('/film.mp4')
  const none = await v.get('/film.mp4', { range: 'bytes=1000-' })
  assert.equal(none.status, 416)
  assert.equal(none.body, '')
  assert.equal(none.headers['content-range'], 'bytes */1000')
  assert.equal(none.headers['cache-control'], 'no-store')
  assert.equal(none.headers.etag, undefined)
})

test('RFC 9110 §14.2 ranges that cannot be read, too many, or more than the whole get the 200', async (t) => {
  const { v } = await filmServer(t)
  await v.get('/film.mp4')
  const many = Array.from({ length: 9 }, (_, i) => `${i}-${i}`).join(',')
  for (const range of ['bytes=5-2', 'lines=1-2', `bytes=${many}`, 'bytes=0-,0-'])
    assert.equal((await v.get('/film.mp4', { range })).body, film, range)
})

test('RFC 9110 §13.1.5 If-Range: the part only if it is of the same representation', async (t) => {
  const { v } = await filmServer(t)
  await v.get('/film.mp4')
  assert.equal((await v.get('/film.mp4', { range: 'bytes=0-1', 'if-range': '"film"' })).status, 206)
  assert.equal((await v.get('/film.mp4', { range: 'bytes=0-1', 'if-range': '"other"' })).status, 200)
  assert.equal((await v.get('/film.mp4', { range: 'bytes=0-1', 'if-range': 'W/"film"' })).status, 200)
})

test('RFC 9110 §13.2.2 If-None-Match comes before Range; HEAD has no ranges', async (t) => {
  const { v } = await filmServer(t)
  await v.get('/film.mp4')
  assert.equal((await v.get('/film.mp4', { range: 'bytes=0-1', 'if-none-match': '"film"' })).status, 304)
  const head = await v.get('/film.mp4', { range: 'bytes=0-1' }, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], '1000')
})

test('4.7 ranges are of the identity body, whatever coding the renderer sent', async (t) => {
  const page = 'a page that says the same thing over and over. '.repeat(50)
  const origin = await renderer(t, (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=60', 'content-encoding': 'gzip', etag: '"page"' })
    res.end(gzipSync(page))
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const coded = { 'accept-encoding': 'gzip' }
  const whole = await v.get('/page', coded)
  assert.equal(whole.headers['content-encoding'], 'gzip')
  assert.equal(gunzipSync(whole.bytes).toString(), page)
  const part = await v.get('/page', { ...coded, range: 'bytes=2-5' })
  assert.equal(part.status, 206)
  assert.equal(part.body, page.slice(2, 6))
  assert.equal(part.headers['content-encoding'], undefined)
  assert.equal(part.headers.etag, 'W/"page"')
  assert.equal(part.headers['content-range'], `bytes 2-5/${page.length}`)
})

test('a part of a stale film comes from what was revalidated', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.headers['if-none-match']) return res.writeHead(304, { etag: '"film"' }).end()
    res.writeHead(200, { 'content-type': 'video/mp4', 'cache-control': 'no-cache', etag: '"film"' }).end(film)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/film.mp4')
  const part = await v.get('/film.mp4', { range: 'bytes=1-2' })
  assert.equal(part.status, 206)
  assert.equal(part.body, '12')
  assert.equal(origin.requests[1].headers.range, undefined)
})
