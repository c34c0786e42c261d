// Whether varve keeps what it should let go. Two servers get the same mixed load: one whose worker lives through all of it, so that
// what one request leaks adds up, and one that is reloaded every 10 seconds, so that a worker's or a reload's does. At the end memory
// must have stopped growing, and descriptors, slots, flights and connections be back where they began. The load is kept light: this
// is no measure of speed, and the machine may be shared.
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { page, renderer, request, tempDir, tlsListener, until, varve, VARVE } from '../e2e/lib.mjs'

const SECONDS = Number(process.argv[2] ?? 120)
const RELOAD_EVERY_MS = 10000
const SAMPLE_EVERY_MS = 500
const MIB = 1024 * 1024
const SPARE = 8 * MIB /* what malloc's arenas may take without a leak */
const below = (n) => Math.floor(Math.random() * n)
const text = (url) => `page ${url.split('?')[0]} ` + 'lorem ipsum '.repeat(10 + (url.length * 97) % 3000)

/* --- the renderer: each first segment of a path is one kind of answer --- */

const kinds = {
  hot: (req, res, n) => {
    if (n % 3 === 0 && req.headers['if-none-match']) return void res.writeHead(304, { etag: '"e"', 'cache-control': 'max-age=2' }).end()
    page(res, text(req.url), { etag: '"e"', 'cache-control': 'max-age=2, stale-while-revalidate=5', 'surrogate-key': `t${req.url.length % 9} hot` })
  },
  once: (req, res) => page(res, text(req.url), { 'cache-control': 'max-age=60', 'surrogate-key': `t${req.url.length % 9}` }),
  lang: (req, res) => page(res, text(req.url), { vary: 'accept-language', 'cache-control': 'max-age=5' }),
  user: (req, res) => page(res, text(req.url), { 'cache-control': 'private', 'set-cookie': 'session=1' }),
  denied: (req, res) => page(res, text(req.url), { 'cache-control': 'no-store' }),
  big: (req, res) => page(res, text(req.url) + 'x'.repeat(2 * MIB), { 'cache-control': req.url.includes('7') ? 'no-store' : 'max-age=1' }),
  slow: (req, res) => setTimeout(() => page(res, text(req.url), { 'cache-control': 'max-age=1' }), 200 + below(600)),
  drip: (req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=1' })
    let left = 20
    const timer = setInterval(() => (left-- ? res.write('drop '.repeat(200)) : res.end()), 20)
    res.on('close', () => clearInterval(timer))
  },
  fail: (req, res, n) => {
    if (n % 4 === 0) return req.socket.destroy()
    res.writeHead(n % 4 === 1 ? 500 : n % 4 === 2 ? 404 : 200, { 'content-type': 'text/html', 'content-length': n % 4 === 3 ? 100 : 4 })
    res.end('half')
    if (n % 4 === 3) res.socket?.end()
  },
}
const answer = (req, res, n) => (kinds[req.url.split('/')[1]] ?? kinds.denied)(req, res, n)

/* --- the clients, each for as long as it lasts --- */

const targets = {
  hot: () => `/hot/${below(150)}`,
  once: (load) => `/once/${below(2) ? load.count : below(5000)}/${'a'.repeat(below(200))}`,
  lang: () => `/lang/${below(20)}`,
  user: () => `/user/${below(2000)}`,
  denied: () => `/denied/${below(2000)}`,
  big: () => `/big/${below(20)}`,
  slow: () => `/slow/${below(10)}`,
  drip: () => `/drip/${below(10)}`,
  fail: () => `/fail/${below(50)}`,
}
const anyOf = (list) => list[below(list.length)]

/** A whole 200 answer must be its URL's page; everything is counted by its status. */
function judge(load, name, target, { status, body, aborted, encoding }) {
  load.count++
  const what = aborted || !status ? 'cut' : status
  load.answers[what] = (load.answers[what] ?? 0) + 1
  const isPage = status === 200 && !aborted && !encoding && name !== 'drip' && name !== 'fail'
  if (isPage && body && !body.startsWith(`page ${target.split('?')[0]} `) && !body.startsWith('<p>shell'))
    load.wrong.push(`${target}: ${body.slice(0, 80)}`)
}

async function reader(load, names) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  while (!load.isOver) {
    const name = anyOf(names)
    const target = targets[name](load)
    const headers = { 'accept-language': anyOf(['en', 'fr;q=0.7', 'de, en', 'xx']), 'accept-encoding': anyOf(['gzip', 'br', 'identity', '']) }
    if (name === 'hot' && !below(4)) headers['if-none-match'] = '"e"'
    if (name === 'user' || !below(20)) headers.cookie = `session=${below(100)}`
    if (!below(8)) headers['sec-fetch-mode'] = 'navigate'
    const method = below(15) ? 'GET' : 'HEAD'
    const res = await request(load.v.url + target, { method, agent, headers }).catch(() => ({ aborted: true }))
    judge(load, name, target, { ...res, encoding: res.headers?.['content-encoding'] })
    await pause(below(12))
  }
  agent.destroy()
}

async function poster(load) {
  while (!load.isOver) {
    const name = anyOf(['hot', 'user', 'lang'])
    const body = 'b'.repeat(below(100000))
    const headers = below(2) ? { 'transfer-encoding': 'chunked' } : {}
    const target = targets[name](load)
    const res = await request(load.v.url + target, { method: 'POST', headers, body }).catch(() => ({ aborted: true }))
    judge(load, name, target, { ...res, encoding: res.headers?.['content-encoding'] })
    await pause(20)
  }
}

async function purger(load) {
  const orders = [
    () => ({ tags: [`t${below(9)}`], soft: below(2) === 0 }),
    () => ({ urls: [load.v.url + targets.hot(), load.v.url + targets.once(load)] }),
    () => ({ prefixes: [`${load.v.url}/lang/`] }),
    () => ({ tags: ['hot'], soft: true }),
  ]
  while (!load.isOver) {
    await load.v.admin('POST', '/v1/purge', anyOf(orders)()).catch(() => {})
    await request(load.v.url + targets.hot(), { method: 'PURGE' }).catch(() => {})
    await load.v.admin('GET', anyOf(['/metrics', '/v1/stats', '/v1/slots', `/v1/explain?url=${load.v.url}/hot/1`])).catch(() => {})
    await pause(150)
  }
}

/** Sends and reads as it likes, then goes: `talk(socket)` may wait. */
async function rawClient(load, everyMs, talk) {
  while (!load.isOver) {
    await new Promise((resolve) => {
      const socket = net.connect(load.v.port, '127.0.0.1', async () => {
        await talk(socket)
        socket.destroy()
      })
      socket.on('error', () => {})
      socket.on('close', resolve)
      socket.on('data', () => {})
    })
    load.count++
    await pause(everyMs)
  }
}
const head = (load, name, method = 'GET', more = '') => `${method} ${targets[name](load)} HTTP/1.1\r\nHost: 127.0.0.1:${load.v.port}\r\n${more}\r\n`

const leaves = (load) =>
  rawClient(load, 10, async (socket) => {
    socket.write(head(load, anyOf(['slow', 'big', 'drip', 'once', 'user'])))
    await pause(below(60))
    if (below(2)) socket.resetAndDestroy?.()
  })

const slowReader = (load) =>
  rawClient(load, 10, async (socket) => {
    socket.pause()
    socket.write(head(load, 'big'))
    for (let i = 0; i < 20 && !load.isOver; i++) {
      await pause(50)
      socket.read(32 * 1024)
    }
  })

const slowWriter = (load) =>
  rawClient(load, 10, async (socket) => {
    const bytes = head(load, 'hot', 'POST', 'Content-Length: 40\r\n') + 'b'.repeat(below(2) ? 40 : 20)
    for (let i = 0; i < bytes.length && !load.isOver; i += 8) {
      socket.write(bytes.slice(i, i + 8))
      await pause(20)
    }
  })

const nonsense = (load) =>
  rawClient(load, 30, async (socket) => {
    socket.write(
      anyOf([
        'GET / HTTP/1.1\r\n\r\n',
        head(load, 'hot', 'POST', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'),
        head(load, 'hot', 'GET', 'A b: c\r\n'),
        head(load, 'hot', 'POST', 'Transfer-Encoding: chunked\r\n') + 'zz\r\n',
        '\x16\x03\x01 junk',
        head(load, 'hot', 'GET', `X: ${'y'.repeat(40000)}\r\n`),
        head(load, 'hot') + head(load, 'once') + head(load, 'slow'),
      ]),
    )
    await pause(30)
  })

/** Three streams at a time, of which some are reset; a new connection now and then, and after GOAWAY. */
async function http2Client(load) {
  while (!load.isOver) {
    const session = http2.connect(`https://127.0.0.1:${load.tlsPort}`, { rejectUnauthorized: false })
    let isLeaving = false
    session.on('error', () => (isLeaving = true))
    session.on('goaway', () => (isLeaving = true))
    session.on('close', () => (isLeaving = true))
    for (let n = 0; n < 200 && !isLeaving && !load.isOver; n++) {
      await Promise.all([1, 2, 3].map(() => http2Get(load, session)))
      await pause(15)
    }
    session.destroy()
    await pause(20)
  }
}

const http2Get = (load, session) =>
  new Promise((resolve) => {
    const name = anyOf(['hot', 'hot', 'once', 'big', 'slow', 'user', 'fail'])
    const target = targets[name](load)
    const res = { body: '', aborted: false }
    if (session.destroyed || session.closed) return resolve()
    const stream = session.request({ ':path': target, ':authority': `127.0.0.1:${load.v.port}` })
    stream.on('response', (fields) => (res.status = fields[':status']))
    stream.on('data', (chunk) => (res.body = res.body.length < 200 ? res.body + chunk : res.body))
    stream.on('error', () => (res.aborted = true))
    stream.on('close', () => {
      judge(load, name, target, res)
      resolve()
    })
    if (!below(6)) setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), below(30))
  })

/** A worker that is leaving says 503; the next one takes it. */
async function reloader(load) {
  while (!load.isOver) {
    await pause(RELOAD_EVERY_MS)
    if (load.isOver) return
    const res = await load.v.admin('POST', '/v1/reload', {}).catch((error) => ({ status: error.code }))
    if (res.status === 200) load.reloads++
    else if (res.status !== 503) load.wrong.push(`reload: ${res.status} ${res.body}`)
  }
}

/* --- what is measured --- */

const anonymous = (pid) => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(status)[1])
}
const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length
const workers = (v) => readFileSync(`/proc/${v.child.pid}/task/${v.child.pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
const isSanitized = (pid) => /lib[at]san/.test(readFileSync(`/proc/${pid}/maps`, 'latin1'))

async function gauges(v) {
  const { body } = await v.admin('GET', '/metrics')
  const sum = (pattern) => body.split('\n').reduce((all, line) => (pattern.test(line) ? all + Number(line.split(' ').pop()) : all), 0)
  return { slots: sum(/^varve_slots\{.*busy/), flights: sum(/^varve_flights /), waiting: sum(/^varve_queue_depth/), connections: sum(/^varve_connections /) }
}
const isIdle = (now) => now.slots + now.flights + now.waiting + now.connections === 0

async function sampler(load) {
  while (!load.isOver) {
    try {
      load.samples.push({ at: Date.now(), worker: anonymous(load.v.workerPid()), master: anonymous(load.v.child.pid) })
    } catch {} /* a worker that has just left */
    await pause(SAMPLE_EVERY_MS)
  }
}
const median = (list) => list.toSorted?.((a, b) => a - b)[list.length >> 1] ?? [...list].sort((a, b) => a - b)[list.length >> 1]
const quarter = (load, which, who) =>
  median(load.samples.slice(((which - 1) * load.samples.length) >> 2, (which * load.samples.length) >> 2).map((sample) => sample[who]))

/* --- a server under load, from its start to its end --- */

async function makeLoad(t, name, isReloaded) {
  const dir = tempDir(t)
  let renders = 0
  const origin = await renderer(t, (req, res) => {
    origin.requests.length = 0 /* nobody looks at them */
    answer(req, res, ++renders)
  })
  const tls = await tlsListener(dir)
  writeFileSync(`${dir}/shell.html`, '<p>shell')
  const policy = `${tls.yaml}store: {path: $DIR/store, size: 32MiB, memory: 8MiB}
origins: {renderer: {workers: ["${origin.url}"], slots: 6, client_wait: 300ms, slot_max: 5s, timeouts: {first_byte: 3s}}}
shell: {file: ${dir}/shell.html}
identity: {logged_in: {cookies: auto}}
vary: {accept-language: {choose: [en, fr, de]}}
purge: {methods: [PURGE], allow: [127.0.0.0/8]}
routes: [{match: "/denied/**", cache: never}, {match: "/**", stale: {while_revalidate: 5s, if_error: 10s}}]
`
  const v = await varve(t, policy, { dir })
  const load = { name, v, tlsPort: tls.port, isReloaded, isOver: false, count: 0, reloads: 0, answers: {}, wrong: [], samples: [] }
  await v.get('/hot/1')
  await until(async () => isIdle(await gauges(v)), 'the first request to be over')
  load.before = { worker: descriptors(v.workerPid()), master: descriptors(v.child.pid) }
  return load
}

async function run(load) {
  const all = Object.keys(targets)
  const clients = [
    ...[1, 2, 3].map(() => reader(load, ['hot', 'hot', 'hot', 'lang', 'once'])),
    ...[1, 2, 3].map(() => reader(load, all)),
    reader(load, ['slow', 'drip', 'fail']),
    ...[poster, purger, leaves, leaves, slowReader, slowReader, slowWriter, nonsense, http2Client, http2Client, sampler].map((f) => f(load)),
    ...(load.isReloaded ? [reloader(load)] : []),
  ]
  await pause(SECONDS * 1000)
  load.isOver = true
  await Promise.all(clients)
}

/** Idle connections to the renderer are its to close, after 5 seconds; an old worker may have someone to wait for. */
async function settle(load) {
  const { v } = load
  const patience = 40000
  load.after = {}
  await until(() => workers(v).length === 1, 'old workers to leave', 70000).catch(() => {})
  await until(async () => isIdle((load.after = await gauges(v))), 'all to be over', patience).catch(() => {})
  const isBack = () => descriptors(v.workerPid()) <= load.before.worker && descriptors(v.child.pid) <= load.before.master
  await until(isBack, 'descriptors to be closed', patience).catch(() => {})
  load.after.workers = workers(v).length
  load.after.descriptors = { worker: descriptors(v.workerPid()), master: descriptors(v.child.pid) }
}

const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`
function report(load, sanitized) {
  const rows = []
  const row = (what, begin, end, isGood) => rows.push([load.name, what, String(begin), String(end), isGood ? 'ok' : 'FAIL'])
  for (const who of ['worker', 'master']) {
    const [early, late] = [quarter(load, 2, who), quarter(load, 4, who)]
    row(`RssAnon of the ${who}`, mib(early), mib(late), sanitized || late <= early * 1.1 + SPARE)
    row(`descriptors of the ${who}`, load.before[who], load.after.descriptors[who], load.after.descriptors[who] <= load.before[who])
  }
  for (const what of ['slots', 'waiting', 'flights', 'connections']) row(what, 0, load.after[what], load.after[what] === 0)
  row('worker processes', 1, load.after.workers, load.after.workers === 1)
  if (load.isReloaded) row('reloads', '', load.reloads, load.reloads > 0 || SECONDS < 12)
  const problems = load.v.log.split('\n').filter((line) => / error |Sanitizer|broken invariant|worker ended|assertion/i.test(line))
  row('errors in the log', 0, problems.length, problems.length === 0)
  row('wrong answers', 0, load.wrong.length, load.wrong.length === 0)
  rows.push([load.name, 'requests', '', String(load.count), ''])
  rows.push([load.name, 'answers', '', Object.entries(load.answers).map(([status, n]) => `${status}: ${n}`).join(', '), ''])
  for (const line of [...problems, ...load.wrong].slice(0, 20)) console.error(line)
  return rows
}

function print(rows) {
  const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((cells) => (cells[1] === 'answers' && i === 3 ? 0 : cells[i].length))))
  for (const cells of rows) console.log(cells.map((cell, i) => (i === 2 || i === 3 ? cell.padStart(widths[i]) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd())
}

async function main() {
  const cleanups = []
  const t = { after: (f) => cleanups.push(f) }
  let isGood = true
  try {
    const loads = [await makeLoad(t, 'one worker', false), await makeLoad(t, 'reloaded', true)]
    const sanitized = isSanitized(loads[0].v.child.pid)
    console.error(`${VARVE}: ${SECONDS} s of load${sanitized ? '; memory is not judged under a sanitizer' : ''}`)
    await Promise.all(loads.map(run))
    await Promise.all(loads.map(settle))
    for (const load of loads) await load.v.stop().catch((error) => load.wrong.push(`its end: ${error.message}`))
    const rows = loads.flatMap((load) => report(load, sanitized))
    isGood = rows.every((cells) => cells[4] !== 'FAIL')
    print([['server', 'what', 'before', 'after', ''], ...rows])
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup()
  }
  process.exit(isGood ? 0 : 1)
}
await main()
