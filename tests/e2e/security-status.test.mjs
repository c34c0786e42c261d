// What is not a page is never kept as one: odd statuses and empty answers that a renderer calls public, data where a page belongs,
// fallbacks for what is missing.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { gate, outcome, page, rawOrigin, renderer, request, tempDir, until, varve } from './lib.mjs'
import { BROWSER } from './hostile.mjs'

const PUBLIC = { 'cache-control': 'public, max-age=600, stale-while-revalidate=600' }
const POLICIES = [
  ['seal: standard', 'routes: [{match: "/**"}]\n'],
  ['with ttl', 'routes: [{match: "/**", ttl: 10m}]\n'],
  ['with ttl and stale', 'routes: [{match: "/**", ttl: 10m, stale: 1h}]\n'],
]

/* What a renderer says once, before it is itself again: [name, bytes of the answer]. */
const EMPTY = 'Content-Length: 0\r\n\r\n'
const SAID = (status, rest = 'Content-Length: 4\r\n\r\noops') => `HTTP/1.1 ${status}\r\nContent-Type: text/html\r\nCache-Control: public, max-age=600\r\n${rest}`
const ODD = [
  ['204', SAID('204 No Content', '\r\n')],
  ['205', SAID('205 Reset Content', EMPTY)],
  ['200 of no bytes', SAID('200 OK', EMPTY)],
  ['200 of no chunks', SAID('200 OK', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n')],
  ['200 that ends at once', `${SAID('200 OK', 'Connection: close\r\n\r\n')}`],
  ['206 unasked', SAID('206 Partial Content', 'Content-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\noops')],
  ['304 unasked', SAID('304 Not Modified', '\r\n')],
  ...['202 Accepted', '226 IM Used', '299 Odd', '300 Multiple Choices', '304 Not Modified', '305 Use Proxy', '400 Bad Request', '401 Unauthorized', '402 Payment Required', '403 Forbidden',
    '405 Method Not Allowed', '406 Not Acceptable', '407 Proxy Authentication Required', '408 Request Timeout', '409 Conflict', '411 Length Required', '412 Precondition Failed', '413 Content Too Large',
    '414 URI Too Long', '415 Unsupported Media Type', '416 Range Not Satisfiable', '417 Expectation Failed', '418 Teapot', '421 Misdirected Request', '422 Unprocessable', '425 Too Early',
    '426 Upgrade Required', '429 Too Many Requests', '431 Too Large', '451 Unavailable', '499 Odd', '500 Error', '501 Not Implemented', '502 Bad Gateway', '503 Unavailable', '504 Timeout',
    '505 Version', '507 Full', '511 Authentication', '599 Odd', '999 Odd'].map((line) => [line, SAID(line, line.startsWith('304') ? '\r\n' : undefined)]),
]

/** Says the odd thing to the first request of each URL, then the page. */
const oddOnce = (t) => {
  const seen = new Map()
  return rawOrigin(t, (socket, head) => {
    const url = head.split(' ')[1]
    const n = (seen.get(url) ?? 0) + 1
    seen.set(url, n)
    const [, bytes] = ODD[Number(/\d+/.exec(url)[0])]
    if (n > 1) return socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: public, max-age=600\r\nContent-Length: 8\r\n\r\nthe page`)
    socket.write(bytes)
    if (bytes.includes('Connection: close')) socket.end()
  })
}

for (const [how, policy] of POLICIES)
  test(`4.1 an empty or odd answer is its own client's alone, and never kept as the page: ${how}`, async (t) => {
    const origin = await oddOnce(t)
    const v = await varve(t, `renderer: ${origin.url}\n${policy}`)
    await Promise.all(ODD.map(async ([name], at) => {
      await v.get(`/odd/${at}`, BROWSER)
      const visitor = await v.get(`/odd/${at}`, BROWSER)
      assert.equal(visitor.status, 200, name)
      assert.equal(visitor.body, 'the page', name)
      const other = await v.get(`/odd/${at}`, BROWSER)
      assert.equal(other.body, 'the page', name)
    }))
  })

const EMPTY_PAGE = { ...PUBLIC, 'content-type': 'text/html' }
const NOTHING = zlib.gzipSync('')
const begun = (res) => (res.writeHead(200, EMPTY_PAGE), res.flushHeaders(), res)
for (const [what, fields, head, end] of [
  ['a 204', BROWSER, (res) => res, (res) => res.writeHead(204, PUBLIC).end()],
  ['an empty 200 that does not say so before its end', BROWSER, begun, (res) => res.end()],
  ['an empty 200 to what is no navigation', { ...BROWSER, 'sec-fetch-dest': 'empty' }, (res) => res, (res) => res.writeHead(200, { ...EMPTY_PAGE, 'content-length': '0' }).end()],
  ['an empty 200 to what is no navigation, which does not say so before its end', { ...BROWSER, 'sec-fetch-dest': 'empty' }, begun, (res) => res.end()],
  ['an empty 200 to what is no navigation, in a coding', { ...BROWSER, 'sec-fetch-dest': 'empty', 'accept-encoding': 'gzip' }, (res) => (res.writeHead(200, { ...EMPTY_PAGE, 'content-encoding': 'gzip' }), res.write(NOTHING), res), (res) => res.end()],
])
  test(`4.1 nobody who waits with the attacker is given an odd answer: ${what}`, async (t) => {
    const opened = gate()
    let renders = 0
    const origin = await renderer(t, async (req, res) => {
      const n = ++renders
      if (n > 1) return page(res, 'the page', PUBLIC)
      const answer = head(res)
      await opened.promise
      end(answer)
    })
    const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
    const first = v.get('/', fields)
    await until(() => renders === 1, 'the render')
    const others = Array.from({ length: 20 }, () => v.get('/', { ...BROWSER, 'accept-encoding': 'gzip' }))
    await until(async () => (await v.metric('varve_connections')) >= 21, 'all of them')
    opened.open()
    assert.ok(['', NOTHING.toString()].includes((await first).body))
    for (const res of await Promise.all(others)) assert.equal(res.body, 'the page')
    assert.equal((await v.get('/', BROWSER)).body, 'the page')
  })

test('4.1 what is no navigation may have a stored answer without a body; a navigation under the same key has the page made', async (t) => {
  let isEmpty = true
  const origin = await renderer(t, (req, res) => (isEmpty ? res.writeHead(200, { ...EMPTY_PAGE, 'content-length': '0' }).end() : page(res, 'the page', PUBLIC)))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const ping = { ...BROWSER, 'sec-fetch-dest': 'empty' }
  for (let i = 0; i < 2; i++) assert.equal((await v.get('/', ping)).body, '')
  assert.equal(origin.requests.length, 1) // the second one is a hit
  isEmpty = false
  assert.equal((await v.get('/', BROWSER)).body, 'the page')
  assert.equal((await v.get('/', ping)).body, 'the page')
  assert.equal(origin.requests.length, 2)
})

test('4.1 an empty 200 in a coding is an empty one', async (t) => {
  const coders = { gzip: zlib.gzipSync, br: zlib.brotliCompressSync }
  const seen = new Set()
  const origin = await renderer(t, (req, res) => {
    const coding = /gzip|br/.exec(req.url)[0]
    if (seen.has(req.url)) return page(res, 'the page', PUBLIC)
    seen.add(req.url)
    const body = coders[coding]('')
    res.writeHead(200, { ...EMPTY_PAGE, 'content-encoding': coding, 'content-length': body.length }).end(body)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const coding of Object.keys(coders))
    for (const dest of ['document', 'empty']) {
      await v.get(`/${coding}/${dest}`, { ...BROWSER, 'accept-encoding': coding, 'sec-fetch-dest': dest })
      assert.equal((await v.get(`/${coding}/${dest}`, { ...BROWSER, 'accept-encoding': coding })).body, 'the page', `${coding}, ${dest}`)
    }
})

test('5.1 an odd answer to a revalidation takes the place of no page', async (t) => {
  let odd
  const origin = await renderer(t, (req, res) => {
    if (!odd) return page(res, 'the page', { etag: '"e"', age: '700', ...PUBLIC, 'cache-control': 'max-age=600, stale-if-error=600' })
    res.writeHead(odd, PUBLIC).end(odd === 204 ? undefined : 'oops')
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const status of [204, 206, 500, 502, 503, 504]) {
    odd = undefined
    await v.get(`/p${status}`, BROWSER)
    odd = status
    await v.get(`/p${status}`, BROWSER)
    const isFailure = [500, 502, 503, 504].includes(status)
    if (isFailure) assert.equal((await v.get(`/p${status}`, BROWSER)).body, 'the page', `${status}`)
    odd = undefined
    assert.equal((await v.get(`/p${status}`, BROWSER)).body, 'the page', `${status}, afterwards`)
  }
})

/* --- representations --- */

/** Gives what Next, htmx and the like give for such fields, and names none of them in Vary. */
const mixedUp = (req, res) => {
  const [type, body] = req.headers.rsc ? ['text/x-component', '0:["payload"]'] : req.headers['x-nextjs-data'] ? ['application/json', '{"pageProps":{}}']
    : req.headers['hx-request'] ? ['text/html', '<div>fragment</div>'] : req.headers['sec-fetch-dest'] === 'empty' ? ['text/x-component', '0:["by Sec-Fetch"]']
    : /^text\/markdown/.test(req.headers.accept) ? ['text/markdown', '# page'] : /^application\/json/.test(req.headers.accept) ? ['application/json', '{}'] : ['text/html', '<html>the page</html>']
  res.writeHead(200, { 'content-type': type, ...PUBLIC })
  res.end(body)
}
const ASKED_AS = [
  ['a payload', { ...BROWSER, rsc: '1' }],
  ['a payload, without Accept', { rsc: '1', 'next-router-state-tree': 'x' }],
  ['data', { ...BROWSER, 'x-nextjs-data': '1' }],
  ['a fragment', { ...BROWSER, 'hx-request': 'true' }],
  ['markdown', { ...BROWSER, accept: 'text/markdown, text/html;q=0.5' }],
  ['JSON', { ...BROWSER, accept: 'application/json' }],
  ['a payload by Sec-Fetch-Dest', { ...BROWSER, 'sec-fetch-dest': 'empty' }],
]

for (const [how, policy] of POLICIES.slice(0, 2))
  test(`1.4, 4.5 another form of a page, stored first, at once or later, is never given in place of it: ${how}`, async (t) => {
    const origin = await renderer(t, mixedUp)
    const v = await varve(t, `renderer: ${origin.url}\n${policy}`)
    for (const [at, [name, fields]] of ASKED_AS.entries()) {
      const isPage = async (target, when) => {
        const res = await v.get(target, BROWSER)
        assert.equal(res.body, '<html>the page</html>', `${name} ${when}`)
        assert.equal(res.headers['content-type'], 'text/html', `${name} ${when}`)
      }
      await v.get(`/first/${at}`, fields)
      await isPage(`/first/${at}`, 'before')
      await isPage(`/first/${at}`, 'before, again')
      const [odd] = await Promise.all([v.get(`/both/${at}`, fields), isPage(`/both/${at}`, 'at once'), isPage(`/both/${at}`, 'at once')])
      await isPage(`/later/${at}`, 'later')
      const later = await v.get(`/later/${at}`, fields)
      assert.equal(later.body, (await v.get(`/later/${at}`, fields)).body, name)
      if (fields.rsc || fields['hx-request'] || fields['x-nextjs-data']) for (const res of [odd, later]) assert.doesNotMatch(res.body, /the page/, name)
      await isPage(`/later/${at}`, 'afterwards')
    }
  })

const HTMX = { 'hx-request': 'true', 'sec-fetch-dest': 'empty', accept: '*/*' }
const CHOOSES = [
  ['hx-history-restore-request', HTMX, 'true'], ['hx-request-type', HTMX, 'full'], ['hx-trigger', HTMX, 'search'], ['hx-trigger-name', HTMX, 'q'], ['hx-source', HTMX, 'input#search'], ['hx-prompt', HTMX, 'yes'],
  ['x-pjax-container', { 'x-pjax': 'true' }, '#main'], ['x-up-version', {}, '3.10'], ['x-up-target', { 'x-up-version': '3.10' }, '.menu'], ['x-up-mode', { 'x-up-version': '3.10' }, 'drawer'],
  ['x-alpine-request', {}, 'true'], ['x-alpine-target', { 'x-alpine-request': 'true' }, 'list'], ['datastar-request', {}, 'true'], ['x-inertia-version', { 'x-inertia': 'true' }, 'b2'],
]
for (const [how, policy] of POLICIES.slice(0, 2))
  test(`1.4 what chooses among fragments of a page is in the key, though no Vary names it: ${how}`, async (t) => {
    const origin = await renderer(t, (req, res) => {
      const chosen = CHOOSES.filter(([name]) => req.headers[name]).map(([name]) => `${name}=${req.headers[name]}`)
      res.writeHead(200, { ...PUBLIC, 'content-type': 'text/html' }).end(`made for ${chosen}`)
    })
    const v = await varve(t, `renderer: ${origin.url}\n${policy}`)
    for (const [at, [name, fields, value]] of CHOOSES.entries())
      for (const first of [true, false])
        for (const isChosen of [first, !first, first, !first]) {
          const { body } = await v.get(`/${at}/${first}`, isChosen ? { ...fields, [name]: value } : fields)
          assert.equal(body.includes(`${name}=${value}`), isChosen, `${name}: ${body}`)
        }
    assert.equal(origin.requests.length, CHOOSES.length * 4)
  })

test('1.4, 2.2 where a visitor is, HX-Current-URL, shapes no fragment, unless `vary` names it', async (t) => {
  for (const [policy, wanted] of [['', 'for nobody'], ['vary: {hx-current-url: {always: true}}\n', 'for http://a.example/?token=b']]) {
    const origin = await renderer(t, (req, res) => res.writeHead(200, { ...PUBLIC, 'content-type': 'text/html' }).end(`for ${req.headers['hx-current-url'] ?? 'nobody'}`))
    const v = await varve(t, `renderer: ${origin.url}\n${policy}routes: [{match: "/**"}]\n`)
    assert.notEqual((await v.get('/', { ...HTMX, 'hx-current-url': 'http://a.example/?token=a' })).body, '')
    assert.equal((await v.get('/', { ...HTMX, 'hx-current-url': 'http://a.example/?token=b' })).body, wanted)
  }
})

test('4.5 markdown that a renderer gives to bots, by User-Agent alone, never answers a navigation, unless a navigation filled it', async (t) => {
  const origin = await renderer(t, (req, res) => {
    const isBot = /Bot/.test(req.headers['user-agent'])
    res.writeHead(200, { ...PUBLIC, 'content-type': isBot ? 'text/markdown' : 'text/html' }).end(isBot ? '# page' : '<html>the page</html>')
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const { 'sec-fetch-dest': dest, ...bot } = { ...BROWSER, 'user-agent': 'GPTBot/1.2' }
  assert.equal((await v.get('/present', { ...bot, 'sec-fetch-dest': 'empty' })).body, '# page')
  for (let i = 0; i < 2; i++) assert.equal((await v.get('/present', BROWSER)).body, '<html>the page</html>')
  assert.equal((await v.get('/absent', bot)).body, '# page') // what asks for text/html and says no more is a navigation itself
  assert.equal((await v.get('/absent', BROWSER)).body, '# page')
  assert.equal(dest, 'document')
})

test('4.5 a navigation that waits with a request for data is not given the data', async (t) => {
  for (const isRefresh of [false, true]) {
    const opened = gate()
    let payloads = 0
    const origin = await renderer(t, async (req, res) => {
      const isPage = req.headers['sec-fetch-dest'] !== 'empty'
      if (isPage || ++payloads > (isRefresh ? 1 : 0)) await opened.promise // who need not wait for the data waits for this
      if (isPage) return page(res, 'the page', { 'cache-control': 'public, max-age=600' })
      if (req.headers['if-none-match']) return res.writeHead(304, { etag: '"d"', 'cache-control': 'public, max-age=600' }).end()
      res.writeHead(200, { 'content-type': 'text/x-component', etag: '"d"', 'cache-control': 'public, max-age=600' }).end('0:["payload"]')
    })
    const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
    const data = { ...BROWSER, 'sec-fetch-dest': 'empty' }
    if (isRefresh) {
      await v.get('/p', data)
      await v.cli('purge', `${v.url}/p`, '--soft') // the next one validates it
    }
    const first = v.get('/p', data)
    await until(() => payloads === (isRefresh ? 2 : 1), 'the render')
    const visitors = Array.from({ length: 5 }, () => v.get('/p', BROWSER))
    const others = Array.from({ length: 3 }, () => v.get('/p', data))
    await until(async () => (await v.metric('varve_connections')) >= 9, 'all of them')
    assert.equal(origin.requests.length, isRefresh ? 2 : 1, 'all wait for one render')
    opened.open()
    assert.equal((await first).body, '0:["payload"]')
    for (const res of await Promise.all(visitors)) assert.equal(res.body, 'the page')
    for (const res of await Promise.all(others)) assert.match(res.body, /payload|the page/)
  }
})

/* --- fallbacks --- */

const SHELL = '<!doctype html><title>shell</title>'
const NOT_PAGES = ['/app.js', '/assets/index-4f3a.js', '/assets/index.mjs', '/style.css', '/logo.svg', '/a.png', '/font.woff2', '/data.json', '/x.map', '/app.wasm', '/favicon.ico', '/robots.txt', '/sitemap.xml',
  '/manifest.webmanifest', '/p/__data.json', '/p/_payload.json', '/_next/data/b/p.json', '/p.data', '/p.txt', '/feed.rss']

test('8.2 what is missing while the renderer is gone is never the shell, but an error; and no error or shell is kept', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, SHELL)
  const answer = (req, res) => (res.writeHead(200, { 'content-type': /\.js$/.test(req.url) ? 'text/javascript' : 'text/html', ...PUBLIC }), res.end(`real ${req.url}`))
  const origin = await renderer(t, answer)
  const v = await varve(t, `renderer: ${origin.url}\nshell: {file: ${dir}/shell.html}\nroutes: [{match: "/**", on_failure: [stale, shell]}]\n`, { dir })
  await origin.stop()
  const asks = [
    ...NOT_PAGES.flatMap((target) => [[target, BROWSER], [target, { accept: '*/*', 'sec-fetch-dest': 'script' }], [target, {}]]),
    ...['script', 'style', 'image', 'font', 'worker', 'empty', 'manifest'].map((dest) => ['/page', { ...BROWSER, 'sec-fetch-dest': dest }]),
    ['/page', { ...BROWSER, rsc: '1' }], ['/page', { ...BROWSER, 'x-nextjs-data': '1' }], ['/page', { ...BROWSER, 'hx-request': 'true' }], ['/page', { accept: 'application/json' }], ['/page', {}],
  ]
  for (const [target, fields] of asks) {
    const res = await v.get(target, fields)
    assert.equal(res.status, 503, `${target} ${JSON.stringify(fields)}`)
    assert.ok(!res.body.includes('shell'), target)
    assert.match(res.headers['cache-control'], /no-store/)
    if (!fields.accept?.startsWith('text/html')) assert.doesNotMatch(res.headers['content-type'], /html|javascript/, target)
  }
  const shell = await v.get('/page', BROWSER)
  assert.equal(shell.body, SHELL)
  assert.match(shell.headers['cache-control'], /no-store/)
  assert.equal(shell.headers.etag, undefined)
  await renderer(t, answer, { port: origin.port })
  await until(async () => (await v.get('/probe')).status === 200, 'the renderer')
  for (const [target, fields] of [...asks, ['/page', BROWSER]]) assert.equal((await v.get(target, fields)).body, `real ${target}`, target)
})
