// Variants: what is in the key is what the renderer was sent; nobody gets another's page; nothing that is not keyed reaches a
// renderer whose answer varve gives a lifetime of its own.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { outcome, page, renderer, varve } from './lib.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const sealed = 'routes: [{match: "/**", ttl: 1m}]\n'
const open = 'routes: [{match: "/**"}]\n'
const last = (origin) => origin.requests.at(-1).headers
const varyOf = (res) => (res.headers.vary ?? '').toLowerCase().split(/, */).filter(Boolean).sort()

/** A renderer whose page shows one field of the request, and varies by it. */
const byField = (t, name, headers = fresh) =>
  renderer(t, (req, res) => page(res, `${name}: ${req.headers[name] ?? 'none'}`, { vary: name, ...headers }))

test('2.3 a field that a sealed answer varies by is learned: the fill is repeated once with it', async (t) => {
  const origin = await byField(t, 'accept-language', {})
  const v = await varve(t, `renderer: ${origin.url}\n${sealed}`)
  const others = { 'user-agent': 'spy', referer: 'http://elsewhere/', 'x-forgotten': 'by all', 'x-forwarded-for': '10.1.2.3' }
  assert.equal((await v.get('/', { 'accept-language': 'fr', ...others })).body, 'accept-language: fr')
  assert.deepEqual(origin.requests.map((req) => req.headers['accept-language']), [undefined, 'fr'])
  assert.equal((await v.get('/', { 'accept-language': 'de', ...others })).body, 'accept-language: de')
  assert.equal((await v.get('/', others)).body, 'accept-language: none')
  assert.equal(origin.requests.length, 4)
  for (const language of ['fr', 'de']) {
    const hit = await v.get('/', { 'accept-language': language, 'x-forgotten': 'another' })
    assert.equal(hit.body, `accept-language: ${language}`)
    assert.equal(outcome(hit), 'hit')
  }
  for (const { headers } of origin.requests) {
    assert.equal(headers['user-agent'], 'varve')
    for (const name of ['referer', 'x-forgotten', 'x-forwarded-for']) assert.equal(headers[name], undefined, name)
  }
})

test('2.3 learned from a client that did not send the field: nothing is repeated, the next one gets his own', async (t) => {
  const origin = await byField(t, 'accept-language', {})
  const v = await varve(t, `renderer: ${origin.url}\n${sealed}`)
  assert.equal((await v.get('/')).body, 'accept-language: none')
  assert.equal(origin.requests.length, 1)
  assert.equal((await v.get('/', { 'accept-language': 'fr' })).body, 'accept-language: fr')
  assert.equal(origin.requests.length, 2)
})

test('2.3 an answer that names a further field after the repetition is passed', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `${n} ${req.headers['x-b'] ?? ''}`, { vary: n === 1 ? 'x-a' : 'x-b' }))
  const v = await varve(t, `renderer: ${origin.url}\n${sealed}`)
  assert.equal((await v.get('/', { 'x-a': '1', 'x-b': 'mine' })).body, '3 mine')
  assert.equal((await v.get('/', { 'x-a': '1', 'x-b': 'other' })).body.split(' ')[1], 'other')
})

test('2.4 choose and map: the renderer gets the class, the key has the class, clients see the raw name', async (t) => {
  const origin = await renderer(t, (req, res) =>
    page(res, `${req.headers['accept-language']} on ${req.headers['x-device']}`, { vary: 'Accept-Language, X-Device' }))
  const v = await varve(t, `renderer: ${origin.url}
vary:
  accept-language: {choose: [en, fr, de], default: en}
  user-agent: {map: [mobile, desktop], as: X-Device}
${sealed}`)
  const phone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148'
  const desk = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/120'
  const asks = [
    ['fr-CA, fr;q=0.9, en;q=0.5', phone, 'fr on mobile'],
    ['fr', phone, 'fr on mobile'],
    ['it, de;q=0.4', desk, 'de on desktop'],
    ['it', desk, 'en on desktop'],
    ['en-GB', desk, 'en on desktop'],
  ]
  for (const [language, agent, body] of asks) {
    const res = await v.get('/', { 'accept-language': language, 'user-agent': agent, 'x-device': 'fridge' })
    assert.equal(res.body, body)
    assert.deepEqual(varyOf(res).filter((name) => name !== 'accept-encoding'), ['accept-language', 'user-agent'])
  }
  assert.equal(origin.requests.length, 3)
  assert.ok(origin.requests.every((req) => req.headers['user-agent'] === 'varve'))
})

test('4.2 an answer that varies by the request id is nobody else\'s: it is not stored', async (t) => {
  let vary = 'Accept-Language, X-Request-Id'
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { vary, ...fresh }))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  for (const n of [1, 2, 3]) {
    const res = await v.get('/')
    assert.equal(res.body, `render ${n}`)
    assert.doesNotMatch(res.headers['cache-status'], /stored/)
  }
  assert.equal(await v.metric('varve_not_stored_total{reason="vary_denied"}'), 3)
  vary = 'Accept-Language'
  assert.equal((await v.get('/')).body, 'render 4')
  assert.equal((await v.get('/')).body, 'render 4')
})

test('2.4, 4.8 on a pass too, clients see the raw name', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `on ${req.headers['x-device']}`, { vary: 'Origin, X-Device' }))
  const v = await varve(t, `renderer: ${origin.url}\nvary: {user-agent: {map: [mobile, desktop], as: X-Device}}\n${sealed}`)
  const mine = await v.get('/', { cookie: 'sid=anna', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/120' })
  assert.equal(mine.body, 'on desktop')
  assert.equal(outcome(mine), 'bypass')
  assert.deepEqual(varyOf(mine), ['origin', 'user-agent'])
})

test('2.4 without a seal a normaliser counts where Vary names the field, unless it is always', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers['accept-language'], req.url === '/v' ? { vary: 'accept-language', ...fresh } : fresh))
  for (const [always, renders] of [['', 1], [', always: true', 2]]) {
    const v = await varve(t, `renderer: ${origin.url}\nvary: {accept-language: {choose: [en, fr], default: en${always}}}\n${open}`)
    origin.requests.length = 0
    for (const language of ['en-US', 'en-GB', 'fr-CH', 'fr']) {
      const wanted = language.slice(0, 2)
      assert.equal((await v.get('/v', { 'accept-language': language })).body, wanted, `Vary, ${language}`)
      await v.get('/plain', { 'accept-language': language })
    }
    assert.equal(origin.requests.filter((req) => req.url === '/v').length, 2)
    assert.equal(origin.requests.filter((req) => req.url === '/plain').length, renders)
  }
})

test('2.6 an unknown cookie: passed to its owner, never stored, never answered from the cache', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `hello ${req.headers.cookie ?? 'all'}`, fresh))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  assert.equal((await v.get('/')).body, 'hello all')
  const mine = await v.get('/', { cookie: 'sid=anna; _ga=1' })
  assert.equal(mine.body, 'hello sid=anna; _ga=1')
  assert.equal(outcome(mine), 'bypass')
  assert.equal((await v.get('/', { cookie: 'sid=berta' })).body, 'hello sid=berta')
  assert.equal((await v.get('/')).body, 'hello all')
  assert.equal((await v.get('/new', { cookie: 'sid=anna' })).body, 'hello sid=anna')
  assert.equal((await v.get('/new')).body, 'hello all', 'the pass was not stored')
})

test('2.6 ignored cookies are held back, kept ones are sent and keyed', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `cookies: ${req.headers.cookie ?? 'none'}`, fresh))
  const v = await varve(t, `renderer: ${origin.url}\nvary: {cookie: {keep: [ab_bucket]}}\nidentity: {ignore_cookies: [my_banner]}\n${open}`)
  assert.equal((await v.get('/', { cookie: '_ga=GA1.2; my_banner=seen' })).body, 'cookies: none')
  assert.equal(outcome(await v.get('/', { cookie: '_fbp=other' })), 'hit')
  assert.equal((await v.get('/', { cookie: '_ga=1; ab_bucket=red' })).body, 'cookies: ab_bucket=red')
  assert.equal((await v.get('/', { cookie: 'ab_bucket=blue; _gid=2' })).body, 'cookies: ab_bucket=blue')
  const red = await v.get('/', { cookie: 'ab_bucket=red' })
  assert.equal(red.body, 'cookies: ab_bucket=red')
  assert.equal(outcome(red), 'hit')
  assert.ok(varyOf(red).includes('cookie'), '4.8')
})

test('2.7 an answer with Set-Cookie is its client\'s alone; lines for cookies that were held back are removed', async (t) => {
  const origin = await renderer(t, (req, res, n) =>
    page(res, `render ${n}`, { ...fresh, 'set-cookie': req.url === '/login' ? [`sid=${n}`, '_ga=renewed'] : ['_ga=renewed'] }))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  assert.deepEqual((await v.get('/login', { cookie: '_ga=1' })).headers['set-cookie'], ['sid=1'])
  const second = await v.get('/login')
  assert.deepEqual(second.headers['set-cookie'], ['sid=2', '_ga=renewed'])
  assert.equal(second.body, 'render 2')
  const tracked = await v.get('/page', { cookie: '_ga=1' })
  assert.equal(tracked.headers['set-cookie'], undefined)
  assert.equal(outcome(await v.get('/page')), 'hit')
})

test('2.9 a sealed answer that may not be stored is not delivered: the request passes instead, and the key is marked', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.url === '/gone') return res.writeHead(404, { 'cache-control': 'private' }).end('gone')
    page(res, `for ${req.headers['x-user'] ?? 'nobody'}`, { 'cache-control': 'private' })
  })
  const v = await varve(t, `renderer: ${origin.url}\n${sealed}`)
  assert.equal((await v.get('/', { 'x-user': 'anna' })).body, 'for anna')
  assert.deepEqual(origin.requests.map((req) => req.headers['x-user']), [undefined, 'anna'])
  assert.equal((await v.get('/', { 'x-user': 'berta' })).body, 'for berta')
  assert.equal(origin.requests.length, 3, 'marked: passed at once')
  assert.equal((await v.get('/gone')).body, 'gone')
  assert.equal(origin.requests.length, 4, '4xx are not repeated')
})

test('2.9, 3.2, 4.1 where the pass behind a sealed fill fails, a page whose place the fill\'s answer has not taken stands in', async (t) => {
  const asked = {}
  const fails = { error: (res) => res.writeHead(500).end('broken'), cut: (res) => res.socket.destroy() }
  const origin = await renderer(t, (req, res) => {
    const [, status, then] = req.url.split('/')
    const n = (asked[req.url] = (asked[req.url] ?? 0) + 1)
    if (n === 1) return page(res, 'stored')
    if (n > 2 && then in fails) return fails[then](res)
    res.writeHead(status, { 'cache-control': 'private', ...(status === '206' && { 'content-range': 'bytes 0-2/10' }) })
    res.end(status === '204' ? undefined : 'new')
  })
  const v = await varve(t, `renderer: ${origin.url}\n${sealed}`)
  const second = async (target) => {
    assert.equal((await v.get(target)).body, 'stored')
    await v.cli('purge', `${v.url}${target}`, '--soft')
    const res = await v.get(target)
    assert.ok(asked[target] >= 3, `${target}: a fill, and a pass`)
    return res
  }
  for (const [target, status, body] of [
    ['/204/answers', 204, ''],
    ['/206/answers', 206, 'new'],
    ['/204/error', 200, 'stored'],
    ['/206/error', 200, 'stored'],
    ['/200/error', 500, 'broken'],
    ['/302/error', 500, 'broken'],
  ]) {
    const res = await second(target)
    assert.deepEqual([res.status, res.body], [status, body], target)
    if (body === 'stored') assert.match(res.headers['cache-status'], /varve; fwd=stale; fwd-status=500/)
  }
  const cut = await second('/204/cut')
  assert.deepEqual([cut.status, cut.body], [200, 'stored'])
  assert.match(cut.headers['cache-status'], /varve; hit/, 'nothing has come of it')
})

test('4.2 Vary: * is not stored and not shared', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `${n}`, { ...fresh, vary: '*' }))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  for (const n of ['1', '2', '3']) assert.equal((await v.get('/')).body, n)
})

test('2.5 at max_variants a variant that nobody asked for again gives way; where all are wanted, the new one is not stored', async (t) => {
  const origin = await byField(t, 'x-v')
  const v = await varve(t, `renderer: ${origin.url}\nvary: {max_variants: 3}\n${open}`)
  const ask = (target, value) => v.get(target, { 'x-v': value })
  for (const value of ['1', '2', '3', '4']) await ask('/unloved', value)
  assert.equal(outcome(await ask('/unloved', '4')), 'hit')
  assert.notEqual(outcome(await ask('/unloved', '1')), 'hit')
  for (const value of ['1', '2', '3', '1', '2', '3']) await ask('/loved', value)
  for (const round of [1, 2]) {
    const res = await ask('/loved', '4')
    assert.equal(res.body, 'x-v: 4')
    assert.notEqual(outcome(res), 'hit')
    for (const value of ['1', '2', '3']) assert.equal(outcome(await ask('/loved', value)), 'hit', `round ${round}`)
  }
  assert.equal((await v.metric('varve_not_stored_total{reason="variant_cap"}')) > 0, true)
})

test('2.5 who asks for max_variants variants twice each keeps nobody else from being stored', async (t) => {
  const origin = await byField(t, 'x-v')
  const v = await varve(t, `renderer: ${origin.url}\nvary: {max_variants: 3}\n${open}`)
  for (const value of ['a', 'b', 'c', 'a', 'b', 'c']) await v.get('/', { 'x-v': value })
  const outcomes = []
  for (let i = 0; i < 3; i++) outcomes.push(outcome(await v.get('/', { 'x-v': 'visitor' })))
  assert.deepEqual(outcomes, ['vary-miss', 'vary-miss', 'hit'])
})

test('2.5 the union grows with what is stored and drops what was stored under the smaller one', async (t) => {
  const origin = await renderer(t, (req, res) =>
    page(res, `${req.headers['x-a']}/${req.headers['x-b']}`, { ...fresh, vary: req.headers['x-a'] === '2' ? 'x-a, x-b' : 'x-a' }))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  const ask = (a, b) => v.get('/', { 'x-a': a, 'x-b': b })
  assert.equal((await ask('1', 'p')).body, '1/p')
  assert.equal((await ask('1', 'q')).body, '1/p', 'it did not name x-b')
  assert.equal((await ask('2', 'p')).body, '2/p')
  assert.equal((await ask('2', 'q')).body, '2/q')
  assert.equal((await ask('1', 'q')).body, '1/q', 'the smaller union is no more')
  assert.equal((await ask('1', 'p')).body, '1/p')
  assert.equal(outcome(await ask('1', 'q')), 'hit')
})

test('1.4 Accept, reduced, and the fields of frameworks are keyed though no Vary names them', async (t) => {
  const origin = await renderer(t, (req, res) => {
    const type = req.headers.rsc ? 'text/x-component' : req.headers.accept
    res.writeHead(200, { 'content-type': /json|component/.test(type) ? type : 'text/html', ...fresh })
    res.end(type)
  })
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  const html = (await v.get('/', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' })).body
  assert.match(html, /^text\/html/)
  assert.equal((await v.get('/', { accept: 'application/json' })).body, 'application/json')
  assert.equal((await v.get('/', { accept: 'text/html', rsc: '1' })).body, 'text/x-component')
  const again = await v.get('/', { accept: 'text/html;q=1, image/avif;q=0.5' })
  assert.equal(again.body, html)
  assert.equal(outcome(again), 'hit')
})

test('1.1 two hosts, one path: two pages', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers.host, fresh))
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  for (const host of ['a.example', 'b.example', 'A.example.', 'a.example:80'])
    assert.equal((await v.get('/', { host })).body, host[0].toLowerCase() + '.example')
  assert.equal(origin.requests.length, 2)
})

test('1.1, 1.6 query rules shape the key and what a fill asks for; no query is not an empty one', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.url, fresh))
  const routes = `routes:
  - {match: "/keep", query: {keep: [color, "size*"]}}
  - {match: "/drop", query: {drop: ["utm_*", gclid], sort: true}}
  - {match: "/**"}
`
  const v = await varve(t, `renderer: ${origin.url}\n${routes}`)
  const seen = async (target) => (await v.get(target)).body
  assert.equal(await seen('/keep?color=red&session=1&size_eu=40'), '/keep?color=red&size_eu=40')
  assert.equal(outcome(await v.get('/keep?session=2&color=red&size_eu=40')), 'hit')
  assert.equal(await seen('/drop?b=2&utm_source=x&a=1&gclid=9&a=0'), '/drop?a=1&a=0&b=2')
  assert.equal(outcome(await v.get('/drop?a=1&b=2&a=0&utm_term=y')), 'hit')
  assert.equal(await seen('/plain'), '/plain')
  await new Promise((resolve) => http.get({ port: v.port, path: '/plain?' }, (res) => res.resume().on('end', resolve)))
  assert.equal(origin.requests.at(-1).url, '/plain?', 'a render of its own')
  assert.equal((await v.get('/drop?utm_source=x', { cookie: 'sid=1' })).body, '/drop?utm_source=x', 'a pass forwards it untouched')
})

test('4.6 a 304 never narrows Vary; one with a Vary of its own is asked again without conditions', async (t) => {
  const old = { age: '100', ...fresh }
  const origin = await renderer(t, (req, res, n) => {
    if (req.headers['if-none-match'] && req.url === '/wider') return res.writeHead(304, { etag: '"e"', vary: 'x-c' }).end()
    if (req.headers['if-none-match']) return res.writeHead(304, { etag: '"e"', ...fresh }).end()
    page(res, `a=${req.headers['x-a']} render ${n}`, { etag: '"e"', vary: 'x-a', ...old })
  })
  const v = await varve(t, `renderer: ${origin.url}\n${open}`)
  assert.equal((await v.get('/', { 'x-a': '1' })).body, 'a=1 render 1')
  const renewed = await v.get('/', { 'x-a': '1' })
  assert.equal(renewed.body, 'a=1 render 1')
  assert.ok(varyOf(renewed).includes('x-a'))
  assert.equal(last(origin)['if-none-match'], '"e"')
  assert.equal(outcome(await v.get('/', { 'x-a': '1' })), 'hit')
  assert.equal((await v.get('/', { 'x-a': '2' })).body, 'a=2 render 3')
  assert.equal((await v.get('/wider', { 'x-a': '1' })).body, 'a=1 render 4')
  assert.equal((await v.get('/wider', { 'x-a': '1' })).body, 'a=1 render 6')
})
