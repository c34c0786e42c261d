// Freshness: how long an answer is good, what happens when it is old, and what clients are told of all that. Answers that are
// old at once carry an Age from their origin: nothing here waits for time to pass.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { anyRoute, gate, http2Client, outcome, page, renderer, tempDir, tlsListener, until, varve } from './lib.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const inSeconds = (n) => new Date(Date.now() + n * 1000).toUTCString()
const old = { age: '100' }

/** For each path: is its second request a hit? The answers' fields are the table's. */
async function secondIsHit(t, table, policy) {
  const origin = await renderer(t, (req, res, n) => {
    const { status = 200, ...fields } = table[req.url].send()
    res.writeHead(status, { 'content-type': 'text/html', ...fields })
    res.end(`render ${n}`)
  })
  const v = await varve(t, policy(origin))
  for (const [target, { hit }] of Object.entries(table)) {
    const first = await v.get(target)
    const second = await v.get(target)
    assert.equal(outcome(second) === 'hit', hit, `${target}: ${second.headers['cache-status']}`)
    assert.equal(second.body === first.body, hit, target)
  }
}

test('4.3 explicit freshness is honoured: s-maxage over max-age over Expires, less Age', async (t) => {
  const cc = (value, more) => () => ({ 'cache-control': value, ...more })
  await secondIsHit(t, {
    '/max-age': { send: cc('max-age=60'), hit: true },
    '/s-maxage': { send: cc('max-age=0, s-maxage=60'), hit: true },
    '/s-maxage-zero': { send: cc('max-age=60, s-maxage=0'), hit: false },
    '/expires': { send: () => ({ expires: inSeconds(60) }), hit: true },
    '/expired': { send: () => ({ expires: inSeconds(-60) }), hit: false },
    '/expires-zero': { send: () => ({ expires: '0' }), hit: false },
    '/max-age-over-expires': { send: cc('max-age=60', { expires: inSeconds(-60) }), hit: true },
    '/aged': { send: cc('max-age=60', { age: '30' }), hit: true },
    '/aged-out': { send: cc('max-age=60', { age: '60' }), hit: false },
    '/dated': { send: cc('max-age=60', { date: inSeconds(-90) }), hit: false },
    '/no-cache': { send: cc('no-cache, max-age=60'), hit: false },
    '/no-store': { send: cc('no-store, max-age=60'), hit: false },
    '/private': { send: cc('private, max-age=60'), hit: false },
    '/nothing': { send: () => ({}), hit: false },
    '/redirect': { send: () => ({ status: 302, location: '/elsewhere' }), hit: false },
    '/redirect-explicit': { send: () => ({ status: 302, location: '/elsewhere', ...fresh }), hit: true },
    '/missing': { send: () => ({ status: 404, ...fresh }), hit: true },
    '/teapot': { send: () => ({ status: 418, ...fresh }), hit: false },
    '/error': { send: () => ({ status: 500, ...fresh }), hit: false },
  }, (origin) => anyRoute(origin))
})

test('10.4, 4.3 the log says why a page was not stored, and what would help on this route: once for each cause', async (t) => {
  const fields = {
    '/robots.txt': { 'content-type': 'text/plain' },
    '/app.zst': { 'content-type': 'text/html', 'content-encoding': 'zstd' },
    '/page': { 'content-type': 'text/html' },
  }
  const origin = await renderer(t, (req, res) => {
    const path = req.url.replace(/^\/(plain|zero|forced)/, '')
    res.writeHead({ '/missing': 404, '/unbuilt': 501 }[path] ?? 200, fields[path] ?? { 'content-type': 'text/html' })
    res.end('x')
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes:\n- {match: "/plain/**"}\n- {match: "/zero/**", ttl: 0s}\n- {match: "/forced/**", store_statuses: rfc, status_ttl: {501: {force: 1m}}}\n- {match: "/**", ttl: 10m}\n`)
  const because = {
    '/robots.txt': /and its Content-Type is none of the route's \\"content_types\\" \(add it there to cache it\)/,
    '/missing': /and \\"ttl\\" is for 200 and 203 \(add its status to the route's \\"status_ttl\\" to cache it\)/,
    '/app.zst': /because="its Content-Encoding is none that varve knows"/,
    '/plain/page': /because="the renderer gives no freshness \(add \\"ttl:\\" to the route to cache it\)"/,
    '/plain/robots.txt': /\(add \\"ttl:\\" to the route, and its Content-Type to \\"content_types\\", to cache it\)/,
    '/zero/page': /because="the renderer gives no freshness, and the route a lifetime of 0"/,
    '/forced/unbuilt': /because="the renderer gives no freshness, and \\"force\\" is not for 5xx \(leave it out of the route's \\"status_ttl\\" to cache it\)"/,
  }
  for (const path of Object.keys(because)) for (let i = 0; i < 2; i++) await v.get(path)
  const said = () => v.log.split('\n').filter((line) => line.includes('info not stored'))
  await until(() => said().length >= Object.keys(because).length, 'the lines')
  for (const [path, words] of Object.entries(because)) {
    const lines = said().filter((line) => line.includes(` path=${path} `))
    assert.equal(lines.length, 1, path)
    assert.match(lines[0], words)
  }
})

test('4.3 ttl and status_ttl give a lifetime where the answer has none, of its types and statuses only', async (t) => {
  await secondIsHit(t, {
    '/page': { send: () => ({}), hit: true },
    '/binary': { send: () => ({ 'content-type': 'application/octet-stream' }), hit: false },
    '/explicit': { send: () => ({ 'cache-control': 'max-age=0' }), hit: false },
    '/no-store': { send: () => ({ 'cache-control': 'no-store' }), hit: false },
    '/cookie': { send: () => ({ 'set-cookie': 'a=1' }), hit: false },
    '/nonce': { send: () => ({ 'content-security-policy': "script-src 'nonce-abc'" }), hit: false },
    '/moved': { send: () => ({ status: 301, location: '/other' }), hit: true },
    '/missing': { send: () => ({ status: 404 }), hit: true },
    '/gone': { send: () => ({ status: 410 }), hit: false },
  }, (origin) => anyRoute(origin, ', ttl: 1m, status_ttl: {301: 1h, 404: 10s}'))
})

test('4.3 force overrides what the renderer says, but neither Set-Cookie, Vary: * nor 5xx', async (t) => {
  await secondIsHit(t, {
    '/no-store': { send: () => ({ 'cache-control': 'private, no-cache, no-store, max-age=0, must-revalidate' }), hit: true },
    '/cookie': { send: () => ({ 'cache-control': 'no-store', 'set-cookie': 'a=1' }), hit: false },
    '/star': { send: () => ({ vary: '*' }), hit: false },
    '/error': { send: () => ({ status: 503 }), hit: false },
    '/teapot': { send: () => ({ status: 418, 'cache-control': 'no-store' }), hit: true },
  }, (origin) => anyRoute(origin, ', ttl: {force: 1m}, status_ttl: {418: {force: 1m}}'))
})

test('5.1 stale-while-revalidate: everybody is served at once, and one refresh runs behind them', async (t) => {
  const second = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 2) await second.promise
    page(res, `render ${n}`, { 'cache-control': 'max-age=60, stale-while-revalidate=300', ...(n === 1 && old) })
  })
  const v = await varve(t, anyRoute(origin))
  await v.get('/')
  for (let i = 0; i < 5; i++) {
    const res = await v.get('/')
    assert.equal(res.body, 'render 1')
    assert.ok(Number(res.headers.age) >= 100)
    assert.match(res.headers['cache-status'], /^varve; hit; ttl=-\d+/)
  }
  await until(() => origin.requests.length === 2, 'the refresh')
  second.open()
  await until(async () => (await v.get('/')).body === 'render 2', 'the new page')
  assert.equal(origin.requests.length, 2)
})

test('5.1 a refresh that fails changes nothing; one that is no longer for everybody takes the page away', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    if (n === 1) return page(res, 'the page', { ...old, 'cache-control': 'max-age=60, stale-while-revalidate=300' })
    n === 2 ? res.writeHead(500).end() : page(res, `private ${n}`, { 'cache-control': 'private' })
  })
  const v = await varve(t, anyRoute(origin))
  await v.get('/')
  assert.equal((await v.get('/')).body, 'the page')
  await until(() => origin.requests.length === 2, 'the refresh that fails')
  await until(async () => {
    const res = await v.get('/')
    if (/^private/.test(res.body)) return true
    assert.equal(res.body, 'the page')
  }, 'the page to be gone')
  assert.notEqual((await v.get('/')).body, 'the page')
})

test('5.1 must-revalidate and s-maxage are not served stale, also not in need', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...old, 'cache-control': req.url.slice(1) }))
  const v = await varve(t, anyRoute(origin))
  const cases = { 'max-age=60': 200, 'max-age=60,must-revalidate': 504, 's-maxage=60': 503, 's-maxage=60,stale-if-error=300': 200 }
  for (const directives of Object.keys(cases)) await v.get(`/${directives}`)
  await origin.stop()
  for (const [directives, status] of Object.entries(cases)) assert.equal((await v.get(`/${directives}`)).status, status, directives)
})

test('4.6 towards the origin: what is old is asked for by its validators, and 304 keeps the body', async (t) => {
  const etag = 'W/"odd one,  with spaces"'
  const modified = inSeconds(-86400)
  const origin = await renderer(t, (req, res, n) => {
    const fields = { etag, 'last-modified': modified, ...old, ...fresh, 'x-turn': `${n}` }
    return req.headers['if-none-match'] === etag ? res.writeHead(304, fields).end() : page(res, 'the page', fields)
  })
  const v = await varve(t, anyRoute(origin))
  for (let n = 1; n <= 6; n++) {
    const res = await v.get('/')
    assert.equal(res.status, 200)
    assert.equal(res.body, 'the page')
    assert.equal(res.headers['x-turn'], `${n}`, 'the 304\'s fields count')
    if (n === 1) continue
    assert.equal(res.headers['content-length'], '8')
    assert.match(res.headers['cache-status'], /fwd=stale; fwd-status=304/)
  }
  assert.equal(origin.requests.length, 6)
  for (const { headers } of origin.requests.slice(1)) {
    assert.equal(headers['if-none-match'], etag)
    assert.equal(headers['if-modified-since'], modified)
  }
})

test('4.6 a 304 makes the object fresh again; one that nobody asked for is 502', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.url === '/unasked') return res.writeHead(304).end()
    req.headers['if-none-match'] ? res.writeHead(304, { etag: '"1"', ...fresh }).end() : page(res, 'x', { etag: '"1"', ...old, ...fresh })
  })
  const v = await varve(t, anyRoute(origin))
  await v.get('/')
  await v.get('/')
  const hit = await v.get('/')
  assert.equal(outcome(hit), 'hit')
  assert.ok(Number(hit.headers.age) < 60)
  assert.equal(origin.requests.length, 2)
  assert.equal((await v.get('/unasked')).status, 502)
})

test('clients\' conditions: answered from the object, also on a miss, never forwarded by a fill', async (t) => {
  const modified = inSeconds(-3600)
  const origin = await renderer(t, (req, res) => page(res, 'body', { etag: '"v1"', 'last-modified': modified, ...fresh }))
  const v = await varve(t, anyRoute(origin))
  for (let turn = 0; turn < 2; turn++)
    for (const [i, [name, value, status]] of [
      ['if-none-match', '"v1"', 304],
      ['if-none-match', '"v0", W/"v1"', 304],
      ['if-none-match', '*', 304],
      ['if-none-match', '"v2"', 200],
      ['if-modified-since', modified, 304],
      ['if-modified-since', inSeconds(-7200), 200],
    ].entries()) {
      const res = await v.get(`/${i}`, { [name]: value })
      assert.equal(res.status, status, `${name}: ${value}`)
      assert.equal(res.body, status === 304 ? '' : 'body')
      assert.equal(res.headers.etag, '"v1"')
      assert.equal(res.headers['cache-control'], 'max-age=60')
    }
  assert.equal(origin.requests.length, 6)
  for (const { headers } of origin.requests) assert.ok(!headers['if-none-match'] && !headers['if-modified-since'])
})

test('4.1 a Range on a miss is a pass with its Range; on a hit the whole answer is right too', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (!req.headers.range) return page(res, '0123456789', fresh)
    res.writeHead(206, { 'content-range': 'bytes 2-4/10', ...fresh }).end('234')
  })
  const v = await varve(t, anyRoute(origin))
  for (let i = 0; i < 2; i++) {
    const part = await v.get('/', { range: 'bytes=2-4' })
    assert.equal(part.status, 206)
    assert.equal(part.body, '234')
  }
  assert.equal((await v.get('/')).body, '0123456789', 'the part was not stored')
  const hit = await v.get('/', { range: 'bytes=2-4' })
  assert.ok(hit.status === 200 ? hit.body === '0123456789' : hit.status === 206 && hit.body === '234')
  assert.equal(origin.requests.length, 3)
})

test('4.1 HEAD: on a miss a GET fill, afterwards answered from the object', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'a page', fresh))
  const v = await varve(t, anyRoute(origin))
  const head = await v.get('/', {}, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(head.body, '')
  assert.deepEqual(origin.requests.map((req) => req.method), ['GET'])
  await until(async () => outcome(await v.get('/')) === 'hit', 'the page to be stored')
  const again = await v.get('/', {}, { method: 'HEAD' })
  assert.equal(outcome(again), 'hit')
  assert.equal(again.headers['content-length'], '6')
  assert.equal((await v.get('/')).body, 'a page')
  assert.equal(origin.requests.length, 1)
})

test('a hit carries the stored Date and the Age since, over HTTP/1.1 and HTTP/2', async (t) => {
  const dates = {}
  const origin = await renderer(t, (req, res) => page(res, 'dated', { ...fresh, date: (dates[req.url] ??= inSeconds(-20)) }))
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const v = await varve(t, `${tls.yaml}${anyRoute(origin)}`, { dir })
  const client = await http2Client(t, v, tls.port)
  assert.equal((await v.get('/')).headers.date, dates['/'])
  for (const res of [await v.get('/'), await client.get('/'), await v.get('/'), await client.get('/')]) {
    assert.equal(outcome(res), 'hit')
    assert.equal(res.headers.date, dates['/'])
    assert.ok(res.headers.age >= 20 && res.headers.age < 60, res.headers.age)
  }
})

test('what is said of an answer: Cache-Status, Via, Server-Timing on renders only, no Server', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.method === 'POST') return res.writeHead(200).end('posted')
    const fields = { ...fresh, vary: 'x-v', 'cache-status': 'inner; hit', via: '1.1 inner', 'server-timing': 'db;dur=5', ...(req.url === '/old' && old) }
    if (req.headers['if-none-match']) return res.writeHead(304, fields).end()
    page(res, 'x', req.url === '/asked' ? { ...fields, etag: '"v"', 'cache-control': 'no-cache' } : fields)
  })
  const v = await varve(t, anyRoute(origin))
  const steps = [
    ['/', {}, /^inner; hit, varve; fwd=uri-miss; fwd-status=200; stored; ttl=\d+$/],
    ['/', {}, /^inner; hit, varve; hit; ttl=\d+$/],
    ['/', { 'x-v': '1' }, /varve; fwd=vary-miss; fwd-status=200; stored; ttl=\d+$/],
    ['/', { cookie: 'sid=1' }, /varve; fwd=bypass; fwd-status=200$/],
    ['/old', {}, /varve; fwd=uri-miss/],
    ['/old', {}, /varve; fwd=stale; fwd-status=200/],
    ['/asked', {}, /varve; fwd=uri-miss/],
    ['/asked', {}, /varve; fwd=stale; fwd-status=304; stored/],
  ]
  for (const [target, headers, status] of steps) {
    const res = await v.get(target, headers)
    assert.match(res.headers['cache-status'], status)
    const isRender = !/varve; hit/.test(res.headers['cache-status'])
    assert.equal(/queue;dur=\d+, render;dur=\d+/.test(res.headers['server-timing']), isRender)
    assert.equal(/db;dur=5/.test(res.headers['server-timing']), /fwd-status=200/.test(res.headers['cache-status']))
    assert.equal(res.headers.via, '1.1 inner, 1.1 varve')
    assert.equal(res.headers.server, undefined)
    assert.equal(res.headers['x-cache'], undefined)
  }
  assert.match((await v.get('/', {}, { method: 'POST', body: 'a=1' })).headers['cache-status'], /varve; fwd=method; fwd-status=200$/)
})

test('4.7 br and gzip are made when a hit wants them; ETag is weak then, and Vary names Accept-Encoding', async (t) => {
  const text = 'a page of some length. '.repeat(200)
  const origin = await renderer(t, (req, res) =>
    page(res, req.url === '/short' ? 'short' : text, { etag: '"e"', 'cache-control': req.url === '/kept' ? 'max-age=60, no-transform' : 'max-age=60' }))
  const v = await varve(t, anyRoute(origin))
  const unpack = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync }
  await v.get('/', { 'accept-encoding': 'identity' })
  for (const coding of ['gzip', 'br']) {
    const first = await v.get('/', { 'accept-encoding': coding })
    assert.ok(first.body === text || first.headers['content-encoding'] === coding, 'until it is made: as it is')
    const coded = await until(async () => {
      const res = await v.get('/', { 'accept-encoding': coding })
      return res.headers['content-encoding'] === coding && res
    }, `a body in ${coding}`)
    assert.equal(unpack[coding](coded.bytes).toString(), text)
    assert.equal(coded.headers['content-length'], String(coded.bytes.length))
    assert.equal(coded.headers.etag, 'W/"e"')
    assert.match(coded.headers.vary, /accept-encoding/i)
    assert.equal((await v.get('/', { 'accept-encoding': coding, 'if-none-match': 'W/"e"' })).status, 304)
  }
  const both = await v.get('/', { 'accept-encoding': 'gzip, br' })
  assert.equal(both.headers['content-encoding'], 'br')
  const plain = await v.get('/')
  assert.equal(plain.body, text)
  assert.equal(plain.headers.etag, '"e"')
  for (const target of ['/short', '/kept'])
    for (let i = 0; i < 4; i++) assert.equal((await v.get(target, { 'accept-encoding': 'gzip' })).headers['content-encoding'], undefined)
  assert.equal(origin.requests.length, 3)
})

test('4.7 an answer that came in gzip is decoded for clients that cannot read it', async (t) => {
  const text = 'coded by the renderer. '.repeat(100)
  const origin = await renderer(t, (req, res) => {
    const coded = /gzip/.test(req.headers['accept-encoding'])
    page(res, coded ? zlib.gzipSync(text) : text, { ...fresh, ...(coded && { 'content-encoding': 'gzip' }) })
  })
  const v = await varve(t, anyRoute(origin))
  const coded = await v.get('/', { 'accept-encoding': 'gzip, zstd' })
  assert.equal(coded.headers['content-encoding'], 'gzip')
  assert.equal(zlib.gunzipSync(coded.bytes).toString(), text)
  assert.equal(origin.requests[0].headers['accept-encoding'], 'gzip')
  const plain = await v.get('/')
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.body, text)
  assert.equal(outcome(plain), 'hit')
  assert.equal(outcome(await v.get('/', { 'accept-encoding': 'gzip' })), 'hit')
  assert.equal(origin.requests.length, 1)
})

test('4.7 who cannot read what cannot be decoded asks the origin; while that fails, it is given as it is', async (t) => {
  const bodies = { long: 'a'.repeat(3 << 20), broken: 'a page' }
  const coded = { long: zlib.gzipSync(bodies.long), broken: Buffer.from('no gzip') }
  const origin = await renderer(t, (req, res) => {
    const name = req.url.slice(1)
    const isCoded = /gzip/.test(req.headers['accept-encoding'])
    page(res, (isCoded ? coded : bodies)[name], { ...fresh, ...(isCoded && { 'content-encoding': 'gzip' }) })
  })
  const v = await varve(t, `store: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 1MiB}\n${anyRoute(origin)}`)
  const reader = { 'accept-encoding': 'gzip' }
  const targets = ['/long', '/broken']
  for (const target of targets) {
    const name = target.slice(1)
    await v.get(target, reader)
    for (let i = 0; i < 3; i++) {
      const plain = await v.get(target)
      assert.deepEqual([plain.status, plain.headers['content-encoding'], plain.body === bodies[name]], [200, undefined, true], target)
      const hit = await v.get(target, { ...reader, range: 'bytes=0-1' })
      assert.deepEqual([outcome(hit), hit.status, hit.bytes], ['hit', 200, coded[name]], `${target}, a part of what cannot be had`)
    }
    await v.cli('purge', `${v.url}${target}`, '--soft')
  }
  assert.equal(origin.requests.length, 8)
  await origin.stop()
  for (const target of targets) assert.deepEqual((await v.get(target)).bytes, coded[target.slice(1)], target)
})

test('4.7 what cannot be decoded is given as it is where the pass in its place fails, be it fresh, revalidated behind people or just validated', async (t) => {
  const broken = Buffer.from('no gzip')
  const cacheControl = { '/while-revalidated': 'max-age=60, stale-while-revalidate=60' }
  let fails = false
  const origin = await renderer(t, (req, res) => {
    if (req.headers['if-none-match']) return res.writeHead(304, { ...fresh, etag: '"e"' }).end()
    if (fails) return req.url === '/closed' ? res.socket.destroy() : res.writeHead(500).end('failed')
    const coded = /gzip/.test(req.headers['accept-encoding'])
    const etag = req.url.startsWith('/validated') && { etag: '"e"' }
    page(res, coded ? broken : 'a page', { 'cache-control': cacheControl[req.url] ?? 'max-age=60', ...etag, ...(coded && { 'content-encoding': 'gzip' }) })
  })
  const v = await varve(t, `origins: {web: {workers: ["${origin.url}"], retries: 0, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  const reader = { 'accept-encoding': 'gzip' }
  const targets = ['/fresh', '/closed', '/while-revalidated', '/validated', '/validated-twice']
  for (const target of targets) assert.deepEqual((await v.get(target, reader)).bytes, broken, target)
  for (const target of targets.slice(2)) await v.cli('purge', `${v.url}${target}`, '--soft')
  const passed = await v.get('/fresh')
  assert.deepEqual([outcome(passed), passed.body], ['miss', 'a page'])
  assert.equal((await v.get('/validated-twice')).body, 'a page', 'validated, and then asked for')
  fails = true
  for (const target of targets) {
    const res = await v.get(target)
    assert.deepEqual([res.status, res.headers['content-encoding'], res.bytes], [200, 'gzip', broken], target)
    await until(() => v.lastLine(target)?.reason === 'stale_error', `${target} in the log`)
  }
})

test('4.7, 7.5 what cannot be decoded is not given because a render takes its time: the shell is', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n > 2) await slow.promise
    page(res, 'no gzip', { ...fresh, 'content-encoding': 'gzip', ...(req.url === '/expired' && old) })
  })
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, 'the shell')
  const v = await varve(t, `origins: {web: {workers: ["${origin.url}"], client_wait: 50ms}}\nshell: {file: ${dir}/shell.html}\nroutes: [{match: "/**"}]\n`, { dir })
  const navigation = { accept: 'text/html', 'sec-fetch-dest': 'document' }
  const targets = ['/fresh', '/expired']
  for (const target of targets) await until(async () => (await v.get(target, { ...navigation, 'accept-encoding': 'gzip' })).body === 'no gzip', `${target} to be stored`)
  for (const target of targets) {
    const res = await v.get(target, navigation)
    assert.deepEqual([res.status, res.body], [200, 'the shell'], target)
    await until(() => v.lastLine(target)?.reason === 'client_wait', `${target} in the log`)
  }
  slow.open()
  assert.equal((await v.cli('mode', 'shell')).code, 0)
  for (const target of targets) assert.equal((await v.get(target, navigation)).body, 'the shell', `${target} where nothing has failed`)
})

test('4.7, RFC 9110 §7.7 what came coded with no-transform is not decoded: who cannot read it asks the origin', async (t) => {
  const text = 'coded by the renderer. '.repeat(100)
  const origin = await renderer(t, (req, res) => {
    const coded = /gzip/.test(req.headers['accept-encoding'])
    const control = { 'cache-control': 'max-age=60, no-transform', etag: '"e"', vary: 'accept-encoding' }
    page(res, coded ? zlib.gzipSync(text) : text, { ...control, ...(coded && { 'content-encoding': 'gzip' }) })
  })
  const v = await varve(t, anyRoute(origin))
  const reader = { 'accept-encoding': 'gzip' }
  const first = await v.get('/', reader)
  for (const more of [{}, { range: 'bytes=0-3' }, { 'accept-encoding': 'br, gzip' }]) {
    const hit = await v.get('/', { ...reader, ...more })
    assert.deepEqual([hit.status, outcome(hit), hit.headers['content-encoding'], hit.headers.etag], [200, 'hit', 'gzip', '"e"'])
    assert.deepEqual(hit.bytes, first.bytes)
  }
  assert.equal(origin.requests.length, 1)
  const plain = await v.get('/')
  assert.deepEqual([plain.status, plain.body, plain.headers['content-encoding'], plain.headers.etag], [200, text, undefined, '"e"'])
  assert.equal(origin.requests.length, 2, 'passed')
  assert.equal(outcome(await v.get('/', reader)), 'hit')
  const part = await v.get('/', { range: 'bytes=0-3' })
  assert.equal(part.body, text, 'the origin knows no ranges')
  assert.equal(origin.requests[2].headers.range, 'bytes=0-3')
})

test('4.6, 4.7, RFC 9110 §7.7 a 304 that adds no-transform: who cannot read what is stored asks for itself, whoever asked first', async (t) => {
  const text = 'coded by the renderer. '.repeat(3)
  const answer = gate()
  const origin = await renderer(t, async (req, res) => {
    const coded = /gzip/.test(req.headers['accept-encoding'])
    if (!req.headers['if-none-match']) return page(res, coded ? zlib.gzipSync(text) : text, { ...fresh, etag: '"e"', ...(coded && { 'content-encoding': 'gzip' }) })
    if (req.url === '/joined') await answer.promise
    res.writeHead(304, { 'cache-control': 'max-age=60, no-transform', etag: '"e"' }).end()
  })
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}${anyRoute(origin)}`)
  const reader = { 'accept-encoding': 'gzip' }
  const seen = (res) => [res.status, res.headers['content-encoding'], res.headers['content-encoding'] ? zlib.gunzipSync(res.bytes).toString() : res.body]
  for (const target of ['/alone', '/joined']) {
    assert.deepEqual(seen(await v.get(target, reader)), [200, 'gzip', text])
    await v.cli('purge', `${v.url}${target}`, '--soft')
  }
  assert.deepEqual(seen(await v.get('/alone')), [200, undefined, text], 'it asked first')
  assert.equal(outcome(await v.get('/alone', reader)), 'hit')
  assert.equal(origin.requests.length, 4)
  const leader = v.get('/joined', reader)
  await until(() => origin.requests.length === 5)
  const { get, settled } = await http2Client(t, v, tls.port)
  const joined = get('/joined')
  await settled()
  answer.open()
  assert.deepEqual(seen(await joined), [200, undefined, text], 'it joined')
  assert.deepEqual(seen(await leader), [200, 'gzip', text])
  assert.equal(origin.requests.length, 6)
})

test('4.7, RFC 9110 §7.7 who cannot read what comes coded with no-transform does not wait for its end', async (t) => {
  const end = gate()
  const origin = await renderer(t, async (req, res) => {
    const control = { 'content-type': 'text/html', 'cache-control': 'max-age=60, no-transform' }
    if (!/gzip/.test(req.headers['accept-encoding'])) return res.writeHead(200, control).end('plain')
    res.writeHead(200, { ...control, 'content-encoding': 'gzip' }).write(zlib.gzipSync('coded').subarray(0, 20))
    await end.promise
    res.end(zlib.gzipSync('coded').subarray(20))
  })
  const v = await varve(t, anyRoute(origin))
  const begun = gate()
  const leader = v.get('/', { 'accept-encoding': 'gzip' }, { onData: begun.open })
  await begun.promise
  const plain = await v.get('/')
  assert.equal(plain.body, 'plain')
  assert.match(plain.headers['cache-status'], /; collapsed=\?0/)
  end.open()
  assert.equal(zlib.gunzipSync((await leader).bytes).toString(), 'coded')
})

test('4.2 reject_body looks at all of a body, whatever its size and coding; what it cannot look into is not stored', async (t) => {
  const long = 'a page of some length. '.repeat(50000)
  const bodies = { good: 'a page', bad: 'a page that threw late', 'long-good': long, 'long-bad': `${long} threw late`, 'too-long': 'a'.repeat(3 << 20), empty: '' }
  const codings = { plain: (text) => text, gzip: zlib.gzipSync, br: zlib.brotliCompressSync, broken: (text) => `no gzip: ${text}` }
  const origin = await renderer(t, (req, res, n) => {
    const [, coding, body] = req.url.split('/')
    res.writeHead(200, { 'content-type': 'text/html', ...fresh, ...(coding !== 'plain' && { 'content-encoding': coding === 'broken' ? 'gzip' : coding }), 'x-render': n })
    res.end(codings[coding](bodies[body]))
  })
  const v = await varve(t, `store: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 2MiB}\n${anyRoute(origin, ', reject_body: ["threw late"]')}`)
  for (const coding of Object.keys(codings))
    for (const body of Object.keys(bodies)) {
      const target = `/${coding}/${body}`
      const first = await v.get(target, { 'accept-encoding': 'gzip, br' })
      assert.deepEqual(first.bytes, Buffer.from(codings[coding](bodies[body])), `${target}: given as it comes`)
      const second = await v.get(target, { 'accept-encoding': 'gzip, br' })
      const isStored = coding !== 'broken' && /good|empty/.test(body)
      assert.equal(outcome(second) === 'hit', isStored, target)
      assert.equal(second.headers['x-render'] === first.headers['x-render'], isStored, target)
    }
})

test('3.1, 4.2 who comes while a body is looked at joins its flight: it is rendered once', async (t) => {
  const text = 'a page of some length. '.repeat(20000)
  const origin = await renderer(t, (req, res) => page(res, zlib.gzipSync(text), { ...fresh, 'content-encoding': 'gzip' }))
  const v = await varve(t, anyRoute(origin, ', reject_body: ["threw late"]'))
  for (let i = 0; i < 10; i++) {
    const answers = Array.from({ length: 5 }, async () => {
      for (let j = 0; j < 5; j++) assert.equal(zlib.gunzipSync((await v.get(`/${i}`, { 'accept-encoding': 'gzip' })).bytes).toString(), text)
    })
    await Promise.all(answers)
  }
  assert.equal(origin.requests.length, 10)
})

test('4.7, RFC 9530 digests go with the coding that they are of', async (t) => {
  const text = 'a page of some length. '.repeat(200)
  const digests = { 'content-digest': 'sha-256=:AA==:', 'repr-digest': 'sha-256=:BB==:', digest: 'sha-256=CC==', 'content-md5': 'DD==' }
  const origin = await renderer(t, (req, res) =>
    req.url === '/coded' ? page(res, zlib.gzipSync(text), { ...fresh, ...digests, 'content-encoding': 'gzip' }) : page(res, text, { ...fresh, ...digests }))
  const v = await varve(t, anyRoute(origin))
  const digestsOf = (res) => Object.keys(digests).filter((name) => name in res.headers)
  for (const [target, itself, other] of [['/', 'identity', 'gzip'], ['/coded', 'gzip', 'identity']]) {
    for (let i = 0; i < 2; i++) assert.deepEqual(digestsOf(await v.get(target, { 'accept-encoding': itself })), Object.keys(digests))
    const changed = await until(async () => {
      const res = await v.get(target, { 'accept-encoding': other })
      return (res.headers['content-encoding'] ?? 'identity') === other && res
    }, `${target} in ${other}`)
    assert.deepEqual(digestsOf(changed), [], `${target} in ${other}`)
  }
  const part = await v.get('/coded', { 'accept-encoding': 'gzip', range: 'bytes=0-3' })
  assert.deepEqual([part.status, part.body, digestsOf(part).length], [206, 'a pa', 0])
})

test('4.7 waiters that cannot read the coding of the flight wait for its end and get it decoded', async (t) => {
  const text = 'coded by the renderer. '.repeat(100)
  const rest = gate()
  const origin = await renderer(t, async (req, res) => {
    const coded = zlib.gzipSync(text)
    res.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip', ...fresh })
    res.write(coded.subarray(0, 20))
    await rest.promise
    res.end(coded.subarray(20))
  })
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}${anyRoute(origin)}`)
  const begun = gate()
  const leader = v.get('/', { 'accept-encoding': 'gzip' }, { onData: begun.open })
  await begun.promise
  const { get, settled } = await http2Client(t, v, tls.port)
  const plain = get('/')
  await settled()
  rest.open()
  assert.equal((await plain).body, text)
  assert.equal(zlib.gunzipSync((await leader).bytes).toString(), text)
  assert.equal(origin.requests.length, 1)
})

test('4.7, 3.2 waiters that cannot read the coding are told when the flight breaks off', async (t) => {
  const cut = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip', ...fresh })
    res.write(zlib.gzipSync('coded by the renderer').subarray(0, 20))
    await cut.promise
    res.socket.destroy()
  })
  const tls = await tlsListener(tempDir(t))
  const v = await varve(t, `${tls.yaml}${anyRoute(origin)}`)
  const begun = gate()
  const leader = v.get('/', { 'accept-encoding': 'gzip' }, { onData: begun.open })
  await begun.promise
  const { get, settled } = await http2Client(t, v, tls.port)
  const plain = get('/')
  await settled()
  cut.open()
  assert.equal((await plain).status, 503)
  assert.equal((await leader).aborted, true)
  assert.equal(origin.requests.length, 1, 'they do not retry one by one')
})

test('4.8 Vary to clients: the renderer\'s, always-fields, Cookie where kept cookies are keyed, Accept-Encoding', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'x', { ...fresh, ...(req.url === '/v' && { vary: 'X-One, x-two' }) }))
  const v = await varve(t, `renderer: ${origin.url}\nvary: {accept-language: {choose: [en], default: en, always: true}, cookie: {keep: [ab]}}\n` +
    'routes: [{match: "/private-cached/**", client_cache: "max-age=5"}, {match: "/**"}]\n')
  const names = (res) => res.headers.vary.toLowerCase().split(/, */).sort()
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(names(await v.get('/v')), ['accept-encoding', 'accept-language', 'cookie', 'x-one', 'x-two'])
    assert.deepEqual(names(await v.get('/plain')), ['accept-encoding', 'accept-language', 'cookie'])
    assert.equal((await v.get('/private-cached/x')).headers['cache-control'], 'max-age=5')
  }
})

test('frameworks 6: what Next gives while it makes the page anew (x-nextjs-cache: STALE) is soon asked for again', async (t) => {
  const isr = { 'cache-control': 's-maxage=300, stale-while-revalidate=31535700' }
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...isr, 'x-nextjs-cache': n === 1 ? 'STALE' : 'HIT' }))
  const v = await varve(t, anyRoute(origin))
  assert.equal((await v.get('/')).body, 'render 1')
  await until(async () => (await v.get('/')).body === 'render 2', 'the new page')
  assert.match((await v.get('/')).headers['cache-status'], /^varve; hit; ttl=(29\d|300)$/)
  assert.equal(origin.requests.length, 2)
})
