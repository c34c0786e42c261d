// Via (RFC 9110 §7.6.3) in both directions, and what becomes of a request that comes back to varve.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { h2 } from './wire.mjs'
import { page, renderer, tempDir, tlsListener, until, varve } from './lib.mjs'

const MINUTE = { 'cache-control': 'max-age=60' }
const POST = { method: 'POST', body: 'a=1' }

test('9110 §7.6.3 an origin sees what a request came through: passes the client’s version, fills always the same', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers.via ?? 'none', { ...MINUTE, via: '1.0 inner' }))
  const dir = tempDir(t)
  const listener = await tlsListener(dir)
  const v = await varve(t, `renderer: ${origin.url}\n${listener.yaml}routes: [{match: "/sealed/*", ttl: 1m}, {match: "/**"}]\n`, { dir })
  const client = await h2(t, listener.port)
  const via = { via: '1.1 cdn (a, b)' }
  for (const [get, path, headers, more, seen] of [
    [v.get, '/post', {}, POST, '1.1 varve'],
    [v.get, '/post', via, POST, '1.1 cdn (a, b), 1.1 varve'],
    [v.get, '/mine', { ...via, cookie: 'sid=1' }, {}, '1.1 cdn (a, b), 1.1 varve'],
    [v.get, '/sealed/a', via, {}, '1.1 varve'],
    [v.get, '/open', via, {}, '1.1 cdn (a, b), 1.1 varve'],
  ]) {
    const res = await get(path, headers, more)
    assert.equal(res.body, seen, path)
    assert.equal(res.headers.via, '1.0 inner, 1.1 varve')
  }
  for (const [path, more, seen] of [
    ['/post', { ...POST, headers: via }, '1.1 cdn (a, b), 2.0 varve'],
    ['/sealed/b', { headers: via }, '1.1 varve'],
    ['/open/b', {}, '1.1 varve'],
  ])
    assert.equal((await client.get(path, more)).body, seen, path)
})

test('a renderer that varies by Via is believed: one page for each way', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers.via, { vary: 'via' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", ttl: 1m}]\n`)
  for (let round = 0; round < 2; round++) {
    assert.equal((await v.get('/', { via: '1.1 cdn' })).body, '1.1 cdn, 1.1 varve')
    assert.equal((await v.get('/')).body, '1.1 varve')
  }
  assert.ok(origin.requests.length <= 3)
})

test('9110 §7.6.3 an origin that leads back to varve: 508 after a few rounds, and varve serves on', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'fine', MINUTE))
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"]}, circle: {workers: ["http://127.0.0.1:$PORT"]}}\n` +
    'routes: [{match: "/circle/**", origin: circle}, {match: "/**", origin: renderer}]\n')
  const res = await v.get('/circle/a', {}, POST)
  assert.equal(res.status, 508)
  assert.match(res.body, /circles/)
  assert.equal(res.headers['cache-control'], 'no-store')
  await until(() => v.accessLog().length === 7, 'each round in the log')
  assert.ok(v.accessLog().every((line) => line.status === 508))
  assert.equal((await v.get('/')).body, 'fine')
})

test('3.1 a fill that comes back to varve waits for itself, until first_byte: then an error, once for all', async (t) => {
  const v = await varve(t, 'origins: {circle: {workers: ["http://127.0.0.1:$PORT"], timeouts: {first_byte: 1s}}}\n' +
    'routes: [{match: "/sealed/*", ttl: 1m}, {match: "/**"}]\n')
  for (const path of ['/sealed/a', '/open']) assert.ok([502, 503, 504].includes((await v.get(path)).status), path)
  await until(async () => (await v.metric('varve_flights')) === 0, 'no flight to be left')
})
