// A varve to flood, with a neighbour who asks for a stored page all the while, and what the flood cost.
import http from 'node:http'
import { readFileSync } from 'node:fs'
import { freePort, outcome, page, renderer, request, tempDir, until, varve } from '../lib.mjs'
import { certificate } from '../wire.mjs'

const BIG = Buffer.alloc(2 << 20, 'big ')
/* it keeps back 256 MiB of freed memory otherwise, and what a flood costs is not to be seen beside that */
const ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'quarantine_size_mb=32'].filter(Boolean).join(':')
const fresh = { 'cache-control': 'max-age=600' }

/** `limits` are lines of YAML in braces. /held never answers, /big/0 to /big/3 are 2 MiB each and stored, as is /hot. */
export async function site(t, { limits = '{}', patience = 5000, more = '', binary } = {}) {
  const held = new Set()
  const origin = await renderer(t, (req, res) => {
    if (req.url.startsWith('/held')) return void held.add(res)
    page(res, req.url.startsWith('/big') ? BIG : req.url.startsWith('/mid') ? BIG.subarray(0, 16000) : `page ${req.url}`, fresh)
  })
  const port = await freePort()
  const { yaml } = certificate(tempDir(t), 'a.example')
  const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]
origins: {renderer: {workers: ["${origin.url}"], slots: 500}}
limits: ${limits}
routes: [{match: "/**"}]
${more}`, { binary, env: { ASAN_OPTIONS } })
  const s = { v, origin, pid: v.workerPid(), tls: port, plain: v.port, patience, renders: (prefix) => origin.requests.filter((r) => r.url.startsWith(prefix)).length }
  s.stop = async () => {
    for (const res of held) res.destroy()
    await v.stop()
    await origin.stop()
  }
  await v.get('/hot')
  /* under another scheme and host they would be other pages */
  for (let i = 0; i < 4; i++)
    await request(`http://127.0.0.1:${v.port}/big/${i}`, { headers: { host: 'a.example' } })
  return s
}

const status = (pid, key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
export const rssAnon = (pid) => status(pid, 'RssAnon') * 1024
/** Seconds of CPU, of /proc/PID/stat: fields 14 and 15, behind the name in parentheses. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** `count` hits over four kept connections: {answered, p99 in milliseconds}. Others but 200 hits are not counted as answered. */
export async function hits(s, count = 1000) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
  /* as browsers do: a connection that was closed while it was idle is tried anew */
  const ask = () => s.v.get('/hot', {}, { agent }).catch((error) => (error.isReused ? ask() : { headers: {} }))
  const times = []
  let left = count
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (left-- > 0) {
      const began = performance.now()
      const res = await ask()
      if (res.status === 200 && outcome(res) === 'hit' && res.body === 'page /hot') times.push(performance.now() - began)
    }
  }))
  agent.destroy()
  return { answered: times.length, p99: times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] }
}

/** A flood that begins anew, with a new connection, as long as the neighbour is not done: gives {runs}, what each of them gave. */
export const again = (flood) => ({
  run: async (s, isDone) => {
    const runs = []
    do runs.push(await flood.run(s))
    while (!isDone())
    return { runs }
  },
})

/** Floods at the same time: gives {all}, what each of them gave. */
export const together = (floods) => ({ run: async (s, isDone) => ({ all: await Promise.all(floods.map((flood) => flood.run(s, isDone))) }) })

/** Runs a flood beside the neighbour's hits: what flood.run() gives, and {answered, p99, growth, cpu}. */
export async function endure(s, flood) {
  const pid = s.v.workerPid()
  const before = { rss: rssAnon(pid), cpu: cpuSeconds(pid) }
  let most = before.rss
  const watch = setInterval(() => (most = Math.max(most, rssAnon(pid))), 5)
  try {
    let isDone = false
    const neighbourhood = hits(s).finally(() => (isDone = true))
    const [cost, neighbour] = await Promise.all([flood.run(s, () => isDone), neighbourhood])
    most = Math.max(most, rssAnon(pid))
    return { ...cost, ...neighbour, growth: most - before.rss, cpu: cpuSeconds(pid) - before.cpu }
  } finally {
    clearInterval(watch)
  }
}

/** Waits until no client is connected any more. */
export const isQuiet = (s) => until(async () => (await s.v.metric('varve_connections')) === 0, 'connections to be given back')
