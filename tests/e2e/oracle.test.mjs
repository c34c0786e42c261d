// The oracle: visitors of all kinds, publishing, renderer faults, reloads with edited policies and kill -9 at once, at random; and
// no answer may come from another page, host, variant or person, or from before an acknowledged purge, or break off unseen.
//   ORACLE_SEED=n repeats every actor's choices, ORACLE_SECONDS=n runs longer, ORACLE_DUMP=FILE keeps what is known about a failure.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort, renderer, request, tempDir, until, varve } from './lib.mjs'
import { seeded, sleep } from './oracle/random.mjs'
import { oracleRenderer } from './oracle/renderer.mjs'
import { hosts, Site } from './oracle/site.mjs'
import { Visitor } from './oracle/visitors.mjs'

const SECONDS = Number(process.env.ORACLE_SECONDS ?? 30)
const SEED = Number(process.env.ORACLE_SEED ?? Date.now() % 1000000)
const WINDOW_MS = 100
const QUERY = 'query: {drop: ["utm_*"], sort: true}'

/** What reloads edit, one thing at a time: a page of another policy is never fresh, so most edits leave that alone. */
const choices = {
  always: ['', ', always: true', ', always: false'],
  keep: ['ab', 'ab, theme'],
  seal: ['standard', 'standard', 'strict'],
  codings: ['br, gzip', 'gzip', ''],
  memory: ['2MiB', '16MiB'],
  ttl: ['1s', '2s', '30s'],
  revalidate: ['1s', '3s'],
  large: ['2s', '{force: 2s}'],
  v: ['auto', 'auto', 'never'],
}

const policy = (chosen, origins) => `
hosts: [a.example, b.example]
origins:
  renderer:
    workers: [${origins.map((url) => `"${url}"`).join(', ')}]
    slots: 8
    slot_max: 3s
    timeouts: {first_byte: 1s, between_bytes: 1s}
seal: ${chosen.seal}
vary:
  accept-language: {choose: [en, fr, de], default: en${chosen.always}}
  cookie: {keep: [${chosen.keep}]}
compress: {codings: [${chosen.codings}], min: 500B}
purge: {methods: [PURGE], allow: [127.0.0.0/8]}
store: {path: $DIR/store, size: 64MiB, memory: ${chosen.memory}}
routes:
  - {match: "/w/**", ${QUERY}, invalidate: rfc}
  - {match: "/p/**", ${QUERY}, ttl: ${chosen.ttl}, stale: {while_revalidate: ${chosen.revalidate}, if_error: 1d}}
  - {match: "/f/**", ${QUERY}, ttl: 2s, stale: {while_revalidate: 5s, if_error: 1d}}
  - {match: "/l/**", ${QUERY}, ttl: ${chosen.large}}
  - {match: "/q/**", ${QUERY}, ttl: 5s}
  - {match: "/v/**", ${QUERY}, cache: ${chosen.v}}
  - {match: "/**", ${QUERY}}
`

/** The renderer that is killed and comes back, in a process of its own. */
function secondRenderer(t, site, seed, port) {
  const script = fileURLToPath(new URL('./oracle/renderer.mjs', import.meta.url))
  let child, count = 0
  const start = () =>
    new Promise((resolve) => {
      child = fork(script, [`second${++count}`, port, seed + count])
      child.on('message', ({ ready, question, page, bump, broke }) => {
        if (ready) resolve()
        if (broke) site.breaks.push({ page: broke, at: Date.now() })
        if (question !== undefined && child.connected)
          child.send({ question, version: bump ? site.bump(page) : site.versions.get(page) }, () => {})
      })
    })
  const kill = async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    site.breaks.push({ at: Date.now() })
    child.kill('SIGKILL')
    await gone
  }
  t.after(kill)
  return { start, kill }
}

class Trial {
  constructor(t, site, random) {
    Object.assign(this, { t, site, random, isOver: () => Date.now() > this.end || site.violations.length > 0 })
  }

  async begin() {
    const { t, site, random } = this
    const version = (page, bump) => (bump ? site.bump(page) : site.versions.get(page))
    const broke = (page) => site.breaks.push({ page, at: Date.now() })
    const first = await renderer(t, oracleRenderer({ name: 'first', random: random.fork(), version, broke }))
    const port = await freePort()
    this.second = secondRenderer(t, site, SEED, port)
    await this.second.start()
    this.origins = [first.url, `http://127.0.0.1:${port}`]
    this.dir = tempDir(t)
    this.chosen = Object.fromEntries(Object.entries(choices).map(([name, list]) => [name, random.pick(list)]))
    this.noteSeal()
    this.v = await varve(t, policy(this.chosen, this.origins), { dir: this.dir })
    this.end = Date.now() + SECONDS * 1000
  }

  /** Publishes, purges, and holds varve to it from the moment of the acknowledgement. */
  async publish(random) {
    const each = ['url', 'PURGE', 'prefix', 'tag', 'host', 'all']
    for (let n = 0; !this.isOver(); n++) {
      const kind = each[n] ?? random.pick(['url', 'url', 'url', 'url', 'PURGE', 'PURGE', 'prefix', 'tag', 'tag', 'tag', 'host', 'all'])
      const isSoft = n >= each.length && kind !== 'PURGE' && random.chance(0.2)
      const page = random.favourite(this.site.pages)
      const values = { url: page.name, PURGE: page.name, prefix: page.name.slice(0, -1).split('?')[0], tag: `tag${random.int(3)}`, host: page.host, all: null }
      const pages = this.site.matching(kind === 'PURGE' ? 'url' : kind, values[kind])
      const promise = this.site.publish(pages)
      const span = { page: `purge ${kind} ${values[kind]}`, from: Date.now() }
      const res = await this.sendPurge(kind, values[kind], isSoft, page).catch((error) => ({ error: error.code ?? error.message }))
      span.to = Date.now()
      if (res.status === 200 && !isSoft) promise()
      if (res.status === 200) this.site.count(`${isSoft ? 'soft' : 'hard'} ${kind}`)
      else this.site.unanswered.push({ ...span, error: res.error ?? `${res.status} ${res.body}` })
      await sleep(50 + random.int(300))
    }
  }

  sendPurge(kind, value, isSoft, page) {
    if (kind === 'PURGE') return this.v.get(page.target, { host: page.host }, { method: 'PURGE' })
    const names = { url: 'urls', prefix: 'prefixes', tag: 'tags', host: 'hosts' }
    const url = kind === 'url' || kind === 'prefix' ? `http://${value}` : value
    return this.v.admin('POST', '/v1/purge', kind === 'all' ? { all: true, soft: isSoft } : { [names[kind]]: [url], soft: isSoft })
  }

  /** A worker that is replaced goes on for a while with its own policy. */
  noteSeal() {
    if (this.chosen.seal === 'strict') this.site.strictUntil = Infinity
    else if (this.site.strictUntil === Infinity) this.site.strictUntil = Date.now() + 15000
  }

  async reload(random) {
    while (!this.isOver()) {
      await sleep(500 + random.int(1500))
      const name = random.pick(Object.keys(choices))
      this.chosen[name] = random.pick(choices[name])
      this.noteSeal()
      this.v.write(policy(this.chosen, this.origins))
      const from = Date.now()
      const res = await this.v.admin('POST', '/v1/reload', {}).catch((error) => ({ error: error.code ?? error.message }))
      if (res.status === 200) this.site.count('reloads')
      else if (res.status === 503) this.site.count('reload asked of a leaving worker')
      else if (!this.site.isNearKill({ from, to: Date.now() }))
        this.site.violation('a reload failed', { error: res.error, status: res.status, body: res.body })
    }
  }

  async killWorkers(random) {
    for (let n = 0; !this.isOver(); n++) {
      await sleep(2000 + random.int(3000))
      if (n % 3 === 1) await this.killAll()
      else await this.killWorker()
    }
  }

  async killWorker() {
    const window = this.site.startWindow()
    try {
      process.kill(this.v.workerPid(), 'SIGKILL')
      this.site.count('worker killed')
    } catch {
      this.site.count('worker was gone already')
    }
    await sleep(WINDOW_MS)
    window.to = Date.now()
  }

  async killAll() {
    const window = this.site.startWindow()
    await this.v.stop('SIGKILL')
    await this.v.start()
    this.site.count('varve killed')
    await sleep(WINDOW_MS)
    window.to = Date.now()
  }

  async killRenderer(random) {
    while (!this.isOver()) {
      await sleep(2000 + random.int(4000))
      await this.second.kill()
      await sleep(random.int(1000))
      await this.second.start()
      this.site.count('renderer killed')
    }
  }

  visitors(random) {
    const kinds = [...Array(9).fill('anonymous'), 'kept', 'kept', 'person', 'person', 'token']
    return kinds.map((kind, i) => new Visitor(this.site, kind, `${kind}${i}`, random.fork(), this.v.port))
  }
}

/** The log about the first crash. */
function report(log) {
  const at = log.search(/ERROR: \w+Sanitizer|runtime error:|broken invariant|worker died pid=\d+ (?!signal=9)/)
  return log.slice(Math.max(0, at - 1000), at + 5000)
}

/** A run in which nothing happened proves nothing. */
function assertMixed(counts) {
  const needed = ['hit', 'stale', 'collapsed', 'fwd uri-miss', 'fwd stale', 'fwd bypass', 'status 304', 'reloads', 'worker killed', 'varve killed', 'renderer killed', 'left early']
  for (const kind of ['url', 'prefix', 'tag', 'host', 'all', 'PURGE']) needed.push(`hard ${kind}`)
  for (const what of needed) assert.ok(counts[what] > 0, `no "${what}" in ${JSON.stringify(counts)}`)
  const errors = ['status 500', 'status 502', 'status 503', 'status 504'].reduce((sum, name) => sum + (counts[name] ?? 0), 0)
  assert.ok(errors < counts['status 200'] / 5, `${errors} errors for ${counts['status 200']} pages`)
}

test(`oracle: never a wrong page, over ${SECONDS} s of publishing, faults, reloads and kill -9 (ORACLE_SEED=${SEED})`, { timeout: SECONDS * 1000 + 120000 }, async (t) => {
  const site = new Site()
  const random = seeded(SEED)
  const trial = new Trial(t, site, random)
  await trial.begin()
  const actors = [trial.publish, trial.reload, trial.killWorkers, trial.killRenderer].map((actor) => actor.call(trial, random.fork()))
  await Promise.all([...actors, ...trial.visitors(random).map((visitor) => visitor.visitUntil(trial.isOver))])
  site.settle()
  t.diagnostic(`ORACLE_SEED=${SEED}: ${JSON.stringify(site.counts)}`)
  const crashes = trial.v.log.split('\n').filter((line) => /worker died pid=\d+ (?!signal=9)/.test(line))
  assert.deepEqual(crashes, [], report(trial.v.log))
  if (site.violations.length) {
    const { violations, breaks, windows } = site
    if (process.env.ORACLE_DUMP) writeFileSync(process.env.ORACLE_DUMP, JSON.stringify({ violations, breaks, windows, access: trial.v.accessLog(), log: trial.v.log }, null, 1))
    assert.fail(`seed ${SEED}: ${JSON.stringify(violations.slice(0, 4), null, 1)}`)
  }
  assertMixed(site.counts)
})
