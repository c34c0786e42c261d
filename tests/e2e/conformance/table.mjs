// docs/conformance.md, made of tests/data/conformance: `node tests/e2e/conformance/table.mjs --write`. conformance.test.mjs compares.
import { readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const data = new URL('../../data/conformance/', import.meta.url)
const files = readdirSync(data).filter((name) => name.endsWith('.mjs')).sort()
export const sections = await Promise.all(files.map(async (name) => (await import(new URL(name, data))).default))

/** Every case with its rule and a name for its URL. */
export const cases = sections.flatMap(({ number, rules }) =>
  rules.flatMap((rule, i) => rule.cases.map((one, k) => ({ ...one, rule, title: `§${number} ${rule.text}: ${one.name}`, id: `s${number}-${i + 1}-${k + 1}` }))))

const INTRO = `# Conformance

What a shared cache does by RFC 9110, 9111, 5861, 9213 and 9211, rule by rule, and the test that shows it.

Conformance is judged in a profile that switches off what varve does for pages, so that it is a plain cache of RFC 9111:

\`\`\`yaml
PROFILE
\`\`\`

Run it with \`./dev test conformance\`. Each case is one URL, some requests, and what the origin says if it is asked
(\`tests/data/conformance\`); all of them go to one varve with one scripted origin, over HTTP/1.1 (\`tests/e2e/conformance.test.mjs\`) and
over HTTP/2 (\`tests/e2e/conformance-h2.test.mjs\`); what is stored is also looked at after a restart (\`tests/e2e/conformance-restart.test.mjs\`). The name of a test is the rule and the case. Other tests are named by file. This page is made from the same data: \`node tests/e2e/conformance/table.mjs --write\`.

In the last column, *kept* means that every case holds, in the profile and in the defaults (a route \`/**\` that says nothing else:
\`tests/e2e/conformance-defaults.test.mjs\`). Where the defaults are stricter, the column says what they do; numbers such as 4.1 are those of varve's
rules that tests are named after.
`

const cell = (text) => text.replaceAll('|', '\\|')

function proofs({ cases, route, unit = [], tests = [] }) {
  const names = cases.map((one) => one.name)
  const count = `${names.length} ${names.length === 1 ? 'case' : 'cases'}`
  return [...(names.length ? [`${count}${route ? `, with \`${route}\`` : ''}: ${names.join('; ')}`] : []), ...[...unit, ...tests].map((name) => `\`${name}\``)].join('<br>')
}

function outcome(rule) {
  const exceptions = rule.cases.filter((one) => one.exception).map((one) => `**exception**: ${one.name}`)
  return [exceptions.length ? `kept, ${exceptions.join(', ')}` : 'kept', ...(rule.defaults ? [`in the defaults: ${rule.defaults}`] : [])].join('<br>')
}

const sectionText = ({ number, title, rules }) =>
  [`\n## ${number} ${title}\n`, '| Rule | Test | Outcome |', '|---|---|---|',
    ...rules.map((rule) => `| ${cell(rule.text)} | ${cell(proofs(rule))} | ${cell(outcome(rule))} |`)].join('\n')

export function table(profile) {
  const rules = sections.flatMap((s) => s.rules)
  const exceptions = cases.filter((one) => one.exception).map(({ rule, name, exception }) => `- ${rule.text}: **${name}**. ${exception[0].toUpperCase()}${exception.slice(1)}.\n`)
  const sum = `\n${rules.length} rules, ${cases.length} cases. Exceptions, which are tested as such:\n\n${exceptions.join('')}`
  return INTRO.replace('PROFILE', profile) + sum + sections.map(sectionText).join('\n') + '\n'
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === '--write') {
  const { PROFILE } = await import('./run.mjs')
  writeFileSync(new URL('../../../docs/conformance.md', import.meta.url), table(PROFILE))
}
