// HTTP/2 by hand, for clients that no library would play: frames (RFC 9113 §4, §6) and header blocks (RFC 7541).
import { raw } from './wire.mjs'

export const FRAME = {
  DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PUSH_PROMISE: 5, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9, UNKNOWN: 0x42,
}
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PRIORITY: 32 }
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

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

/** A string without Huffman coding (RFC 7541 §5.2). */
const string = (text) => Buffer.concat([integer(7, 0, text.length), Buffer.from(text, 'latin1')])
/** A field as it stands, kept in no table (RFC 7541 §6.2.2). */
export const literal = (name, value) => Buffer.concat([Buffer.from([0]), string(name), string(value)])
/** A field that the other side has to keep in its table. */
export const kept = (name, value) => Buffer.concat([Buffer.from([0x40]), string(name), string(value)])
/** A header block of [name, value] pairs. */
export const block = (pairs) => Buffer.concat(pairs.map(([name, value]) => literal(name, value)))

export const reset = (stream, code = 8) => frame(FRAME.RST_STREAM, 0, stream, uint32(code))
export const windowUpdate = (stream, by) => frame(FRAME.WINDOW_UPDATE, 0, stream, uint32(by))
/** SETTINGS of [identifier, value] pairs. */
export const settings = (...pairs) =>
  frame(FRAME.SETTINGS, 0, 0, Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))))

/** A request head. `isLast`: no body follows. */
export function headers(stream, fields, isLast) {
  const all = { ':method': 'GET', ':scheme': 'https', ':path': '/', ':authority': 'a.example', ...fields }
  return frame(FRAME.HEADERS, isLast ? 5 : 4, stream, block(Object.entries(all).filter(([, value]) => value !== undefined)))
}

const ESCAPED = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' }
const bytesOf = (text) =>
  text.startsWith('hex:') ? Buffer.from(text.slice(4), 'hex')
    : Buffer.from(text.replace(/\\(x[0-9a-f]{2}|.)/g, (_, e) => (e[1] ? String.fromCharCode(parseInt(e.slice(1), 16)) : ESCAPED[e])), 'latin1')
const FLAGS = { END: 5, MORE: 4, OPEN: 0, LAST: 1 }

/** Frames as tests/data/raw_h2.def writes them. */
export function framesOf(script) {
  return Buffer.concat(script.split('\n').map((line) => {
    const [, type, stream, flags, payload] = /^(\w+) (\d+) (\w+) ?(.*)$/.exec(line)
    const isBlock = (type === 'HEADERS' || type === 'CONTINUATION') && !payload.startsWith('hex:')
    const pair = (field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)].map((text) => bytesOf(text).toString('latin1'))
    const bytes = isBlock ? block(payload.split('|').filter(Boolean).map(pair)) : bytesOf(payload)
    return frame(FRAME[type] ?? Number(type), FLAGS[flags] ?? Number(flags), Number(stream), bytes)
  }))
}

/** The status in a header block of varve's: libh2o writes it first, by index or as a literal of three digits (RFC 7541 §6). */
export function statusOf(payload) {
  const indexed = [200, 204, 206, 304, 400, 404, 500][payload[0] - 0x88]
  return indexed ?? Number(payload.subarray(2, 5).toString('latin1'))
}

/** A connection that speaks HTTP/2 by frames: `frames()` are those that came, {type, flags, stream, payload}. `begin()` says the preface. */
export async function rawH2(t, port, { isSilent = false } = {}) {
  const c = await raw(t, port, { secure: { servername: 'a.example', rejectUnauthorized: false, ALPNProtocols: ['h2'] } })
  c.begin = () => c.send(Buffer.concat([PREFACE, settings()]))
  if (!isSilent) c.begin()
  c.frames = () => {
    const frames = []
    for (let at = 0; at + 9 <= c.bytes.length; ) {
      const length = c.bytes.readUIntBE(at, 3)
      if (at + 9 + length > c.bytes.length) break
      const payload = c.bytes.subarray(at + 9, at + 9 + length)
      frames.push({ type: c.bytes[at + 3], flags: c.bytes[at + 4], stream: c.bytes.readUInt32BE(at + 5) & 0x7fffffff, payload })
      at += 9 + length
    }
    return frames
  }
  return c
}
