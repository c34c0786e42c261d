// http-caching, rule by rule: what tests/data/conformance says, against the real program in the profile of semantics 10.5. All
// cases of a section run at a time. docs/conformance.md is the table of the same rules.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { conformanceSites, eachCase, PROFILE } from './conformance/run.mjs'
import { cases, sections, table } from './conformance/table.mjs'

test('10.5 http-caching', { concurrency: 64 }, async (t) => {
  const site = conformanceSites(t)
  await eachCase(cases, ({ title, rule, steps, id, exception }) =>
    t.test(title, async () => {
      const { run } = await site(rule)
      if (!exception) return run(id, steps)
      await assert.rejects(run(id, steps), `is kept: no exception any more (${exception})`)
    }))
})

test('docs/conformance.md is the table of the cases', () => {
  assert.equal(readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8'), table(PROFILE), 'node tests/e2e/conformance/table.mjs --write')
})

test('the other tests that the table names are there', () => {
  const check = (folder, names = []) => {
    for (const name of names) {
      const [file, title = ''] = name.split(/: (.*)/)
      const at = new URL(`../${folder}/${file}`, import.meta.url)
      assert.ok(existsSync(at), name)
      assert.ok(folder === 'unit' ? readFileSync(at, 'utf8').includes(title) : readFileSync(at, 'utf8').includes(title && `test('${title}`), name)
    }
  }
  for (const { unit, tests } of sections.flatMap((s) => s.rules)) {
    check('unit', unit)
    check('e2e', tests)
  }
})
