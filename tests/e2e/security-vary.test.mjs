// A field that the renderer names in Vary makes a page of its own for those who send the same value, and for nobody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderer } from './lib.mjs'
import { attackWithEach, headerNames, MARK, mirror, namesWhere, withStrangers } from './hostile.mjs'

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
    assert.ok(reached.length > 800, `${reached.length}`)
  })
