// The table of docs/security.md, section "Floods". A flood of frames is begun anew, by two clients, as soon as its connection is
// closed; a slow one is held until its timeout, with short limits. Beside it a neighbour asks for 1 000 hits.
import { endure, isQuiet, site } from '../e2e/floods/site.mjs'
import { floods as h2 } from '../e2e/floods/h2.mjs'
import { floods as slow } from '../e2e/floods/slow.mjs'

const SECONDS = Number(process.argv[2] ?? 5)
const NAME = process.argv[3] ?? ''
const LIMITS = '{header_timeout: 2s, idle: 3s, stall: 2s}'
const CLIENTS = 2

/** The same flood again and again: what the worst of its connections was. */
const repeated = (flood) => ({
  run: async (s) => {
    const end = Date.now() + SECONDS * 1000
    const worst = { connections: 0, closed: true, seconds: 0 }
    const client = async () => {
      do {
        const seen = await flood.run(s)
        worst.connections++
        worst.closed &&= seen.closed
        worst.seconds = Math.max(worst.seconds, seen.seconds)
      } while (Date.now() < end)
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    return worst
  },
})

/** What varve counted until it closed: the most of one connection. */
const frames = (log) => [...log.matchAll(/flooding connections closed .* frames=(\d+)/g)].map((m) => Number(m[1])).reduce((a, b) => Math.max(a, b), 0)

async function row(protocol, flood) {
  const cleanup = []
  const s = await site({ after: (f) => cleanup.unshift(f) }, { limits: flood.isSlow ? LIMITS : '{}', patience: 30000 })
  const seen = await endure(s, flood.isSlow ? flood : repeated(flood))
  await isQuiet(s)
  await new Promise((resolve) => setTimeout(resolve, 1100)) // the log tells once a second
  const renders = s.renders('/cold') + s.renders('/held')
  await s.stop()
  const cells = [
    protocol, flood.name, flood.isSlow ? '–' : seen.connections, seen.closed ? frames(s.v.log) || '–' : 'not closed', seen.seconds.toFixed(1),
    `${seen.answered}`, seen.p99.toFixed(1), (seen.growth / (1 << 20)).toFixed(1), seen.cpu.toFixed(2), renders,
  ]
  console.log(`| ${cells.join(' | ')} |`)
}

console.log('| over | flood | connections | most frames | most seconds | hits of 1 000 | their p99, ms | RssAnon, MiB | CPU, s | renders |')
console.log('|---|---|---|---|---|---|---|---|---|---|')
for (const flood of h2.filter((f) => f.name.includes(NAME))) await row('HTTP/2', flood)
for (const flood of slow.filter((f) => f.name.includes(NAME))) await row(/TLS|key|nego/.test(flood.name) ? 'TLS' : 'HTTP/1.1', flood)
process.exit(0)
