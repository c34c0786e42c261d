// Cache-Status (RFC 9211, http-caching §11) on every way that a request can take.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { all, gate, http2Client, outcome, page, renderer, tempDir, tlsListener, varve } from './lib.mjs'

const MINUTE = { 'cache-control': 'max-age=60' }
const status = (res) => res.headers['cache-status']

/** The members of a Structured Fields List of tokens and strings with parameters; throws where it is none. */
function parse(text) {
  const members = []
  const item = /^(?:"(?:[^"\\]|\\["\\])*"|[A-Za-z*][\w!#$%&'*+.^`|~:/-]*|-?\d{1,15}|\?[01])/
  let rest = text
  const take = (pattern) => {
    const found = pattern.exec(rest)
    assert.ok(found, `${JSON.stringify(text)} at ${JSON.stringify(rest)}`)
    rest = rest.slice(found[0].length)
    return found[0]
  }
  for (;;) {
    const member = { name: take(item) }
    while (/^;/.test(rest)) {
      take(/^; */)
      const key = take(/^[a-z*][a-z0-9_.*-]*/)
      member[key] = true
      if (rest.startsWith('=')) member[key] = take(/^=/) && take(item)
    }
    members.push(member)
    if (!rest) return members
    take(/^[ \t]*,[ \t]*/)
  }
}

const last = (res) => parse(status(res)).at(-1)

test('http-caching §11 uri-miss, vary-miss, hit, stale, miss: what the look-up found', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    const fields = { vary: 'x-v', ...(req.url === '/old' ? { 'cache-control': 'max-age=60', age: '100' } : MINUTE), etag: '"1"' }
    req.url === '/renewed' && req.headers['if-none-match'] ? res.writeHead(304, { etag: '"1"', ...MINUTE }).end() :
      page(res, `render ${n}`, { ...fields, ...(req.url === '/renewed' && { 'cache-control': 'max-age=0' }) })
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const [path, headers, expected] of [
    ['/', {}, /^varve; fwd=uri-miss; fwd-status=200; stored; ttl=\d\d$/],
    ['/', {}, /^varve; hit; ttl=\d\d$/],
    ['/', { 'x-v': '1' }, /^varve; fwd=vary-miss; fwd-status=200; stored; ttl=\d\d$/],
    ['/', { 'if-none-match': '"1"' }, /^varve; hit; ttl=\d\d$/],
    ['/', { 'if-none-match': '"1"', 'x-v': '2' }, /^varve; fwd=vary-miss; fwd-status=200; stored; ttl=\d\d$/],
    ['/old', {}, /^varve; fwd=uri-miss; fwd-status=200; stored; ttl=-4\d$/],
    ['/old', {}, /^varve; fwd=stale; fwd-status=200; stored; ttl=-4\d$/],
    ['/renewed', {}, /^varve; fwd=uri-miss; fwd-status=200; stored; ttl=-?\d$/],
    ['/renewed', {}, /^varve; fwd=stale; fwd-status=304; stored; ttl=\d\d$/],
    ['/renewed', {}, /^varve; hit; ttl=\d\d$/],
  ])
    assert.match(status(await v.get(path, headers)), expected, path)
  await v.cli('purge', `${v.url}/`)
  assert.match(status(await v.get('/')), /^varve; fwd=(uri-miss|miss); fwd-status=200; stored/)
})

test('http-caching §11 request: a fresh page was there, and the client would not have it', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    const age = req.url === '/stale' && n < 3 ? { age: '100' } : { age: '30' }
    req.headers['if-none-match'] ? res.writeHead(304, { etag: '"1"', ...MINUTE }).end() : page(res, `render ${n}`, { ...MINUTE, ...age, ...(req.url === '/tag' && { etag: '"1"' }) })
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", client_cache_control: honour}]\n`)
  for (const path of ['/a', '/stale', '/tag']) await v.get(path)
  for (const [path, control, expected] of [
    ['/a', 'max-age=40', /^varve; hit; ttl=\d\d$/],
    ['/a', 'max-age=20', /^varve; fwd=request; fwd-status=200; stored; ttl=\d\d$/],
    ['/a', 'min-fresh=40', /^varve; fwd=request; fwd-status=200; stored; ttl=\d\d$/],
    ['/tag', 'no-cache', /^varve; fwd=request; fwd-status=304; stored; ttl=\d\d$/],
    ['/stale', 'no-cache', /^varve; fwd=stale; fwd-status=200; stored; ttl=\d\d$/],
    ['/new', 'no-cache', /^varve; fwd=uri-miss; fwd-status=200; stored; ttl=\d\d$/],
    ['/newer', 'no-store', /^varve; fwd=uri-miss; fwd-status=200$/],
  ])
    assert.match(status(await v.get(path, { 'cache-control': control })), expected, `${path} ${control}`)
})

test('http-caching §11 bypass and method: not looked up; a status that is not stored is not called so', async (t) => {
  const origin = await renderer(t, (req, res) => {
    if (req.url === '/cookie') return page(res, 'x', { 'set-cookie': 'a=1', ...MINUTE })
    if (req.url === '/404') return res.writeHead(404).end('none')
    page(res, 'x', MINUTE)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/never", cache: never}, {match: "/sealed/*", ttl: 1m}, {match: "/**"}]\n`)
  for (const [path, headers, expected, more] of [
    ['/', { cookie: 'sid=1' }, 'varve; fwd=bypass; fwd-status=200'],
    ['/never', {}, 'varve; fwd=bypass; fwd-status=200'],
    ['/', {}, 'varve; fwd=method; fwd-status=200', { method: 'POST', body: 'a' }],
    ['/', {}, 'varve; fwd=method; fwd-status=200', { method: 'OPTIONS' }],
    ['/404', {}, 'varve; fwd=uri-miss; fwd-status=404'],
    ['/cookie', {}, 'varve; fwd=uri-miss; fwd-status=200'],
    ['/cookie', {}, 'varve; fwd=uri-miss; fwd-status=200'], // under its mark
  ])
    assert.equal(status(await v.get(path, headers, more)), expected, path)
})

test('http-caching §11 collapsed: who shared a render; =?0: who waited for one in vain', async (t) => {
  const rest = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (!req.url.startsWith('/beside')) await rest.promise
    page(res, `render ${n}`, req.url === '/shared' ? MINUTE : { 'set-cookie': 'a=1' })
  })
  const dir = tempDir(t)
  const listener = await tlsListener(dir)
  const v = await varve(t, `renderer: ${origin.url}\n${listener.yaml}routes: [{match: "/**"}]\n`, { dir })
  const client = await http2Client(t, v, listener.port)
  const shared = all(5, () => client.get('/shared'))
  const own = all(3, () => client.get('/own'))
  await client.settled()
  await all(8, (i) => client.get(`/beside/${i}`)) // the disk has been asked for the others before
  rest.open()
  const texts = (await shared).map(status)
  assert.equal(texts.filter((s) => /^varve; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=\d\d$/.test(s)).length, 4, texts.join('\n'))
  assert.equal(texts.filter((s) => /^varve; fwd=uri-miss; fwd-status=200; stored; ttl=\d\d$/.test(s)).length, 1)
  const alone = (await own).map(status)
  assert.equal(alone.filter((s) => s === 'varve; fwd=uri-miss; fwd-status=200').length, 1, alone.join('\n'))
  assert.equal(alone.filter((s) => s === 'varve; fwd=uri-miss; fwd-status=200; collapsed=?0').length, 2)
})

test('http-caching §11 a stale hit has a negative ttl, also where only a purge made it stale; after an error it went forward', async (t) => {
  let broken = 0
  const origin = await renderer(t, async (req, res, n) => {
    if (broken === 503) return res.writeHead(503).end()
    if (broken) return req.socket.destroy()
    page(res, `render ${n}`, { 'cache-control': 'max-age=60', ...(req.url === '/old' && { age: '100' }) })
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/soft", stale: {while_revalidate: 1h}}, {match: "/**", stale: {if_error: 1h}}]\n`)
  for (const path of ['/soft', '/old']) await v.get(path)
  await v.cli('purge', `${v.url}/soft`, '--soft')
  broken = 503
  assert.equal(status(await v.get('/soft')), 'varve; hit; ttl=-1')
  const answered = last(await v.get('/old'))
  assert.deepEqual([answered.fwd, answered['fwd-status'], answered.stored, answered.hit], ['stale', '503', undefined, undefined])
  assert.ok(Number(answered.ttl) <= -40)
  broken = 1
  assert.match(status(await v.get('/old')), /^varve; hit; ttl=-\d\d$/)
})

test('http-caching §11 it stands behind what caches before it said, on hits too; what cannot be read goes', async (t) => {
  const origin = await renderer(t, (req, res) =>
    page(res, 'x', { ...MINUTE, 'cache-status': { '/two': ['Inner; hit; ttl=5', '"a, b"; fwd=miss'], '/odd': 'HIT from a (b)' }[req.url] ?? 'Inner; hit' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const [path, before] of [['/', 'Inner; hit, '], ['/two', 'Inner; hit; ttl=5, "a, b"; fwd=miss, '], ['/odd', '']])
    for (const mine of ['varve; fwd=uri-miss; fwd-status=200; stored; ttl=60', 'varve; hit; ttl=59']) {
      const res = await v.get(path)
      assert.equal(status(res).replace(/ttl=\d\d$/, 'ttl='), (before + mine).replace(/ttl=\d\d$/, 'ttl='))
      assert.equal(parse(status(res)).length, path === '/two' ? 3 : path === '/odd' ? 1 : 2)
      assert.equal(res.rawHeaders.filter((name) => /^cache-status$/i.test(name)).length, 1)
    }
})

test('10.2 key and detail only with the debug token; varve’s own answers have no Cache-Status without it (RFC 9211 §2)', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/token`, 'secret-token', { mode: 0o600 })
  let down = false
  const origin = await renderer(t, (req, res) => (down ? req.socket.destroy() : page(res, 'x', { ...MINUTE, vary: 'x-v' })))
  const v = await varve(t, `renderer: ${origin.url}\nadmin: {token_file: $DIR/token}\nvary: {cookie: {keep: [bucket]}}\nroutes: [{match: "/**"}]\n`, { dir })
  const debug = { 'x-varve-debug': 'secret-token' }
  const mine = { cookie: 'bucket=verysecret', 'x-v': 'a"b\\\u00e4' }
  for (const [path, headers, fwd, detail, key] of [
    ['/a%22b?q=1', mine, 'uri-miss', 'cold', '/a%22b?q=1 cookie.bucket=#'],
    ['/a%22b?q=1', mine, undefined, 'fresh', '/a%22b?q=1 x-v=a\\"b\\\\\\\\xe4; cookie.bucket=#'],
    ['/', { cookie: 'sid=1' }, 'bypass', 'logged_in'],
  ]) {
    const res = await v.get(path, { ...headers, ...debug })
    const member = last(res)
    assert.deepEqual([member.fwd, member.hit, member.detail], [fwd, fwd ? undefined : true, detail], status(res))
    assert.ok(key ? member.key.startsWith(`"${v.url}${key}`) : member.key === undefined, member.key)
    assert.doesNotMatch(status(res), /verysecret/)
    assert.doesNotMatch(status(await v.get(path, headers)), /key|detail/)
  }
  down = true
  for (const headers of [{}, { 'x-varve-debug': 'wrong' }]) {
    const failed = await v.get('/new', headers)
    assert.deepEqual([failed.status, status(failed)], [503, undefined])
  }
  assert.equal(status(await v.get('/newer', debug)), `varve; key="${v.url}/newer"; detail=upstream_error`)
  assert.equal(outcome(await v.get('/a%22b?q=1', mine)), 'hit')
})

test('10.2 redirects and answers to PURGE have a Cache-Status with the debug token, and none without it', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/token`, 'secret-token', { mode: 0o600 })
  const tls = await tlsListener(dir)
  const origin = await renderer(t, (req, res) => page(res, 'x'))
  const policy = 'redirect_http: true\nadmin: {token_file: $DIR/token}\npurge: {methods: [PURGE], allow: [127.0.0.1]}\nroutes: [{match: "/**"}]\n'
  const v = await varve(t, `${tls.yaml}renderer: ${origin.url}\n${policy}`, { dir })
  const secure = { 'x-forwarded-proto': 'https' }
  for (const [headers, method, expected] of [[{}, 'GET', [308, 'route']], [secure, 'PURGE', [200, 'method']], [{ ...secure, 'x-forwarded-for': '192.0.2.1' }, 'PURGE', [405, 'method']]]) {
    const res = await v.get('/', { ...headers, 'x-varve-debug': 'secret-token' }, { method })
    assert.deepEqual([res.status, status(res)], [expected[0], `varve; detail=${expected[1]}`])
    assert.equal(status(await v.get('/', headers, { method })), undefined)
  }
})
