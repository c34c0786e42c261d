// The cases of conformance.test.mjs by clients that speak HTTP/2, all on one connection; but for those that HTTP/2 has no words for.
import { test } from 'node:test'
import { conformanceSite, eachCase } from './conformance/run.mjs'
import { cases } from './conformance/table.mjs'

test('http-caching, over HTTP/2', { concurrency: 64 }, async (t) => {
  const site = await conformanceSite(t)
  const sayable = cases.filter(({ exception, rule, steps }) => !exception && !rule.route && steps.every(({ over }) => over !== 'h1'))
  await eachCase(sayable, ({ title, steps, id }) => t.test(title, () => site.run(id, steps.map((step) => ({ over: 'h2', ...step })))))
})
