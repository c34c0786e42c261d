// What the cases of conformance.test.mjs store is the same after a restart: each one's first answer is stored, varve leaves and comes
// again, and the second request is answered from the disk, with every field and the right age.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conformanceSite } from './conformance/run.mjs'
import { cases } from './conformance/table.mjs'

const isStored = ({ exception, rule, steps: [first, second, ...more] }) =>
  !exception && !rule.route && !rule.text.startsWith('Heuristic') && first.from === 'origin' && second?.from === 'cache' &&
  more.length === 0 && !second.wait && second.over === undefined && first.over === undefined

test('http-caching §3, §5: what is stored survives a restart to the last field', { concurrency: 64 }, async (t) => {
  const site = await conformanceSite(t)
  const stored = cases.filter(isStored).map((one) => ({ ...one, scene: site.scene(one.id) }))
  assert.ok(stored.length > 200)
  await Promise.all(stored.map(({ title, steps, scene }) => t.test(`${title} (stored)`, () => scene.run(steps, 0, 1))))
  await site.varve.stop()
  await site.varve.start()
  await Promise.all(stored.map(({ title, steps, scene }) => t.test(`${title} (after the restart)`, () => scene.run(steps, 1))))
})
