// The cases of conformance.test.mjs in the defaults: a rule that tests/data/conformance does not say the defaults to differ in is kept
// there too, and where it says so they do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conformanceSite, eachCase } from './conformance/run.mjs'
import { cases } from './conformance/table.mjs'

test('http-caching, in the defaults', { concurrency: 64 }, async (t) => {
  const site = await conformanceSite(t, 'routes: [{match: "/**"}]')
  const differs = new Set()
  await eachCase(cases.filter(({ exception, rule }) => !exception && !rule.route), ({ title, rule, steps, id }) =>
    t.test(title, () => site.run(id, steps).catch((error) => {
      if (!rule.defaults) throw error
      differs.add(rule)
    })))
  for (const { rule } of cases) if (rule.defaults) assert.ok(differs.has(rule), `the defaults keep it too: ${rule.text}`)
})
