// Load for benches: requests that go out at times chosen beforehand, whatever becomes of those before them (an open loop), since
// a generator that waits for answers is slowed by the very server that it measures. Times and all else come from a seed.
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { random } from '../e2e/lib.mjs'

export { pause, random }

/** Milliseconds of a clock that all processes of the machine share. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

/** When requests arrive: a Poisson process of `rate` a second for `seconds`, in steps: milliseconds from the beginning. */
export function arrivals(steps, seed) {
  const chance = random(seed)
  const times = []
  let from = 0
  for (const { rate, seconds } of steps) {
    const end = from + seconds * 1000
    for (let at = from; (at += (-Math.log(1 - chance()) * 1000) / rate) < end; ) times.push(at)
    from = end
  }
  return times
}

const sendAt = async (at, lag, send, i) => ({ at, lag, ...(await send(i)) })

/** Calls `send(i)` at each of `times` and comes back with what they came to: {at, lag, …}; `lag` is how late it was sent. */
export async function openLoop(times, send) {
  const begin = now()
  const under = []
  for (let i = 0; i < times.length; ) {
    const wait = begin + times[i] - now()
    if (wait > 0) await pause(wait)
    else under.push(sendAt(times[i], -wait, send, i++))
  }
  return Promise.all(under)
}

/**
 * A client with as many kept connections as it needs. `get(target)` never throws: {status, ms, first, headers, body, error}; `first`
 * is when the first byte of the body came, `ms` how long all took, counted from when the request was written.
 */
export function client(t, base, { isKept = true } = {}) {
  const agent = isKept && new http.Agent({ keepAlive: true })
  const { hostname, port } = new URL(base)
  if (agent) t.after(() => agent.destroy())
  const once = (path, { method = 'GET', headers = {}, body, abortAfter } = {}) =>
    new Promise((resolve) => {
      const sent = now()
      const req = http.request({ hostname, port, path, method, headers, agent, host: hostname }, (res) => {
        const chunks = []
        let first
        res.on('data', (chunk) => (chunks.push(chunk), (first ??= now())))
        const end = (error) => resolve({
          status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString('latin1'), first, sent, ms: now() - sent, ...(error && { error }),
        })
        res.on('end', () => end(!res.complete && 'cut'))
        res.on('error', (error) => end(error.code ?? 'cut'))
      })
      req.on('error', (error) => resolve({ error: error.code ?? 'cut', isReused: req.reusedSocket, sent, ms: now() - sent }))
      if (abortAfter !== undefined) setTimeout(() => req.destroy(), abortAfter)
      req.end(body)
    })
  /* A kept connection may be closed by the server just when a request is written: any client asks anew on another one. */
  const get = async (path, options) => {
    const result = await once(path, options)
    return result.error && result.isReused && options?.abortAfter === undefined ? once(path, options) : result
  }
  return { get }
}

/** Half-open ranks: percentile(list, 99) of 1 000 numbers is the 990th. */
export function percentile(list, p) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((sorted.length * p) / 100) - 1)] ?? NaN
}
/** Milliseconds as they are read: "0.4", "12". */
export const fixed = (ms) => ms.toFixed(ms < 10 ? 1 : 0)
/** A percentile of how long answers took. */
export const took = (results, p) => fixed(percentile(results.map(({ ms }) => ms), p))
export const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length

export const isFailed = ({ status }) => status !== 200
/** "3 of 100 failed (503 over_shed: 3)" */
export const failures = (failed, all) => `${failed.length} of ${all.length} failed${failed.length ? ` (${tally(failed)})` : ''}`

/** How many of each status (or error) there are, with the reason that varve gives: "200: 95, 503 over_shed: 5". */
export function tally(results) {
  const counts = {}
  for (const { status, error, body } of results) {
    const reason = status >= 500 && /"reason":"(\w+)"/.exec(body)?.[1]
    const what = error ?? (reason ? `${status} ${reason}` : status)
    counts[what] = (counts[what] ?? 0) + 1
  }
  return Object.entries(counts).map(([what, n]) => `${what}: ${n}`).join(', ')
}
