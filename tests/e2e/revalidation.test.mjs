// A 304 is shared by the same rules as a page: not with who came after a purge, and not when every request is to be asked for.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { anyRoute, gate, page, rawOrigin, renderer, tempDir, until, varve } from './lib.mjs'

/**
 * A page that was purged softly, and somebody for whom it is being revalidated. `answers[n]` is what the renderer says to the
 * n-th question; the first one waits for `rest`.
 */
async function revalidating(t, answers) {
  const rest = gate(), asked = gate()
  const fields = { 'cache-control': 'max-age=60', 'surrogate-key': 'k', etag: '"v1"' }
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) return page(res, 'old', fields)
    if (n === 2) {
      asked.open()
      await rest.promise
    }
    answers[n - 2](req, res)
  })
  const v = await varve(t, anyRoute(origin))
  await v.get('/page')
  assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
  const first = v.get('/page')
  await asked.promise
  assert.equal(origin.requests[1].headers['if-none-match'], '"v1"')
  return { v, origin, rest, first }
}

/** Another request, that has begun and as good as surely waits for the flight; {answer}. */
async function another(v) {
  const answer = v.get('/page')
  await until(async () => (await v.metric('varve_connections')) >= 2, 'the second request')
  return { answer }
}

const unchanged = (control) => (req, res) => res.writeHead(304, { etag: '"v1"', 'cache-control': control }).end()
const changed = (req, res) => page(res, 'new', { 'cache-control': 'max-age=60', etag: '"v2"' })

test('3.3 a tag purge while a page is revalidated: who came before gets it, who came after gets a new one', async (t) => {
  const { v, rest, first } = await revalidating(t, [unchanged('max-age=60'), changed])
  assert.equal((await v.cli('purge', '--tag', 'k')).code, 0)
  const second = await another(v)
  rest.open()
  assert.equal((await first).body, 'old')
  assert.equal((await second.answer).body, 'new')
})

test('3.1 a 304 that says no-cache is its own client’s alone: others are asked for themselves', async (t) => {
  const { v, rest, first, origin } = await revalidating(t, [unchanged('no-cache'), changed])
  const second = await another(v)
  rest.open()
  assert.equal((await first).body, 'old')
  assert.equal((await second.answer).body, 'new')
  assert.equal(origin.requests.length, 3)
})

test('a 304 is shared with all that waited for it, and the log calls them collapsed', async (t) => {
  const { v, rest, first, origin } = await revalidating(t, [unchanged('max-age=60')])
  const second = await another(v)
  rest.open()
  assert.equal((await first).body, 'old')
  const shared = await second.answer
  assert.equal(shared.body, 'old')
  assert.equal(origin.requests.length, 2)
  await until(() => v.accessLog().length === 3, 'three lines')
  const came = /collapsed/.test(shared.headers['cache-status']) ? 'collapsed renderer/0' : 'hit ' /* it came too late */
  assert.deepEqual(v.accessLog().map((l) => `${l.outcome} ${l.worker}`).sort(), [came, 'miss renderer/0', 'revalidated renderer/0'].sort())
})

test('2.1, 4.6 after a reload that adds ttl, what was rendered before the seal is not asked about but rendered anew', async (t) => {
  const isAsked = []
  const origin = await renderer(t, (req, res) => {
    isAsked.push('if-none-match' in req.headers)
    const fields = { etag: '"careless"', ...(req.headers['user-agent'] === 'varve' ? {} : { 'cache-control': 'no-cache' }) }
    if (req.headers['if-none-match'] === fields.etag) return res.writeHead(304, fields).end()
    page(res, `for ${req.headers['user-agent']}`, fields)
  })
  const policy = (more) => `renderer: ${origin.url}\nroutes: [{match: "/**"${more}}]\n`
  const v = await varve(t, policy(''))
  for (let n = 0; n < 2; n++) assert.equal((await v.get('/', { 'user-agent': 'spy' })).body, 'for spy')
  assert.deepEqual(isAsked, [false, true], 'it is stored, and asked about each time')
  v.write(policy(', ttl: 1m'))
  assert.equal((await v.cli('reload')).code, 0)
  await until(async () => (await v.get('/', { 'user-agent': 'me' })).body === 'for varve', 'a page that was made under the seal')
  assert.equal(isAsked.at(-1), false)
})

test('4.1 what says nothing of the page does not take its place: an empty page, what is wrong with a request, what passes', async (t) => {
  const answers = [[204], [200], [400], [408], [413], [414], [421], [425], [429], [431], [501], [503], [403]]
  const origin = await renderer(t, (req, res, n) => {
    if (n === 1) return page(res, 'old', { 'cache-control': 'max-age=60', etag: '"v1"' })
    const [status] = answers[n - 2] ?? [404]
    res.writeHead(status, { 'content-length': 0 }).end()
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\nidentity: {logged_in: none}\n`)
  const asPage = { accept: 'text/html' }
  await v.get('/page', asPage)
  assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
  for (const [n, [status]] of answers.entries()) {
    await v.get('/page', asPage)
    assert.equal(origin.requests.length, n + 2)
    assert.equal(origin.requests[n + 1].headers['if-none-match'], '"v1"', `before ${status}`)
  }
  await v.get('/page', asPage)
  assert.equal(origin.requests.at(-1).headers['if-none-match'], undefined, 'after 403')
})

test('4.1 nor does what only the body shows to say nothing: an empty one of no announced length, one that `reject_body` refuses', async (t) => {
  const answers = [
    { fields: { 'cache-control': 'no-store' }, stays: true },
    { fields: { 'set-cookie': 'a=b' }, stays: true },
    { fields: { 'cache-control': 'no-store', 'content-encoding': 'gzip' }, body: gzipSync(''), stays: true },
    { more: ', reject_body: ["broken"]', fields: { 'cache-control': 'no-store' }, body: 'it is broken', stays: true },
    { more: ', reject_body: ["broken"]', fields: { 'cache-control': 'no-store', 'content-encoding': 'gzip' }, body: gzipSync('it is broken'), stays: true },
    { more: ', reject_body: ["broken"]', fields: { 'cache-control': 'no-store' }, body: '', stays: true },
    { more: ', reject_body: ["broken"]', status: 404, fields: { 'cache-control': 'no-store' }, body: 'it is broken', stays: true },
    { more: ', reject_body: ["broken"]', status: 404, fields: { 'cache-control': 'no-store' }, body: 'it is gone', stays: false },
    { more: ', reject_body: ["broken"]', fields: { 'cache-control': 'no-store' }, body: 'it is whole', stays: false },
    { fields: { 'cache-control': 'no-store' }, body: 'a page', stays: false },
    { fields: { 'cache-control': 'no-store' }, body: 'x'.repeat(5000), stays: false },
  ]
  for (const { more = '', status = 200, fields, body = '', stays } of answers) {
    const origin = await renderer(t, (req, res, n) => {
      if (n === 1) return page(res, 'old', { 'cache-control': 'max-age=60', etag: '"v1"' })
      res.writeHead(status, { 'content-type': 'text/html', 'transfer-encoding': 'chunked', ...fields })
      res.end(body)
    })
    const v = await varve(t, anyRoute(origin, more))
    for (let n = 0; n < 3; n++) {
      await v.get('/page', { accept: 'text/html', 'accept-encoding': 'gzip' })
      if (n === 0) assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
    }
    assert.equal(origin.requests.length, 3)
    assert.equal(origin.requests[2].headers['if-none-match'], stays ? '"v1"' : undefined, JSON.stringify({ more, status, fields, body }))
  }
})

test('4.1 so does one whose end the connection shows', async (t) => {
  const heads = ['Cache-Control: max-age=60\r\nETag: "v1"\r\nContent-Length: 11', 'Cache-Control: no-store\r\nConnection: close']
  const origin = await rawOrigin(t, (socket, head, n) => {
    asked.push(head)
    socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n${heads[n - 1] ?? heads[1]}\r\n\r\nit is whole`)
  })
  const asked = []
  const v = await varve(t, anyRoute(origin, ', reject_body: ["broken"]'))
  await v.get('/page')
  assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
  await v.get('/page')
  await v.get('/page')
  assert.deepEqual(asked.map((head) => /if-none-match/i.test(head)), [false, true, false])
})

test('3.4, 4.1 a stream of events in the place of a page ends with its client', async (t) => {
  const ended = gate()
  const origin = await renderer(t, (req, res, n) => {
    if (n === 1) return page(res, 'old', { 'cache-control': 'max-age=60', etag: '"v1"' })
    res.on('close', ended.open)
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const v = await varve(t, anyRoute(origin))
  await v.get('/page')
  assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
  const client = new AbortController()
  await v.get('/page', {}, { signal: client.signal, onHead: () => client.abort() })
  await ended.promise
})

test('3.1, 5.1 on a sealed route what is stored stands in for a 503 under a mark, too', async (t) => {
  const answers = [[200, 'old'], [204], [204], [503, 'broken'], [503, 'broken']]
  const origin = await renderer(t, (req, res, n) => {
    const [status, body] = answers[n - 1]
    res.writeHead(status, { 'content-type': 'text/html' }).end(body)
  })
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**", ttl: 60s}]\n`)
  await v.get('/page')
  assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
  assert.equal((await v.get('/page')).status, 204)
  assert.equal(origin.requests.length, 3, 'sealed, then passed: the key is marked')
  const marked = await v.get('/page')
  assert.deepEqual([marked.status, marked.body], [200, 'old'])
  assert.equal((await v.get('/page', {}, { method: 'HEAD' })).status, 200)
  assert.equal(origin.requests.length, 5)
})

test('3.2 a pass under a mark is given what is stored or the error itself, and never the shell', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, '<!doctype html><title>shell</title>')
  for (const [onFailure, status, body] of [['shell', 503, 'broken'], ['shell, stale', 200, 'old']]) {
    const answers = [[200, 'old'], [204], [204], [503, 'broken']]
    const origin = await renderer(t, (req, res, n) => {
      const [status, body] = answers[n - 1]
      res.writeHead(status, { 'content-type': 'text/html' }).end(body)
    })
    const v = await varve(t, `renderer: ${origin.url}\nshell: {file: ${dir}/shell.html}\nroutes: [{match: "/**", ttl: 60s, on_failure: [${onFailure}]}]\n`)
    const navigation = { accept: 'text/html' }
    await v.get('/page', navigation)
    assert.equal((await v.cli('purge', `${v.url}/page`, '--soft')).code, 0)
    assert.equal((await v.get('/page', navigation)).status, 204)
    const marked = await v.get('/page', navigation)
    assert.deepEqual([marked.status, marked.body], [status, body], onFailure)
    assert.equal(origin.requests.length, 4)
  }
})

test('http-caching §7 a page that has grown too large to be stored takes the place of the old one', async (t) => {
  const large = 'x'.repeat(1 << 20)
  const origin = await renderer(t, (req, res) => {
    const isFirst = origin.requests.filter(({ url }) => url === req.url).length === 1
    const fields = { 'content-type': 'text/html', 'cache-control': 'max-age=10, stale-while-revalidate=3600', age: isFirst ? 20 : 0 }
    if (isFirst || req.url === '/announced') return res.writeHead(200, { ...fields, 'content-length': isFirst ? 3 : large.length }).end(isFirst ? 'old' : large)
    res.writeHead(200, fields)
    res.write(large.slice(0, 100))
    setImmediate(() => res.end(large.slice(100)))
  })
  const v = await varve(t, `renderer: ${origin.url}\nstore: {path: $DIR/store, size: 64MiB, memory: 16MiB, max_object: 256KiB}\nroutes: [{match: "/**"}]\n`)
  for (const target of ['/announced', '/chunked']) {
    assert.equal((await v.get(target)).body, 'old')
    await until(async () => (await v.get(target)).body === large, `${target} to be the new one`)
    for (let n = 0; n < 3; n++) assert.equal((await v.get(target)).body, large, target)
  }
})
