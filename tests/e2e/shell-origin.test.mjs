// The shell as an origin's light answer (semantics 8.2): its own slots and time, nothing of the client's, and the file when it fails.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { gate, outcome, page, renderer, tempDir, until, varve } from './lib.mjs'

const navigation = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-dest': 'document' }
const fresh = { 'cache-control': 'max-age=60' }
const FILE = 'the file'

/**
 * An origin whose pages fail and whose light answers `light(req, res)` gives; varve before it. `asked` are the light requests.
 * `file`: there is one too.
 */
async function stage(t, { light = (req, res) => page(res, `light ${req.url}`), heavy, more = '', file = true, shell = '', route = '', origin: ofOrigin = '' } = {}) {
  const s = { asked: [], pages: [] }
  const origin = await renderer(t, (req, res, n) => {
    if (req.headers['x-render-mode'] === 'client') {
      s.asked.push(req)
      return light(req, res, s.asked.length)
    }
    s.pages.push(req)
    return heavy ? heavy(req, res, s.pages.length) : res.writeHead(500).end('broken')
  })
  s.origin = origin
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, FILE)
  s.v = await varve(
    t,
    `origins: {web: {workers: ["${origin.url}"], slots: 1${ofOrigin}}}
shell: {${file ? `file: ${dir}/shell.html, ` : ''}origin: web, set_headers: {X-Render-Mode: client}${/timeout/.test(shell) ? '' : ', timeout: 20s'}${shell}}
${more}routes: [{match: "/**", on_failure: [stale, shell]${route}}]\n`,
    { dir },
  )
  s.get = (target, headers = {}, options) => s.v.get(target, { ...navigation, ...headers }, options)
  return s
}
const lastReason = (s, path) => until(() => s.v.lastLine(path), `${path} in the log`)

test('8.2 a light answer is given in the place of a page that fails: not stored, never 304, nothing of a page on it', async (t) => {
  const s = await stage(t, {
    light: (req, res) =>
      res
        .writeHead(200, {
          'content-type': 'text/html; charset=iso-8859-1', 'content-security-policy': "default-src 'self'", etag: '"s"', 'last-modified': new Date(0).toUTCString(),
          'set-cookie': 'sid=stolen', 'cache-control': 'public, max-age=600', age: '7', 'surrogate-key': 'x', vary: 'cookie', 'x-secret': '1',
        })
        .end(`light ${req.method} ${req.url}`),
  })
  for (const n of [1, 2]) {
    const res = await s.get('/deep/link?x=1', { 'if-none-match': '"s"', 'if-modified-since': new Date().toUTCString() })
    assert.equal(res.status, 200)
    assert.equal(res.body, 'light GET /deep/link?x=1')
    assert.equal(res.headers['cache-control'], 'no-store')
    assert.equal(res.headers['content-type'], 'text/html; charset=iso-8859-1')
    assert.equal(res.headers['content-security-policy'], "default-src 'self'")
    for (const name of ['etag', 'last-modified', 'set-cookie', 'age', 'surrogate-key', 'vary', 'x-secret']) assert.equal(res.headers[name], undefined, name)
    assert.equal(s.asked.length, n, 'it is asked for anew each time')
  }
  const head = await s.get('/deep/link?x=1', {}, { method: 'HEAD' })
  assert.equal(head.headers['content-length'], String('light GET /deep/link?x=1'.length))
  const line = await lastReason(s, '/deep/link?x=1')
  assert.equal(line.outcome, 'shell')
  assert.equal(line.reason, 'upstream_error')
  await s.v.isQuiet()
  assert.equal(await s.v.metric('varve_shell_total{reason="upstream_error"}'), 3)
})

test('8.2 it is asked for on behalf of nobody: no cookies, no credentials, no address, none of the client\'s own fields', async (t) => {
  const s = await stage(t, { more: 'vary: {cookie: {keep: [ab]}}\n' })
  const res = await s.get('/p', { cookie: 'ab=1; _ga=2', referer: 'https://x.example/', 'x-forwarded-for': '203.0.113.9', 'user-agent': 'me', 'x-other': 'y', 'x-render-mode': 'spoofed' })
  assert.equal(res.body, 'light /p')
  const [{ headers }] = s.asked
  const allowed = ['host', 'accept', 'accept-encoding', 'connection', 'user-agent', 'via', 'x-forwarded-host', 'x-forwarded-proto', 'x-render-mode', 'x-request-id']
  assert.deepEqual(Object.keys(headers).filter((name) => !allowed.includes(name)), [])
  assert.equal(headers['user-agent'], 'varve')
  assert.equal(headers['accept-encoding'], 'identity')
  assert.equal(headers['x-render-mode'], 'client')
})

test('8.2 its target and fields are the origin\'s, with those of `shell` over them', async (t) => {
  const s = await stage(t, { shell: ', target: "/_light?url={url}"', origin: ', target: "/_render{path}", set_headers: {X-Secret: s, X-Render-Mode: server}' })
  assert.match((await s.get('/p?a=1')).body, /^light \/_light\?url=http%3A%2F%2F.*%2Fp%3Fa%3D1$/)
  assert.equal(s.pages[0].url, '/_render/p?a=1')
  assert.equal(s.pages[0].headers['x-render-mode'], 'server')
  assert.equal(s.asked[0].headers['x-secret'], 's')
})

test('8.2 what is no shell is not given: the file instead; without a file on_failure goes on', async (t) => {
  const answers = {
    '/error': (res) => res.writeHead(503, { 'content-type': 'text/html' }).end('no'),
    '/redirect': (res) => res.writeHead(302, { location: '/' }).end(),
    '/json': (res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    '/empty': (res) => page(res, ''),
    '/coded': (res) => res.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' }).end('x'),
    '/large': (res) => page(res, Buffer.alloc((4 << 20) + 1, 'a')),
    '/cut': (res) => res.writeHead(200, { 'content-type': 'text/html', 'content-length': 100 }).write('half', () => res.socket.destroy()),
    '/closed': (res) => res.socket.destroy(),
  }
  const light = (req, res) => answers[req.url](res)
  const [withFile, without] = [await stage(t, { light }), await stage(t, { light, file: false })]
  for (const target of Object.keys(answers)) {
    const res = await withFile.get(target)
    assert.deepEqual([res.status, res.body], [200, FILE], target)
    const other = await without.get(target)
    assert.deepEqual([other.status, other.body], [500, 'broken'], target)
  }
  assert.deepEqual([...new Set(withFile.asked.map((req) => req.url))], Object.keys(answers))
  await until(() => /no shell origin=web status=503/.test(withFile.v.log), 'the log to tell')
})

test('8.2 without a file and without a light answer: stale behind it in on_failure, else 503', async (t) => {
  const s = await stage(t, { file: false, light: (req, res) => res.writeHead(500).end(), heavy: (req, res, n) => (n === 1 ? page(res, 'old', { age: '100', ...fresh }) : res.socket.destroy()), origin: ', retries: 0' })
  s.v.write(`origins: {web: {workers: ["${s.origin.url}"], retries: 0}}\nshell: {origin: web, set_headers: {X-Render-Mode: client}}\nroutes: [{match: "/**", on_failure: [shell, stale]}]\n`)
  assert.equal((await s.v.cli('reload')).code, 0)
  await s.get('/known')
  assert.equal((await s.get('/known')).body, 'old')
  assert.equal((await s.get('/new')).status, 503)
  assert.equal(s.asked.length, 2)
})

test('8.2 it has `timeout` for all of it, and `slots` of its own: what hangs makes the first few wait, the others get the file at once', async (t) => {
  const held = gate()
  const s = await stage(t, { light: async (req, res) => (await held.promise, page(res, 'late')), shell: ', slots: 2, timeout: 300ms' })
  const both = await Promise.all([s.get('/a'), s.get('/b')])
  assert.deepEqual(both.map((res) => res.body), [FILE, FILE])
  await until(() => s.asked.length === 2, 'both to have been asked for')
  assert.equal((await s.get('/c')).body, FILE)
  assert.equal(s.asked.length, 2, 'the slots are taken until the origin has answered')
  held.open()
  await until(async () => (await s.get('/d')).body === 'late', 'slots to be free')
})

test('8.2 it takes none of the renderer\'s slots: given while the only one renders, at once by client_wait, and the render is stored', async (t) => {
  const slow = gate()
  const s = await stage(t, { heavy: async (req, res) => (await slow.promise, page(res, 'page', fresh)), origin: ', client_wait: 100ms, slots_cover: all' })
  assert.equal((await s.get('/p')).body, 'light /p')
  assert.equal((await lastReason(s, '/p')).reason, 'client_wait')
  assert.equal(s.pages.length, 1)
  slow.open()
  await until(async () => outcome(await s.get('/p')) === 'hit', 'the page to be stored')
  assert.equal(s.pages.length, 1)
})

const awaited = [
  { of: 'who cannot read the coding in which a page comes gets the shell before the page ends', reader: {}, pieces: [0, 200, 400] },
  { of: 'who can read it gets the shell while no more has come than a coding of nothing has', reader: { 'accept-encoding': 'gzip' }, pieces: [0, 10, 60] },
]
for (const { of, reader, pieces } of awaited) {
  test(`7.5, 8.2 ${of}`, async (t) => {
    const [more, end, given, first, second] = Array.from({ length: 5 }, gate)
    const text = randomBytes(1000).toString('hex')
    const coded = gzipSync(text)
    const s = await stage(t, {
      file: false,
      heavy: async (req, res) => {
        res.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip', ...fresh }).write(coded.subarray(pieces[0], pieces[1]))
        await more.promise
        res.write(coded.subarray(pieces[1], pieces[2]))
        await end.promise
        res.end(coded.subarray(pieces[2]))
      },
      light: async (req, res) => (await given.promise, page(res, 'light')),
      origin: ', client_wait: 50ms',
    })
    let seen = 0
    const leader = s.get('/p', { 'accept-encoding': 'gzip' }, { onData: (bytes) => ((seen += bytes.length) > pieces[1] ? second : first).open() })
    await first.promise
    const joined = s.get('/p', reader)
    await until(() => s.asked.length === 1, 'the shell to be asked for')
    more.open()
    await second.promise
    given.open()
    assert.equal((await joined).body, 'light')
    end.open()
    assert.equal(gunzipSync((await leader).bytes).toString(), text)
    assert.equal((await s.get('/p')).body, text)
    assert.equal(s.pages.length, 1)
  })
}

test('7.5, 8.2 who waits for a page and then for the shell gets what comes first, and waits on when there is no shell', async (t) => {
  const [slow, light] = [gate(), gate()]
  const s = await stage(t, { file: false, shell: ', timeout: 20s', heavy: async (req, res) => (await slow.promise, page(res, 'page', fresh)), light: async (req, res) => (await light.promise, res.writeHead(404).end()), origin: ', client_wait: 50ms' })
  const overtaking = s.get('/p')
  await until(() => s.asked.length === 1, 'the shell to be asked for')
  slow.open()
  assert.equal((await overtaking).body, 'page')
  light.open()

  const [body, given] = [gate(), gate()]
  const headed = await stage(t, {
    file: false,
    shell: ', timeout: 20s',
    heavy: async (req, res) => (res.writeHead(200, { 'content-type': 'text/html', ...fresh }).flushHeaders(), await body.promise, res.end('page')),
    light: async (req, res) => (await given.promise, page(res, 'light')),
    origin: ', client_wait: 50ms',
  })
  const tired = headed.get('/p')
  await until(() => headed.asked.length === 1, 'the shell to be asked for, though the head is there')
  given.open()
  assert.equal((await tired).body, 'light')
  body.open()
  await until(async () => outcome(await headed.get('/p')) === 'hit', 'the page to be stored')

  const later = gate()
  const other = await stage(t, { file: false, heavy: async (req, res) => (await later.promise, page(res, 'page', fresh)), light: (req, res) => res.writeHead(404).end(), origin: ', client_wait: 50ms' })
  const waiting = other.get('/p')
  await until(() => /no shell/.test(other.v.log), 'there to be no shell')
  later.open()
  assert.equal((await waiting).body, 'page')
})

test('8.1, 8.2 logged in: the light answer without the cookie; data passes, crawlers and other caches never get it', async (t) => {
  const s = await stage(t, { file: false, route: ', when_logged_in: shell', more: 'classes: [{name: search, user_agent: [Googlebot], never_shell: true}, {name: people}]\n' })
  assert.equal((await s.get('/p', { cookie: 'sid=1' })).body, 'light /p')
  assert.equal(s.pages.length, 0)
  assert.equal(s.asked[0].headers.cookie, undefined)
  assert.equal((await lastReason(s, '/p')).reason, 'logged_in')
  assert.equal((await s.get('/p', { cookie: 'sid=1', 'sec-fetch-dest': 'empty' })).body, 'broken')
  assert.equal(s.pages[0].headers.cookie, 'sid=1')
  for (const headers of [{ 'user-agent': 'Googlebot/2.1' }, { via: '1.1 cdn' }, { 'cdn-loop': 'cdn' }, { rsc: '1' }]) assert.equal((await s.get('/q', headers)).status, 500)
  assert.equal(s.asked.length, 1)
})

test('8.2 a client that leaves while the shell is asked for takes nothing with it', async (t) => {
  const held = gate()
  const s = await stage(t, { light: async (req, res) => (await held.promise, page(res, 'light')), shell: ', slots: 1, timeout: 20s' })
  const leaving = new AbortController()
  const left = s.get('/p', {}, { signal: leaving.signal }).catch(() => 'left')
  await until(() => s.asked.length === 1, 'it to be asked for')
  leaving.abort()
  assert.equal(await left, 'left')
  assert.equal((await s.get('/p')).body, FILE)
  held.open()
  await until(async () => (await s.get('/p')).body === 'light', 'the slot to be free')
})

test('8.2 all workers down: the light answer cannot come either, so it is the file', async (t) => {
  const s = await stage(t, {})
  await s.origin.stop()
  assert.equal((await s.get('/p')).body, FILE)
  assert.equal((await lastReason(s, '/p')).reason, 'all_down')
})
