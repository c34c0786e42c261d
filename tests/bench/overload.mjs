// The matrix of docs/overload.md: what happens to the renderers × how much is asked of them × who stands before them. Four renderers,
// watched by this program in the same way for every server; the servers take turns, each on the same requests at the same instants.
import { fork } from 'node:child_process'
import { freePort, until } from '../e2e/lib.mjs'
import { pause, percentile, random } from './load.mjs'
import { schedule, send, SLOWER } from './overload_load.mjs'
import { servers, start } from './overload_servers.mjs'

const RENDERERS = 4
const CAPACITY = 250 / SLOWER /* requests/s of four renderers: 14 ms of waiting and about 2 ms of work and way for each */
const RESTART_MS = 1000 /* from a death to the next start */
const KILL_EVERY_MS = 4000
const LATE_MS = 10 * SLOWER /* a cell whose requests were sent so late (p99) is one of the machine, not of the server */
const TAKES = 2
const LOOP_MS = 5000 /* an endless loop is found, and killed, after so long: longer than the 3 s that an answer may take */

/* --- renderers and who watches them --- */

class Renderer {
  constructor(port) {
    this.port = port
    this.most = 0
  }
  start() {
    const file = new URL('./overload_renderer.mjs', import.meta.url).pathname
    this.child = fork(file, [`${this.port}`], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.exit = new Promise((resolve) => this.child.once('exit', resolve))
    return new Promise((resolve) =>
      this.child.on('message', (said) => {
        if (said.ready) resolve()
        if (said.most) this.most = Math.max(this.most, said.most)
        if (said.looping) this.onLoop?.(this)
      }),
    )
  }
  async end(signal) {
    this.child.kill(signal)
    await this.exit
  }
  /* The process of before is gone: a new one after `ms`. */
  async replace(ms) {
    await pause(ms)
    await this.start()
  }
  isUp() {
    return this.child.exitCode === null && this.child.signalCode === null
  }
  reset() {
    this.most = 0
    this.child.send('reset')
  }
}

/* --- what happens to them: each runs for `ms`, and returns when all are up again --- */

const troubles = {
  normal: { title: 'Normal', run: async () => {} },
  restart: {
    title: 'Graceful restart',
    run: async (renderers, ms) => {
      const end = performance.now() + ms
      await pause(500)
      for (let i = 0; performance.now() < end; i++) {
        const renderer = renderers[i % renderers.length]
        await renderer.end('SIGTERM')
        await renderer.replace(0)
        await pause(1000)
      }
    },
  },
  kills: {
    title: 'Random kills',
    run: async (renderers, ms, seed) => {
      const next = random(seed)
      const kill = async (at, renderer) => {
        await pause(at)
        await renderer.end('SIGKILL')
        await renderer.replace(RESTART_MS)
      }
      const kills = []
      for (let from = 0; from + RESTART_MS < ms; from += KILL_EVERY_MS)
        kills.push(kill(from + next() * Math.min(KILL_EVERY_MS - 2 * RESTART_MS, ms - from - RESTART_MS), renderers[Math.floor(next() * renderers.length)]))
      await Promise.all(kills)
    },
  },
  loop: {
    title: 'Endless loop',
    asks: (ms) => [{ at: ms / 10, method: 'GET', path: '/loop' }],
    run: (renderers, ms) =>
      Promise.race([
        pause(ms + 5000), /* nobody passed it on */
        new Promise((resolve) => {
          let killing = 0
          const onLoop = async (renderer) => {
            killing++
            await pause(Math.min(LOOP_MS, Math.max(ms / 2, 4000)))
            await renderer.end('SIGKILL')
            await renderer.replace(RESTART_MS)
            if (--killing === 0) resolve()
          }
          for (const renderer of renderers) renderer.onLoop = onLoop
        }),
      ]),
  },
}

const loads = {
  low: { title: 'low', rate: () => 0.3 * CAPACITY },
  high: { title: 'high', rate: () => 0.9 * CAPACITY },
  queueing: { title: 'queueing', rate: (at) => (at % 2000 < 1000 ? 1.5 : 0.3) * CAPACITY },
}

/* --- one cell: one server, for some seconds --- */

async function cell(trouble, load, server, renderers, seed, ms) {
  const asked = [...schedule(seed, ms, load.rate), ...(trouble.asks?.(ms) ?? [])].sort((a, b) => a.at - b.at)
  const running = await start(server, renderers.map((r) => r.port))
  await send(running.port, schedule(seed + 1, 500, () => 0.5 * CAPACITY)) /* connections stand, code is warm */
  for (const renderer of renderers) renderer.reset()
  const [result] = await Promise.all([send(running.port, asked), trouble.run(renderers, ms, seed + 2)])
  await until(() => renderers.every((r) => r.isUp()), 'the renderers to be up')
  for (const renderer of renderers) renderer.onLoop = undefined
  await running.stop()
  return { ...result, most: Math.max(...renderers.map((r) => r.most)) }
}

/** Taken again when the machine had other things to do; the better one counts. */
async function quietCell(...of) {
  let best
  for (let i = 0; i < TAKES && !(best?.lateness <= LATE_MS); i++) {
    const seen = await cell(...of)
    seen.lateness = percentile(seen.late, 99)
    if (!best || seen.lateness < best.lateness) best = seen
  }
  return best
}

const reasons = (failures) => {
  const counts = {}
  for (const { method, why } of failures) counts[`${method} ${why}`] = (counts[`${method} ${why}`] ?? 0) + 1
  return Object.entries(counts).map(([what, n]) => `${n} × ${what}`).join(', ')
}

function report(load, server, { ok, failures, lateness, most }, what) {
  const posts = failures.filter((f) => f.method === 'POST').length
  const ms = (p) => (ok.length ? percentile(ok, p).toFixed(0) : '–')
  const isBusy = lateness > LATE_MS
  console.log(`| ${[load.title, server.name + (isBusy ? ' \\*' : ''), ok.length + failures.length, failures.length, posts, ms(50), ms(99), most].join(' | ')} |`)
  const why = failures.length ? `; failed: ${reasons(failures)}` : ''
  console.error(`${what}: sent at most ${lateness.toFixed(1)} ms late (p99)${isBusy ? ', THE MACHINE IS BUSY' : ''}${why}`)
}

async function main() {
  const words = process.argv.slice(2)
  const seconds = /^[\d.]+$/.test(words[0] ?? '') ? Number(words.shift()) : 10
  const known = { ...troubles, ...loads, ...servers }
  const unknown = words.filter((word) => !(word in known))
  if (unknown.length || !(seconds > 0)) {
    console.error(`not known: ${unknown.join(' ')}; there are ${Object.keys(known).join(' ')}`)
    process.exit(2)
  }
  const chosen = (all) => Object.entries(all).filter(([name]) => words.includes(name) || !words.some((word) => word in all))
  const renderers = []
  for (let i = 0; i < RENDERERS; i++) renderers.push(new Renderer(await freePort()))
  process.on('exit', () => renderers.forEach((r) => r.child?.kill('SIGKILL')))
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
  await Promise.all(renderers.map((r) => r.start()))
  let turn = 0
  console.log(`Renders of ${5 * SLOWER} and ${50 * SLOWER} ms, ${Math.round(CAPACITY)} a second at most; ${seconds} s for each line:`)
  for (const [troubleName, trouble] of chosen(troubles)) {
    console.log(`\n### ${trouble.title}\n\n| load | server | requests | failed | of them POST | p50, ms | p99, ms | at a time |\n|---|---|---|---|---|---|---|---|`)
    for (const [loadName, load] of chosen(loads)) {
      const seed = 1000 * ++turn
      for (const [serverName, server] of chosen(servers)) {
        const seen = await quietCell(trouble, load, server, renderers, seed, seconds * 1000)
        report(load, server, seen, `${troubleName} ${loadName} ${serverName}`)
      }
    }
  }
  process.exit(0)
}
await main()
