// What the security tests share: a client that sends bytes no decent client would, renderers as naive as real ones, and the readers
// of the lists in tests/data.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { freePort, varve } from './lib.mjs'
import { h2, raw, table } from './wire.mjs'

const read = (name) => readFileSync(new URL(`../data/${name}`, import.meta.url), 'utf8')
const lines = (name) => read(name).split('\n').filter((line) => line && !line.startsWith('#'))

export const headerNames = () => lines('header_names.txt')
export const sentNames = () => lines('sent_names.txt')
export const cveRequests = () => JSON.parse(read('cve_requests.json'))

/* What a stranger's field of header_names.txt does, beside being refused or held back. */
export const PASSED = ['authorization', 'cookie', 'range'] // his own, and not stored
export const KEYED = ['datastar-request', 'hx-boosted', 'hx-history-restore-request', 'hx-prompt', 'hx-request', 'hx-request-type', 'hx-source', 'hx-target', 'hx-trigger', 'hx-trigger-name',
  'next-router-prefetch', 'next-router-segment-prefetch', 'next-router-state-tree', 'next-url', 'rsc', 'turbo-frame', 'x-alpine-request', 'x-alpine-target', 'x-barba', 'x-deployment-id', 'x-ic-request',
  'x-inertia', 'x-inertia-error-bag', 'x-inertia-location', 'x-inertia-partial-component', 'x-inertia-partial-data', 'x-inertia-partial-except', 'x-inertia-reset', 'x-inertia-version',
  'x-livewire', 'x-livewire-navigate', 'x-nextjs-data', 'x-pjax', 'x-pjax-container', 'x-server-id', 'x-server-instance', 'x-single-flight', 'x-tsr-raw', 'x-tsr-redirect',
  'x-up-context', 'x-up-fail-context', 'x-up-fail-mode', 'x-up-fail-target', 'x-up-mode', 'x-up-target', 'x-up-validate', 'x-up-version'] // 1.4

/** The patterns of policy/seal.def. */
export const sealPatterns = () => table('../../policy/seal.def', 'SEAL').map(([pattern]) => pattern)

/** Rows {expected, path} of deception_paths.txt; paths as latin-1 text. */
export const deceptionPaths = () =>
  lines('deception_paths.txt').map((line) => {
    const [, expected, path] = /^(\w+) (.*)$/.exec(line)
    return { expected, path: path.replace(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))) }
  })

/** What a browser sends with a navigation. */
export const BROWSER = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140',
  accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  'accept-language': 'en',
  'sec-fetch-dest': 'document',
}

const fieldLines = (fields) => (Array.isArray(fields) ? fields : Object.entries(fields)).map(([name, value]) => `${name}: ${value}\r\n`).join('')

/**
 * A kept connection whose requests are written as they are; a new one when varve has closed it. `ask(target, fields)` with fields
 * as an object or a list of pairs → {status, headers, body}; undefined when the connection ended without an answer. `from`: the
 * address that a PROXY header in front says.
 */
export function byteClient(t, port, { from, host = 'a.example' } = {}) {
  let c
  const ask = async (target, fields = {}, { method = 'GET', body, hostLine = `Host: ${host}\r\n` } = {}) => {
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
    const head = `${method} ${target} HTTP/1.1\r\n${hostLine}${fieldLines(fields)}${length}\r\n${body ?? ''}`
    if (!c || c.isOver || c.socket.destroyed) {
      c = await raw(t, port)
      if (from) c.send(`PROXY TCP4 ${from} 127.0.0.1 1234 80\r\n`)
    }
    c.bytes = Buffer.alloc(0)
    c.send(head)
    const answer = await c.answer()
    if (answer?.headers?.connection === 'close') c = undefined
    return answer
  }
  return { ask }
}

/**
 * The same over HTTP/2, each cookie as a field of its own (RFC 9113 §8.2.3): `fields` is an object. `isOver` of the connection is
 * not met: what it asks has to be answered.
 */
export async function crumbClient(t, port, { host = 'a.example' } = {}) {
  const client = await h2(t, port)
  const ask = async (target, { cookie, ...fields } = {}, { method = 'GET', body } = {}) => {
    const crumbs = cookie === undefined ? {} : { cookie: cookie.split(/; */) }
    const { status, headers, body: text } = await client.get(target, { method, body, headers: { ':authority': host, ...fields, ...crumbs } })
    return { status, headers, body: text }
  }
  return { ask }
}

/** Does `work(item, lane)` for all items, `lanes` at a time. */
export async function spread(items, lanes, work) {
  let next = 0
  const lane = async (n) => {
    while (next < items.length) {
      const at = next++
      await work(items[at], at, n)
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, n) => lane(n)))
}

/* --- fields that must not reach anybody else --- */

/** Prints what it was sent into the body and into fields of the answer. */
export const mirror = (headers) => (req, res) => {
  const seen = JSON.stringify([req.method, req.url, req.rawHeaders])
  res.writeHead(200, { 'content-type': 'text/html', 'x-seen': seen.replace(/[^ -~]/g, '?').slice(0, 2000), ...headers(req) })
  res.end(`<p>${seen}</p>`)
}

/** varve with a second listener whose clients are strangers: they come with addresses of the world. */
export async function withStrangers(t, policy) {
  const port = await freePort()
  const v = await varve(t, `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", proxy_protocol: true}]\n${policy}`)
  return { v, port }
}

const LANES = 8
export const MARK = 'poison'
/** Sends each name with the mark on a URL of its own, and a victim behind; what the attacker's own answer was, by name. */
export async function attackWithEach(t, port, names, value = () => MARK) {
  const attackers = Array.from({ length: LANES }, (_, i) => byteClient(t, port, { from: `198.51.100.${i + 1}` }))
  const victims = Array.from({ length: LANES }, (_, i) => byteClient(t, port, { from: `203.0.113.${i + 1}` }))
  const seen = new Map()
  await spread(names, LANES, async (name, at, lane) => {
    const attack = await attackers[lane].ask(`/n/${at}`, [...Object.entries(BROWSER), [name, value(name)]])
    const victim = await victims[lane].ask(`/n/${at}`, BROWSER)
    assert.equal(victim.status, 200, name)
    assert.ok(!JSON.stringify(victim).includes(MARK), `${name} reached the victim: ${victim.body}`)
    seen.set(name, { attack, victim })
  })
  return seen
}
export const namesWhere = (seen, check) => [...seen].filter(([, { attack, victim }]) => check(attack, victim)).map(([name]) => name).sort()
