// The load of the capacity table: an open loop as in load.mjs, but for ten thousand requests a second and more. So it runs in processes
// of its own (capacity_client.mjs), and a latency counts from the instant at which a request was to begin. How late each was really sent
// is told as well (`lag`): it is in the latencies, and more than a little of it means that the load, not the server, was measured.
import { fork } from 'node:child_process'
import { now, percentile } from './load.mjs'

const START_MS = 100 /* until a job has come to all processes */

/** Kinds of answers. Pages name their path in X-Path (`wrong`: another's); the shell has the job's `shell` in its head; `pending`: given up. */
export const KINDS = ['rendered', 'hit', 'shell', 'shed', 'failed', 'wrong', 'cut', 'timeout', 'pending']
export const GOOD = new Set(['rendered', 'hit', 'shell'])

/** Ranks below `count` of which the i-th comes in proportion to 1 / (i + 1)^exponent: pick(a number in [0, 1)). */
export function zipf(count, exponent) {
  const sums = new Float64Array(count)
  let sum = 0
  for (let i = 0; i < count; i++) sums[i] = sum += (i + 1) ** -exponent
  return (part) => {
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] > part * sum) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** A process that is ready: do(job) resolves with what it saw. */
async function client() {
  const child = fork(new URL('./capacity_client.mjs', import.meta.url).pathname, { serialization: 'advanced' })
  const said = () =>
    new Promise((resolve, reject) => {
      child.once('message', resolve)
      child.once('exit', (code, signal) => reject(new Error(`the load ended with ${code ?? signal}`)))
    })
  await said()
  return { do: (job) => (child.send(job), said()) }
}

/**
 * Does a job and resolves when the last is answered:
 *   port, host, headers    where and how, `headers` as lines
 *   paths, exponent        what: the i-th by Zipf's law
 *   phases                 [{seconds, rate, isCounted}]: one behind the other, requests/s
 *   bound, patience        ms: an answer that comes later is late; who has waited so long goes (`timeout`)
 *   shell                  text in the head of the shell
 *   givesUp                end as soon as far too many are late or failed
 *   most                   requests under way, at most; more ends it
 *   processes, seed
 * Result: {seen: [[phase, at, ms, kind]], lag: [ms], hasGivenUp, cpu: processors that the load took}.
 */
export async function load({ processes = 1, ...job }) {
  const clients = await Promise.all(Array.from({ length: processes }, client))
  const share = { ...job, start: now() + START_MS, phases: job.phases.map((phase) => ({ ...phase, rate: phase.rate / processes })) }
  const results = await Promise.all(clients.map((one, i) => one.do({ ...share, seed: job.seed * 100 + i })))
  return {
    seen: results.flatMap((r) => r.seen),
    lag: results.flatMap((r) => r.lag),
    hasGivenUp: results.some((r) => r.hasGivenUp),
    cpu: results.reduce((sum, r) => sum + r.cpuMs / 1000 / r.seconds, 0),
  }
}

/** What became of the requests that `isMeant(at, phase)`: how many of each kind a second, parts of all, latencies in ms. */
export function summary(result, seconds, bound, isMeant = () => true) {
  const seen = result.seen.filter(([phase, at]) => isMeant(at, phase))
  const of = (kind) => seen.filter((one) => one[3] === kind).length
  const rates = Object.fromEntries(KINDS.map((kind) => [kind, of(kind) / seconds]))
  const good = seen.filter((one) => GOOD.has(one[3]))
  const ms = seen.map((one) => one[2])
  const partOf = (some) => some.length / (seen.length || 1)
  return {
    rates, rate: seen.length / seconds, failures: 1 - partOf(seen.filter((one) => GOOD.has(one[3]) || one[3] === 'pending')), inTime: partOf(good.filter((one) => one[2] <= bound)),
    p50: percentile(ms, 50), p95: percentile(ms, 95),
  }
}
