// The greatest rate that a line bears: probes of one length, the rate raised until one fails, then halfway between. To fail takes two in
// a row, since a p95 of some hundred requests near the limit is a matter of luck too.
import { load, summary } from './capacity_load.mjs'
import { HEADER_LINES, SHELL_MARK } from './capacity_site.mjs'
import { PAGES, pathOf } from './capacity_page.mjs'
import { percentile } from './load.mjs'

export const EXPONENT = 1
const FAILURES_MOST = 0.001
const QUIET_MS = 20000
const PATIENCE_MS = 10000 /* a visitor's */
const PENDING_MOST = 8000 /* fewer than varve's `connections` */
const paths = Array.from({ length: PAGES }, (_, i) => pathOf(i))

/** The common part of all jobs. */
export const job = (site, options) =>
  ({
    port: site.port, host: 'shop.example', headers: HEADER_LINES, shell: SHELL_MARK, paths, exponent: EXPONENT, bound: options.bound, processes: options.processes,
    patience: PATIENCE_MS, most: PENDING_MOST,
  })

/** Waits until what a probe left behind is done: three pages in a row come at once. */
export async function quiet(site) {
  const end = performance.now() + QUIET_MS
  for (let good = 0, i = 0; good < 3 && performance.now() < end; i++) {
    const begun = performance.now()
    await site.ask(`/p/${PAGES + i}`).catch(() => {})
    good = performance.now() - begun < 100 ? good + 1 : 0
  }
}

/** One probe: some seconds to get into it, then those that count. */
export async function probe(site, rate, seed, options, more = {}) {
  const phases = [{ seconds: options.warm, rate }, { seconds: options.seconds, rate, isCounted: true }]
  const result = await load({ ...job(site, options), phases, seed, givesUp: true, ...more })
  const figures = summary(result, options.seconds, options.bound, (at, phase) => phase === 1)
  const lag = percentile(result.lag, 95)
  const isGood = !result.hasGivenUp && figures.p95 <= options.bound && figures.failures <= FAILURES_MOST
  /* half of the time, and the load was not there yet: then it is the load that could not do more */
  const limit = isGood ? undefined : lag > options.bound / 2 ? 'load' : figures.failures > FAILURES_MOST ? 'failures' : 'p95'
  await quiet(site)
  return { asked: rate, ...figures, lag, cpu: result.cpu, isGood, limit }
}

/** {best, limit}: the good probe of the greatest rate, and what failed above it. `first` is tried first, `factor` up or down from there. */
export async function search(site, first, factor, resolution, options, say) {
  let best
  let failed
  const isDone = () => best && failed && failed.asked / best.asked <= resolution
  for (let n = 0, rate = first; n < options.probes && !isDone(); n++) {
    let seen = await probe(site, rate, options.seed + n, options)
    say(seen)
    if (!seen.isGood && seen.limit !== 'load') say((seen = await probe(site, rate, options.seed + 100 + n, options)))
    if (seen.isGood) best = seen
    else failed = seen
    rate = !failed ? rate * factor : !best ? rate / factor : Math.sqrt(best.asked * failed.asked)
  }
  return { best, limit: failed?.limit ?? 'probes' }
}
