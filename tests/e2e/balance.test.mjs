// Which worker a request goes to, and where it goes when that one breaks off: requests are balanced, not connections, and at most
// one render is begun twice (semantics 7.7; renderers A8, A17, G10).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { all, gate, http2Client, page, rawOrigin, renderer, request, tempDir, tlsListener, until, varve } from './lib.mjs'
import { raw } from './wire.mjs'
import { policy as spawned, load, ready, said } from './spawning.mjs'

const policy = (workers, more = '') =>
  `origins: {renderer: {workers: [${workers.map((w) => `"${w.url}"`).join(', ')}], slots: 1${more}}}\nroutes: [{match: "/**", cache: never}]\n`

test('A8 one keep-alive connection, four workers: each request goes to the one that was idle longest', async (t) => {
  const workers = await all(4, () => renderer(t, (req, res) => page(res, 'page')))
  const v = await varve(t, policy(workers))
  const connection = await raw(t, v.port)
  const ask = async (n) => {
    connection.send(`GET /${n} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
    assert.equal((await connection.answer(n)).status, 200)
  }
  for (let n = 1; n <= 4; n++) await ask(n)
  assert.deepEqual(workers.map((w) => w.requests.length), [1, 1, 1, 1])
  for (let n = 5; n <= 12; n++) await ask(n)
  assert.ok(workers.every((w) => w.requests.length > 1), 'and so on')
})

test('A8 one HTTP/2 connection, four workers, four requests at a time: one each', async (t) => {
  const gates = []
  const workers = await all(4, () => renderer(t, async (req, res) => {
    gates.push(gate())
    await gates.at(-1).promise
    page(res, req.url)
  }))
  const dir = tempDir()
  const tls = await tlsListener(dir)
  const v = await varve(t, tls.yaml + policy(workers), { dir })
  const client = await http2Client(t, v, tls.port)
  const answers = [0, 1, 2, 3].map((i) => client.get(`/${i}`))
  await until(() => gates.length === 4, 'four renders at a time')
  assert.deepEqual(workers.map((w) => w.now), [1, 1, 1, 1])
  for (const g of gates) g.open()
  assert.deepEqual((await Promise.all(answers)).map((res) => res.body), ['/0', '/1', '/2', '/3'])
})

/** A worker that closes each connection when it has got a request, in the middle of the answer if `half` is one. */
const breaking = (t, half) => rawOrigin(t, (socket) => (half ? socket.write(half, () => socket.destroy()) : socket.destroy()))

test('A17 a worker breaks off before its first byte: GET and HEAD go to another one once, POST never', async (t) => {
  const workers = [await breaking(t), await breaking(t), await renderer(t, (req, res) => page(res, 'page'))]
  const v = await varve(t, policy(workers, ', balance: first'))
  const asked = () => workers.map((w) => w.requests.length ?? w.requests)
  assert.equal((await v.get('/twice')).status, 503)
  assert.deepEqual(asked(), [1, 1, 0], 'asked for twice, and not a third time')
  assert.equal((await request(`${v.url}/post`, { method: 'POST', body: 'a=1' })).status, 503)
  assert.deepEqual(asked(), [2, 1, 0])
  v.write(policy([workers[0], workers[2]], ', balance: first'))
  assert.equal((await v.cli('reload')).code, 0)
  for (const method of ['GET', 'HEAD']) assert.equal((await request(`${v.url}/${method}`, { method })).status, 200)
  assert.deepEqual(asked(), [4, 1, 2])
  assert.equal((await request(`${v.url}/post`, { method: 'POST', body: 'a=1' })).status, 503)
  assert.deepEqual(asked(), [5, 1, 2])
})

test('A17 an asset, too, is asked for at another worker once and not a third time; nothing makes it deadly', async (t) => {
  const workers = [await breaking(t), await breaking(t), await renderer(t, (req, res) => page(res, 'asset'))]
  const v = await varve(t, policy(workers, ', balance: first').replace('cache: never', 'cache: never, assets: true'))
  assert.equal((await v.get('/asset.js')).status, 503)
  assert.deepEqual(workers.map((w) => w.requests.length ?? w.requests), [1, 1, 0])
})

test('A17 behind the first byte nothing is asked for again, whatever the method', async (t) => {
  const half = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nhalf of it'
  const workers = [await breaking(t, half), await renderer(t, (req, res) => page(res, 'page'))]
  const v = await varve(t, policy(workers, ', balance: first'))
  for (const method of ['GET', 'POST']) {
    const res = await request(`${v.url}/${method}`, { method })
    assert.ok(res.aborted || res.status >= 502, `${method}: ${res.status}`)
  }
  assert.equal(workers[0].requests, 2)
  assert.equal(workers[1].requests.length, 0)
})

test('G10 processes that die in every thirtieth render, under load: no request fails', async (t) => {
  const v = await varve(t, spawned({ spawn: 'workers: 3, env: {DIES_AT: "30"}' }))
  await ready(v, 3)
  const clients = load(v, 4, (i, n) => `/?page=${i}-${n}`)
  await until(() => said(v, 'renderer died').length >= 6, 'six to have died', 60000)
  const { bad, good } = await clients.stop()
  assert.deepEqual(bad, [])
  assert.ok(good >= 6 * 29)
})
