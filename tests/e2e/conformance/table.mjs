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

const OUTRO = `
## Beside other caches

The public suite of [cache-tests.fyi](https://cache-tests.fyi) asks much the same of any cache. Of its version of 20 July 2026 varve, in the
profile above with \`slots: 0\` on the origin, passes 159 of the 160 tests that it requires of shared caches, and 98 of the 105 that it calls
optimal: three runs, all alike. By the results that lie beside the suite, of other machines and other days:

| | varve | Apache | Squid | Varnish | Caddy | Traffic Server | HAProxy | nginx |
|---|---|---|---|---|---|---|---|---|
| required, of 160 | 159 | 141 | 138 | 138 | 138 | 136 | 126 | 115 |
| optimal, of 105 | 98 | 69 | 59 | 49 | 44 | 74 | 40 | 66 |

- Required and not passed: it sends an unknown Transfer-Encoding and wants a 200; here that is a 502 (section 0).
- Optimal and not passed: parts of a 206 are not stored (five tests, section 6); of two languages the better one is not found by
  Content-Language (section 5: \`vary: {accept-language: {choose: …}}\` does it before the renderer is asked); and a 304 for an
  If-Modified-Since that is *earlier* than Date, which by RFC 9111 §4.3.2 is a 200.
- With \`slots\` as they are, eight requests at a time, two runs in five had a stale page too many: the suite asks dozens of URLs at once, and where no
  slot is free varve gives what it has, within \`stale.if_error\`. \`stale: {if_error: 0}\` on the route ends that.
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
  return INTRO.replace('PROFILE', profile) + sum + sections.map(sectionText).join('\n') + '\n' + OUTRO
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === '--write') {
  const { PROFILE } = await import('./run.mjs')
  writeFileSync(new URL('../../../docs/conformance.md', import.meta.url), table(PROFILE))
}
