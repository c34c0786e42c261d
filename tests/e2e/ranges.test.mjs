// Ranges in this version: a hit is the whole 200 (RFC 9110 §14.2 allows it); a miss is the origin's own answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer, varve } from './lib.mjs'

const film = '0123456789'.repeat(100)

function answer(req, res) {
  const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '')
  const headers = { 'content-type': 'video/mp4', 'cache-control': 'max-age=60', 'accept-ranges': 'bytes' }
  if (!range) return res.writeHead(200, headers).end(film)
  const [from, to] = range.slice(1).map(Number)
  res.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${to}/${film.length}` })
  res.end(film.slice(from, to + 1))
}

test('4.1 a Range request that misses is a pass with its Range, and is not stored', async (t) => {
  const origin = await renderer(t, answer)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const part = await v.get('/film.mp4', { range: 'bytes=10-19' })
  assert.equal(part.status, 206)
  assert.equal(part.body, '0123456789')
  assert.equal(part.headers['content-range'], 'bytes 10-19/1000')
  assert.equal(outcome(part), 'bypass')
  assert.equal(origin.requests[0].headers.range, 'bytes=10-19')
  const whole = await v.get('/film.mp4')
  assert.equal(whole.status, 200)
  assert.equal(whole.body, film)
  assert.equal(outcome(whole), 'uri-miss')
})

test('a Range request that hits is answered with the whole 200', async (t) => {
  const origin = await renderer(t, answer)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/film.mp4')
  const part = await v.get('/film.mp4', { range: 'bytes=10-19' })
  assert.equal(part.status, 200)
  assert.equal(part.body, film)
  assert.equal(outcome(part), 'hit')
  assert.equal(origin.requests.length, 1)
})
