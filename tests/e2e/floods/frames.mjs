// Floods of HTTP/2 frames: a connection that counts what it sends, and pours until it is closed.
// Everything is bounded by a number and by a time, and goes to 127.0.0.1 only.
import tls from 'node:tls'
import { FLAG, FRAME, PREFACE, block, frame, settings } from '../h2-frames.mjs'

/** The newest entry of the table, as often as asked for: a byte each. */
export const references = (count) => Buffer.alloc(count, 0x80 | 62)

export const request = (path = '/', method = 'GET') =>
  block([[':method', method], [':scheme', 'https'], [':path', path], [':authority', 'a.example']])

/** HEADERS, and CONTINUATION frames if the block is longer than a frame. */
export function head(stream, fields, flags = FLAG.END_STREAM) {
  const frames = []
  for (let at = 0; at === 0 || at < fields.length; at += 16384) {
    const end = at + 16384 >= fields.length ? FLAG.END_HEADERS : 0
    frames.push(frame(at ? FRAME.CONTINUATION : FRAME.HEADERS, (at ? 0 : flags) | end, stream, fields.subarray(at, at + 16384)))
  }
  return Buffer.concat(frames)
}
export const get = (stream, path) => head(stream, request(path))
export const INITIAL_WINDOW_SIZE = 4

/** Less than what is read behind a GOAWAY: a longer rest would be answered by a reset, which may overtake it. */
const BURST_BYTES = 32 * 1024

export const turn = () => new Promise(setImmediate)

/** A connection: `seen` counts the frames that came by type, `goaway` is the code of the last GOAWAY, `isOver` says it has ended. */
export async function connect(port, first = settings()) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  const c = { socket, seen: {}, goaway: undefined, isOver: false }
  c.ended = new Promise((resolve) => socket.once('close', resolve)).then(() => (c.isOver = true))
  socket.on('error', () => {})
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      c.seen[rest[3]] = (c.seen[rest[3]] ?? 0) + 1
      if (rest[3] === FRAME.GOAWAY) c.goaway = rest.readUInt32BE(13)
      rest = rest.subarray(9 + length)
    }
  })
  /** Resolves when the kernel has the bytes, or the connection is over. */
  c.send = (bytes) => Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), c.ended])
  /** Resolves when it is over, or after so many milliseconds. */
  c.endWithin = (ms) => {
    let timer
    return Promise.race([c.ended, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]).finally(() => clearTimeout(timer))
  }
  await Promise.race([new Promise((resolve) => socket.once('secureConnect', resolve)), c.ended])
  await c.send(Buffer.concat([PREFACE, first]))
  return c
}

/**
 * Sends what `make(i)` gives (an array of frames) for i = 0, 1, 2 … until the connection is closed, `most` frames are sent or `ms`
 * have passed; then waits for the end for as long as is left. Gives {frames, closed, goaway, seconds}.
 */
export async function pour(port, make, { most = 20000, batch = 40, ms = 5000, first, start = [], reads = true } = {}) {
  const began = Date.now()
  const left = () => Math.max(0, ms - (Date.now() - began))
  const c = await connect(port, first)
  if (!reads) c.socket.pause()
  let frames = 0
  let next = start
  for (let i = 0; frames < most && !c.isOver && left() > 0; ) {
    frames += next.length
    if (next.length) await Promise.race([c.send(Buffer.concat(next)), c.endWithin(left())])
    await turn()
    next = []
    while (next.length < batch) next.push(...make(i++))
  }
  await c.endWithin(left())
  const result = { frames, closed: c.isOver, goaway: c.goaway, seconds: (Date.now() - began) / 1000, seen: c.seen }
  c.socket.destroy()
  return result
}

/** The same, but no more than one write, and then only listening: what such a client is told. Gives {closed, goaway}. */
export async function burst(port, make, { ms = 5000, first, start = [] } = {}) {
  const c = await connect(port, first)
  let bytes = Buffer.concat(start)
  for (let i = 0; bytes.length < BURST_BYTES && i < 500; i++) bytes = Buffer.concat([bytes, ...make(i)])
  await c.send(bytes)
  await c.endWithin(ms)
  c.socket.destroy()
  return { closed: c.isOver, goaway: c.goaway }
}
