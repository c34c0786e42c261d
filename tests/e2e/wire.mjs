// For tests that look at the wire: certificates made on the spot, raw connections, HTTP/2 over TLS, and the readers of tests/data.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'

/** A certificate and its key as files; `ca` (another one of these) signs it, else it signs itself. */
export function certificate(dir, name, { names = [name], ca } = {}) {
  const cert = path.join(dir, `${name}.pem`)
  const key = path.join(dir, `${name}.key`)
  const openssl = (...words) => execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] })
  const alt = names.map((n) => (net.isIP(n) ? `IP:${n}` : `DNS:${n}`)).join(',')
  const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE']
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', `subjectAltName=${alt}`, '-keyout', key, '-out', cert, ...(ca ? ['-CA', ca.cert, '-CAkey', ca.key, ...leaf] : []))
  return { cert, key, yaml: `{cert: ${cert}, key: ${key}}` }
}

/** Splits what came over an HTTP/1 connection into answers; `methods` says which of them had no body (HEAD). */
export function parseAnswers(bytes, methods = []) {
  const answers = []
  let rest = bytes.toString('latin1')
  while (rest.length) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return [...answers, { broken: rest }]
    const [line, ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1])
    const headers = {}
    for (const l of lines) headers[l.slice(0, l.indexOf(':')).toLowerCase()] = l.slice(l.indexOf(':') + 1).trim()
    rest = rest.slice(end + 4)
    const answer = { line, status, headers, body: '' }
    if (status >= 200) answers.push(answer)
    if (status < 200) continue
    if (methods[answers.length - 1] === 'HEAD' || status === 204 || status === 304) continue
    if (headers['transfer-encoding'] === 'chunked') {
      for (;;) {
        const size = /^([0-9a-f]+)\r\n/.exec(rest)
        const length = size ? parseInt(size[1], 16) : NaN
        if (!size || rest.length < size[0].length + length + 2) return Object.assign(answer, { broken: rest }) && answers
        answer.body += rest.slice(size[0].length, size[0].length + length)
        rest = rest.slice(size[0].length + length + 2)
        if (length === 0) break
      }
    } else if (headers['content-length'] !== undefined) {
      const length = Number(headers['content-length'])
      if (rest.length < length) answer.broken = rest
      answer.body = rest.slice(0, length)
      rest = rest.slice(length)
    } else {
      answer.body = rest
      answer.isUntilClose = true
      rest = ''
    }
  }
  return answers
}

/** A connection that sends what it likes. `answers()` parses what came so far; `ended` resolves when it is over. */
export async function raw(t, where, { methods, secure } = {}) {
  const c = { bytes: Buffer.alloc(0), isReset: false, isOver: false }
  const options = typeof where === 'string' ? { path: where } : typeof where === 'number' ? { port: where, host: '127.0.0.1' } : where
  const socket = secure ? tls.connect({ ...options, ...secure }) : net.connect(options)
  c.socket = socket
  c.ended = new Promise((resolve) => socket.once('close', resolve)).then(() => (c.isOver = true))
  socket.on('error', (error) => (c.isReset = error.code === 'ECONNRESET' || error.code === 'EPIPE'))
  const wake = []
  socket.on('data', (bytes) => {
    c.bytes = Buffer.concat([c.bytes, bytes])
    for (const w of wake.splice(0)) w()
  })
  socket.once('close', () => wake.splice(0).forEach((w) => w()))
  t.after(() => socket.destroy())
  await Promise.race([new Promise((resolve) => socket.once(secure ? 'secureConnect' : 'connect', resolve)), c.ended])
  c.send = (bytes) => socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1'))
  c.answers = () => parseAnswers(c.bytes, methods)
  /** Waits until the n-th complete answer is there (or the connection is over). */
  c.answer = async (n = 1) => {
    for (;;) {
      const whole = c.answers().filter((a) => a.status && a.broken === undefined && !a.isUntilClose)
      if (whole.length >= n) return whole[n - 1]
      if (c.isOver || socket.destroyed) return c.answers()[n - 1]
      await new Promise((resolve) => wake.push(resolve))
    }
  }
  return c
}

/**
 * An origin that reads what it is sent byte by byte, unlike node's server, which knows only some methods: `requests` holds
 * {line, method, url, head, body}. `answer(request)` gives the bytes to send.
 */
export async function recorder(t, answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok') {
  const origin = { requests: [] }
  const sockets = new Set()
  const server = net.createServer((socket) => {
    let rest = ''
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      rest += bytes.toString('latin1')
      for (;;) {
        const end = rest.indexOf('\r\n\r\n') + 4
        const length = Number(/^content-length: (\d+)\r$/im.exec(rest.slice(0, end))?.[1] ?? 0)
        if (end < 4 || rest.length < end + length) return
        const [line] = rest.split('\r\n')
        const [method, url] = line.split(' ')
        const request = { line, method, url, head: rest.slice(0, end), body: rest.slice(end, end + length) }
        origin.requests.push(request)
        socket.write(Buffer.from(answer(request), 'latin1'))
        rest = rest.slice(end + length)
      }
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin.url = `http://127.0.0.1:${server.address().port}`
  t.after(() => (sockets.forEach((s) => s.destroy()), server.close()))
  return origin
}

/** Sends bytes on a connection of its own and gives back all that came until the other side ended. */
export async function exchange(t, where, bytes, more) {
  const c = await raw(t, where, more)
  c.send(bytes)
  await c.ended
  return c
}

/** HTTP/2 over TLS. `get(path, {method, headers, body})` → {status, headers, body, aborted, stream}. */
export async function h2(t, port, options = {}) {
  const session = http2.connect(`https://localhost:${port}`, { rejectUnauthorized: false, lookup: toLoopback, ...options })
  const c = { session, goaway: undefined, isOver: false }
  session.on('error', () => {})
  session.on('goaway', (code) => (c.goaway = code))
  session.on('close', () => (c.isOver = true))
  t.after(() => session.destroy())
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject))
  c.get = (target, { method = 'GET', headers = {}, body, onHead, onData } = {}) =>
    new Promise((resolve) => {
      const stream = session.request({ ':method': method, ':path': target, ...headers }, { endStream: body === undefined })
      const res = { headers: {}, chunks: [], aborted: false, stream }
      stream.on('response', (fields) => {
        Object.assign(res, { status: fields[':status'], headers: fields })
        onHead?.(res)
      })
      stream.on('data', (chunk) => {
        res.chunks.push(chunk)
        onData?.(chunk, stream)
      })
      stream.on('error', (error) => Object.assign(res, { aborted: true, error }))
      stream.on('close', () => {
        res.bytes = Buffer.concat(res.chunks)
        res.body = res.bytes.toString()
        resolve(Object.assign(res, { aborted: res.aborted || stream.rstCode !== 0 }))
      })
      if (body !== undefined) stream.end(body)
    })
  return c
}

export function toLoopback(name, options, done) {
  if (options.all) done(null, [{ address: '127.0.0.1', family: 4 }])
  else done(null, '127.0.0.1', 4)
}

/* --- tests/data: tables of C macros, read by their own small grammar --- */

const TOKEN = /\/\*[\s\S]*?\*\/|"((?:[^"\\]|\\.)*)"|#define\s+(\w+)|#undef\s+(\w+)|([A-Za-z_]\w*)|(\d+)|([(),])|(\n)|\s/g
const ESCAPES = { r: '\r', n: '\n', t: '\t', v: '\v', '"': '"', '\\': '\\' }

const unescape = (text) =>
  text.replace(/\\(x[0-9a-fA-F]+|[0-7]{1,3}|.)/g, (_, e) =>
    e[0] === 'x' ? String.fromCharCode(parseInt(e.slice(1), 16) & 255)
      : /[0-7]/.test(e[0]) ? String.fromCharCode(parseInt(e, 8)) : ESCAPES[e])

/** The rows of macro `macro` in a file of tests/data, each a list of texts (as latin-1), words and numbers. */
export function table(file, macro) {
  const text = readFileSync(new URL(`../data/${file}`, import.meta.url), 'utf8')
  const defined = new Map()
  const rows = []
  let row, argument, defining
  const add = (value) => {
    if (defining) defined.set(defining, (defined.get(defining) ?? '') + value)
    else if (row) argument = argument === undefined ? value : argument + value
  }
  for (const [whole, string, define, undef, word, number, mark, newline] of text.matchAll(TOKEN)) {
    if (string !== undefined) add(unescape(string))
    else if (define) defined.set((defining = define), '')
    else if (undef) defined.delete(undef)
    else if (word === macro && !row) row = []
    else if (word) add(defined.get(word) ?? word)
    else if (number) add(Number(number))
    else if (mark && row) {
      if (mark !== '(') (row.push(argument), (argument = undefined))
      if (mark === ')') (rows.push(row), (row = undefined))
    } else if (newline) defining = undefined
    else if (whole === undefined) break
  }
  return rows
}
