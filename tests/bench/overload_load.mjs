// Requests at instants that were fixed beforehand, whether or not those before them have been answered (open loop): who is slow is not
// asked less. A latency counts from the fixed instant. Same seed, same load.
import http from 'node:http'
import { pause, random } from './load.mjs'

const CLIENT_MS = 30000
export const SLOWER = Number(process.env.SLOWER ?? 1)

/**
 * Poisson arrivals with `rate(ms)` requests a second at that instant. One render of five takes 50 ms, the others 5 ms; one request of
 * ten is a POST.
 */
export function schedule(seed, ms, rate) {
  const next = random(seed)
  const arrivals = []
  for (let at = 0; ; ) {
    at += (-Math.log(1 - next()) * 1000) / rate(at)
    if (at >= ms) return arrivals
    arrivals.push({ at, method: next() < 0.1 ? 'POST' : 'GET', path: `/page/${arrivals.length}?ms=${SLOWER * (next() < 0.2 ? 50 : 5)}` })
  }
}

/** varve's own answers say why. */
const reasonOf = (text) => /"reason":( ?"[a-z_]+")/.exec(text)?.[1].replaceAll('"', ' ').trimEnd() ?? ''

function ask(agent, port, { method, path }) {
  return new Promise((resolve) => {
    const body = method === 'POST' ? 'a=1' : undefined
    const headers = body ? { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length } : {}
    const req = http.request({ port, method, path, agent, headers, timeout: CLIENT_MS }, (res) => {
      let text = ''
      res.on('data', (bytes) => (text += bytes))
      res.on('end', () => resolve(!res.complete ? 'cut' : res.statusCode === 200 ? '' : `${res.statusCode}${reasonOf(text)}`))
      res.on('error', () => resolve('cut'))
    })
    req.on('timeout', () => req.destroy(new Error('timeout')))
    req.on('error', (error) => resolve(error.code ?? error.message))
    req.end(body)
  })
}

/**
 * Sends each at its instant and waits for all: {ok: latencies in ms of good answers, failures: [{method, path, why, at}], late: how
 * long after its instant each was sent}.
 */
export async function send(port, arrivals) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity })
  const result = { ok: [], failures: [], late: [] }
  const begin = performance.now()
  const pending = []
  for (const arrival of arrivals) {
    const wait = begin + arrival.at - performance.now()
    if (wait > 0) await pause(wait)
    result.late.push(performance.now() - begin - arrival.at)
    pending.push(
      ask(agent, port, arrival).then((why) => {
        const ms = performance.now() - begin - arrival.at
        if (why) result.failures.push({ ...arrival, why, ms })
        else result.ok.push(ms)
      }),
    )
  }
  await Promise.all(pending)
  agent.destroy()
  return result
}
