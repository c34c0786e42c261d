// Runs the cases of tests/data/conformance, all at a time, each on a URL of its own against one varve in the profile of semantics 10.5:
// the plain cache of RFC 9111 that none of the defaults for pages stands before.
import assert from 'node:assert/strict'
import http from 'node:http'
import { h2 } from '../wire.mjs'
import { tempDir, tlsListener, until, varve } from '../lib.mjs'
import { conformanceOrigin } from './origin.mjs'
import { dateText } from './words.mjs'

export const PROFILE = [
  'seal: off',
  'identity: {logged_in: none}',
  'vary: {accept-language: {sort: true}}',
  'compress: {codings: []}',
  'routes: [{match: "/**", error_max: none, store_statuses: rfc, store_set_cookie: true, invalidate: rfc, post: rfc}]',
].join('\n')

/** The profile with one more setting of its route, or another one. */
export const profileWith = (route) => {
  const kept = PROFILE.replace(new RegExp(`, ${route.split(':')[0]}: [^,}]+`), '')
  return kept.replace('/**"', `/**", ${route}`)
}

/** `text` with the case's own addresses, and dates as text. */
function filled(value, scene) {
  if (value?.isDate) return dateText((value.isNow ? Date.now() : scene.began) + value.seconds * 1000, value.form)
  if (typeof value === 'string')
    return value.replaceAll('$URL', scene.origin + scene.path).replaceAll('$PATH', scene.path).replaceAll('$ORIGIN', scene.origin).replaceAll('$HOST', scene.origin.slice('http://'.length))
  if (Array.isArray(value)) return value.map((one) => filled(one, scene))
  if (value && typeof value === 'object' && !(value instanceof RegExp))
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, scene)]))
  return value
}

function overHttp1(port, agent, { method, target, headers, body }) {
  return new Promise((resolve, reject) => {
    const interim = []
    const req = http.request({ host: '127.0.0.1', port, agent, method, path: target, headers }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('error', () => resolve({ status: res.statusCode, headers: res.headers, isCut: true }))
      res.on('end', () => {
        const { statusCode: status, headers: fields, rawHeaders, trailers } = res
        resolve({ status, headers: fields, rawHeaders, trailers, interim, body: Buffer.concat(chunks).toString('latin1') })
      })
    })
    req.on('information', ({ statusCode: status, headers: fields }) => interim.push({ status, headers: fields }))
    req.on('error', reject)
    req.end(body)
  })
}

function overHttp2(session, authority, { method, target, headers, body }) {
  const always = { ':method': method, ':path': target, ':authority': authority, 'x-forwarded-proto': 'http' }
  const res = { interim: [], trailers: {}, chunks: [] }
  return new Promise((resolve) => {
    const stream = session.request({ ...always, ...headers }, { endStream: body === undefined })
    stream.on('headers', (fields) => res.interim.push({ status: fields[':status'], headers: fields }))
    stream.on('response', (fields) => Object.assign(res, { status: fields[':status'], headers: fields }))
    stream.on('data', (chunk) => res.chunks.push(chunk))
    stream.on('error', () => {})
    stream.on('close', () => resolve({ ...res, body: Buffer.concat(res.chunks).toString('latin1'), isCut: stream.rstCode !== 0 }))
    if (body !== undefined) stream.end(body)
  })
}

const show = (value) => (value === undefined ? 'absent' : JSON.stringify(value))

function checkField(what, name, actual, expected) {
  const is =
    typeof expected === 'function' ? expected(actual)
      : expected instanceof RegExp ? actual !== undefined && expected.test(actual)
        : actual === expected
  const wanted = typeof expected === 'function' || expected instanceof RegExp ? String(expected) : show(expected)
  assert.ok(is, `${what} ${name}: ${show(actual)}, expected ${wanted}`)
}

const asText = (value) => (Array.isArray(value) ? value.join(', ') : value)

const linesOf = ({ headers, rawHeaders }, name) => rawHeaders === undefined ? [headers[name]].flat() : rawHeaders.filter((_, i) => i % 2 && rawHeaders[i - 1].toLowerCase() === name)

/** What a case has seen so far. */
class Scene {
  constructor(site, id) {
    this.site = site
    this.path = `/${id}`
    this.origin = site.varve.url
    this.began = Date.now()
    this.asked = [] /* in this step */
    this.bodies = [] /* of each step's answer */
    this.statuses = []
    this.last = undefined /* what was delivered last: {status, body} */
    this.dates = new Map() /* by body */
  }

  /** The origin's side. */
  answer(request) {
    this.asked.push(request)
    const scripts = this.scripts ?? []
    const script = scripts[Math.min(this.asked.length, scripts.length) - 1]
    if (script?.isHeld) return this.delivered.then(() => filled(script, this))
    return script ? filled(script, this) : { status: 200, headers: { 'cache-control': 'no-store' }, body: 'the origin was not to be asked' }
  }

  /** Runs the steps from `first` on, up to `end`. */
  async run(steps, first = 0, end = steps.length) {
    for (let index = first; index < end; index++) {
      const step = steps[index]
      try {
        if (step.wait) await new Promise((resolve) => setTimeout(resolve, step.wait * 1000))
        if (step.eventually) await this.retried(step, index)
        else await this.step(step, index)
      } catch (error) {
        throw new Error(`step ${index + 1}: ${error.message}\n${this.told ?? ''}`)
      }
    }
  }

  async retried(step, index) {
    const end = Date.now() + 60000
    for (;;) {
      try {
        return await this.step(step, index)
      } catch (error) {
        if (Date.now() > end) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  scriptsOf(step, index) {
    const body = `${this.path} step ${index + 1}`
    return (step.answers ?? (step.answer ? [step.answer] : [])).map((answer) => ({ body, ...answer }))
  }

  async step(step, index) {
    this.scripts = this.scriptsOf(step, index)
    this.bodies[index] = this.scripts[0]?.chunks?.join('') ?? this.scripts[0]?.body
    this.statuses[index] = this.scripts[0]?.status ?? 200
    this.asked = []
    const { method = 'GET', path = '', headers = {}, body } = filled(step, this)
    const what = { method, target: this.path + path, headers, body }
    let arrived
    this.delivered = new Promise((resolve) => (arrived = resolve))
    const all = await Promise.all(Array.from({ length: step.times ?? 1 }, () => this.site.send(what, step.over))).finally(() => arrived())
    const res = all.at(-1)
    this.told = this.describe(res)
    await this.check(filled(step, this), res, method, index)
  }

  describe(res) {
    const asked = this.asked.map((a) => `  asked: ${a.text.replaceAll('\r\n', ' | ')}`).join('\n')
    return `  answer: ${res.status} ${JSON.stringify(res.headers)} ${show(res.body?.slice(0, 200))}\n${asked}`
  }

  async check(step, res, method, index) {
    const answer = this.scripts[0]
    const { from } = step
    assert.ok(!res.isCut, 'the answer broke off')
    if (from === 'stale') await until(() => this.asked.length === 1, 'the question behind the answer')
    const isAsked = from === 'origin' || from === 'validated' || from === 'stale'
    const asked = step.asked ?? (from === undefined ? undefined : isAsked ? 1 : 0)
    if (asked !== undefined) assert.equal(this.asked.length, asked, 'questions to the origin')
    const expected = this.expected(step, answer, method)
    if (expected.status !== undefined) assert.equal(res.status, expected.status, 'status')
    if (expected.body !== undefined) assert.equal(res.body, expected.body, 'body')
    if (from === 'cache' || from === 'stale') checkField('field', 'age', res.headers.age, /^\d+$/)
    if (step.matches) assert.match(res.body, step.matches)
    if (step.age) checkField('field', 'age', Number(res.headers.age), (age) => age >= step.age[0] && age <= (step.age[1] ?? Infinity))
    for (const [name, value] of Object.entries(step.has ?? {})) checkField('field', name, asText(res.headers[name]), value)
    for (const [name, value] of Object.entries(step.lines ?? {})) assert.deepEqual(linesOf(res, name), value)
    for (const name of step.lacks ?? []) checkField('field', name, asText(res.headers[name]), undefined)
    for (const [name, value] of Object.entries(step.sent ?? {})) checkField('sent', name, this.asked[0]?.headers[name], value)
    if (step.sentLine) checkField('sent', 'request line', this.asked[0]?.text.split('\r\n')[0], step.sentLine)
    if (step.sentBody !== undefined) assert.equal(this.asked[0]?.body, step.sentBody, 'body sent')
    if (step.interim) assert.deepEqual(res.interim.map((i) => i.status), step.interim, 'interim answers')
    this.remember(res, method, from)
  }

  /** The Date of a hit is the one that came with the response, never the cache's own (http-caching §5). */
  remember(res, method, from) {
    const known = this.dates.get(res.body)
    if (from === 'cache' && known && res.body) checkField('field', 'date', res.headers.date, known)
    if (from !== 'origin' && this.asked.length) this.dates.clear() /* what was validated has a new one */
    if (from === 'stale') this.dates.delete(res.body)
    else this.dates.set(res.body, res.headers.date)
    if ((method !== 'HEAD' && res.status !== 304) || !this.last) this.last = { status: res.status, body: res.body }
  }

  expected({ from, status, gets, of }, answer, method) {
    status ??= from === 'origin' ? (answer?.status ?? 200) : of ? this.statuses[of - 1] : from ? this.last?.status : undefined
    if (!from || gets !== undefined) return { status, body: gets ?? undefined }
    if (method === 'HEAD' || status === 204 || status === 304) return { status, body: '' }
    if (of) return { status, body: this.bodies[of - 1] }
    return { status, body: from === 'origin' ? this.bodies.at(-1) : this.last?.body }
  }
}

/** For each rule the site that it needs; `site(rule)` is a promise. */
export function conformanceSites(t) {
  const sites = new Map()
  return ({ route = '' }) => {
    if (!sites.has(route)) sites.set(route, conformanceSite(t, route ? profileWith(route) : PROFILE))
    return sites.get(route)
  }
}

/** All cases at a time, and after them those that want to be alone: `test(case)` runs one. */
export async function eachCase(cases, test) {
  await Promise.all(cases.filter((one) => !one.isAlone).map(test))
  for (const one of cases.filter(({ isAlone }) => isAlone)) await test(one)
}

/** One varve in the profile with the scripted origin behind it; `run(id, steps)` runs a case. */
export async function conformanceSite(t, profile = PROFILE) {
  const scenes = new Map()
  const origin = await conformanceOrigin(t, (request) => scenes.get(request.target.split(/[/?]/)[1])?.answer(request) ?? { status: 404, body: '' })
  const dir = tempDir()
  const listener = await tlsListener(dir)
  const policy = `${listener.yaml}origins: {renderer: {workers: ["${origin.url}"], slots: 0, connections: 256, revalidate_max: 100, client_wait: 60s}}\n${profile}\n`
  const v = await varve(t, policy, { dir })
  const agent = new http.Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  let second
  const site = {
    varve: v,
    send: async (what, over) => {
      if (over !== 'h2') return overHttp1(v.port, agent, what)
      second ??= h2(t, listener.port)
      return overHttp2((await second).session, `127.0.0.1:${v.port}`, what)
    },
    scene: (id) => {
      const scene = new Scene(site, id)
      scenes.set(id, scene)
      return scene
    },
    run: (id, steps) => site.scene(id).run(steps),
  }
  return site
}
