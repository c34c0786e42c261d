// A field that the renderer names in Vary makes a page of its own for those who send the same value, and for nobody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderer } from './lib.mjs'
import { attackWithEach, byteClient, headerNames, KEYED, MARK, mirror, namesWhere, PASSED, sentNames, withStrangers } from './hostile.mjs'

const NAMES = headerNames()

for (const [how, policy, headers] of [
  ['learned on a route with ttl', 'routes: [{match: "/**", ttl: 1m}]\n', {}],
  ['seal: standard', 'routes: [{match: "/**"}]\n', { 'cache-control': 'public, max-age=60' }],
])
  test(`2.3 a field that the renderer names in Vary may change the page, of those who send the same: ${how}`, async (t) => {
    const origin = await renderer(t, mirror((req) => ({ ...headers, vary: NAMES[Number(req.url.slice(3))] })))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${policy}`)
    const seen = await attackWithEach(t, port, NAMES)
    const reached = namesWhere(seen, (attack) => attack.body.includes(MARK))
    assert.deepEqual(reached, [...PASSED, ...KEYED, ...sentNames()].sort())
  })

/* What the client's Connection names is a field of that hop: it goes no further, and so it is in no key either. */
const KEYED_BY_ALL_MEANS = {
  cookie: 'bucket=red',
  'accept-language': 'fr',
  'user-agent': 'Mozilla/5.0 (iPhone) Mobile',
  'x-plan': 'gold',
  'x-declared': 'yes',
  rsc: '1',
  'hx-request': 'true',
  accept: 'application/json',
}
for (const [how, policy] of [['seal: standard', ''], ['seal: strict', 'seal: strict\n'], ['seal: off', 'seal: off\n']])
  test(`1.2 a field that Connection names is neither sent nor keyed, so that nobody's page is made without it: ${how}`, async (t) => {
    const origin = await renderer(t, mirror(() => ({ 'cache-control': 'public, max-age=60', vary: 'X-Declared, Accept-Language, X-Device, RSC, HX-Request, Accept' })))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${policy}vary:
  cookie: {keep: [bucket]}
  accept-language: {choose: [en, fr, de]}
  user-agent: {map: [mobile, desktop], as: X-Device}
  x-plan: {always: true}
routes: [{match: "/ttl/**", ttl: 1m}, {match: "/**"}]
`)
    const [attacker, victim, other] = ['198.51.100.1', '203.0.113.1', '203.0.113.2'].map((from) => byteClient(t, port, { from }))
    const sent = [...Object.keys(KEYED_BY_ALL_MEANS), 'x-device']
    const seen = (res) => {
      const [, , pairs] = JSON.parse(/<p>(.*)<\/p>/s.exec(res.body)[1])
      return sent.map((name) => `${name}: ${pairs[pairs.indexOf(name) + 1 || pairs.length]}`).join('\n')
    }
    const isStrict = how === 'seal: strict' // holds back what Vary alone names: it changes nothing, whoever sends it (2.2)
    for (const dir of ['/ttl', ''])
      for (const name of Object.keys(KEYED_BY_ALL_MEANS).filter((field) => !isStrict || field !== 'x-declared')) {
        const expected = seen(await other.ask(`${dir}/clean/${name}`, KEYED_BY_ALL_MEANS))
        const lied = await attacker.ask(`${dir}/${name}`, { ...KEYED_BY_ALL_MEANS, Connection: `keep-alive, ${name}` })
        assert.notEqual(seen(lied), expected, name)
        assert.equal(seen(await victim.ask(`${dir}/${name}`, KEYED_BY_ALL_MEANS)), expected, `${dir}/${name}`)
        assert.equal(seen(await victim.ask(`${dir}/${name}`, KEYED_BY_ALL_MEANS)), expected, `${dir}/${name}, again`)
      }
    assert.equal(origin.requests.some((req) => 'x-declared' in req.headers), !isStrict)
  })
