// A renderer that hangs and is started anew behind a connection whose end nobody sees (semantics 7.5).
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { freePort, until, varve } from './lib.mjs'

/** Listens at `port`; `/hang` is never answered. `connections`: how many ever came; `unlisten()` lets those that are there live on. */
async function listener(t, port, name) {
  const l = { connections: 0, urls: [], ended: 0 }
  const server = http.createServer((req, res) => {
    l.urls.push(req.url)
    req.socket.on('close', () => (l.ended += req.url === '/hang' ? 1 : 0))
    if (req.url !== '/hang') res.end(name)
  })
  server.on('connection', () => l.connections++)
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', resolve))
  l.unlisten = () => server.close()
  t.after(() => (server.close(), server.closeAllConnections()))
  return l
}

test('7.5 a stuck slot is free when a connect is refused and a later one succeeds, and not when one succeeds', async (t) => {
  const port = await freePort()
  const old = await listener(t, port, 'old')
  const v = await varve(t, `origins: {renderer: {workers: ["http://127.0.0.1:${port}"], slots: 1, retries: 0, slot_max: 1s, timeouts: {first_byte: 1s}, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  const worker = async () => JSON.parse((await v.admin('GET', '/v1/slots')).body).workers[0]
  assert.equal((await v.get('/hang')).status, 503)
  await until(() => old.connections >= 3, 'two connects without a request')
  assert.equal((await worker()).state, 'quarantined', 'they have proved nothing')
  assert.deepEqual(old.urls, ['/hang'])
  old.unlisten()
  await until(async () => (await worker()).state === 'down', 'a connect to be refused')
  assert.equal((await worker()).busy, 1, 'nor does a refusal alone')
  const fresh = await listener(t, port, 'new')
  await until(async () => (await v.get('/page')).body === 'new', 'the new one to be asked')
  assert.equal(old.ended, 1, 'the old connection was closed by varve')
  assert.deepEqual(old.urls, ['/hang'])
  await until(() => /a slot is free again/.test(v.log), 'the log to tell')
  assert.ok(fresh.urls.includes('/page'))
})
