// The main job in one story: rendered once, served to everybody, kept over a restart, purged, stale when the renderer is gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, page, renderer, varve } from './lib.mjs'

test('a page is rendered once, and a purge brings the new one', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const first = await v.get('/news')
  assert.equal(first.body, 'render 1')
  assert.equal(outcome(first), 'uri-miss')
  const second = await v.get('/news')
  assert.equal(second.body, 'render 1')
  assert.equal(outcome(second), 'hit')
  assert.ok(Number(second.headers.age) >= 0)

  const purged = await v.cli('purge', `${v.url}/news`)
  assert.equal(purged.code, 0, purged.stderr)
  assert.equal((await v.get('/news')).body, 'render 2')
})

test('the cache is there after a stop and after kill -9', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/kept')
  await v.stop()
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 1')
  await v.stop('SIGKILL')
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 1')
})

test('a renderer that is gone: stale, and 503 where nothing is stored', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=0, stale-if-error=60' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/a')
  await origin.stop()
  const stale = await v.get('/a')
  assert.equal(stale.status, 200)
  assert.equal(stale.body, 'render 1')
  const none = await v.get('/b')
  assert.equal(none.status, 503)
  assert.ok(none.headers['retry-after'])
})
