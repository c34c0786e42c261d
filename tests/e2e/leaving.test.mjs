// Clients that leave at the worst moment: nothing of theirs is looked at when their request is no more (the sanitizers say so).
import assert from 'node:assert/strict'
import http2 from 'node:http2'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { http2Client, page, renderer, tempDir, tlsListener, varve } from './lib.mjs'

const PAGES = 400
const A_SECOND = 16 /* so many resets of one connection are no flood */

/** Asks for some pages, each given up as soon as its head has left. */
async function resetAtOnce(t, v, port, first) {
  const { session, settled } = await http2Client(t, v, port)
  const always = { ':authority': `127.0.0.1:${v.port}`, 'x-forwarded-proto': 'http' }
  for (let n = first; n < first + A_SECOND; n++) {
    const stream = session.request({ ...always, ':path': `/${n}` })
    stream.on('error', () => {})
    stream.resume()
    await new Promise((resolve) => (n % 2 ? setImmediate(resolve) : setTimeout(resolve, 1)))
    stream.close(http2.constants.NGHTTP2_CANCEL)
  }
  await settled()
  session.destroy()
}

test('3.4 streams that are reset while their page is read from the disk', { timeout: 120000 }, async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `page ${req.url} ` + 'x'.repeat(20000), { 'cache-control': 'max-age=600' }))
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const store = 'store: {path: $DIR/store, size: 64MiB, memory: 1MiB}' /* so most pages are on disk only */
  const v = await varve(t, `${tls.yaml}${store}\nrenderer: ${origin.url}\nroutes: [{match: "/**"}]\n`, { dir })
  for (let n = 0; n < PAGES; n++) assert.equal((await v.get(`/${n}`)).status, 200)
  await v.stop()
  await v.start() /* and not even their keys are in memory */
  const pid = v.workerPid()
  for (let first = 0; first < PAGES; first += A_SECOND) await resetAtOnce(t, v, tls.port, first)
  assert.equal((await v.get('/1')).body.slice(0, 7), 'page /1')
  assert.equal(v.workerPid(), pid, 'the worker lives')
})

test('3.4, 4.7 streams that are reset while their page is decoded', { timeout: 120000 }, async (t) => {
  const text = 'coded by the renderer. '.repeat(100000)
  const coded = zlib.gzipSync(text, { level: 1 })
  const headers = { 'content-encoding': 'gzip', 'cache-control': 'max-age=600' }
  const origin = await renderer(t, (req, res) => page(res, coded, headers))
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (let n = 0; n < A_SECOND; n++) await v.get(`/${n}`, { 'accept-encoding': 'gzip' })
  const pid = v.workerPid()
  await resetAtOnce(t, v, tls.port, 0)
  for (let n = 0; n < A_SECOND; n++) assert.equal((await v.get(`/${n}`)).body, text)
  assert.equal(origin.requests.length, A_SECOND)
  assert.equal(v.workerPid(), pid, 'the worker lives')
})
