// Web cache deception: a link that makes somebody who is logged in open a page of his own under a name that a cache would keep. Every
// path of tests/data/deception_paths.txt, at a renderer that takes each of them for /account and calls the page public.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer } from './lib.mjs'
import { BROWSER, byteClient, deceptionPaths, spread, withStrangers } from './hostile.mjs'

const SECRET = 'IBAN-of-anna'
const PEOPLE = {
  'a session cookie': { cookie: '_ga=1; session=anna' },
  'an Authorization': { authorization: 'Bearer anna' },
}

const utf8 = (code) => Buffer.from(String.fromCharCode(code)).toString('latin1')
/** Overlong and full-width forms of ASCII, as lax decoders of UTF-8 read them; bytes as latin-1 text. */
const laxly = (text) =>
  text.replace(/(?:[\xc0\xc1]|(?:\xe0|\xf0\x80|\xf8\x80\x80|\xfc\x80\x80\x80)[\x80\x81])[\x80-\xbf]/g, (form) => String.fromCharCode(((form.charCodeAt(form.length - 2) & 1) << 6) | (form.charCodeAt(form.length - 1) & 63)))
    .replace(/\xef([\xbc\xbd])([\x80-\xbf])/g, (_, a, b) => String.fromCharCode((a === '\xbd' ? 0x60 : 0x20) + (b.charCodeAt(0) & 63)))

/** What some server on earth would make of a path. */
function pathAsSomeServerReadsIt(path) {
  let seen = path.split('?')[0]
  for (let i = 0; i < 4; i++) seen = laxly(seen.replace(/%u([0-9a-f]{4})/gi, (_, hex) => utf8(parseInt(hex, 16))).replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))))
  seen = seen.replace(/\\/g, '/').replace(/;[^/]*/g, '').split(/[\0-\x1f\x7f?#]/)[0].toLowerCase()
  const segments = []
  for (const segment of seen.split('/')) segment === '..' ? segments.pop() : segment && segment !== '.' && segments.push(segment)
  return `/${segments.join('/')}`
}

/** /account and all below it is the page of who asks; called public, as everything is. */
const naive = (headers) => (req, res) => {
  const isAnna = /session=anna/.test(req.headers.cookie ?? '') || /anna/.test(req.headers.authorization ?? '')
  const isAccount = pathAsSomeServerReadsIt(req.url).startsWith('/account')
  res.writeHead(200, { 'content-type': /\.(css|js)/.test(req.url) ? 'text/css' : 'text/html', ...headers })
  res.end(isAccount ? `account of ${isAnna ? SECRET : 'nobody'}` : `page ${req.url}`)
}

/** The paths of the list, also with the directories of `under` in place of /static. */
function paths(under) {
  const listed = deceptionPaths().map((row) => row.path)
  const more = ['/static/..%2faccount/x.css', '/static/%2e%2e/account/x.js', '/static/x/..%2f..%2faccount', '/static/..%5caccount/x.css', '/static/x.css/..%2f..%2faccount',
    '/static/..;/account/x.css', '/static/%2e%2e;x/account', '/static//../account', '/static/.%2e/account', '/static/%252e%252e/account/x.css']
  return [...new Set([...listed, ...more].map((path) => path.replace('/static', under)))]
}

const PUBLIC = { 'cache-control': 'public, max-age=600' }
const asset = (match) => `{match: "${match}", ttl: 1h, when_logged_in: cache, assets: true}`
const account = '{match: "/account/**", cache: never}'
for (const [how, routes, headers, mostOwn] of [
  ['/account/** never, the rest with ttl', [account, '{match: "/**", ttl: 1m}'], {}, 40],
  ['/account/** never, the rest with ttl, and all called public', [account, '{match: "/**", ttl: 1m}'], PUBLIC, 40],
  ['nothing said, but all called public', ['{match: "/**"}'], PUBLIC, 40],
  ['/assets/** for everybody first, then /account/** never', [asset('/assets/**'), account, '{match: "/**", ttl: 1m}'], PUBLIC, 40],
  ['routes by extension for everybody, before the rest', [asset('/**/*.css'), asset('/**/*.js'), account, '{match: "/**", ttl: 1m}'], PUBLIC, 20],
])
  test(`1.3 nobody gets the page of somebody who was led to it: ${how}`, async (t) => {
    const origin = await renderer(t, naive(headers))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\nroutes: [${routes.join(', ')}]\n`)
    const clients = Array.from({ length: 4 }, () => ({ victim: byteClient(t, port, { from: '203.0.113.1' }), attacker: byteClient(t, port, { from: '198.51.100.1' }) }))
    const all = Object.entries(PEOPLE).flatMap(([who, person], i) => paths('/assets').map((path) => ({ who, person, path: `${path}${i ? '?x=.css' : ''}` })))
    assert.ok(all.length > 120)
    let own = 0
    await spread(all, 4, async ({ who, person, path }, _, lane) => {
      const { victim, attacker } = clients[lane]
      const name = `${JSON.stringify(path)}, ${who}`
      const led = await victim.ask(path, { ...BROWSER, ...person })
      own += led.body.includes(SECRET)
      if (led.body.includes(SECRET)) assert.notEqual(outcome(led), 'hit', name)
      for (const fields of [BROWSER, BROWSER, {}, { accept: 'text/css', 'sec-fetch-dest': 'style' }, { ...BROWSER, cookie: '_ga=2' }]) {
        const seen = await attacker.ask(path, fields)
        assert.ok(!JSON.stringify(seen).includes(SECRET), `${name}: ${seen.body}`)
      }
    })
    assert.ok(own >= mostOwn, `${own} paths showed the victim his own page`)
  })

test('1.3 what is refused never reaches the renderer; what is doubtful is asked for byte for byte', async (t) => {
  const origin = await renderer(t, naive(PUBLIC))
  const { port } = await withStrangers(t, `renderer: ${origin.url}\nroutes: [${account}, {match: "/**", ttl: 1m}]\n`)
  const client = byteClient(t, port, { from: '203.0.113.1' })
  for (const { expected, path } of deceptionPaths()) {
    const before = origin.requests.length
    const answer = await client.ask(path, BROWSER)
    assert.equal(answer.status, expected === '400' ? 400 : 200, JSON.stringify(path))
    assert.equal(origin.requests.length - before, expected === '400' ? 0 : 1, JSON.stringify(path))
    if (expected !== '400') assert.equal(origin.requests.at(-1).url, path)
  }
})
