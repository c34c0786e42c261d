// Cookies that two parsers read differently: whatever a renderer makes of such a line, nobody else gets the page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, page, renderer, tempDir, tlsListener, varve } from './lib.mjs'
import { BROWSER, byteClient, crumbClient, spread, withStrangers } from './hostile.mjs'

const SECRET = 'IBAN-of-anna'

/* As some parser on earth finds session=anna in them. Each a list of Cookie lines. */
const LINES = [
  ['session=anna'], ['SESSION=anna'], ['Session=anna'], [' session = anna '], ['session="anna"'], ['"session"=anna'], ['session=anna; _ga=1'], ['_ga=1; session=anna'], ['_ga=1;session=anna'],
  ['_ga=1,session=anna'], ['_ga=1, session=anna'], ['_ga=1 session=anna'], ['_ga=1\tsession=anna'], ['_ga="1; session=anna"'], ['_ga="1, session=anna"'], ['_ga="\\"; session=anna; x=\\""'],
  ['_ga=1; ; session=anna'], ['=; session=anna'], ['; session=anna'], ['$Version=1; session=anna; $Path=/'], ['%73ession=anna'], ['session%3Danna'], ['_ga=1%3B%20session=anna'], ['_ga=session=anna'],
  ['bucket=red; session=anna'], ['bucket=red,session=anna'], ['bucket="red; session=anna"'], ['bucket=red session=anna'], ['bucket=red%3B session=anna'], ['bucket=red&session=anna'],
  ['_ga=1', 'session=anna'], ['session=anna', 'session=berta'], ['session=berta; session=anna'], ['_ga=1; session=anna', '_gid=2'], ['OptanonConsent=x&session=anna'], ['__utma=1.session=anna'],
  ['__Host-session=anna'], ['__Secure-session=anna'], ['session[]=anna'], ['session.0=anna'], ['session\\=anna'], ['s\\u0065ssion=anna; session=anna'], [`${'_ga=1; '.repeat(200)}session=anna`],
  [`_ga=${'x'.repeat(5000)}; session=anna`],
]

/** The most generous reading of all. */
const isAnna = (req) => /session/i.test(decodeURIComponent(req.headers.cookie ?? '')) && /anna/.test(req.headers.cookie ?? '')
const naive = (headers) => (req, res) => page(res, isAnna(req) ? `account of ${SECRET}` : `page for ${req.headers.cookie ?? 'nobody'}`, headers)
const PUBLIC = { 'cache-control': 'public, max-age=600' }

for (const [how, lines, routes, headers] of [
  ['as it comes', '', '{match: "/**"}', PUBLIC],
  ['with ttl', '', '{match: "/**", ttl: 1m}', {}],
  ['a list of what logs in', 'identity: {logged_in: {cookies: [session]}}\n', '{match: "/**"}', PUBLIC],
  ['cookies: ignore', '', '{match: "/**", ttl: 1m, cookies: ignore}', PUBLIC],
  ['when_logged_in: cache', '', '{match: "/**", when_logged_in: cache}', PUBLIC],
])
  test(`2.6 odd Cookie lines give nobody's page away: ${how}`, async (t) => {
    const origin = await renderer(t, naive(headers))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${lines}vary: {cookie: {keep: [bucket]}}\nroutes: [${routes}]\n`)
    const clients = Array.from({ length: 4 }, () => ({ victim: byteClient(t, port, { from: '203.0.113.1' }), attacker: byteClient(t, port, { from: '198.51.100.1' }) }))
    let own = 0
    await spread(LINES, 4, async (cookies, at, lane) => {
      const { victim, attacker } = clients[lane]
      const asked = await victim.ask(`/p${at}`, [...Object.entries(BROWSER), ...cookies.map((line) => ['Cookie', line])])
      const name = JSON.stringify(cookies).slice(0, 200)
      const isOwn = asked.body.includes(SECRET)
      own += isOwn
      for (const cookie of [undefined, '_ga=1', '_ga=2; _gid=3', 'bucket=red', 'bucket=blue; _ga=1', 'bucket=red; _ga=1', 'bucket="red']) {
        const res = await attacker.ask(`/p${at}`, { ...BROWSER, ...(cookie ? { cookie } : {}) })
        assert.ok(!JSON.stringify(res).includes(SECRET), `${name}, then ${cookie}: ${res.body}`)
        const bucket = /^bucket=(\w+)/.exec(cookie ?? '')?.[1]
        if (bucket && !/ignore/.test(routes)) assert.match(res.body, new RegExp(`bucket=${bucket}`), `${name}, then ${cookie}`)
        else assert.doesNotMatch(res.body, /bucket=\w/, `${name}, then ${cookie}`)
      }
      if (isOwn) assert.notEqual(outcome(asked), 'hit', name)
    })
    if (!/cache$|ignore$/.test(how)) assert.ok(own >= 20, `${own} lines showed the victim his own page`)
  })

test('2.6 over HTTP/2 a session cookie that is a crumb of its own is seen wherever it stands: never from the cache, never stored', async (t) => {
  const origin = await renderer(t, naive(PUBLIC))
  const tls = await tlsListener(tempDir(t))
  await varve(t, `${tls.yaml}renderer: ${origin.url}\nvary: {cookie: {keep: [bucket]}}\nroutes: [{match: "/**"}]\n`)
  const [anna, other] = [await crumbClient(t, tls.port), await crumbClient(t, tls.port)]
  const harmless = ['_ga=1', 'bucket=red', '_gid=2', 'OptanonConsent=x']
  for (let at = 0; at <= harmless.length; at++) {
    const cookie = [...harmless.slice(0, at), 'session=anna', ...harmless.slice(at)].join('; ')
    const [cold, stored] = [`/cold/${at}`, `/stored/${at}`]
    assert.equal((await other.ask(stored, { ...BROWSER, cookie: harmless.join('; ') })).body, 'page for bucket=red')
    for (const path of [cold, stored, stored]) {
      const res = await anna.ask(path, { ...BROWSER, cookie })
      assert.equal(res.body, `account of ${SECRET}`, `${path}: ${cookie}`)
      assert.equal(outcome(res), 'bypass', res.headers['cache-status'])
      assert.equal(origin.requests.at(-1).headers.cookie, cookie)
    }
    for (const path of [cold, stored]) {
      const res = await other.ask(path, { ...BROWSER, cookie: harmless.join('; ') })
      assert.equal(res.body, 'page for bucket=red', path)
      assert.equal(outcome(res), path === stored ? 'hit' : 'uri-miss', res.headers['cache-status'])
    }
  }
})
