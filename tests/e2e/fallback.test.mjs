// When the renderer is slow, broken or gone, and who may have what then: fresh → stale → shell → 503, never somebody else's page.
// Also varve's own answers and doors: errors, hosts, PURGE.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gate, http2Client, outcome, page, renderer, request, tempDir, tlsListener, until, varve } from './lib.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const old = { age: '100', 'cache-control': 'max-age=60' }
const navigation = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-dest': 'document' }
const shellText = '<!doctype html><title>app</title><script src="/app.js"></script>\n'

/** A directory with a shell in it; the policy's lines for it. */
function withShell(t) {
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, shellText)
  return { dir, yaml: `shell: {file: ${dir}/shell.html}\n` }
}
const stalesThenShell = (more = '') => `routes: [{match: "/**", on_failure: [stale, shell]${more}}]\n`
const isShell = (res) => res.status === 200 && res.body === shellText
const staleOnly = (more = '') => `routes: [{match: "/**", on_failure: [stale]${more}}]\n`
/** The log is written behind the answer. */
const reasonIs = (v, target, reason) =>
  until(() => v.lastLine(target)?.reason === reason, `reason=${reason} in the log`)

test('B5 one URL through all four: fresh, stale, shell, 503, and back to rendered pages', async (t) => {
  const handler = (req, res, n) => page(res, `render ${n}`, { etag: '"e"', ...fresh })
  const origin = await renderer(t, handler)
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `renderer: ${origin.url}\n${yaml}${stalesThenShell()}`, { dir })
  assert.equal((await v.get('/p', navigation)).body, 'render 1')
  assert.equal(outcome(await v.get('/p', navigation)), 'hit')

  await origin.stop()
  assert.equal((await v.cli('purge', '--soft', `${v.url}/p`)).code, 0)
  const stale = await v.get('/p', navigation)
  assert.equal(stale.body, 'render 1')
  assert.ok(Number(stale.headers.age) >= 0)

  assert.equal((await v.cli('purge', `${v.url}/p`)).code, 0)
  assert.ok(isShell(await v.get('/p', navigation)))

  const data = await v.get('/p', { accept: 'application/json' })
  assert.equal(data.status, 503)
  assert.ok(Number(data.headers['retry-after']) >= 2 && Number(data.headers['retry-after']) <= 10)

  const back = await renderer(t, handler, { port: origin.port })
  await until(async () => /^render/.test((await v.get('/p', navigation)).body), 'rendered pages to be back')
  assert.equal(outcome(await v.get('/p', navigation)), 'hit', 'the shell was not stored')
  assert.equal(back.requests.length, 1)
})

test('B6, 8.2 the shell: its bytes, for navigations only, without anything that belongs to a page', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', { etag: '"e"', 'last-modified': new Date(0).toUTCString(), ...old, 'cache-control': 'max-age=60, must-revalidate' }))
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `renderer: ${origin.url}\n${yaml}${stalesThenShell()}`, { dir })
  await v.get('/deep/link?x=1', navigation)
  await origin.stop()
  const shell = await v.get('/deep/link?x=1', navigation)
  assert.ok(isShell(shell))
  for (const name of ['etag', 'last-modified', 'age']) assert.equal(shell.headers[name], undefined, name)
  assert.equal(shell.headers['cache-control'], 'no-store')
  assert.match(shell.headers['content-type'], /^text\/html/)
  assert.ok(isShell(await v.get('/deep/link?x=1', { ...navigation, 'if-none-match': '"e"', 'if-modified-since': new Date().toUTCString() })))
  const head = await v.get('/other', navigation, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], String(shellText.length))
  assert.equal(head.body, '')
  assert.ok(isShell(await v.get('/other', { accept: 'text/html' })), 'no Sec-Fetch-Dest: Accept decides')
  for (const [target, headers] of [
    ['/x', { accept: 'application/json' }],
    ['/x.js', navigation],
    ['/x', { ...navigation, rsc: '1' }],
    ['/x', { accept: 'text/html', 'sec-fetch-dest': 'image' }],
    ['/x', { ...navigation, 'cdn-loop': 'other' }],
    ['/x', { ...navigation, via: '1.1 cdn' }],
  ]) assert.equal((await v.get(target, headers)).status, 503, `${target} ${JSON.stringify(headers)}`)
  assert.equal((await v.get('/x', navigation, { method: 'POST', body: 'a=1' })).status, 503)
})

test('B9 a class with never_shell gets stale at any age, else 503 with Retry-After', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'ancient', { age: '9000000', 'cache-control': 'max-age=60, stale-if-error=300' }))
  const { dir, yaml } = withShell(t)
  const classes = 'classes: [{name: search, user_agent: [Googlebot], never_shell: true}, {name: people}]\n'
  const v = await varve(t, `renderer: ${origin.url}\n${yaml}${classes}${stalesThenShell()}`, { dir })
  const crawler = { ...navigation, 'user-agent': 'Mozilla/5.0 (compatible; Googlebot/2.1)' }
  await v.get('/known', navigation)
  await origin.stop()
  assert.ok(isShell(await v.get('/known', navigation)), 'too old for people')
  assert.equal((await v.get('/known', crawler)).body, 'ancient')
  const none = await v.get('/unknown', crawler)
  assert.equal(none.status, 503)
  assert.ok(none.headers['retry-after'])
})

test('8.1, G8 logged in, pass: his own render, never the stored page, not even when the renderer is gone', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `for ${req.headers.cookie ?? req.headers.authorization ?? 'all'}`, fresh))
  const v = await varve(t, `renderer: ${origin.url}\n${staleOnly()}`)
  const who = [{ cookie: 'sid=1' }, { authorization: 'Bearer x' }]
  assert.equal((await v.get('/')).body, 'for all')
  assert.equal((await v.get('/', who[0])).body, 'for sid=1')
  assert.equal((await v.get('/', who[1])).body, 'for Bearer x')
  assert.equal((await v.get('/')).body, 'for all')
  await origin.stop()
  for (const headers of who) {
    const res = await v.get('/', { ...navigation, ...headers })
    assert.equal(res.status, 503)
    assert.doesNotMatch(res.body, /for all/)
  }
  assert.equal((await v.get('/')).body, 'for all')
})

test('8.1, G8 logged in, shell: navigations get the shell without a render, all else passes', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `for ${req.headers.cookie ?? 'all'}`, fresh))
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `renderer: ${origin.url}\n${yaml}${stalesThenShell(', when_logged_in: shell')}`, { dir })
  assert.equal((await v.get('/', navigation)).body, 'for all')
  assert.ok(isShell(await v.get('/', { ...navigation, cookie: 'sid=1' })))
  assert.ok(isShell(await v.get('/new', { ...navigation, cookie: 'sid=1' })))
  assert.equal(origin.requests.length, 1, 'no render for it')
  assert.equal((await v.get('/', { accept: 'application/json', cookie: 'sid=1' })).body, 'for sid=1')
  const everybody = await v.get('/', navigation)
  assert.deepEqual([outcome(everybody), everybody.body], ['hit', 'for all'], 'nothing of his was stored')
  assert.equal((await v.get('/new', navigation)).body, 'for all')
})

test('8.1 logged in, cache: anonymous; what identifies is neither sent nor keyed', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, `for ${req.headers.cookie ?? req.headers.authorization ?? 'all'}`, fresh))
  const v = await varve(t, `renderer: ${origin.url}\n${staleOnly(', when_logged_in: cache')}`)
  for (const headers of [{ cookie: 'sid=1' }, { cookie: 'sid=2' }, { authorization: 'Bearer x' }, {}])
    assert.equal((await v.get('/', headers)).body, 'for all')
  assert.equal(origin.requests.length, 1)
})

test('8.1 logged in, another origin: it answers all that he asks for, and nothing stored does, whatever fails', async (t) => {
  const pages = await renderer(t, (req, res) => page(res, `page for ${req.headers.cookie ?? 'all'}`, fresh))
  const own = await renderer(t, (req, res) => page(res, `own for ${req.headers.cookie}`, fresh))
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `origins: {renderer: {workers: ["${pages.url}"]}, own: {workers: ["${own.url}"]}}\n${yaml}${stalesThenShell(', when_logged_in: own')}`, { dir })
  const [ada, bob] = [{ cookie: 'sid=1' }, { cookie: 'sid=2' }]
  assert.equal((await v.get('/p', navigation)).body, 'page for all')
  for (let i = 0; i < 2; i++)
    for (const who of [ada, bob]) assert.equal((await v.get('/p', { ...navigation, ...who })).body, `own for ${who.cookie}`)
  assert.deepEqual([pages.requests.length, own.requests.length], [1, 4])
  await own.stop()
  assert.ok(isShell(await v.get('/p', { ...navigation, ...ada })), 'the page that is stored and fresh is not his')
  const data = await v.get('/p', { accept: 'application/json', ...ada })
  assert.equal(data.status, 503)
  assert.doesNotMatch(data.body, /page for/)
  assert.equal((await v.get('/p', navigation)).body, 'page for all')
  assert.deepEqual([pages.requests.length, own.requests.length], [1, 4], 'nor does the renderer of the public pages see him')
})

test('7.5, A16 client_wait: stale or the shell after it, while the render goes on and is stored', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n > 1) await slow.promise
    page(res, `render ${n}`, n === 1 ? old : fresh)
  })
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], client_wait: 100ms}}\n${yaml}${stalesThenShell()}`, { dir })
  await until(async () => (await v.get('/known', navigation)).body === 'render 1', 'the page, which may be later than the shell')
  const stale = await v.get('/known', navigation)
  assert.equal(stale.body, 'render 1')
  await reasonIs(v, '/known', 'client_wait')
  assert.ok(isShell(await v.get('/new', navigation)))
  const patient = v.get('/new', { accept: 'application/json' })
  slow.open() // it waits for the page's head, then renders its own: Accept is keyed
  assert.match((await patient).body, /^render/, 'who can have neither waits on')
  for (const target of ['/known', '/new'])
    await until(async () => outcome(await v.get(target, navigation)) === 'hit', `${target} to be stored`)
  assert.equal(origin.requests.length, 4)
})

test('7.5 client_wait ends with the first byte of the page: a head alone is nothing to look at', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) return page(res, 'render 1', old)
    res.writeHead(200, { 'content-type': 'text/html', ...fresh }).flushHeaders()
    await slow.promise
    res.end(`render ${n}`)
  })
  const { dir, yaml } = withShell(t)
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], client_wait: 100ms}}\n${yaml}${stalesThenShell()}`, { dir })
  await until(async () => (await v.get('/known', navigation)).body === 'render 1', 'the page, which may be later than the shell')
  assert.equal((await v.get('/known', navigation)).body, 'render 1')
  await reasonIs(v, '/known', 'client_wait')
  assert.ok(isShell(await v.get('/new', navigation)))
  const patient = v.get('/data', { accept: 'application/json' })
  await until(() => origin.requests.length === 4)
  slow.open()
  assert.equal((await patient).body, 'render 4', 'who can have neither waits on')
  for (const target of ['/known', '/new'])
    await until(async () => outcome(await v.get(target, navigation)) === 'hit', `${target} to be stored`)
  assert.equal(origin.requests.length, 4)
})

test('7.5 client_wait runs from the request, also for who waits for a second render', async (t) => {
  const [first, others] = [gate(), gate()]
  const origin = await renderer(t, async (req, res, n) => {
    await (n === 1 ? first : others).promise
    page(res, 'not for others', { 'cache-control': 'no-store' })
  })
  const [{ dir, yaml }, tls] = [withShell(t), await tlsListener(tempDir(t))]
  const v = await varve(t, `threads: 1\n${tls.yaml}origins: {renderer: {workers: ["${origin.url}"], client_wait: 3s}}\n${yaml}${stalesThenShell()}`, { dir })
  const { get, settled } = await http2Client(t, v, tls.port)
  const answered = []
  const leader = v.get('/first', { ...navigation, via: '1.1 cdn' }) // to whom the shell is not given, however long it takes
  await until(() => origin.requests.length === 1)
  const earlier = get('/first', navigation).then((res) => answered.push(['earlier', isShell(res)]))
  await settled()
  const begun = Date.now()
  await until(() => Date.now() > begun + 500, 'the next request to be a later one, also where a machine stands still for a while')
  const later = get('/second', navigation).then((res) => answered.push(['later', isShell(res)]))
  await until(() => origin.requests.length === 2)
  first.open()
  assert.equal((await leader).body, 'not for others')
  await Promise.all([earlier, later])
  assert.deepEqual(answered, [['earlier', true], ['later', true]])
  others.open()
})

test('8.2, 7.3 why the shell was given is counted apart, and who was turned away by class', async (t) => {
  const slow = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/error') return res.writeHead(500).end()
    if (req.url === '/slow') await slow.promise
    page(res, 'page')
  })
  const { dir, yaml } = withShell(t)
  const v = await varve(
    t,
    `origins:
  renderer: {workers: ["${origin.url}"], slots: 1, client_wait: 60s, queue: {shell_at: 0, shed_at: 0}}
  hasty: {workers: ["${(await renderer(t, () => {})).url}"], client_wait: 100ms}
classes: [{name: search, user_agent: [Googlebot], never_shell: true}, {name: people}]
${yaml}${stalesThenShell(', when_logged_in: shell').replace('[', '[{match: "/hasty", origin: hasty, on_failure: [shell]}, ')}`,
    { dir },
  )
  assert.ok(isShell(await v.get('/', { ...navigation, cookie: 'sid=1' })))
  assert.ok(isShell(await v.get('/error', navigation)))
  assert.ok(isShell(await v.get('/hasty', navigation)))
  const held = v.get('/slow', { accept: 'application/json' })
  await until(() => origin.now === 1, 'the only slot to be taken')
  assert.ok(isShell(await v.get('/other', navigation)), 'nobody is to wait')
  assert.equal((await v.get('/data', { accept: 'application/json' })).status, 503)
  assert.equal((await v.get('/crawled', { ...navigation, 'user-agent': 'Googlebot/2.1' })).status, 503)
  slow.open()
  assert.equal((await held).body, 'page')
  await origin.stop()
  assert.ok(isShell(await v.get('/down', navigation)))
  await v.isQuiet()
  for (const reason of ['logged_in', 'upstream_error', 'client_wait', 'over_shell', 'all_down'])
    assert.equal(await v.metric(`varve_shell_total{reason="${reason}"}`), 1, reason)
  for (const name of ['people', 'search']) assert.equal(await v.metric(`varve_shed_total{class="${name}"}`), 1, name)
})

test('5.5 keep_old: an asset that the new build no longer has is served on; others are 404', async (t) => {
  const gone = { now: false }
  const origin = await renderer(t, (req, res) =>
    gone.now || req.url === '/assets/never.js' ? res.writeHead(gone.as ?? 404, fresh).end('not here') : page(res, 'old asset', old))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/assets/**", keep_old: 7d}, {match: "/**"}]\n`)
  for (const target of ['/assets/a.js', '/page']) await v.get(target)
  gone.now = true
  gone.as = 403 // a bucket may say this of what is not there: for who asked, and the old one stays
  assert.equal((await v.get('/assets/a.js')).status, 403)
  gone.as = 404
  for (let i = 0; i < 2; i++) {
    const kept = await v.get('/assets/a.js')
    assert.equal(kept.status, 200)
    assert.equal(kept.body, 'old asset')
    await reasonIs(v, '/assets/a.js', 'kept_old')
  }
  assert.equal((await v.get('/assets/never.js')).status, 404)
  assert.equal((await v.get('/page')).status, 404)
})

test('5.2 the renderer answers 5xx: stale, else its own answer to who asked; never stored', async (t) => {
  const broken = { now: false }
  const origin = await renderer(t, (req, res, n) =>
    broken.now ? res.writeHead(500, fresh).end(`stack trace ${n}`) : page(res, 'well', old))
  const v = await varve(t, `renderer: ${origin.url}\n${staleOnly()}`)
  await v.get('/known')
  broken.now = true
  assert.equal((await v.get('/known')).body, 'well')
  await reasonIs(v, '/known', 'stale_error')
  for (const n of [3, 4]) {
    const res = await v.get('/new')
    assert.equal(res.status, 500)
    assert.equal(res.body, `stack trace ${n}`)
  }
})

test('10.1 errors: a page for navigations, problem+json else, with reason and request id, never stored', async (t) => {
  const origin = await renderer(t, () => {})
  await origin.stop()
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const html = await v.get('/', navigation)
  assert.equal(html.status, 503)
  assert.match(html.headers['content-type'], /^text\/html/)
  assert.equal(html.headers['cache-control'], 'no-store')
  assert.ok(html.headers['x-request-id'] && html.body.includes(html.headers['x-request-id']))
  const json = await v.get('/', { accept: 'application/json' })
  assert.match(json.headers['content-type'], /^application\/problem\+json/)
  assert.equal(json.headers['cache-control'], 'no-store')
  const problem = JSON.parse(json.body)
  assert.equal(problem.status, 503)
  assert.equal(problem.reason, 'all_down')
  assert.equal(problem.request_id, json.headers['x-request-id'])
})

test('10.1 errors: the page asks to try again only where that may help', async (t) => {
  const origin = await renderer(t, () => {})
  await origin.stop()
  const v = await varve(t, `renderer: ${origin.url}\nhosts: [127.0.0.1]\nroutes: [{match: "/**"}]\n`)
  const circles = { via: Array(6).fill('1.1 varve').join(', ') }
  for (const [status, path, headers, sentence] of [
    [503, '/', {}, 'This page cannot be shown at the moment. Please try again soon.'],
    [400, '/%u0001', {}, 'The address of this page is not valid.'],
    [421, '/', { host: 'other.example' }, 'This site is not served here.'],
    [508, '/', circles, 'This request goes in circles. Only those who run this site can mend that.'],
  ]) {
    const res = await v.get(path, { ...navigation, ...headers })
    assert.equal(res.status, status)
    assert.ok(res.body.includes(`<p>${sentence}</p>`), res.body)
  }
})

test('10.1 error_page: a page of the site\'s own; the request id goes to the renderer and comes from a trusted peer', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/busy.html`, '<h1>back soon</h1>')
  const origin = await renderer(t, (req, res) => page(res, req.headers['x-request-id'] ?? 'none'))
  const v = await varve(t, `renderer: ${origin.url}\nerror_page: {503: ${dir}/busy.html}\nroutes: [{match: "/**"}]\n`, { dir })
  assert.notEqual((await v.get('/')).body, 'none')
  await origin.stop()
  const res = await v.get('/', navigation)
  assert.equal(res.status, 503)
  assert.equal(res.body, '<h1>back soon</h1>')
  const data = await v.get('/', { accept: 'application/json' })
  assert.match(data.headers['content-type'], /^application\/problem\+json/, 'who asks for data can read no page')
  assert.equal(JSON.parse(data.body).reason, 'all_down')
})

test('hosts: others get 421 and no render', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, req.headers.host, fresh))
  const v = await varve(t, `renderer: ${origin.url}\nhosts: [shop.example, "*.shop.example"]\nroutes: [{match: "/**"}]\n`)
  const cases = { 'shop.example': 200, 'SHOP.example.': 200, 'www.shop.example': 200, 'evilshop.example': 421, 'shop.example.evil': 421, '127.0.0.1': 421 }
  for (const [host, status] of Object.entries(cases)) assert.equal((await v.get('/', { host })).status, status, host)
  assert.equal(origin.requests.length, 2)
})

test('6.5 PURGE from an allowed address takes all variants of the URL; a client behind a proxy counts as itself', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...fresh, vary: 'x-v' }))
  const v = await varve(t, `renderer: ${origin.url}\npurge: {methods: [PURGE], allow: [127.0.0.0/8]}\nroutes: [{match: "/**", query: {drop: ["utm_*"]}}]\n`)
  const fill = async () => {
    for (const value of ['1', '2']) await v.get('/p?a=1', { 'x-v': value })
  }
  const purge = (target, headers) => request(v.url + target, { method: 'PURGE', headers })
  await fill()
  assert.equal((await purge('/p?a=1', { 'x-forwarded-for': '203.0.113.9' })).status, 405)
  assert.equal((await purge('/p')).status, 200)
  await fill()
  assert.equal(origin.requests.length, 2, 'neither was it this URL')
  assert.equal((await purge('/p?utm_source=x&a=1')).status, 200)
  await fill()
  assert.equal(origin.requests.length, 4)
  assert.ok(origin.requests.every((req) => req.method === 'GET'))
})

test('6.5 PURGE is off unless configured, and answers 405', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, fresh))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await v.get('/')
  const refused = await request(v.url + '/', { method: 'PURGE' })
  assert.equal(refused.status, 405)
  assert.equal(refused.headers.allow, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  assert.equal((await v.get('/')).body, 'render 1')
  assert.equal(origin.requests.length, 1)
})
