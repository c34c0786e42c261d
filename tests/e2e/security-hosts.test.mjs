// One path, many names: whatever way a request says which host it means, and over which scheme, it gets that host's page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, outcome, page, renderer, tempDir, tlsListener, varve } from './lib.mjs'
import { BROWSER, byteClient, withStrangers } from './hostile.mjs'
import { h2 } from './wire.mjs'

/** A page that says for which site it was made, as naive renderers find out. */
const bySite = (headers = { 'cache-control': 'public, max-age=60' }) => (req, res) =>
  page(res, `${req.headers['x-forwarded-proto']}://${req.headers.host} ${req.headers['x-forwarded-host']} ${req.url}`, headers)

const POLICIES = [
  ['as it comes', 'routes: [{match: "/**"}]\n', undefined],
  ['with ttl', 'routes: [{match: "/**", ttl: 1m}]\n', {}],
]

/* [how the request says it, request target, Host line, the site as it is known to the renderer] */
const WAYS = [
  ['Host', '/p', 'Host: a.example', 'a.example'],
  ['Host of another', '/p', 'Host: b.example', 'b.example'],
  ['upper case', '/p', 'Host: A.EXAMPLE', 'a.example'],
  ['trailing dot', '/p', 'Host: a.example.', 'a.example'],
  ['default port', '/p', 'Host: a.example:80', 'a.example'],
  ['all of it', '/p', 'host:   A.Example.:80  ', 'a.example'],
  ['another port', '/p', 'Host: a.example:81', 'a.example:81'],
  ['the port of https', '/p', 'Host: a.example:443', 'a.example:443'],
  ['absolute-form', 'http://a.example/p', 'Host: a.example', 'a.example'],
  ['absolute-form in capitals', 'HTTP://A.EXAMPLE/p', 'Host: a.example', 'a.example'],
  ['absolute-form of another', 'http://b.example/p', 'Host: b.example', 'b.example'],
  ['a longer name', '/p', 'Host: a.example.evil.example', 'a.example.evil.example'],
  ['a shorter name', '/p', 'Host: example', 'example'],
  ['an address', '/p', 'Host: 127.0.0.1', '127.0.0.1'],
  ['an IPv6 address', '/p', 'Host: [::1]', '[::1]'],
]
const REFUSED = [
  ['two of them', '/p', 'Host: a.example\r\nHost: b.example'],
  ['twice the same', '/p', 'Host: a.example\r\nHost: a.example'],
  ['none', '/p', 'X: y'],
  ['absolute-form and Host differ', 'http://b.example/p', 'Host: a.example'],
  ['absolute-form, ports differ', 'http://a.example:81/p', 'Host: a.example'],
  ['a user', '/p', 'Host: a.example@b.example'],
  ['a path', '/p', 'Host: a.example/x'],
  ['a list', '/p', 'Host: a.example, b.example'],
  ['a space', '/p', 'Host: a.example b.example'],
  ['a port that is none', '/p', 'Host: a.example:x'],
  ['a port too large', '/p', 'Host: a.example:99999'],
  ['a fragment', '/p', 'Host: a.example#'],
  ['a query', '/p', 'Host: a.example?'],
]

for (const [how, policy, headers] of POLICIES)
  test(`1.1 two hosts, one path, however it is said: ${how}`, async (t) => {
    const origin = await renderer(t, bySite(headers))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${policy}`)
    const client = byteClient(t, port, { from: '198.51.100.1' })
    for (let round = 0; round < 2; round++)
      for (const [what, target, line, site] of WAYS) {
        const res = await client.ask(target, BROWSER, { hostLine: `${line}\r\n` })
        const [made, forwarded] = res.body.split(' ')
        assert.equal(res.status, 200, what)
        assert.equal(forwarded, site, `${what}: ${res.body}`)
        assert.equal(made, `http://${site}`, `${what}: the renderer is told one spelling`)
        if (round) assert.equal(outcome(res), 'hit', what)
      }
    const rendered = origin.requests.length
    assert.equal(rendered, new Set(WAYS.map((way) => way[3])).size, 'one render for each site')
    for (const [what, target, line] of REFUSED) assert.equal((await client.ask(target, BROWSER, { hostLine: `${line}\r\n` })).status, 400, what)
    assert.equal(origin.requests.length, rendered)
  })

for (const [how, policy, headers] of POLICIES)
  test(`1.7 http and https are two sites: by listener, and by what a trusted proxy says; a stranger changes nothing: ${how}`, async (t) => {
    const dir = tempDir(t)
    const [tls, proxied] = [await tlsListener(dir), await freePort()]
    const origin = await renderer(t, bySite(headers))
    const listeners = tls.yaml.replace(/\]\n$/, `, {address: "127.0.0.1:${proxied}", proxy_protocol: true}]\n`)
    const v = await varve(t, `${listeners}renderer: ${origin.url}\n${policy}`, { dir })
    const secure = await h2(t, tls.port)
    const stranger = byteClient(t, proxied, { from: '198.51.100.1' })
    const trusted = byteClient(t, v.port)
    const LIES = [{ 'x-forwarded-proto': 'https' }, { forwarded: 'proto=https' }, { 'x-forwarded-ssl': 'on', 'front-end-https': 'on', 'x-url-scheme': 'https' }]
    for (let round = 0; round < 2; round++) {
      assert.match((await trusted.ask('/p', BROWSER)).body, /^http:/)
      assert.match((await secure.get('/p', { headers: { ...BROWSER, ':authority': 'a.example' } })).body, /^https:/)
      assert.match((await trusted.ask('/p', { ...BROWSER, 'x-forwarded-proto': 'https' })).body, /^https:/)
      assert.match((await trusted.ask('/p', { ...BROWSER, 'x-forwarded-proto': 'gopher' })).body, /^http:/)
      for (const lie of LIES) assert.match((await stranger.ask('/p', { ...BROWSER, ...lie })).body, /^http:/, JSON.stringify(lie))
    }
    assert.equal(origin.requests.length, 2)
  })

test('1.5 names that nobody knows push out no site: the first sixteen stay stored', async (t) => {
  const origin = await renderer(t, bySite())
  const { v, port } = await withStrangers(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const client = byteClient(t, port, { from: '198.51.100.1' })
  const ask = (host, path = '/p') => client.ask(path, BROWSER, { hostLine: `Host: ${host}\r\n` })
  await ask('shop.example')
  for (let i = 0; i < 200; i++) {
    const host = `n${i}.evil.example`
    for (const res of [await ask(host), await ask(host)]) assert.ok(res.body.includes(`http://${host} ${host} `), res.body)
    if (i % 20 === 0) assert.equal(outcome(await ask('shop.example')), 'hit', `after ${i} others`)
  }
  assert.equal(outcome(await ask('shop.example')), 'hit')
  assert.equal(await v.metric('varve_memory_objects'), 16)
})

test('1.5 hosts: a name that is not served gets 421, over both protocols, and no render', async (t) => {
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const origin = await renderer(t, bySite())
  const v = await varve(t, `${tls.yaml}hosts: [a.example]\nrenderer: ${origin.url}\nroutes: [{match: "/**"}]\n`, { dir })
  const client = byteClient(t, v.port)
  const secure = await h2(t, tls.port)
  for (const host of ['evil.example', 'a.example.evil.example', 'evil-a.example', 'xa.example', '127.0.0.1', '[::1]', 'a.example.evil']) {
    assert.equal((await client.ask('/p', BROWSER, { hostLine: `Host: ${host}\r\n` })).status, 421, host)
    assert.equal((await client.ask(`http://${host}/p`, BROWSER, { hostLine: `Host: ${host}\r\n` })).status, 421, host)
    assert.equal((await secure.get('/p', { headers: { ':authority': host } })).status, 421, host)
  }
  assert.equal(origin.requests.length, 0)
})
