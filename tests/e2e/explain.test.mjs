// `varve explain`: what it says would happen is what then happens, with the same reason, and saying it changes nothing.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { all, freePort, page, renderer, tempDir, until, varve } from './lib.mjs'

const MINUTE = { 'cache-control': 'max-age=60' }
const OLD = { ...MINUTE, age: '100' }
const pages = (t) => renderer(t, (req, res, n) => page(res, `render ${n}`, MINUTE))
const problem = (res, status, words) => {
  assert.equal(res.status, status, res.body)
  assert.match(JSON.parse(res.body).detail, words)
}
const ok = (res) => {
  assert.equal(res.status, 200, res.body)
  return JSON.parse(res.body)
}
const purge = async (v, order) => ok(await v.admin('POST', '/v1/purge', order))
const lines = (headers) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`)

const OUTCOMES = {
  hit: ['hit'],
  stale: ['stale'],
  'stale now, refreshed behind': ['stale'],
  shell: ['shell'],
  render: ['miss'],
  pass: ['pass'],
  redirect: ['pass'],
  reject: ['error'],
  error: ['error'],
}

/** What would happen to a navigation, unless `more` says otherwise. */
async function explained(v, target, { host, ...more } = {}) {
  const headers = { accept: 'text/html', ...more }
  const query = [`url=${encodeURIComponent(`http://${host ?? `127.0.0.1:${v.port}`}${target}`)}`, ...lines(headers).map((line) => `header=${encodeURIComponent(line)}`)]
  return ok(await v.admin('GET', `/v1/explain?${query.join('&')}`))
}

let asked = 0

/** The same, asked twice; has it happen; looks whether the log tells the same of it. */
async function foretold(v, target, more = {}) {
  const headers = { accept: 'text/html', ...more, 'user-agent': `${more['user-agent'] ?? 'test'} no-${++asked};` } // by which its line is known
  const told = await explained(v, target, headers)
  const again = await explained(v, target, headers)
  assert.deepEqual([again.would, again.reason, again.status], [told.would, told.reason, told.status], 'asking changes nothing')
  const res = await v.get(target, headers)
  const line = await until(() => v.accessLog().find((l) => l.ua === headers['user-agent']), 'its line in the log')
  const what = `${target} ${JSON.stringify(more)}: ${JSON.stringify(told)} but ${JSON.stringify(line)}`
  assert.ok(OUTCOMES[told.would].includes(line.outcome), what)
  assert.equal(told.reason, line.reason, what)
  if (told.status) assert.equal(told.status, res.status, what)
  return { ...told, res }
}
const short = ({ would, reason, status }) => (status ? [would, reason, status] : [would, reason])

test('explain tells each outcome before it happens, and why', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    if (req.url.startsWith('/private')) page(res, 'p', { 'cache-control': 'private' })
    else if (req.url.startsWith('/cookie')) page(res, 'c', { 'set-cookie': 'a=1' })
    else page(res, `render ${n}`, MINUTE)
  })
  const v = await varve(
    t,
    `renderer: ${origin.url}\nhosts: [shop.example]\nroutes:\n  - {match: "/never/**", cache: never}\n  - {match: "/sealed/**", ttl: 60s}\n  - {match: "/**"}\n`,
  )
  const host = { host: 'shop.example', accept: 'text/html' }
  const explain = async (path, ...headers) =>
    ok(
      await v.admin(
        'GET',
        `/v1/explain?url=${encodeURIComponent(`http://shop.example${path}`)}${headers.map((h) => `&header=${encodeURIComponent(h)}`).join('')}`,
      ),
    )
  const before = origin.requests.length
  let told = await explain('/a')
  assert.deepEqual([told.would, told.action, told.known, told.object, told.route], ['render', 'lookup', false, null, '/**'])
  await v.get('/a', host)
  told = await explain('/a')
  assert.deepEqual([told.would, told.object.state, told.object.status, told.variants_stored], ['hit', 'fresh', 200, 1])
  assert.ok(told.object.ttl > 0 && told.object.ttl <= 60)

  told = await explain('/a', 'Cookie: session=topsecret')
  assert.deepEqual([told.would, told.reason, told.logged_in], ['pass', 'logged_in', true])
  assert.ok(!JSON.stringify(told).includes('topsecret'))
  told = await explain('/never/x')
  assert.deepEqual([told.would, told.reason, told.route], ['pass', 'route', '/never/**'])
  told = await explain('/x/..%2fnever/x')
  assert.deepEqual([told.would, told.reason], ['pass', 'path'])

  for (const [path, why] of [
    ['/private', 'private'],
    ['/cookie', 'set_cookie'],
  ]) {
    await v.get(path, host)
    told = await explain(path)
    assert.deepEqual([told.not_storable_for_now, told.not_storable_because, told.would], [true, why, 'render'])
  }
  assert.deepEqual([(await explain('/sealed/x')).sealed, (await explain('/a')).not_storable_for_now], [true, false])

  await purge(v, { urls: ['http://shop.example/a'], soft: true })
  told = await explain('/a')
  assert.notEqual(told.would, 'hit')
  assert.match(told.object.state, /stale|validators/)
  await purge(v, { urls: ['http://shop.example/a'] })
  assert.equal((await explain('/a')).would, 'render')
  assert.equal(origin.requests.length - before, 3) // explaining asked for nothing
})

test('explain leaves what is stored as it was: it counts no hit, and no page comes into memory', async (t) => {
  const dir = tempDir(t)
  const policy = `renderer: ${(await pages(t)).url}\nroutes: [{match: "/**"}]\n`
  const first = await varve(t, policy, { dir })
  const shop = { host: 'shop.example', accept: 'text/html' }
  await first.get('/a', shop)
  for (let i = 0; i < 3; i++) assert.deepEqual([(await explained(first, '/a', shop)).would, (await explained(first, '/a', shop)).object.hits], ['hit', 0])
  await first.get('/a', shop)
  for (let i = 0; i < 2; i++) assert.equal((await explained(first, '/a', shop)).object.hits, 1)
  await first.stop()

  const second = await varve(t, policy, { dir })
  const stored = async () => ok(await second.admin('GET', `/v1/variants?url=${encodeURIComponent('http://shop.example/a')}`)).variants
  const told = await explained(second, '/a', shop)
  assert.deepEqual(short(told), ['hit', 'fresh'])
  assert.deepEqual((await stored()).map((v) => v.in_memory), [false])
  await second.get('/a', shop)
  assert.deepEqual((await stored()).map((v) => v.in_memory), [true])
})

test('explain takes the host from -H Host, as curl does, and says which scheme and host it is about', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/a', { host: 'shop.example', accept: 'text/html' })
  const ask = async (...words) => JSON.parse((await v.cli('explain', ...words, '--json')).stdout)
  const told = await ask(`${v.url}/a`, '-H', 'Host: Shop.Example')
  assert.deepEqual([told.scheme, told.host, told.path, told.would], ['http', 'shop.example', '/a', 'hit'])
  assert.equal((await ask(`${v.url}/a`)).would, 'render', 'a page of another host')
  assert.deepEqual([(await ask('https://shop.example/a')).scheme, (await ask('https://shop.example/a')).would], ['https', 'render'])
  assert.match((await v.cli('explain', `${v.url}/a`)).stdout, /^scheme +http$/m)
  for (const [words, what] of [
    [['ftp://shop.example/a'], '"ftp://shop.example/a" is not a URL with a host: write https://HOST/PATH'],
    [['http://h/a', '-H', 'Host: a b'], '"http://h/a" is not a URL with a host, or the Host beside it not one host: write https://HOST/PATH'],
  ]) {
    const { code, stderr } = await v.cli('explain', ...words)
    assert.deepEqual([code, stderr], [2, `varve explain: ${what}\n`])
  }
})

test('a URL that nobody can be asked for: explain, variants and purge say what is wrong with it, and end with status 2', async (t) => {
  const v = await varve(t, `renderer: ${(await pages(t)).url}\n`)
  for (const words of [['explain'], ['variants'], ['purge']]) {
    const { code, stderr } = await v.cli(...words, '/c')
    assert.deepEqual([code, stderr], [2, `varve ${words[0]}: "/c" is not a URL with a host: write https://HOST/PATH\n`])
  }
  const prefix = await v.cli('purge', '--prefix', '/c')
  assert.deepEqual([prefix.code, prefix.stderr], [2, 'varve purge: "/c" is not a prefix: write https://HOST/PATH-PREFIX without a query\n'])
})

test('explain answers what is no request of ours with a problem, and is never taken down by it', async (t) => {
  const v = await varve(t, `renderer: ${(await pages(t)).url}\nhosts: [shop.example, b.example]\n`)
  for (const query of ['', '?url=', '?url=%2Fa', '?url=http%3A%2F%2F', '?url=http%3A%2F%2Fa%20b%2F', '?urll=http://h/', '?url=ftp'])
    for (const path of ['explain', 'variants']) problem(await v.admin('GET', `/v1/${path}${query}`), 400, /url/i)
  for (const url of ['http://other.example/', 'http://shop.example/%00', 'http://shop.example/%0a%ff', 'http://shop.example/a b', 'http://shop.example?x', 'http://shop.example#f'])
    for (const header of ['', '&header=', '&header=:', '&header=a%0ab:c', '&header=cookie:%ff%00']) {
      const target = `?url=${encodeURIComponent(url)}${header}`
      assert.equal((await v.admin('GET', `/v1/explain${target}`)).status, 200, target)
      assert.equal((await v.admin('GET', `/v1/variants${target}`)).status, 200, target)
    }
  assert.equal(ok(await v.admin('GET', '/v1/explain?url=http%3A%2F%2Fother.example%2F')).would, 'reject')
  const fields = (count) => v.admin('GET', `/v1/explain?url=http%3A%2F%2Fshop.example%2F${'&header=a:b'.repeat(count - 1)}&header=cookie:session=1`)
  assert.equal(ok(await fields(64)).logged_in, true)
  problem(await fields(65), 400, /at most 64 fields/)
})

test('a class with renders: false: what is stored, else 503', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, req.url === '/old' ? OLD : MINUTE))
  const v = await varve(t, `renderer: ${origin.url}\nclasses: [{name: ai, user_agent: [GPTBot], renders: false}, {name: people}]\nroutes: [{match: "/**", stale: {if_error: 1h}}]\n`)
  const bot = { 'user-agent': 'GPTBot/1.2' }
  const none = await foretold(v, '/none', bot)
  assert.deepEqual(short(none), ['error', 'policy', 503])
  assert.match(none.detail, /stored pages only/)
  for (const target of ['/new', '/old']) await v.get(target, { accept: 'text/html' })
  assert.deepEqual(short(await foretold(v, '/new', bot)), ['hit', 'fresh'])
  assert.deepEqual(short(await foretold(v, '/old', bot)), ['stale', 'stale_busy'])
  assert.deepEqual(short(await foretold(v, '/old')), ['render', 'expired'])
  assert.equal(origin.requests.length, 3)
})

test('5.4 a page of before a deploy: stale, though its time is not over, and then the new one', async (t) => {
  const port = await freePort()
  const build = (version) => renderer(t, (req, res) => page(res, version, { ...MINUTE, 'x-app-version': version }), { port })
  const first = await build('v1')
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, 'the shell')
  const v = await varve(
    t,
    `origins: {renderer: {workers: ["${first.url}"], build: {header: X-App-Version}}}\nshell: {file: ${dir}/shell.html}\nroutes: [{match: "/bare/**", on_failure: [stale]}, {match: "/**"}]\n`,
    { dir },
  )
  await v.get('/a', { accept: 'text/html' })
  await v.get('/bare/soft', { accept: 'text/html' })
  assert.deepEqual(short(await foretold(v, '/a')), ['hit', 'fresh'])
  await first.stop()
  await until(async () => (await v.get('/bare/x')).status === 503 && (await v.metric('varve_origin_up{origin="renderer"}')) === 0, 'the origin to be down')
  await purge(v, { urls: [`${v.url}/bare/soft`], soft: true })
  assert.deepEqual(short(await foretold(v, '/a')), ['hit', 'fresh'])
  assert.deepEqual(short(await foretold(v, '/bare/soft')), ['stale now, refreshed behind', 'stale_busy'])
  assert.deepEqual(short(await foretold(v, '/cold', { 'sec-fetch-dest': 'document' })), ['shell', 'all_down'])
  assert.deepEqual(short(await foretold(v, '/bare/cold')), ['error', 'all_down', 503])
  await build('v2')
  await until(async () => (await v.get('/bare/y')).status === 200, 'the origin to be back')
  const stale = await foretold(v, '/a')
  assert.deepEqual([stale.would, stale.reason, stale.object.state, stale.object.reason, stale.object.build], ['stale now, refreshed behind', 'revalidating', 'stale while revalidating', 'revalidating', 'v1'])
  await until(async () => (await v.get('/a', { accept: 'text/html' })).body === 'v2', 'the new page')
  const young = await foretold(v, '/a')
  assert.deepEqual([young.would, young.object.build], ['hit', 'v2'])
})

test('421, 400 and redirects: with status, detail and Location', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nhosts: [shop.example]\nredirect_http: true\nroutes: [{match: "/**"}]\n`)
  const https = { 'x-forwarded-proto': 'https' }
  const other = await foretold(v, '/a', { host: 'other.example', ...https })
  assert.deepEqual(short(other), ['reject', 'policy', 421])
  assert.equal(JSON.parse((await v.get('/a', { host: 'other.example', accept: '*/*', ...https })).body).detail, other.detail)
  const bad = await explained(v, '/%00', { host: 'shop.example', ...https })
  assert.deepEqual(short(bad), ['reject', 'policy', 400])
  const moved = await foretold(v, '/a?x=1', { host: 'shop.example' })
  assert.deepEqual(short(moved), ['redirect', 'route', 308])
  assert.equal(moved.location, moved.res.headers.location)
  assert.deepEqual(short(await foretold(v, '/a', { host: 'shop.example', ...https })), ['render', 'cold'])
})

test('1.7, 2.8 the client that X-Forwarded-For names has its class by its address', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nclasses: [{name: search, ip_ranges: [10.9.0.0/16], renders: false}, {name: people}]\nroutes: [{match: "/**"}]\n`)
  for (const [address, name, would] of [
    ['10.9.1.2', 'search', 'error'],
    ['10.8.1.2', 'people', 'render'],
    ['10.9.1.2, 10.8.1.2', 'people', 'hit'], // behind a proxy that is not trusted
    ['10.8.1.2, 10.9.1.2', 'search', 'hit'],
    ['unknown', 'people', 'hit'],
  ]) {
    const told = await foretold(v, '/a', { 'x-forwarded-for': address })
    assert.deepEqual([told.class, told.would], [name, would], address)
  }
  assert.equal((await v.cli('explain', `${v.url}/a`, '-H', 'X-Forwarded-For: 10.9.1.2', '--json')).stdout.includes('"class": "search"'), true)
})

test('what a look-up does not answer: another type, a part, another wish, a mark, too many queries', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    if (req.url.startsWith('/data')) res.writeHead(200, { 'content-type': 'application/json', ...MINUTE }).end('{}')
    else page(res, `render ${n}`, req.url.startsWith('/private') ? { 'cache-control': 'private' } : MINUTE)
  })
  const v = await varve(
    t,
    `renderer: ${origin.url}\nroutes:\n  - {match: "/sealed/**", ttl: 60s}\n  - {match: "/private/**", ttl: 60s}\n  - {match: "/q", max_queries: 1}\n  - {match: "/**", client_cache_control: honour}\n`,
  )
  assert.deepEqual(short(await foretold(v, '/data', { 'sec-fetch-dest': 'empty' })), ['render', 'cold'])
  assert.deepEqual(short(await foretold(v, '/data', { 'sec-fetch-dest': 'empty' })), ['hit', 'fresh'])
  assert.deepEqual(short(await foretold(v, '/data', { 'sec-fetch-dest': 'document' })), ['render', 'type_mismatch'])
  assert.deepEqual(short(await foretold(v, '/part', { range: 'bytes=0-1' })), ['pass', 'policy'])
  assert.deepEqual(short(await foretold(v, '/wish', { 'cache-control': 'only-if-cached' })), ['error', 'cold', 504])
  assert.deepEqual(short(await foretold(v, '/wish', { 'cache-control': 'no-store' })), ['pass', 'no_store'])
  assert.deepEqual(short(await foretold(v, '/wish')), ['render', 'cold'])
  assert.deepEqual(short(await foretold(v, '/wish', { 'cache-control': 'only-if-cached' })), ['hit', 'fresh'])
  assert.deepEqual(short(await foretold(v, '/wish', { 'cache-control': 'no-cache' })), ['render', 'no_cache'])
  await v.get('/private/x', { accept: 'text/html' })
  assert.deepEqual(short(await foretold(v, '/private/x')), ['pass', 'private'])
  assert.deepEqual(short(await foretold(v, '/q?a=1')), ['render', 'cold'])
  assert.deepEqual(short(await foretold(v, '/q?a=2')), ['pass', 'policy'])
  assert.deepEqual(short(await foretold(v, '/q?a=2')), ['render', 'cold']) // its second request
})

test('1.5 without hosts: the seventeenth passes', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const res of await all(16, (i) => v.get('/a', { host: `h${i}.example`, accept: 'text/html' }))) assert.equal(res.status, 200)
  assert.deepEqual(short(await foretold(v, '/a', { host: 'h16.example' })), ['pass', 'policy'])
  assert.deepEqual(short(await foretold(v, '/a', { host: 'h3.example' })), ['hit', 'fresh'])
  assert.deepEqual(short(await foretold(v, '/b', { host: 'h3.example' })), ['render', 'cold'])
})

test('7.7 a page that kills its renderers', async (t) => {
  const die = (req, res) => (req.url === '/boom' ? req.socket.destroy() : page(res, 'page', MINUTE))
  const workers = [await renderer(t, die), await renderer(t, die)]
  const v = await varve(t, `origins: {renderer: {workers: [${workers.map((w) => `"${w.url}"`)}], retries: 1}}\nroutes: [{match: "/**"}]\n`)
  assert.equal((await v.get('/boom', { accept: 'text/html' })).status, 503)
  const deadly = await foretold(v, '/boom')
  assert.deepEqual(short(deadly), ['error', 'deadly', 503])
  assert.match(deadly.detail, /stopped renderers/)
  assert.deepEqual(short(await foretold(v, '/page')), ['render', 'cold'])
})
