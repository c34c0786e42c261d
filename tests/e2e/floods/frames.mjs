// HTTP/2 by hand, for clients that no library would play: frames, HPACK literals, and a connection that counts what it sends.
// Everything is bounded by a number and by a time, and goes to 127.0.0.1 only.
import tls from 'node:tls'

export const TYPE = {
  DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9, UNKNOWN: 0x42,
}
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PRIORITY: 32 }
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const uint32 = (n) => Buffer.from([(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255])

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const length = payload.length
  return Buffer.concat([Buffer.from([(length >> 16) & 255, (length >> 8) & 255, length & 255, type, flags]), uint32(stream), payload])
}

/** An integer with a prefix of so many bits, the bits above it set as `first` says (RFC 7541 §5.1). */
function integer(bits, first, n) {
  const most = (1 << bits) - 1
  if (n < most) return Buffer.from([first | n])
  const bytes = [first | most]
  for (n -= most; n >= 128; n >>>= 7) bytes.push((n & 127) | 128)
  return Buffer.from([...bytes, n])
}

const string = (text) => Buffer.concat([integer(7, 0, text.length), Buffer.from(text, 'latin1')])
/** A field as it stands, kept in no table. */
export const literal = (name, value) => Buffer.concat([Buffer.from([0]), string(name), string(value)])
/** A field that the other side has to keep in its table. */
export const kept = (name, value) => Buffer.concat([Buffer.from([0x40]), string(name), string(value)])
/** The newest entry of the table, as often as asked for: a byte each. */
export const references = (count) => Buffer.alloc(count, 0x80 | 62)

export const request = (path = '/', method = 'GET') =>
  Buffer.concat([literal(':method', method), literal(':scheme', 'https'), literal(':path', path), literal(':authority', 'a.example')])

/** HEADERS, and CONTINUATION frames if the block is longer than a frame. */
export function head(stream, block, flags = FLAG.END_STREAM) {
  const frames = []
  for (let at = 0; at === 0 || at < block.length; at += 16384) {
    const end = at + 16384 >= block.length ? FLAG.END_HEADERS : 0
    frames.push(frame(at ? TYPE.CONTINUATION : TYPE.HEADERS, (at ? 0 : flags) | end, stream, block.subarray(at, at + 16384)))
  }
  return Buffer.concat(frames)
}
export const get = (stream, path) => head(stream, request(path))
export const reset = (stream) => frame(TYPE.RST_STREAM, 0, stream, uint32(8))
export const windowUpdate = (stream, by) => frame(TYPE.WINDOW_UPDATE, 0, stream, uint32(by))
/** SETTINGS of [identifier, value] pairs. */
export const settings = (...pairs) =>
  frame(TYPE.SETTINGS, 0, 0, Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))))
export const INITIAL_WINDOW_SIZE = 4

export const turn = () => new Promise(setImmediate)
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

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
      if (rest[3] === TYPE.GOAWAY) c.goaway = rest.readUInt32BE(13)
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
