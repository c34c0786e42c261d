// Cache groups (RFC 9875): responses name the groups that they belong to, answers to unsafe requests those that they invalidate.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, page, renderer, request, until, varve } from './lib.mjs'

const MINUTE = { 'cache-control': 'max-age=60' }

/**
 * A renderer whose pages have the Cache-Groups that `groups[url]` says, and which answers what is not a GET of them as `answer`
 * wants. `cached(path)` tells whether that page comes from the cache.
 */
async function site(t, { groups, invalidate = 'rfc', answer = {} }) {
  const origin = await renderer(t, (req, res, n) => {
    if (req.method !== 'GET' || req.url.startsWith('/get')) {
      const { status = 200, fields = { 'cache-group-invalidation': '"news"' } } = answer
      return res.writeHead(status, fields).end(`done ${n}`)
    }
    page(res, `render ${n}`, { ...MINUTE, ...(groups[req.url] && { 'cache-groups': groups[req.url] }) })
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", invalidate: ${invalidate}}]\n`)
  const cached = async (path, headers) => outcome(await v.get(path, headers)) === 'hit'
  const post = (headers = {}, more = {}) => v.get('/form', headers, { method: 'POST', body: 'a=1', ...more })
  return { v, origin, cached, post, answer }
}

test('9875 §3 an answer to POST invalidates the groups that it names, whole, and no other page', async (t) => {
  const groups = { '/a': '"news"', '/b': '"home";x=1, "news"', '/c': '"sport"', '/d': '"News"', '/f': '"new\\"s"' }
  const { v, cached, post, answer } = await site(t, { groups })
  const all = [...Object.keys(groups), '/e']
  for (const path of all) await v.get(path)
  for (const path of all) assert.ok(await cached(path), path)
  assert.equal((await post()).status, 200)
  for (const path of all) assert.equal(await cached(path), !['/a', '/b'].includes(path), path)
  answer.fields = { 'cache-group-invalidation': '"none", "new\\"s"' }
  await post()
  for (const path of all) assert.equal(await cached(path), path !== '/f', path)
})

test('9875 §2.1 a group is of its origin: another host, port or scheme has others of the same name', async (t) => {
  const { v, cached, post } = await site(t, { groups: { '/': '"news"' } })
  const origins = [
    { host: 'a.example' },
    { host: 'a.example:8443' },
    { host: 'b.example' },
    { host: 'a.example', 'x-forwarded-proto': 'https' },
  ]
  for (const origin of origins) await v.get('/', origin)
  await post(origins[0])
  for (const [i, origin] of origins.entries()) assert.equal(await cached('/', origin), i !== 0, JSON.stringify(origin))
  await post({ host: 'A.example:80' }) // the same one, written otherwise
  assert.equal(await cached('/', origins[0]), false)
})

test('9875 §3 only what is not safe and succeeds invalidates, and only with a List of Strings', async (t) => {
  const { v, cached, post, answer } = await site(t, { groups: { '/a': '"news"' } })
  await v.get('/a')
  for (const status of [400, 403, 404, 500, 503]) {
    answer.status = status
    await post()
    assert.ok(await cached('/a'), `${status}`)
  }
  answer.status = 200
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    await v.get('/get', {}, { method })
    assert.ok(await cached('/a'), method)
  }
  for (const value of ['news', '"news", other', '"news", 1', '("news")', '"news",', '"news', '"news" "x"', '']) {
    answer.fields = { 'cache-group-invalidation': value }
    await post()
    assert.ok(await cached('/a'), value)
  }
  for (const [method, status, value] of [['PUT', 204, '"news"'], ['M-SEARCH', 200, '"news";p'], ['DELETE', 303, ['"x"', ' "news" ']]]) {
    Object.assign(answer, { status, fields: { 'cache-group-invalidation': value } })
    await post({}, { method })
    assert.equal(await cached('/a'), false, method)
  }
})

test('9875 §2 32 groups of 32 characters count, each of them; of more than 64 tags a page is not stored', async (t) => {
  const names = (n, length = 32) => Array.from({ length: n }, (_, i) => `"${`${i}-`.padEnd(length, 'x')}"`)
  const groups = { '/32': names(32).join(', '), '/64': names(64).join(','), '/65': names(65).join(',') }
  const { v, cached, post, answer } = await site(t, { groups })
  for (const path of Object.keys(groups)) await v.get(path)
  assert.deepEqual([await cached('/32'), await cached('/64'), await cached('/65')], [true, true, false])
  for (const [i, name] of [names(32)[0], names(32)[31]].entries()) {
    answer.fields = { 'cache-group-invalidation': name }
    await post()
    assert.equal(await cached('/32'), false, `${i}`)
  }
  answer.fields = { 'cache-group-invalidation': [...names(31, 40), names(32)[7]].join(', ') }
  await post()
  assert.equal(await cached('/32'), false)
})

test('9875 §2.2.1 nothing follows from a group: other groups of what was invalidated stay', async (t) => {
  const { v, cached, post } = await site(t, { groups: { '/a': '"news", "home"', '/b': '"home"', '/form': '"form"', '/c': '"form"' } })
  for (const path of ['/a', '/b', '/form', '/c']) await v.get(path)
  await post()
  assert.deepEqual([await cached('/a'), await cached('/b'), await cached('/form'), await cached('/c')], [false, true, false, true])
})

test('9875, 6.1 soft: a group is stale but usable, the first time at once, again only after 10 s; never: nothing happens', async (t) => {
  const groups = { '/a': '"news"' }
  const soft = await site(t, { groups, invalidate: 'soft, stale: {while_revalidate: 1h}' })
  const renders = () => soft.origin.requests.filter((r) => r.method === 'GET').length
  await soft.v.get('/a')
  await soft.post()
  assert.equal((await soft.v.get('/a')).body, 'render 1') // while it is refreshed behind people
  await until(async () => (await soft.v.get('/a')).body !== 'render 1', 'the refreshed page')
  assert.equal(renders(), 2)
  await soft.v.get('/other', {}, { method: 'POST', body: 'a=1' })
  assert.match((await soft.v.get('/a')).headers['cache-status'], /; hit; ttl=\d/, 'fresh, not only usable')
  assert.equal(renders(), 2)

  const never = await site(t, { groups, invalidate: 'never' })
  await never.v.get('/a')
  await never.post()
  assert.ok(await never.cached('/a'))
})

test('9875, 6.3 what a group invalidated stays so over kill -9 and a restart', async (t) => {
  const { v, cached, post } = await site(t, { groups: { '/a': '"news"', '/b': '"home"' } })
  await v.get('/a')
  await v.get('/b')
  await until(() => v.metric('varve_store_objects').then((n) => n === 2), 'both are on disk')
  await post()
  await v.stop('SIGKILL')
  await v.start()
  assert.deepEqual([await cached('/a'), await cached('/b')], [false, true])
})

test('9875 the renewed page keeps its groups, and those that a 304 names replace them', async (t) => {
  let named = {}
  const origin = await renderer(t, (req, res, n) => {
    if (req.method === 'POST') return res.writeHead(200, { 'cache-group-invalidation': req.headers['x-groups'] }).end()
    if (req.headers['if-none-match']) return res.writeHead(304, { etag: '"1"', 'cache-control': 'max-age=60', ...named }).end()
    page(res, `render ${n}`, { etag: '"1"', 'cache-control': 'max-age=0', 'cache-groups': '"old"' })
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", invalidate: rfc}]\n`)
  const post = (groups) => v.get('/form', { 'x-groups': groups }, { method: 'POST', body: 'a' })
  for (const [path, fields, wrong, right] of [['/kept', {}, '"new"', '"old"'], ['/new', { 'cache-groups': '"new"' }, '"old"', '"new"']]) {
    named = fields
    await v.get(path)
    assert.match((await v.get(path)).headers['cache-status'], /fwd-status=304/)
    await post(wrong)
    assert.equal(outcome(await v.get(path)), 'hit')
    await post(right)
    assert.notEqual(outcome(await v.get(path)), 'hit')
  }
})

test('a group is purged by its tag, which explain tells; a Surrogate-Key of the same text is another', async (t) => {
  const origin = await renderer(t, (req, res, n) =>
    page(res, `render ${n}`, { ...MINUTE, ...(req.url === '/a' ? { 'cache-groups': '"big news"' } : { 'surrogate-key': `http://a.example big news` }) }))
  const v = await varve(t, `renderer: ${origin.url}\nhosts: [a.example]\nroutes: [{match: "/**"}]\n`)
  const get = (path) => request(v.url + path, { headers: { host: 'a.example', accept: 'text/html' } })
  for (const path of ['/a', '/b']) await get(path)
  const { stdout } = await v.cli('explain', 'http://a.example/a', '--json')
  const { tag_texts: tags } = JSON.parse(stdout).object
  assert.deepEqual(tags, ['http://a.example big news'])
  assert.equal((await v.cli('purge', '--tag', tags[0])).code, 0)
  assert.notEqual(outcome(await get('/a')), 'hit')
  assert.equal(outcome(await get('/b')), 'hit')
})
