// HTTP/2 floods. Each is {name, run(site)}: it floods site.tls and gives {frames, closed, goaway, seconds}. `burst(site)` is as much of it as
// one write, and `told` are the codes of GOAWAY that it is answered with. `isSlow`: there is no flood of frames, a timeout has to end it.
import { setTimeout as pause } from 'node:timers/promises'
import { FLAG, FRAME, frame, kept, literal, reset, settings, uint32, windowUpdate } from '../h2-frames.mjs'
import { INITIAL_WINDOW_SIZE, burst, connect, get, head, pour, references, request } from './frames.mjs'

export const UNREAD_MS = 9000 // who does not read learns of the end only by reading again
const [BIG_PAGES, BIG_BYTES] = [90, 2 << 20]
const nth = (i) => 2 * i + 1
const cold = (i) => `/cold/${i}`
const post = (stream, ...fields) => head(stream, Buffer.concat([request(cold(stream), 'POST'), ...fields]), 0)
const byte = Buffer.from('x')
const priority = (on, weight = 15) => Buffer.concat([uint32(on), Buffer.from([weight])])
const [PROTOCOL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM] = [1, 5, 6, 11]
const flood = (name, make, options, more) => ({
  name,
  told: [ENHANCE_YOUR_CALM],
  run: (site) => pour(site.tls, make, { ms: site.patience, ...options }),
  burst: (site) => burst(site.tls, make, { ms: site.patience, ...options }),
  ...more,
})
/* what libh2o ends by itself, for its first frame already */
const isError = (code) => ({ told: [code, ENHANCE_YOUR_CALM] })
/* it takes more than a burst */
const NO_BURST = { told: [ENHANCE_YOUR_CALM], burst: undefined }

export const floods = [
  flood('rapid reset', (i) => [get(nth(i), cold(i)), reset(nth(i))]),
  flood('rapid reset, a read later', (i) => (i % 2 ? Array.from({ length: 10 }, (_, k) => reset(nth(i * 10 - 10 + k)))
    : Array.from({ length: 10 }, (_, k) => get(nth(i * 10 + k), cold(i * 10 + k)))), { batch: 10 }),
  flood('made to reset: WINDOW_UPDATE of 0', (i) => [get(nth(i), cold(i)), windowUpdate(nth(i), 0)]),
  flood('made to reset: window overflow', (i) => [get(nth(i), cold(i)), windowUpdate(nth(i), 0x7fffffff)]),
  flood('made to reset: DATA on a half-closed stream', (i) => [get(nth(i), cold(i)), frame(FRAME.DATA, 0, nth(i), byte)]),
  flood('made to reset: HEADERS on a half-closed stream', (i) => [get(nth(i), cold(i)), get(nth(i), cold(i))], {}, isError(STREAM_CLOSED)),
  flood('made to reset: a stream that depends on itself', (i) => [get(nth(i), cold(i)), frame(FRAME.PRIORITY, 0, nth(i), priority(nth(i)))], {}, isError(PROTOCOL_ERROR)),
  flood('made to reset: PRIORITY of a wrong size', (i) => [get(nth(i), cold(i)), frame(FRAME.PRIORITY, 0, nth(i), uint32(0))], {}, isError(FRAME_SIZE_ERROR)),
  flood('made to reset: content-length that lies', (i) => [post(nth(i), literal('content-length', '5')), frame(FRAME.DATA, FLAG.END_STREAM, nth(i), byte)]),
  flood('made to reset: DATA on a stream that is over', () => [frame(FRAME.DATA, 0, 1, byte)], { start: [get(1, '/hot'), reset(1)] }),
  flood('requests without :path', (i) => [head(nth(i), Buffer.concat([literal(':method', 'GET'), literal(':scheme', 'https')]))]),
  flood('empty HEADERS', (i) => [frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, nth(i))]),
  flood('streams over the limit', (i) => [get(nth(i), `/held/${i}`)]),
  flood('uploads over the limit', (i) => [post(nth(i))]),
  flood('CONTINUATION', (i) => [i ? frame(FRAME.CONTINUATION, 0, 1, literal('x', 'y'.repeat(1000))) : frame(FRAME.HEADERS, FLAG.END_STREAM, 1, request())]),
  flood('empty CONTINUATION', (i) => [i ? frame(FRAME.CONTINUATION, 0, 1) : frame(FRAME.HEADERS, FLAG.END_STREAM, 1, request())]),
  flood('SETTINGS', (i) => [settings([INITIAL_WINDOW_SIZE, 65535 + (i % 2)])]),
  flood('empty SETTINGS', () => [settings()]),
  flood('acknowledged SETTINGS', () => [frame(FRAME.SETTINGS, FLAG.ACK, 0)]),
  flood('PING', () => [frame(FRAME.PING, 0, 0, Buffer.alloc(8))]),
  flood('PING, answers never read', () => [frame(FRAME.PING, 0, 0, Buffer.alloc(8))], { reads: false }),
  flood('empty DATA', () => [frame(FRAME.DATA, 0, 1)], { start: [post(1)] }),
  flood('PRIORITY of idle streams', (i) => [frame(FRAME.PRIORITY, 0, nth(i + 1), priority(0))]),
  flood('PRIORITY of one stream', (i) => [frame(FRAME.PRIORITY, 0, 1, priority(0, i & 255))], { start: [post(1)] }),
  flood('WINDOW_UPDATE', () => [windowUpdate(0, 1)]),
  flood('unknown frames', () => [frame(FRAME.UNKNOWN, 0, 0, Buffer.alloc(100))]),
  flood('GOAWAY', () => [frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(8))]),
  flood('references to one big field', (i) => [head(nth(i), Buffer.concat([request(cold(i)), kept('x-big', 'y'.repeat(4000)), references(25000)]))], { batch: 4, most: 400 }),
  flood('references to one big cookie', (i) => [head(nth(i), Buffer.concat([request(cold(i)), kept('cookie', 'y'.repeat(4000)), references(395)]))], { batch: 4 }, NO_BURST),
  flood('references to one cache-digest', (i) => [head(nth(i), Buffer.concat([request(cold(i)), kept('cache-digest', `-A${'_'.repeat(3900)}`), references(2000)]))], { batch: 4, most: 400 }, isError(PROTOCOL_ERROR)),
  flood('10 000 fields', (i) => [head(nth(i), Buffer.concat([request(cold(i)), ...Array.from({ length: 4000 }, () => literal('a', 'b'))]))], { batch: 4, most: 400 }),
  { name: 'a block that never ends', isSlow: true, run: (site) => hold(site, [frame(FRAME.HEADERS, FLAG.END_STREAM, 1, request())]) },
  { name: 'a frame byte by byte', isSlow: true, run: (site) => drip(site, get(1, '/hot')) },
  { name: 'an upload that stops', isSlow: true, run: (site) => hold(site, [post(1), frame(FRAME.DATA, 0, 1, byte)]) },
  { name: 'no preface', isSlow: true, run: (site) => hold(site, [], { preface: false }) },
  { name: 'nothing but PING, now and then', isSlow: true, run: (site) => hold(site, [], { every: () => frame(FRAME.PING, 0, 0, Buffer.alloc(8)) }) },
  { name: 'big pages into a window of 0', isSlow: true, run: (site) => hold(site, bigPages(), { first: settings([INITIAL_WINDOW_SIZE, 0]) }) },
  { name: 'big pages, the window opened by a byte', isSlow: true, run: (site) => hold(site, bigPages(), { first: settings([INITIAL_WINDOW_SIZE, 0]), every: (n) => windowUpdate(nth(n % 90), 1) }) },
  { name: 'big pages, never read', isSlow: true, run: (site) => hold(site, [windowUpdate(0, 0x3fffffff), ...bigPages()], { first: settings([INITIAL_WINDOW_SIZE, 0x3fffffff]), reads: false, ms: UNREAD_MS }) },
]

const bigPages = () => Array.from({ length: BIG_PAGES }, (_, i) => get(nth(i), `/big/${i % 4}`))

/** Sends some frames, then little or nothing, and waits to be closed. */
async function hold(site, frames, { first, every, reads = true, ms = site.patience } = {}) {
  const began = Date.now()
  const c = await connect(site.tls, first)
  if (!reads) c.socket.pause()
  if (frames.length) await c.send(Buffer.concat(frames))
  let sent = frames.length
  while (!c.isOver && Date.now() - began < ms) {
    await c.endWithin(reads ? 200 : ms)
    if (every && !c.isOver) sent += (await c.send(every(sent)), 1)
  }
  if (!reads) { // who does not read does not hear of the end either
    c.socket.resume()
    await c.endWithin(60000)
  }
  const hasAll = (c.seen[FRAME.DATA] ?? 0) >= (BIG_PAGES * BIG_BYTES) / 16384 // then it was not cut
  c.socket.destroy()
  return { frames: sent, closed: c.isOver && !hasAll, seconds: (Date.now() - began) / 1000 }
}

async function drip(site, bytes, ms = site.patience) {
  const began = Date.now()
  const c = await connect(site.tls)
  for (let at = 0; at < bytes.length - 1 && !c.isOver && Date.now() - began < ms; at++) {
    await c.send(bytes.subarray(at, at + 1))
    await pause(200)
  }
  await c.endWithin(ms - (Date.now() - began))
  c.socket.destroy()
  return { frames: 1, closed: c.isOver, seconds: (Date.now() - began) / 1000 }
}
