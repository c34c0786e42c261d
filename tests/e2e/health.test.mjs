// Which workers are up, and what varve does about it: slow start, probes, warm-up, drain, mode (semantics 7.5, 7.6; renderers A13, B3, B7, G2).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, page, renderer, until, varve } from './lib.mjs'

const documents = { accept: 'text/html' }

test('7.6, B7 all down, then the first sign of life: one render at a time until one more is answered', async (t) => {
  const port = await freePort()
  const v = await varve(t, `origins: {renderer: {workers: ["http://127.0.0.1:${port}"], slots: 4, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/down', documents)).status, 503)
  const gates = []
  const origin = await renderer(
    t,
    async (req, res) => {
      if (req.url.startsWith('/held')) {
        const g = gate()
        gates.push(g)
        await g.promise
      }
      page(res, `page ${req.url}`, { 'cache-control': 'no-store' })
    },
    { port },
  )
  await until(async () => (await v.get('/first', documents)).status === 200, 'the worker to be tried')
  const held = [0, 1, 2, 3].map((i) => v.get(`/held/${i}`, documents))
  await until(async () => (await v.metric('varve_queue_depth{origin="renderer"}')) === 3, 'three to wait')
  assert.equal(gates.length, 1)
  gates[0].open()
  await until(() => gates.length === 4, 'full weight')
  assert.equal(origin.now, 3)
  for (const g of gates) g.open()
  for (const res of await Promise.all(held)) assert.equal(res.status, 200)
  assert.match(v.log, /worker is down worker=renderer\/0/)
  await until(() => /worker is up[^\n]*worker=renderer\/0/.test(v.log), 'the log to tell')
  assert.equal(await v.metric('varve_worker_changes_total{worker="renderer/0",to="up"}'), 1)
  assert.equal(await v.metric('varve_worker_changes_total{worker="renderer/0",to="down"}'), 1)
})
