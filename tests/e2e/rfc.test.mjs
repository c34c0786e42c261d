// To the letter of the RFCs where a route asks for it: `post: rfc`, `store_statuses: rfc`, `client_cache_control: honour`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer, request, varve } from './lib.mjs'

const rfc = 'seal: "off"\nidentity: {logged_in: none}\nroutes: [{match: "/**", store_statuses: rfc, invalidate: rfc, post: rfc, error_max: none}]\n'

/** A renderer that answers what `answers[METHOD]` says; bodies are numbered. */
async function scripted(t, policy, answers) {
  const origin = await renderer(t, (req, res, n) => {
    const { status = 200, headers = {} } = answers[req.method] ?? answers.GET ?? {}
    res.writeHead(status, { 'content-type': 'text/html', ...headers })
    res.end(req.method === 'HEAD' ? undefined : `${req.method} ${n - 1}`)
  })
  const v = await varve(t, `renderer: ${origin.url}\n${policy}`)
  v.post = (target, headers = {}) => request(v.url + target, { method: 'POST', headers, body: 'a=1' })
  return { origin, v }
}

const fresh = { 'cache-control': 'max-age=60' }

test('RFC 9110 §9.3.3 the answer to a POST that is the page of its URL is reused for GET and HEAD', async (t) => {
  const { origin, v } = await scripted(t, rfc, { POST: { headers: { ...fresh, 'content-location': '/cart?x=1' } } })
  const posted = await v.post('/cart?x=1')
  assert.equal(posted.body, 'POST 0')
  assert.match(posted.headers['cache-status'], /fwd=method; fwd-status=200; stored/)
  const got = await v.get('/cart?x=1')
  assert.equal(got.body, 'POST 0')
  assert.equal(outcome(got), 'hit')
  assert.equal((await v.get('/cart?x=1', {}, { method: 'HEAD' })).headers['content-length'], '6')
  assert.equal((await v.post('/cart?x=1')).body, 'POST 1', 'a POST is never answered from the cache')
  assert.equal((await v.get('/cart?x=1')).body, 'POST 1', 'and its answer replaces what it has invalidated')
  assert.equal(origin.requests.length, 2)
})

test('RFC 9110 §9.3.3 Content-Location may be empty, relative or absolute', async (t) => {
  const places = { '/a/b': ['', '/a/b', 'b', './b', '../a/b', 'http://HOST/a/b'] }
  for (const [path, locations] of Object.entries(places))
    for (const location of locations) {
      const answers = { POST: { headers: { ...fresh } } }
      const { v } = await scripted(t, rfc, answers)
      answers.POST.headers['content-location'] = location.replace('HOST', `127.0.0.1:${v.port}`)
      await v.post(path)
      assert.equal((await v.get(path)).body, 'POST 0', location)
    }
})

test('RFC 9110 §9.3.3 any other answer to a POST is not stored', async (t) => {
  const answers = { POST: {} }
  const { origin, v } = await scripted(t, rfc, answers)
  const rows = [
    [{ ...fresh }, 200],
    [{ ...fresh, 'content-location': '/other' }, 200],
    [{ ...fresh, 'content-location': 'http://elsewhere.example/cart' }, 200],
    [{ ...fresh, 'content-location': '/cart' }, 201],
    [{ 'content-location': '/cart' }, 200],
    [{ 'content-location': '/cart', 'cache-control': 'max-age=0' }, 200],
    [{ 'content-location': '/cart', 'cache-control': 'private, max-age=60' }, 200],
    [{ ...fresh, 'content-location': '/cart', 'set-cookie': 'a=b' }, 200],
    [{ ...fresh, 'content-location': '/cart', vary: '*' }, 200],
  ]
  for (const [headers, status] of rows) {
    answers.POST = { headers, status }
    const posted = await v.post('/cart')
    assert.doesNotMatch(posted.headers['cache-status'], /stored/, JSON.stringify(headers))
    assert.match((await v.get('/cart')).body, /^GET/)
  }
  assert.equal(origin.requests.length, 2 * rows.length)
})

test('2.2 a POST that carries what a fill holds back is not stored', async (t) => {
  const { v } = await scripted(t, 'routes: [{match: "/**", post: rfc}]\n', { POST: { headers: { ...fresh, 'content-location': '' } } })
  await v.post('/cart', { 'x-original-url': '/evil' })
  assert.match((await v.get('/cart')).body, /^GET/)
  await v.post('/cart', { cookie: 'session=1' })
  assert.match((await v.get('/cart')).body, /^GET/)
  await v.post('/cart')
  assert.match((await v.get('/cart')).body, /^POST/)
})

test('1.1 a POST whose target or host is not in the key as it was sent is not stored', async (t) => {
  const headers = { ...fresh, 'content-location': '' }
  const { origin, v } = await scripted(t, 'routes: [{match: "/**", post: rfc, query: {drop: [utm]}}]\n', { POST: { headers } })
  await v.post('/cart?utm=EVIL')
  assert.match((await v.get('/cart')).body, /^GET/)
  await v.post('/cart', { host: `LocalHost:${v.port}` })
  assert.match((await v.get('/cart', { host: `localhost:${v.port}` })).body, /^GET/)
  await v.post('/cart', { host: `localhost:${v.port}`, 'x-forwarded-for': '192.0.2.1' })
  assert.match((await v.get('/cart', { host: `localhost:${v.port}` })).body, /^POST/)
  assert.equal(origin.requests.at(-1).headers['x-forwarded-for'], undefined, 'it was asked for as a fill would have')
})

test('2.1 sealed routes and routes without `post: rfc` store no POST', async (t) => {
  for (const route of ['{match: "/**", post: rfc, ttl: 60s}', '{match: "/**"}']) {
    const { v } = await scripted(t, `routes: [${route}]\n`, { POST: { headers: { ...fresh, 'content-location': '/cart' } } })
    await v.post('/cart')
    assert.match((await v.get('/cart')).body, /^GET/)
  }
})

test('http-caching §2 store_statuses: rfc: an error that says how long it lasts is stored', async (t) => {
  const answers = { GET: { status: 503, headers: fresh } }
  const { origin, v } = await scripted(t, rfc, answers)
  assert.equal((await v.get('/')).status, 503)
  const again = await v.get('/')
  assert.equal(again.status, 503)
  assert.equal(again.body, 'GET 0')
  assert.equal(origin.requests.length, 1)
})

test('http-caching §8 what can be served stale goes before an error that could be stored', async (t) => {
  const answers = { GET: { headers: { 'cache-control': 'max-age=0, stale-if-error=60', etag: '"a"' } } }
  const { v } = await scripted(t, rfc, answers)
  await v.get('/')
  answers.GET = { status: 503, headers: fresh }
  const stale = await v.get('/')
  assert.equal(stale.status, 200)
  assert.match(stale.headers['cache-status'], /fwd=stale; fwd-status=503/)
})

test('4.1 store_statuses: rfc: a HEAD that finds nothing fresh is a HEAD, and is not stored', async (t) => {
  const { origin, v } = await scripted(t, rfc, { GET: { headers: fresh } })
  await v.get('/', {}, { method: 'HEAD' })
  await v.get('/')
  await v.get('/', {}, { method: 'HEAD' })
  assert.deepEqual(origin.requests.map((r) => r.method), ['HEAD', 'GET'])
})

test('RFC 9111 §5.2.1 client_cache_control: honour', async (t) => {
  const { origin, v } = await scripted(t, 'routes: [{match: "/**", client_cache_control: honour}]\n', { GET: { headers: fresh } })
  const none = await v.get('/', { 'cache-control': 'only-if-cached' })
  assert.equal(none.status, 504)
  assert.equal((await v.get('/', { 'cache-control': 'only-if-cached', accept: 'text/event-stream' })).status, 504, 'a pass is no answer from the cache either')
  assert.equal(origin.requests.length, 0)
  await v.get('/', { 'cache-control': 'no-store' })
  assert.match((await v.get('/')).body, /^GET 1/, 'no-store: what was fetched is not stored')
  assert.equal((await v.get('/', { 'cache-control': 'only-if-cached' })).body, 'GET 1')
  const asked = await v.get('/', { 'cache-control': 'no-cache' })
  assert.equal(asked.body, 'GET 2')
  assert.match(asked.headers['cache-status'], /fwd=request/)
  assert.equal((await v.get('/', { 'cache-control': 'max-age=30' })).body, 'GET 2')
  assert.equal((await v.get('/', { 'cache-control': 'min-fresh=61' })).body, 'GET 3')
  assert.equal((await v.get('/')).body, 'GET 3')
})

test('RFC 9111 §5.2.1.4 no-cache: no stale answer when the origin cannot validate', async (t) => {
  const { origin, v } = await scripted(t, 'routes: [{match: "/**", client_cache_control: honour}]\n', { GET: { headers: fresh } })
  await v.get('/')
  await origin.stop()
  assert.equal((await v.get('/', { 'cache-control': 'no-cache' })).status, 503)
  assert.equal((await v.get('/')).status, 200)
})

test('by default a client cannot make varve fetch', async (t) => {
  const { origin, v } = await scripted(t, 'routes: [{match: "/**"}]\n', { GET: { headers: fresh } })
  await v.get('/')
  for (const wish of ['no-cache', 'no-store', 'max-age=0', 'min-fresh=600'])
    assert.equal((await v.get('/', { 'cache-control': wish })).body, 'GET 0')
  assert.equal(origin.requests.length, 1)
})
