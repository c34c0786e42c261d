// No field of a request changes the page that somebody else gets: 1 500 names, each sent alone to a renderer that prints every field
// it is sent into the page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer, tempDir, tlsListener, varve } from './lib.mjs'
import { attackWithEach, BROWSER, headerNames, MARK, mirror, namesWhere, sealPatterns, withStrangers } from './hostile.mjs'
import { h2 } from './wire.mjs'

const NAMES = headerNames()

/* What a stranger's request with the field, and any value in it, is: the rest are fills whose page everybody then shares. */
const REFUSED = ['content-length', 'expect', 'host', 'transfer-encoding'] // two servers could read it differently
const PASSED = ['authorization', 'cookie', 'range'] // his own, and not stored
const KEYED = ['datastar-request', 'hx-boosted', 'hx-history-restore-request', 'hx-prompt', 'hx-request', 'hx-request-type', 'hx-source', 'hx-target', 'hx-trigger', 'hx-trigger-name',
  'next-router-prefetch', 'next-router-segment-prefetch', 'next-router-state-tree', 'next-url', 'rsc', 'turbo-frame', 'x-alpine-request', 'x-alpine-target', 'x-barba', 'x-deployment-id', 'x-ic-request',
  'x-inertia', 'x-inertia-error-bag', 'x-inertia-location', 'x-inertia-partial-component', 'x-inertia-partial-data', 'x-inertia-partial-except', 'x-inertia-reset', 'x-inertia-version',
  'x-livewire', 'x-livewire-navigate', 'x-nextjs-data', 'x-pjax', 'x-pjax-container', 'x-server-id', 'x-server-instance', 'x-single-flight', 'x-tsr-raw', 'x-tsr-redirect',
  'x-up-context', 'x-up-fail-context', 'x-up-fail-mode', 'x-up-fail-target', 'x-up-mode', 'x-up-target', 'x-up-validate', 'x-up-version'] // 1.4
const sorted = (...lists) => lists.flat().sort()

const STRICT = 'seal: strict\nroutes: [{match: "/**"}]\n'
const PUBLIC = { 'cache-control': 'public, max-age=60' }

for (const [how, policy, headers, unstored = []] of [
  ['a route with ttl', 'routes: [{match: "/**", ttl: 1m}]\n', () => ({})],
  ['seal: strict, where the renderer calls everything public', STRICT, () => PUBLIC],
  ['seal: strict, where the renderer names each in Vary', STRICT, (req) => ({ ...PUBLIC, vary: NAMES[Number(req.url.slice(3))] }), ['x-request-id']],
])
  test(`2.1 none of 1 500 names changes a stored body: ${how}`, async (t) => {
    assert.ok(NAMES.length >= 1500)
    const origin = await renderer(t, mirror(headers))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${policy}`)
    const seen = await attackWithEach(t, port, NAMES)
    assert.deepEqual(namesWhere(seen, (attack) => attack.status !== 200), REFUSED)
    assert.deepEqual(namesWhere(seen, (attack) => attack.body.includes(MARK)), sorted(PASSED, KEYED), 'who reached the renderer')
    const missed = namesWhere(seen, (attack, victim) => outcome(victim) !== 'hit')
    const both = (name) => [seen.get(name).attack, seen.get(name).victim].map((res) => res.headers['cache-status']).join(', then ')
    const odd = missed.filter((name) => !sorted(REFUSED, PASSED, KEYED, unstored).includes(name)).map((name) => `${name}: ${both(name)}`)
    assert.deepEqual(missed, sorted(REFUSED, PASSED, KEYED, unstored), `who was not given the very page that the attacker had rendered; ${odd.join('; ')}`)
  })

test('2.1 the same over HTTP/2, forty fields at a time', async (t) => {
  const origin = await renderer(t, mirror(() => ({})))
  const dir = tempDir(t)
  const { port, yaml } = await tlsListener(dir)
  const v = await varve(t, `${yaml}renderer: ${origin.url}\nroutes: [{match: "/**", ttl: 1m}]\n`, { dir })
  const client = await h2(t, port)
  const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'http2-settings', 'te'] // no HTTP/2 client sends them
  const own = ['x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'forwarded'] // loopback is trusted to say these
  const names = NAMES.filter((name) => ![...REFUSED, ...PASSED, ...KEYED, ...hopByHop, ...own, ...Object.keys(BROWSER)].includes(name))
  for (let at = 0; at < names.length; at += 40) {
    const fields = Object.fromEntries(names.slice(at, at + 40).map((name) => [name, MARK]))
    const attack = await client.get(`/n/${at}`, { headers: { ...BROWSER, ...fields } })
    assert.equal(attack.status, 200, attack.body)
    const victim = await client.get(`/n/${at}`, { headers: BROWSER })
    assert.ok(!JSON.stringify([victim.headers, victim.body]).includes(MARK), victim.body)
    assert.equal(outcome(victim), 'hit')
  }
  assert.equal(v.stopped, false)
})

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
