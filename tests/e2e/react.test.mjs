// The real thing behind varve: React 19 streaming with Suspense on Express 5 (K26, frameworks).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import express from 'express'
import { createElement as h, Suspense, use } from 'react'
import { renderToPipeableStream } from 'react-dom/server'
import { gate, outcome, until, varve } from './lib.mjs'

const LOREM = 'Lorem ipsum dolor sit amet, consetetur sadipscing elitr. '.repeat(40)

const Late = ({ data }) => h('p', { id: 'late' }, use(data))
const Page = ({ url, data }) =>
  h('html', null, h('head', null, h('title', null, url)), h('body', null,
    h('h1', null, `Page ${url}`), h('p', null, LOREM),
    h(Suspense, { fallback: h('p', null, 'Loading') }, h(Late, { data }))))

/** The site: `data` of a render comes when the test opens the gate of its URL (`gates.get(url)`), and is an error if it says so. */
async function site(t) {
  const s = { renders: [], gates: new Map(), seen: [] }
  const app = express()
  app.use((req, res, next) => {
    s.seen.push({ url: req.url, headers: req.headers })
    next()
  })
  app.get('/plain/:name', (req, res) => {
    s.renders.push(req.url)
    res.set('Cache-Control', 'public, max-age=60').send(`<!doctype html><p>${req.params.name} ${LOREM}`)
  })
  app.get('/account', (req, res) => {
    s.renders.push(req.url)
    res.set('Cache-Control', 'public, max-age=60').send(`<!doctype html><p>Account of ${req.headers.cookie ?? 'nobody'}`)
  })
  app.get('/{*any}', (req, res) => {
    s.renders.push(req.url)
    const { pipe } = renderToPipeableStream(h(Page, { url: req.url, data: s.gates.get(req.url)?.promise ?? Promise.resolve('here') }), {
      onShellReady() {
        res.set({ 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'public, max-age=60' })
        pipe(res)
      },
      onError() {
        res.socket?.destroy() // what a renderer must do: a page that is not whole must not look whole
      },
    })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => (server.closeAllConnections(), server.close()))
  s.url = `http://127.0.0.1:${server.address().port}`
  return s
}

const start = async (t) => {
  const s = await site(t)
  const v = await varve(t, `renderer: ${s.url}\nroutes: [{match: "/account", ttl: 60s}, {match: "/**"}]\n`)
  return { s, v }
}

test('K26 the first bytes reach clients before the render ends; everybody gets identical bytes, which are stored', async (t) => {
  const { s, v } = await start(t)
  const data = gate()
  s.gates.set('/stream', data)
  const began = new Set()
  const answers = Array.from({ length: 20 }, (_, i) => v.get('/stream', {}, { onData: () => began.add(i) }))
  await until(() => began.size === 20, 'everybody to have the beginning')
  assert.equal(s.renders.length, 1)
  const late = v.get('/stream', {}, { onData: () => began.add('late') })
  await until(() => began.has('late'), 'one who came later, too')
  data.open('the late part')
  const got = await Promise.all([...answers, late])
  assert.match(got[0].body, /Page \/stream.*Loading.*the late part.*<\/html>$/s)
  assert.ok(got.every((res) => res.status === 200 && !res.aborted && res.bytes.equals(got[0].bytes)))
  const hit = await v.get('/stream')
  assert.equal(outcome(hit), 'hit')
  assert.ok(hit.bytes.equals(got[0].bytes))
  assert.equal(s.renders.length, 1)
})

test('4.2 an error late in the stream: every client sees that it broke off, and it is not stored', async (t) => {
  const { s, v } = await start(t)
  let fail
  s.gates.set('/broken', { promise: new Promise((_, reject) => (fail = reject)) })
  const began = new Set()
  const answers = Array.from({ length: 5 }, (_, i) => v.get('/broken', {}, { onData: () => began.add(i) }))
  await until(() => began.size === 5, 'everybody to have the beginning')
  fail(new Error('the database is gone'))
  for (const res of await Promise.all(answers)) {
    assert.equal(res.status, 200)
    assert.equal(res.aborted, true)
    assert.match(res.body, /Loading/)
  }
  s.gates.delete('/broken')
  const again = await v.get('/broken')
  assert.notEqual(outcome(again), 'hit')
  assert.match(again.body, /here.*<\/html>$/s)
  assert.equal(s.renders.length, 2)
  assert.equal(outcome(await v.get('/broken')), 'hit')
})

test('the weak ETag of Express: varve answers 304 without a render', async (t) => {
  const { s, v } = await start(t)
  const first = await v.get('/plain/tea')
  const { etag } = first.headers
  assert.match(etag, /^W\//)
  for (const value of [etag, etag.slice(2), `"other", ${etag}`, '*']) {
    const res = await v.get('/plain/tea', { 'if-none-match': value })
    assert.equal(res.status, 304, value)
    assert.equal(res.body, '')
    assert.equal(res.headers.etag, etag)
    assert.match(res.headers['cache-control'], /max-age=60/)
  }
  assert.equal((await v.get('/plain/tea', { 'if-none-match': 'W/"other"' })).status, 200)
  assert.equal(s.renders.length, 1)
})

test('2.6 /account with a session cookie that varve does not know: each has his own, nothing is stored', async (t) => {
  const { s, v } = await start(t)
  const names = ['ann', 'bob', 'ann', 'cleo']
  for (const name of names) {
    const res = await v.get('/account', { cookie: `_ga=GA1.1; connect.sid=${name}` })
    assert.match(res.body, new RegExp(`Account of .*connect.sid=${name}`))
    assert.equal(outcome(res), 'bypass')
  }
  assert.equal(s.renders.length, names.length)
  assert.match((await v.get('/account', { cookie: '_ga=GA1.1' })).body, /Account of nobody/)
  assert.match((await v.get('/account')).body, /Account of nobody/)
  assert.equal(s.renders.length, names.length + 1)
  assert.match((await v.get('/account', { cookie: 'connect.sid=bob' })).body, /sid=bob/)
})

test('4.7 compression is varve\'s: made once, on a hit, with a weak ETag and Vary', async (t) => {
  const { s, v } = await start(t)
  const plain = await v.get('/plain/zip')
  for (const [coding, unpack] of [['br', brotliDecompressSync], ['gzip', gunzipSync]]) {
    const packed = await until(async () => {
      const res = await v.get('/plain/zip', { 'accept-encoding': coding })
      return res.headers['content-encoding'] === coding && res
    }, coding)
    assert.equal(unpack(packed.bytes).toString(), plain.body)
    assert.ok(packed.bytes.length < plain.bytes.length / 2)
    assert.match(packed.headers.vary, /accept-encoding/i)
    assert.match(packed.headers.etag, /^W\//)
    assert.equal(outcome(packed), 'hit')
    assert.equal((await v.get('/plain/zip', { 'accept-encoding': coding, 'if-none-match': packed.headers.etag })).status, 304)
  }
  assert.equal((await v.get('/plain/zip', { 'accept-encoding': 'identity' })).body, plain.body)
  assert.equal(s.renders.length, 1)
})

test('a purge while a page streams: its clients get it whole, and it is not there afterwards', async (t) => {
  const { s, v } = await start(t)
  const data = gate()
  s.gates.set('/news', data)
  let began = false
  const answer = v.get('/news', {}, { onData: () => (began = true) })
  await until(() => began, 'the beginning')
  assert.equal((await v.cli('purge', `${v.url}/news`)).code, 0)
  s.gates.delete('/news')
  const fresh = await v.get('/news')
  assert.match(fresh.body, /here/)
  data.open('old news')
  assert.match((await answer).body, /old news.*<\/html>$/s)
  const kept = await v.get('/news')
  assert.equal(outcome(kept), 'hit')
  assert.match(kept.body, /here/)
})
