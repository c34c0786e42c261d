// One process of the load (capacity_load.mjs): it gets a job over IPC, asks, and sends what it saw. Its own client, since a hit takes
// less time than node's http module does: HTTP/1.1, one request at a time on a connection, bodies counted and thrown away.
import net from 'node:net'
import os from 'node:os'
import { GOOD, zipf } from './capacity_load.mjs'
import { now, pause, random } from './load.mjs'

const HEAD_MAX = 65536
const BATCH = 32

/* --- one answer --- */

const PATTERNS = Object.fromEntries(['x-path', 'cache-status', 'content-length', 'transfer-encoding', 'connection'].map((name) => [name, new RegExp(`\r\n${name}: *([^\r\n]*)`, 'i')]))
const field = (head, name) => PATTERNS[name].exec(head)?.[1]

/** Which kind of answer it is, by its head (KINDS in capacity_load.mjs). */
function kindOf(head, status, path, shell) {
  if (status !== 200) return status === 503 ? 'shed' : 'failed'
  const named = field(head, 'x-path')
  if (named === undefined) return shell !== undefined && head.includes(shell) ? 'shell' : 'failed'
  if (named !== path) return 'wrong'
  const cache = field(head, 'cache-status') ?? ''
  return /; *(hit|collapsed)/.test(cache) ? 'hit' : 'rendered'
}

/** Where in the body we are: `take(bytes)` says when it is over. */
class Body {
  constructor(head) {
    const length = field(head, 'content-length')
    this.isChunked = /chunked/i.test(field(head, 'transfer-encoding') ?? '')
    this.left = this.isChunked ? 0 : Number(length ?? Infinity)
    this.line = this.isChunked ? '' : undefined /* the size line of a chunk, while it comes */
    this.isLast = false
    this.isOver = this.left === 0 && !this.isChunked
  }
  take(bytes, from) {
    for (let at = from; at < bytes.length && !this.isOver; ) {
      if (this.line === undefined) {
        const count = Math.min(this.left, bytes.length - at)
        this.left -= count
        at += count
        if (this.left === 0) this.#end()
      } else at = this.#takeLine(bytes, at)
    }
    return this.isOver
  }
  #end() {
    if (!this.isChunked) this.isOver = true
    else this.line = ''
  }
  #takeLine(bytes, at) {
    const end = bytes.indexOf(10, at)
    this.line += bytes.latin1Slice(at, end < 0 ? bytes.length : end)
    if (end < 0) return bytes.length
    const line = this.line.trimEnd()
    this.line = ''
    if (this.isLast) this.isOver = line === '' /* behind the trailers */
    else if (line !== '') {
      this.left = parseInt(line, 16) + 2 /* with the end of its line */
      this.isLast = this.left === 2
      this.line = this.isLast ? '' : undefined
    }
    return end + 1
  }
}

/* --- connections --- */

class Client {
  constructor(job) {
    this.job = job
    this.idle = []
    this.open = 0
  }
  ask(request) {
    const connection = this.idle.pop() ?? this.#connect()
    connection.begin(request)
  }
  #connect() {
    const connection = new Connection(this)
    this.open++
    return connection
  }
  end() {
    this.idle.forEach((connection) => connection.socket.destroy())
  }
}

class Connection {
  constructor(client) {
    this.client = client
    this.answers = 0
    this.socket = net.connect(client.job.port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('data', (bytes) => this.#take(bytes))
    this.socket.on('error', (error) => (this.error = error))
    this.socket.on('close', () => this.#close())
  }
  begin(request) {
    this.request = request
    this.head = ''
    this.part = this.body = this.kind = undefined
    request.connection = this
    this.socket.write(`GET ${request.path} HTTP/1.1\r\nHost: ${this.client.job.host}\r\n${this.client.job.headers}\r\n`)
  }
  #take(bytes) {
    if (!this.request) return void this.socket.destroy()
    let from = 0
    if (!this.body) {
      from = this.#takeHead(bytes)
      if (!this.body) return
    }
    if (this.body.take(bytes, from) || this.body.isOver) this.#finish(this.kind)
  }
  /* Where the body begins, once `body` is there. */
  #takeHead(bytes) {
    const whole = this.part ? Buffer.concat([this.part, bytes]) : bytes
    const end = whole.indexOf('\r\n\r\n')
    if (end < 0) {
      this.part = whole
      if (whole.length > HEAD_MAX) this.socket.destroy()
      return 0
    }
    this.head = whole.latin1Slice(0, end + 2)
    this.body = new Body(this.head)
    this.kind = kindOf(this.head, Number(this.head.slice(9, 12)), this.request.path, this.client.job.shell)
    return end + 4 - (whole.length - bytes.length)
  }
  #finish(kind) {
    const request = this.request
    this.request = undefined
    this.answers++
    if (/close/i.test(field(this.head, 'connection') ?? '')) this.socket.destroy()
    else this.client.idle.push(this)
    request.done(kind)
  }
  #close() {
    const { client, request } = this
    client.open--
    client.idle = client.idle.filter((other) => other !== this)
    this.request = undefined
    if (!request) return
    /* closed while it was idle, as servers may: asked once more, as a browser does */
    if (this.answers > 0 && this.part === undefined && this.head === '' && !request.isAgain) client.ask(Object.assign(request, { isAgain: true }))
    else request.done(this.body?.left === Infinity && !this.body.isChunked ? this.kind : 'cut')
  }
}

/* --- the schedule --- */

/* Poisson arrivals, phase by phase: {at, phase, path}. */
function* arrivals({ phases, seed, paths, exponent }) {
  const next = random(seed)
  const pick = zipf(paths.length, exponent)
  let end = 0
  for (const [phase, { seconds, rate }] of phases.entries()) {
    let at = end
    end += seconds * 1000
    for (;;) {
      at += (-Math.log(1 - next()) * 1000) / rate
      if (at >= end) break
      yield { at, phase, path: paths[pick(next())] }
    }
  }
}

class Load {
  constructor(job) {
    Object.assign(this, { job, client: new Client(job), seen: [], pending: new Set(), late: 0, failed: 0, lag: [] })
    this.expected = job.phases.filter((p) => p.isCounted).reduce((sum, p) => sum + p.seconds * p.rate, 0)
  }
  now() {
    return now() - this.job.start
  }
  #send(arrival) {
    const request = { ...arrival, done: (kind) => this.#note(request, kind) }
    this.lag.push(this.now() - arrival.at)
    this.pending.add(request)
    this.client.ask(request)
  }
  #note(request, kind) {
    const ms = this.now() - request.at
    if (!this.pending.delete(request)) return
    this.seen.push([request.phase, request.at, ms, kind])
    if (!this.job.phases[request.phase].isCounted) return
    this.late += ms > this.job.bound
    this.failed += !GOOD.has(kind)
  }
  /* Who has waited so long has gone. */
  #drop() {
    for (const request of this.pending) {
      if (this.now() - request.at < this.job.patience) return /* they are in order */
      this.#note(request, 'timeout')
      request.connection.request = undefined
      request.connection.socket.destroy()
    }
  }
  /* Far more late or failed than may be. */
  #isHopeless() {
    if (!this.job.givesUp) return false
    let late = this.late
    for (const request of this.pending) {
      if (this.now() - request.at < this.job.bound || late > this.expected) break
      late += this.job.phases[request.phase].isCounted ? 1 : 0
    }
    return late > Math.max(10, 0.12 * this.expected) || this.failed > Math.max(10, 0.02 * this.expected)
  }
  async run() {
    let count = 0
    if (this.now() < 0) await pause(-this.now())
    for (const arrival of arrivals(this.job)) {
      while (this.now() < arrival.at || ++count % BATCH === 0) {
        await pause(0) /* which is a millisecond, if there is nothing else to do */
        this.#drop()
        if (this.#isHopeless()) return this.#result(true)
      }
      this.#send(arrival)
      if (this.pending.size > this.job.most) return this.#result(true)
    }
    while (this.pending.size && !this.#isHopeless()) {
      await pause(10)
      this.#drop()
    }
    return this.#result(this.pending.size > 0)
  }
  #result(hasGivenUp) {
    for (const request of this.pending) this.seen.push([request.phase, request.at, this.now() - request.at, 'pending'])
    const { user, system } = process.cpuUsage()
    return { seen: this.seen, lag: this.lag, hasGivenUp, cpuMs: (user + system) / 1000, seconds: this.now() / 1000 }
  }
}

try {
  os.setPriority(-10) /* a late instrument measures itself */
} catch {
  /* not allowed: what it was late is told */
}
process.on('disconnect', () => process.exit())
process.on('message', async (job) => process.send(await new Load(job).run(), () => process.exit()))
process.send('ready')
