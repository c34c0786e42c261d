// Purges: nobody forges one, and none is lost. One that was answered holds over kill -9 and restart, and over a render that began before.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, outcome, page, renderer, until } from './lib.mjs'
import { BROWSER, byteClient, withStrangers } from './hostile.mjs'

const FRESH = { 'cache-control': 'public, max-age=600' }
const ROUTES = 'routes: [{match: "/**"}]\n'

test('6.5 forged: a stranger purges nothing, whoever he says he is and whichever method he uses', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `${req.method} render ${n}`, FRESH))
  const { v, port } = await withStrangers(t, `renderer: ${origin.url}\n${ROUTES}trusted_proxies: [10.0.0.0/8]\npurge: {methods: [PURGE], allow: [127.0.0.0/8, "::1", 192.0.2.0/24]}\n`)
  const from = (address) => byteClient(t, port, { from: address })
  const stranger = from('198.51.100.1')
  const stored = await stranger.ask('/p', BROWSER)
  const isStillThere = async (what) => {
    const res = await stranger.ask('/p', BROWSER)
    assert.equal(res.body, stored.body, what)
    assert.equal(outcome(res), 'hit', what)
  }
  const LIES = [{}, { 'X-Forwarded-For': '127.0.0.1' }, { 'X-Forwarded-For': '192.0.2.1, 127.0.0.1' }, { Forwarded: 'for=127.0.0.1' }, { 'X-Real-IP': '127.0.0.1' }, { 'X-Client-IP': '127.0.0.1' },
    { 'True-Client-IP': '127.0.0.1' }, { Via: '1.1 varve' }, { 'CDN-Loop': 'varve' }, { 'X-Varve-Debug': 'guess' }, { Authorization: 'Bearer guess' }, { 'X-HTTP-Method-Override': 'PURGE' },
    { Connection: 'X-Forwarded-For, close' }, { Host2: 'localhost' }]
  for (const lie of LIES) {
    assert.equal((await stranger.ask('/p', { ...BROWSER, ...lie }, { method: 'PURGE' })).status, 405, JSON.stringify(lie))
    await isStillThere(JSON.stringify(lie))
  }
  // a proxy that is trusted, for a client that may not; and one that may purge, but comes with what only proxies say
  assert.equal((await from('10.0.0.1').ask('/p', { 'X-Forwarded-For': '198.51.100.1' }, { method: 'PURGE' })).status, 405)
  assert.equal((await from('10.0.0.1').ask('/p', { 'X-Forwarded-For': '192.0.2.1, 198.51.100.1' }, { method: 'PURGE' })).status, 405)
  for (const lie of LIES.slice(1, 5)) assert.equal((await from('192.0.2.1').ask('/p', lie, { method: 'PURGE' })).status, 405, JSON.stringify(lie))
  await isStillThere('lies')
  // a proxy that may purge itself: what it appends is its client, whatever stands before; what cannot be read is nobody who may
  const UNREADABLE = ['evil', 'unknown', '"127.0.0.1"', '127.0.0.1, "', 'for=127.0.0.1'].map((hop) => ({ 'X-Forwarded-For': hop }))
  const OPEN_QUOTES = [{ 'X-Forwarded-For': '", 198.51.100.1' }, [['X-Forwarded-For', '"'], ['X-Forwarded-For', '198.51.100.1']], { Forwarded: 'for=", for=198.51.100.1' }, { Forwarded: 'for=127.0.0.1;by="\\", for=198.51.100.1;by="_a"' },
    { Forwarded: 'host="a;for=127.0.0.1";for=198.51.100.1' }, { Forwarded: 'for="127.0.0.1' }, { Forwarded: 'for=_hidden' }, { Forwarded: 'for=127.0.0.1, proto=http' }]
  for (const said of [...UNREADABLE, ...OPEN_QUOTES]) {
    assert.equal((await from('127.0.0.1').ask('/p', said, { method: 'PURGE' })).status, 405, JSON.stringify(said))
    await isStillThere(JSON.stringify(said))
  }
  for (const method of ['BAN', 'REFRESH', 'purge', 'SOFTPURGE', 'X-PURGE']) await stranger.ask('/p', BROWSER, { method })
  await isStillThere('other methods')
  assert.equal(origin.requests.filter((req) => req.method === 'PURGE').length, 0, 'it is never forwarded')

  assert.equal((await from('192.0.2.1').ask('/p', {}, { method: 'PURGE' })).status, 200)
  const renewed = await stranger.ask('/p', BROWSER)
  assert.notEqual(renewed.body, stored.body)
  assert.equal((await from('10.0.0.1').ask('/p', { 'X-Forwarded-For': '198.51.100.1, 192.0.2.1' }, { method: 'PURGE' })).status, 200, 'the last one is who speaks')
  assert.notEqual((await stranger.ask('/p', BROWSER)).body, renewed.body)
})

test('6.5 off by default: not even loopback purges', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, FRESH))
  const { v } = await withStrangers(t, `renderer: ${origin.url}\n${ROUTES}`)
  await v.get('/p')
  assert.equal((await v.get('/p', {}, { method: 'PURGE' })).status, 405)
  assert.equal(outcome(await v.get('/p')), 'hit')
})

const KINDS = [
  ['a URL', (v) => ({ urls: [`${v.url}/p`] })],
  ['a prefix', (v) => ({ prefixes: [`${v.url}/`] })],
  ['a tag', () => ({ tags: ['t1'] })],
  ['a host', (v) => ({ hosts: [`127.0.0.1:${v.port}`], soft: false })],
  ['all', () => ({ all: true, soft: false })],
]
for (const [what, order] of KINDS)
  test(`6.2 lost: a purge of ${what} holds though varve is killed the moment it has answered`, async (t) => {
    const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...FRESH, 'surrogate-key': 't1' }))
    const { v } = await withStrangers(t, `renderer: ${origin.url}\n${ROUTES}`)
    const old = (await v.get('/p')).body
    await v.stop()
    await v.start()
    const kept = await v.get('/p')
    assert.equal(kept.body, old)
    assert.equal(outcome(kept), 'hit', 'it is on the disk')
    assert.equal((await v.admin('POST', '/v1/purge', order(v))).status, 200)
    await v.stop('SIGKILL')
    for (let restart = 1; restart <= 2; restart++) {
      await v.start()
      assert.notEqual((await v.get('/p')).body, old, `restart ${restart}`)
      await v.stop('SIGKILL')
    }
  })

for (const [what, order] of KINDS)
  test(`6.2 a purge of ${what} while a render is under way: its answer is not stored, not even after a restart`, async (t) => {
    const gates = [gate(), gate()]
    const origin = await renderer(t, async (req, res, n) => {
      res.writeHead(200, { 'content-type': 'text/html', ...FRESH, 'surrogate-key': 't1' })
      if (n === 1) await gates[0].promise // before its head
      res.write(`render ${n}`)
      if (n === 1) await gates[1].promise // inside its body
      res.end('.')
    })
    const { v } = await withStrangers(t, `renderer: ${origin.url}\n${ROUTES}`)
    const first = v.get('/p')
    await until(() => origin.requests.length === 1, 'the render')
    assert.equal((await v.admin('POST', '/v1/purge', order(v))).status, 200)
    gates[0].open()
    gates[1].open()
    assert.equal((await first).body, 'render 1.')
    const second = await v.get('/p')
    assert.equal(second.body, 'render 2.')
    await v.stop()
    await v.start()
    assert.equal((await v.get('/p')).body, 'render 2.')
  })
