// Interim responses (RFC 9110 §15.2, RFC 8297): what the renderer says ahead of its answer reaches the client whose request it
// works on, in order, over HTTP/1.1 and HTTP/2, and nobody else; nothing of it is stored.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, http2Client, outcome, page, rawOrigin, renderer, tempDir, tlsListener, until, varve } from './lib.mjs'
import { raw } from './wire.mjs'

const policy = (origin) => `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`
const fresh = { 'cache-control': 'max-age=60' }
const HINT = '</app.css>; rel=preload; as=style'

/** Heads in the order in which they came: [status, fields by name], interim ones too. */
function heads(bytes) {
  return [...bytes.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/g)].map(([, status, lines]) => [
    Number(status),
    Object.fromEntries(lines.split('\r\n').filter(Boolean).map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()])),
  ])
}
const statuses = (c) => heads(c.bytes).map(([status]) => status)
const get = (path, more = '', version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: a.example\r\n${more}\r\n`

/** A renderer that sends a hint and then waits until `open` says so. */
async function hinting(t) {
  const go = gate()
  const origin = await renderer(t, async (req, res) => {
    res.writeEarlyHints({ link: HINT })
    await go.promise
    page(res, `body of ${req.url}`, fresh)
  })
  return Object.assign(origin, { open: go.open })
}

test('http-caching §2: a 103 reaches an HTTP/1.1 client before the answer is made, and the answer follows', async (t) => {
  const origin = await hinting(t)
  const v = await varve(t, policy(origin))
  const c = await raw(t, v.port)
  c.send(get('/a'))
  await until(() => statuses(c).length === 1, 'the hint')
  assert.deepEqual(heads(c.bytes), [[103, { link: HINT }]])
  origin.open()
  const answer = await c.answer()
  assert.equal(answer.body, 'body of /a')
  assert.deepEqual(statuses(c), [103, 200])
  assert.equal(answer.headers.link, undefined)
})

test('http-caching §2: a 103 reaches HTTP/2 clients, on each of several streams', async (t) => {
  const origin = await hinting(t)
  const dir = tempDir()
  const tls = await tlsListener(dir)
  const v = await varve(t, tls.yaml + policy(origin), { dir })
  const c = await http2Client(t, v, tls.port)
  const asked = [1, 2, 3].map((n) => {
    const r = { interim: [] }
    const stream = c.session.request({ ':path': `/${n}`, ':authority': 'a.example' })
    stream.on('headers', (fields) => r.interim.push(fields))
    r.done = new Promise((resolve) => {
      stream.on('response', (fields) => (r.head = fields))
      stream.setEncoding('utf8')
      r.body = ''
      stream.on('data', (chunk) => (r.body += chunk))
      stream.on('close', resolve)
      stream.on('error', resolve)
    })
    return r
  })
  await until(() => asked.every((r) => r.interim.length === 1), 'the hints')
  for (const r of asked) assert.deepEqual([r.interim[0][':status'], r.interim[0].link, r.head], [103, HINT, undefined])
  origin.open()
  await Promise.all(asked.map((r) => r.done))
  asked.forEach((r, i) => assert.deepEqual([r.head[':status'], r.head.link, r.body], [200, undefined, `body of /${i + 1}`]))
})
