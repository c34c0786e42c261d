// What the end-to-end tests share: a renderer that a test sets as it likes, varve as a process, and a small client.
// Everything listens on 127.0.0.1, on ports that the system chooses, and is gone when the test ends.
import { spawn, execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync, rmSync, readFileSync, renameSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

export const VARVE = path.resolve(process.env.VARVE ?? 'build-asan/varve')
const run = promisify(execFile)

/**
 * Waits until `check` gives something truthy; throws after `ms`, which only a test that fails sees: a bit less than the 30 s after
 * which defaults of varve (first_byte, uncacheable_ttl, shutdown.drain) would let it come about by themselves. For states that only
 * polling can show.
 */
export async function until(check, what = 'condition', ms = 28000) {
  const end = Date.now() + ms
  for (;;) {
    const value = await check()
    if (value) return value
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`)
    await new Promise((r) => setTimeout(r, 10))
  }
}

/** Random numbers in [0, 1), the same again for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** `make(0)` to `make(n - 1)` at a time; their values. */
export const all = (n, make) => Promise.all(Array.from({ length: n }, (_, i) => make(i)))

/** Is there such a process? A zombie is none: it has only not been waited for. */
export function isAlive(pid) {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** A promise with its resolve: for renders that wait until the test says so. */
export function gate() {
  let open
  const promise = new Promise((resolve) => (open = resolve))
  return { promise, open }
}

/**
 * A renderer in this process. `handler(req, res, n)` answers the n-th request; `requests` holds what came, in order;
 * `now` and `most` count requests at a time.
 */
export async function renderer(t, handler, { port = 0, unix } = {}) {
  const origin = { requests: [], now: 0, most: 0 }
  const server = http.createServer((req, res) => {
    origin.requests.push({ method: req.method, url: req.url, headers: req.headers, rawHeaders: req.rawHeaders })
    origin.most = Math.max(origin.most, ++origin.now)
    res.on('close', () => origin.now--)
    let body = ''
    req.on('data', (chunk) => (body += chunk))
    req.on('end', () => handler(req, res, origin.requests.length, body))
  })
  await new Promise((resolve) => server.listen(unix ?? port, ...(unix ? [] : ['127.0.0.1']), resolve))
  origin.port = unix ? undefined : server.address().port
  origin.url = unix ? `unix:${unix}` : `http://127.0.0.1:${origin.port}`
  origin.stop = () =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  t.after(origin.stop)
  return origin
}

/** An origin that speaks raw bytes: `onRequest(socket, head)` for each request head that came. */
export async function rawOrigin(t, onRequest) {
  const sockets = new Set()
  const origin = { requests: 0 }
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let head = ''
    socket.on('data', (bytes) => {
      head += bytes.toString('latin1')
      while (head.includes('\r\n\r\n')) {
        const end = head.indexOf('\r\n\r\n') + 4
        origin.requests++
        onRequest(socket, head.slice(0, end), origin.requests)
        head = head.slice(end)
      }
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin.url = `http://127.0.0.1:${server.address().port}`
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return origin
}

const [FIRST_PORT, PORTS] = [10000, 22000] // below those that the system gives to outgoing connections
let nextPort = (process.pid * 1009) % PORTS

/** A port that nobody listens on, and that no connection will be given until somebody does. */
export async function freePort() {
  for (;;) {
    const port = FIRST_PORT + (nextPort++ % PORTS)
    const server = net.createServer()
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

const dirs = []
process.on('exit', () => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })))

/**
 * A directory of the test's own. It goes with the process: node runs what t.after() was given in that order, so that it
 * would be removed under the hands of whoever was started later.
 */
export function tempDir() {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'varve-e2e-'))
  dirs.push(dir)
  return dir
}

/**
 * Starts varve with a policy (YAML text; $PORT and $DIR are filled in; `listen`, `store`, `threads` and `log` are added where
 * the text has none) and waits until it is ready. `stop()` ends it and checks that it left cleanly: exit status 0 and nothing
 * from a sanitizer.
 */
export async function varve(t, policy, { args = [], dir = tempDir(t), env = {}, binary = VARVE } = {}) {
  const v = { dir, port: await freePort(), log: '', stopped: false }
  v.url = `http://127.0.0.1:${v.port}`
  v.config = path.join(dir, 'varve.yaml')
  v.write = (text) => {
    const has = (key) => new RegExp(`^${key}:`, 'm').test(text)
    const lines = []
    if (!has('listen')) lines.push(`listen: ["127.0.0.1:$PORT"]`)
    if (!has('store')) lines.push(`store: {path: $DIR/store, size: 64MiB, memory: 16MiB}`)
    if (!has('threads')) lines.push('threads: 2')
    if (!has('log')) lines.push('log: {access: {path: $DIR/access.log}}')
    const whole = `${lines.join('\n')}\n${text}`
    writeFileSync(`${v.config}.new`, whole.replaceAll('$PORT', v.port).replaceAll('$DIR', dir))
    renameSync(`${v.config}.new`, v.config) /* a worker may be reading it */
  }
  v.start = async () => {
    v.stopped = false
    v.child = spawn(binary, ['run', '--config', v.config, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { LSAN_OPTIONS: `suppressions=${path.resolve('tests/lsan.supp')}`, ...process.env, ...env },
    })
    v.exit = new Promise((resolve) => v.child.on('exit', (code, signal) => resolve({ code, signal })))
    v.exit.then(() => (v.stopped = true))
    for (const stream of [v.child.stdout, v.child.stderr]) stream.on('data', (bytes) => (v.log += bytes))
    const before = v.log.length
    await until(() => v.stopped || v.log.slice(before).includes('is ready'), 'varve to be ready', 60000)
    if (v.stopped) throw new Error(`varve did not start:\n${v.log}`)
  }
  v.stop = async (signal = 'SIGTERM') => {
    if (v.stopped) return
    v.child.kill(signal)
    const { code, signal: killedBy } = await v.exit
    if (signal === 'SIGKILL') return void (await until(() => !workerPids().slice(-2).some(isAlive), 'its workers to have died with it')) // and given their ports back
    if (/ERROR: \w+Sanitizer|runtime error:|broken invariant/.test(v.log) || code !== 0)
      throw new Error(`varve left with ${code ?? killedBy}:\n${v.log.slice(-8000)}`)
  }
  v.cli = (...words) =>
    run(binary, [...words, '--admin', `unix:${dir}/store/admin.sock`]).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
    )
  v.admin = (method, target, body) =>
    request(`http://localhost${target}`, {
      method,
      socketPath: `${dir}/store/admin.sock`,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  v.get = (target, headers = {}, more = {}) => request(v.url + target, { headers, ...more })
  /* 'name{label="value"}': all series with these labels, together */
  v.metric = async (series) => {
    const { body } = await v.admin('GET', '/metrics')
    const [name, ...labels] = series.split(/[{}]|,(?=[a-z_]+=")/).filter(Boolean)
    const isOne = (line) => line.startsWith(name) && '{ '.includes(line[name.length]) && labels.every((label) => line.includes(label))
    return body.split('\n').filter(isOne).reduce((sum, line) => sum + Number(line.split(' ').pop()), 0)
  }
  /* whole lines: the last one may be on its way */
  v.accessLog = () => readFileSync(`${dir}/access.log`, 'utf8').split('\n').slice(0, -1).map((l) => JSON.parse(l))
  /* the line of the request for this path that began last: two threads write, so it need not be the last one */
  v.lastLine = (target) => v.accessLog().filter((line) => line.path === target).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).at(-1)
  /* what varve counts of a request, and its line, may come a moment behind the last byte, but not behind the end of its connection */
  v.isQuiet = () => until(async () => (await v.metric('varve_connections')) === 0, 'all connections to be closed')
  const workerPids = () => [...v.log.matchAll(/worker started pid=(\d+)/g)].map(([, pid]) => Number(pid))
  v.workerPid = () => workerPids().at(-1)
  if (policy !== undefined) v.write(policy)
  await v.start()
  t.after(() => v.stop())
  return v
}

/**
 * One request: {status, headers, body, aborted}. No agent unless given: a connection each. `aborted` says that the answer broke
 * off. `onHead(res)`, `onData(chunk)` for tests that look at the stream. An error says whether its connection had been used before.
 */
export function request(url, { method = 'GET', headers = {}, body, agent = false, socketPath, onHead, onData, signal } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method, headers, agent, socketPath, signal }, (res) => {
      const chunks = []
      onHead?.(res)
      res.on('data', (chunk) => {
        chunks.push(chunk)
        onData?.(chunk)
      })
      const done = (aborted) =>
        resolve({
          status: res.statusCode,
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          bytes: Buffer.concat(chunks),
          body: Buffer.concat(chunks).toString(),
          aborted,
        })
      res.on('end', () => done(!res.complete))
      res.on('error', () => done(true))
      broken = () => done(true)
    })
    let broken = reject /* a reset before the head; behind it, the answer broke off */
    req.on('error', (error) => broken(Object.assign(error, { isReused: req.reusedSocket })))
    req.end(body)
  })
}

/** A TLS listener beside the plain one, as lines of a policy. */
export async function tlsListener(dir) {
  const [cert, key, port] = [`${dir}/h2.pem`, `${dir}/h2.key`, await freePort()]
  const subject = ['-subj', '/CN=localhost', '-days', '2', '-keyout', key, '-out', cert]
  await run('openssl', ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', ...subject])
  return { port, yaml: `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [{cert: ${cert}, key: ${key}}]}]\n` }
}

/**
 * One HTTP/2 connection to that listener, whose requests have the keys of v.get()'s. `get()` is like request(), with many at a
 * time; `settled()` comes back when varve has begun all that was asked before it: frames are taken in order, PING among them,
 * and handlers run before the next turn's frames.
 */
export async function http2Client(t, v, port) {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  t.after(() => session.destroy())
  await new Promise((resolve) => session.once('remoteSettings', resolve))
  const always = { ':authority': `127.0.0.1:${v.port}`, 'x-forwarded-proto': 'http' }
  const get = (target, headers = {}) =>
    new Promise((resolve) => {
      const stream = session.request({ ...always, ':path': target, ...headers })
      const res = { headers: {}, body: '', aborted: false, stream }
      stream.on('response', (fields) => Object.assign(res, { status: fields[':status'], headers: fields }))
      stream.on('data', (chunk) => (res.body += chunk))
      stream.on('error', () => (res.aborted = true))
      stream.on('close', () => resolve(res))
      stream.end()
    })
  const ping = () => new Promise((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())))
  const settled = () => ping().then(ping)
  return { get, settled, session }
}

/** A policy of one renderer and one route for everything; `more` are keys of the route, with a comma in front. Nobody is given what is stale because a test takes its time. */
export const anyRoute = (origin, more = '') => `origins: {renderer: {workers: ["${origin.url}"], client_wait: 60s}}\nroutes: [{match: "/**"${more}}]\n`

/** The outcome of an answer as Cache-Status tells it: "hit" or what follows fwd=. */
export function outcome(res) {
  const status = res.headers['cache-status'] ?? ''
  if (/; hit/.test(status)) return 'hit'
  return /fwd=([a-z-]+)/.exec(status)?.[1]
}

export const page = (res, body, headers = {}) => {
  res.writeHead(200, { 'content-type': 'text/html', ...headers })
  res.end(body)
}
