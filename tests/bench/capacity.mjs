// How many requests a second one machine with two renderers answers well, policy by policy: the table of docs/overload.md, section
// "Capacity". Well: 200, whole, the page that was asked for or (where there is one) the shell, 95 of 100 within the bound, at most
// one of a thousand failed. Nothing is pinned: load, varve and renderers share the machine. Options:
//   --step           instead: what happens while the load rises tenfold, and afterwards
//   --only A,B       which of nginx, naive, balance, shell, cache; the first is what the factors refer to
//   --seconds N      of a probe that count (10); --bound MS (500)
//   --renderers N    (2); --data MS: each render waits so long for its data (0)
//   --processes N    of the load (1); --seed N (1)
import { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { load, summary, zipf } from './capacity_load.mjs'
import { PAGES, pathOf, render } from './capacity_page.mjs'
import { lines, start } from './capacity_site.mjs'
import { EXPONENT, job, probe, search } from './capacity_search.mjs'
import { mean, percentile, random } from './load.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    bound: { type: 'string', default: '500' },
    data: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    renderers: { type: 'string', default: '2' },
    processes: { type: 'string', default: '1' },
    only: { type: 'string', default: 'naive,balance,shell,cache' },
    step: { type: 'boolean', default: false },
  },
})
const options = {
  seconds: Number(values.seconds), warm: Math.ceil(Number(values.seconds) / 4), bound: Number(values.bound), dataMs: Number(values.data), seed: Number(values.seed),
  processes: Number(values.processes), renderers: Number(values.renderers), probes: 8,
}
const TIMES = 8 /* the load at which all lines are compared */
const say = (text) => process.stderr.write(`${text}\n`)
const whole = (n) => Math.round(n).toString()
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`)
const heads = (...cells) => (row(...cells), row(...cells.map(() => '---')))

/** Renders one in this process; resolves with its bytes. */
const renderHere = (path) =>
  new Promise((resolve, reject) => {
    let bytes = 0
    const sink = new Writable({ write: (chunk, _, done) => ((bytes += chunk.length), done()), final: (done) => (resolve(bytes), done()) })
    render(path, (pipe) => pipe(sink), reject)
  })

/** What a page costs here, by popularity: processor time and size. */
async function measurePage() {
  const next = random(options.seed)
  const pick = zipf(PAGES, EXPONENT)
  const ms = []
  let bytes = 0
  for (let i = 0; i < 600; i++) {
    const before = process.cpuUsage()
    const size = await renderHere(pathOf(pick(next())))
    const { user, system } = process.cpuUsage(before)
    if (i < 200) continue /* until it is compiled */
    ms.push((user + system) / 1000)
    bytes += size
  }
  return { mean: mean(ms), p10: percentile(ms, 10), p90: percentile(ms, 90), kb: bytes / ms.length / 1000 }
}

/* --- the table --- */

/** Asks for pages, two at a time for each renderer so that none is idle: pages a second. */
async function askInTurn(site, paths) {
  const begun = performance.now()
  const rest = [...paths]
  await Promise.all(Array.from({ length: 2 * options.renderers }, async () => {
    while (rest.length) await site.ask(rest.pop())
  }))
  return (paths.length * 1000) / (performance.now() - begun)
}

/** Compiled code, and a full cache where there is one. Resolves with the pages that the renderers make a second. */
async function warmUp(site) {
  const next = random(options.seed + 90)
  const pick = zipf(PAGES, EXPONENT)
  const popular = Array.from({ length: 400 }, () => pathOf(pick(next())))
  await askInTurn(site, popular.map((path, i) => `${path}?${i}`)) /* nobody else asks for these */
  const capacity = await askInTurn(site, popular.map((path, i) => `${path}?${i + popular.length}`))
  if (site.line.hasCache) await askInTurn(site, Array.from({ length: PAGES }, (_, i) => pathOf(i)))
  return capacity
}

const tell = (line) => (seen) =>
  say(`${line.name}: ${whole(seen.asked)}/s ${seen.isGood ? 'good' : `bad (${seen.limit})`} p50 ${whole(seen.p50)} p95 ${whole(seen.p95)} ms, failed ${(seen.failures * 100).toFixed(2)} %, ` +
    `rendered ${whole(seen.rates.rendered)} shell ${whole(seen.rates.shell)} hit ${whole(seen.rates.hit)} shed ${whole(seen.rates.shed)}, load late ${seen.lag.toFixed(1)} ms, ${seen.cpu.toFixed(2)} processors`)

/** One line: its greatest rate, and what it does at `TIMES` what the first one bears (of pages, if it has the shell). */
async function measure(line, results) {
  const site = await start(line, options)
  try {
    const capacity = await warmUp(site)
    const first = !line.hasShell ? capacity * 0.9 : line.hasCache && results.at(-1)?.line.hasShell ? results.at(-1).best.asked : capacity * 50
    const [factor, resolution] = line.hasShell ? [2, 1.2] : [1.15, 1.04]
    const found = await search(site, first, factor, resolution, options, tell(line))
    if (!found.best) throw new Error(`${line.name}: no rate was good; is the machine busy?`)
    const result = { line, ...found, capacity }
    const base = results[0] ?? result
    result.together = await probe(site, TIMES * (base.line.hasShell ? base.capacity : base.best.asked), options.seed + 50, options, { givesUp: false })
    tell(line)(result.together)
    return result
  } finally {
    await site.stop()
  }
}

const LIMITS = { p95: 'p95', failures: 'failures', load: 'the load generator', probes: 'number of probes' }
const times = (a, b) => `×${(a / b).toFixed(2)}`

const percent = (part) => `${(part * 100).toFixed(part && part < 0.01 ? 2 : 0)} %`
const answers = ({ rates }) => [rates.rendered, rates.shell, rates.hit].map(whole)

function printTable(results) {
  heads('policy', 'requests/s', '× before', '× naive', 'rendered/s', 'shell/s', 'hits/s', 'p50, ms', 'p95, ms', 'failed', 'more: limited by', 'processors of the load')
  results.forEach(({ line, best, limit }, i) =>
    row(line.name, `${limit === 'load' ? '≥ ' : ''}${whole(best.rate)}`, i ? times(best.rate, results[i - 1].best.rate) : '', times(best.rate, results[0].best.rate), ...answers(best),
      whole(best.p50), whole(best.p95), percent(best.failures), LIMITS[limit], best.cpu.toFixed(2)))
}

function printTogether(results) {
  console.log(`\n${whole(results[0].together.asked)}/s for each, ${TIMES} times what the first bears:\n`)
  heads('policy', 'good and in time', 'rendered/s', 'shell/s', 'hits/s', 'failed', 'p50, ms', 'p95, ms')
  for (const { line, together } of results)
    row(line.name, percent(together.inTime), ...answers(together), percent(together.failures), whole(together.p50), whole(together.p95))
}

async function table() {
  const page = await measurePage()
  console.log(`page: ${page.mean.toFixed(1)} ms of processor (p10 ${page.p10.toFixed(1)}, p90 ${page.p90.toFixed(1)}), ${page.kb.toFixed(0)} kB; ${options.renderers} renderers${options.dataMs ? `, each render waits ${options.dataMs} ms for data` : ''}; p95 ≤ ${options.bound} ms, probes of ${options.seconds} s\n`)
  const results = []
  try {
    for (const name of values.only.split(',')) results.push(await measure(lines[name], results))
  } finally {
    if (results.length) (printTable(results), printTogether(results))
  }
}

/* --- the step --- */

const STEP = [{ seconds: 5, part: 1 }, { seconds: 10, part: 10 }, { seconds: 10, part: 1 }]

/** K10: two fifths of what the renderers can, ten times that, and two fifths again, second by second, without a cache. */
async function step() {
  const site = await start(lines.shell, options)
  try {
    const once = 0.4 * await warmUp(site)
    const phases = STEP.map(({ seconds, part }) => ({ seconds, rate: once * part, isCounted: true }))
    printStep(await load({ ...job(site, options), phases, seed: options.seed }), once)
  } finally {
    await site.stop()
  }
}

function printStep(result, once) {
  const between = (from, to) => summary(result, to - from, options.bound, (at) => at >= from * 1000 && at < to * 1000)
  heads('second', 'load', 'asked/s', 'rendered/s', 'shell/s', 'failed/s', 'p95, ms')
  let second = 0
  for (const { seconds, part } of STEP)
    for (let i = 0; i < seconds; i++, second++) {
      const seen = between(second, second + 1)
      row(second + 1, `${part}×`, whole(seen.rate), whole(seen.rates.rendered), whole(seen.rates.shell), whole(seen.rate * seen.failures), whole(seen.p95))
    }
  const [up, down] = [STEP[0].seconds, STEP[0].seconds + STEP[1].seconds]
  const shells = (from, to) => percent(between(from, to).rates.shell / between(from, to).rate)
  console.log(`\n1× is ${whole(once)}/s. Shells: ${shells(0, up)} before, ${shells(up, down)} at 10×, ${shells(down, down + 1)} in the first second after it, ${shells(down + 5, second)} from the sixth on.`)
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1)) /* and with it all that was started */
await (values.step ? step() : table()).then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
