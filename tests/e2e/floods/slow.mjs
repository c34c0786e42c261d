// Slow and greedy clients over HTTP/1.1 and TLS, in the form of h2.mjs. `all` of many connections have to be closed.
import { spawn } from 'node:child_process'
import net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { turn } from './frames.mjs'
import { UNREAD_MS } from './h2.mjs'

const MANY = 1000
const [UNREAD_PAGES, BIG_BYTES] = [20, 2 << 20] // a page of /big

/** A connection that counts what it gets. Bounded: whoever uses it destroys it. */
function open(port, { reads = true } = {}) {
  const socket = net.connect({ port, host: '127.0.0.1' })
  const c = { socket, isOver: false, bytes: 0, text: '' }
  c.ended = new Promise((resolve) => socket.once('close', resolve)).then(() => (c.isOver = true))
  c.opened = Promise.race([new Promise((resolve) => socket.once('connect', resolve)), c.ended])
  socket.on('error', () => {})
  if (reads)
    socket.on('data', (bytes) => {
      c.bytes += bytes.length
      if (c.text.length < 200) c.text += bytes.toString('latin1')
    })
  c.send = (bytes) => Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), c.ended])
  c.endWithin = (ms) => {
    let timer
    return Promise.race([c.ended, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]).finally(() => clearTimeout(timer))
  }
  return c
}

/** `count` connections that send `first`, then a byte of `rest` every `every` ms, until they are closed or patience is over. */
async function trickle(port, { first = '', rest = '', every = 100, count = 1, ms, reads = true }) {
  const began = Date.now()
  const all = Array.from({ length: count }, () => open(port, { reads }))
  let sent = 0
  await Promise.all(all.map(async (c) => {
    await c.opened
    if (first) await c.send(first)
  }))
  for (let at = 0; Date.now() - began < ms && all.some((c) => !c.isOver); at++) {
    if (rest) for (const c of all) if (!c.isOver) (c.socket.write(rest[at % rest.length]), sent++)
    await pause(every)
  }
  const wasCut = reads || (await isCut(all[0]))
  const result = { frames: sent, closed: wasCut && all.every((c) => c.isOver), seconds: (Date.now() - began) / 1000, text: all[0].text }
  for (const c of all) c.socket.destroy()
  return result
}

/** Who does not read does not hear of the end either. Cut: it is over, and not because all that was asked for has been read after all. */
async function isCut(c) {
  c.socket.on('data', (bytes) => (c.bytes += bytes.length))
  await c.endWithin(60000)
  return c.isOver && c.bytes < UNREAD_PAGES * BIG_BYTES
}

/** One connection that sends `piece` again and again. */
async function pour(port, first, piece, { most = 20000, ms = 5000, reads = true } = {}) {
  const began = Date.now()
  const left = () => Math.max(0, ms - (Date.now() - began))
  const c = open(port, { reads })
  await c.opened
  await c.send(first)
  let frames = 0
  for (; frames < most && !c.isOver && left() > 0; frames++) {
    await Promise.race([c.send(piece), c.endWithin(left())])
    await turn()
  }
  await c.endWithin(left())
  const result = { frames, closed: c.isOver, seconds: (Date.now() - began) / 1000, text: c.text }
  c.socket.destroy()
  return result
}

const HEAD = 'GET /hot HTTP/1.1\r\nHost: a.example\r\n'
const POST = 'POST /cold HTTP/1.1\r\nHost: a.example\r\n'
const get = (path) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`
const slow = (name, options) => ({ name, isSlow: true, run: (s) => trickle(options.tls ? s.tls : s.plain, { ms: s.patience, ...options }) })

export const floods = [
  slow('a head byte by byte', { first: HEAD, rest: 'X-A: b\r\n' }),
  slow(`${MANY} heads byte by byte`, { first: HEAD, rest: 'X-A: b\r\n', count: MANY, every: 300 }),
  slow('a body byte by byte', { first: `${POST}Content-Length: 100000\r\n\r\n`, rest: 'x' }),
  slow('a body in chunks of a byte', { first: `${POST}Transfer-Encoding: chunked\r\n\r\n`, rest: '1\r\nx\r\n', every: 30 }),
  slow('a chunk extension byte by byte', { first: `${POST}Transfer-Encoding: chunked\r\n\r\n1;`, rest: 'a' }),
  slow('trailers byte by byte', { first: `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n`, rest: 'X-A: b\r\n' }),
  slow(`${MANY} connections that say nothing`, { count: MANY }),
  slow('requests that are never read', { first: Array.from({ length: UNREAD_PAGES }, (_, i) => get(`/big/${i % 4}`)).join(''), reads: false, every: 200, ms: UNREAD_MS }),
  slow('empty lines', { rest: '\r\n', every: 50 }),
  slow('no TLS handshake', { tls: true }),
  slow('half a TLS handshake', { tls: true, first: Buffer.from('160301020001', 'hex') }),
  slow(`${MANY} TLS handshakes never finished`, { tls: true, first: Buffer.from('160301020001', 'hex'), count: MANY, every: 300 }),
  { name: 'a head without end', run: (s) => pour(s.plain, HEAD, `X-A: ${'b'.repeat(1000)}\r\n`, { ms: s.patience }) },
  { name: 'a head of one long line', run: (s) => pour(s.plain, `${HEAD}X-A: `, 'b'.repeat(1000), { ms: s.patience }) },
  { name: 'a head of 10 000 fields', run: (s) => pour(s.plain, HEAD, 'a:b\r\n'.repeat(10), { ms: s.patience }) },
  { name: 'a request line without end', run: (s) => pour(s.plain, 'GET /', 'b'.repeat(1000), { ms: s.patience }) },
  { name: 'pipelined garbage', run: (s) => pour(s.plain, get('/hot'), '\x00\x01garbage\r\n\r\n', { ms: s.patience }) },
  { name: 'a chunk extension without end', run: (s) => pour(s.plain, `${POST}Transfer-Encoding: chunked\r\n\r\n1;`, 'a'.repeat(1000), { ms: s.patience }) },
  { name: 'trailers without end', run: (s) => pour(s.plain, `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n`, `X-A: ${'b'.repeat(1000)}\r\n`, { ms: s.patience }) },
  { name: 'renegotiation', run: (s) => talk(s, ['-tls1_2'], 'R\n', /RENEGOTIATING/g, { ms: s.patience }) },
  { name: 'key updates', run: (s) => talk(s, ['-tls1_3'], 'k\n', /KEYUPDATE/g, { ms: s.patience }) },
  { name: 'key updates that want an answer', run: (s) => talk(s, ['-tls1_3'], 'K\n', /KEYUPDATE/g, { ms: s.patience }) },
]

/** Lets `openssl s_client` do one thing over and over, waiting each time until it says so. */
async function talk(s, args, command, said, { most = 3000, ms = 5000 } = {}) {
  const began = Date.now()
  const patience = () => pause(Math.max(0, ms - (Date.now() - began)), undefined, { ref: false })
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${s.tls}`, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const c = { isOver: false, count: 0, wake: undefined, out: '' }
  const hear = (bytes) => {
    c.out = (c.out + bytes).slice(-20000)
    c.count += String(bytes).match(said)?.length ?? 0
    c.wake?.()
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  child.stdin.on('error', () => {})
  const ended = new Promise((resolve) => child.on('exit', resolve)).then(() => ((c.isOver = true), c.wake?.()))
  await new Promise((resolve) => (c.wake = () => (c.isOver || c.out.includes('Verify return code') ? resolve() : 0)))
  while (!c.isOver && c.count < most && Date.now() - began < ms) {
    const before = c.count
    const next = new Promise((resolve) => (c.wake = () => (c.isOver || c.count > before ? resolve() : 0)))
    child.stdin.write(command)
    await Promise.race([next, patience()])
  }
  await Promise.race([ended, patience()])
  const result = { frames: c.count, closed: c.isOver, seconds: (Date.now() - began) / 1000 }
  child.kill('SIGKILL')
  await ended
  return result
}
