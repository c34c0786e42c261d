// What `seal: standard` holds back: what its table says, and of 1 500 names all but those that were read through.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer, varve } from './lib.mjs'
import { attackWithEach, BROWSER, byteClient, headerNames, KEYED, MARK, mirror, namesWhere, PASSED, sealPatterns, sentNames, spread, withStrangers } from './hostile.mjs'

const NAMES = headerNames()
const sorted = (...lists) => lists.flat().sort()
const PUBLIC = { 'cache-control': 'public, max-age=60' }

test('2.2 seal: standard, a renderer that calls everything public: no name of seal.def changes a stored body', async (t) => {
  const origin = await renderer(t, mirror(() => ({ 'cache-control': 'public, max-age=60' })))
  const { port } = await withStrangers(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const patterns = sealPatterns()
  assert.ok(patterns.length > 80)
  const isListed = (name) => patterns.some((p) => (p.endsWith('*') ? name.startsWith(p.slice(0, -1)) : name === p))
  const made = patterns.flatMap((p) => (p.endsWith('*') ? ['x', 'host', 'url'].map((end) => p.slice(0, -1) + end) : [p]))
  const underscored = NAMES.filter((name) => name.includes('_'))
  const conditional = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range']
  const names = [...new Set([...made, ...NAMES.filter(isListed), ...underscored, ...conditional, ...KEYED])]
  const seen = await attackWithEach(t, port, names)
  assert.deepEqual(namesWhere(seen, (attack) => attack.body.includes(MARK)), KEYED, 'who reached the renderer')
  assert.deepEqual(namesWhere(seen, (attack, victim) => outcome(victim) !== 'hit'), KEYED)
})

test('2.2 seal: standard: of 1 500 names those that nothing holds back or keys are the ones that were read through', async (t) => {
  const origin = await renderer(t, mirror(() => PUBLIC))
  const { port } = await withStrangers(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const clients = Array.from({ length: 8 }, (_, i) => byteClient(t, port, { from: `198.51.100.${i + 1}` }))
  const sent = []
  await spread(NAMES, clients.length, async (name, at, lane) => {
    const { body } = await clients[lane].ask(`/n/${at}`, [...Object.entries(BROWSER), [name, MARK]])
    if (body.includes(MARK)) sent.push(name)
  })
  assert.deepEqual(sorted(sent), sorted(PASSED, KEYED, sentNames()))
})

test('2.8 a pass hands on what a stranger says; a set_headers of the same name takes its place', async (t) => {
  const SAID = { forwarded: 'for=192.0.2.1;host=evil', 'x-real-ip': '192.0.2.1', 'x-http-method-override': 'DELETE', x_real_ip: '192.0.2.1', 'x-forwarded-host': 'evil', 'x-middleware-subrequest': 'evil' }
  for (const [policy, wanted] of [
    ['', { forwarded: 'for=192.0.2.1;host=evil', 'x-real-ip': '192.0.2.1', 'x-http-method-override': 'DELETE', x_real_ip: '192.0.2.1', 'x-forwarded-host': 'a.example' }],
    ['set_headers: {Forwarded: for=unknown, X-Real-IP: 0.0.0.0, X-HTTP-Method-Override: POST, X_Real_IP: 0.0.0.0}', { forwarded: 'for=unknown', 'x-real-ip': '0.0.0.0', 'x-http-method-override': 'POST', x_real_ip: '0.0.0.0', 'x-forwarded-host': 'a.example' }],
  ]) {
    const origin = await renderer(t, (req, res) => res.end(JSON.stringify(Object.fromEntries(Object.keys(SAID).filter((name) => name in req.headers).map((name) => [name, req.headers[name]])))))
    const { port } = await withStrangers(t, `origins: {web: {workers: ["${origin.url}"]${policy && `, ${policy}`}}}\nroutes: [{match: "/**"}]\n`)
    const stranger = byteClient(t, port, { from: '198.51.100.1' })
    const said = Object.entries(SAID)
    assert.deepEqual(JSON.parse((await stranger.ask('/', said, { method: 'POST', body: 'a' })).body), wanted)
    assert.deepEqual(JSON.parse((await stranger.ask('/', [['Cookie', 'session=1'], ...said])).body), wanted)
  }
})

test('2.2 seal: standard sends on what it does not know, and the page is then everybody\'s; seal: strict, vary: or the renderer\'s Vary close that', async (t) => {
  for (const [how, policy, vary, isOpen] of [
    ['standard', '', undefined, true],
    ['strict', 'seal: strict\n', undefined, false],
    ['vary:', 'vary: {x-unheard-of: {always: true}}\n', undefined, false],
    ['Vary', '', 'X-Unheard-Of', false],
  ]) {
    const origin = await renderer(t, mirror(() => ({ 'cache-control': 'public, max-age=60', ...(vary ? { vary } : {}) })))
    const v = await varve(t, `renderer: ${origin.url}\n${policy}routes: [{match: "/**"}]\n`)
    await v.get('/', { 'x-unheard-of': MARK })
    assert.equal((await v.get('/')).body.includes(MARK), isOpen, how)
  }
})
