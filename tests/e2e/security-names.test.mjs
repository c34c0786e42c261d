// No field of a request changes the page that somebody else gets: 1 500 names, each sent alone to a renderer that prints every field
// it is sent into the page.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcome, renderer, tempDir, tlsListener, varve } from './lib.mjs'
import { attackWithEach, BROWSER, headerNames, KEYED, MARK, mirror, namesWhere, PASSED, withStrangers } from './hostile.mjs'
import { h2 } from './wire.mjs'

const NAMES = headerNames()

/* What a stranger's request with the field, and any value in it, is, beside PASSED and KEYED: the rest are fills whose page everybody then shares. */
const REFUSED = ['content-length', 'expect', 'host', 'transfer-encoding'] // two servers could read it differently
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
