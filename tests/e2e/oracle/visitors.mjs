// Visitors of all kinds at once. Each remembers what it sent, and judges what comes back.
import http from 'node:http'
import zlib from 'node:zlib'
import { readBody } from './renderer.mjs'
import { sleep } from './random.mjs'

const languages = [undefined, 'en', 'fr', 'de', 'fr-CH, fr;q=0.9, en;q=0.8', 'pt, de;q=0.5', 'nl', 'en-GB,en;q=0.9']
const reduced = { en: 'en', fr: 'fr', de: 'de', 'fr-CH, fr;q=0.9, en;q=0.8': 'fr', 'pt, de;q=0.5': 'de', nl: 'en', 'en-GB,en;q=0.9': 'en' }
const accepts = ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json', undefined]
const reducedAccept = { 'text/html,application/xhtml+xml,*/*;q=0.8': 'text/html,*/*;q=0.8' }

/** What a visitor of this kind sends; `who` is theirs alone. */
function fieldsOf(kind, who, random) {
  const headers = { cookies: {} }
  headers['accept-language'] = random.pick(languages)
  headers['accept'] = random.chance(0.7) ? accepts[0] : random.pick(accepts)
  headers['accept-encoding'] = random.pick([undefined, 'gzip', 'gzip, br', 'br', 'identity'])
  headers['x-flavor'] = random.pick([undefined, undefined, 'sweet', 'sour'])
  if (random.chance(0.3)) headers.cookies._ga = who
  if (kind === 'kept' || random.chance(0.1)) headers.cookies.ab = random.pick(['a', 'b'])
  if (kind === 'kept' && random.chance(0.3)) headers.cookies.theme = random.pick(['dark', 'light'])
  if (kind === 'person') headers.cookies[random.pick(['sid', 'sid', 'other_session'])] = who
  if (kind === 'token') headers.authorization = `Bearer ${who}`
  return headers
}

function headersOf(fields, host) {
  const { cookies, ...headers } = fields
  const cookie = Object.entries(cookies).map(([n, v]) => `${n}=${v}`).join('; ')
  const all = { ...headers, host, cookie: cookie || undefined }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** Why this cannot be the answer to what was sent; nothing if it can. */
function objection(sent, made) {
  const { fields, page } = sent
  const isOwn = (value, own, reducedTo) => value === null || value === (own ?? null) || value === reducedTo
  const lang = fields['accept-language']
  if (made.page !== page.name) return 'another page'
  if (made.method !== (sent.method === 'POST' ? 'POST' : 'GET')) return 'another method'
  const person = fields.cookies.sid ?? fields.authorization ?? null
  if (made.person !== person) return 'another person'
  if (!isOwn(made.lang, lang, lang === undefined ? 'en' : reduced[lang])) return 'another language'
  if (!isOwn(made.flavor, fields['x-flavor'])) return 'another flavor'
  const isWithheld = made.flavor === null && sent.mayBeStrict()
  if (made.declared.includes('X-Flavor') && !isWithheld && made.flavor !== (fields['x-flavor'] ?? null)) return 'not this flavor'
  const accept = fields.accept ?? null
  if (made.accept !== accept && made.accept !== (reducedAccept[accept] ?? accept)) return 'another representation'
  for (const [name, value] of Object.entries(made.cookies)) if (fields.cookies[name] !== value) return `another's cookie ${name}`
  if (made.cookies.ab !== fields.cookies.ab) return 'another kept cookie'
  if (made.version < sent.floor) return 'from before a purge'
  if (made.version > sent.newest()) return 'from the future'
}

function outcomeOf(res) {
  const status = res.headers['cache-status'] ?? ''
  const ttl = /; hit; ttl=(-?\d+)/.exec(status)
  if (ttl) return Number(ttl[1]) < 0 ? 'stale' : 'hit'
  const forwarded = `fwd ${/fwd=([a-z-]+)/.exec(status)?.[1]}`
  if (forwarded !== 'fwd stale') return /collapsed/.test(status) ? 'collapsed' : forwarded
  return /collapsed/.test(status) ? 'collapsed' : /fwd-status=304/.test(status) ? 'revalidated' : forwarded
}

function decoded(res) {
  const coding = res.headers['content-encoding']
  if (coding === 'gzip') return zlib.gunzipSync(res.bytes)
  if (coding === 'br') return zlib.brotliDecompressSync(res.bytes)
  if (coding) throw new Error(`coding ${coding}`)
  return res.bytes
}

export class Visitor {
  constructor(site, kind, who, random, port) {
    Object.assign(this, { site, kind, who, random, port })
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  }

  async visitUntil(isOver) {
    for (let n = 0; !isOver(); n++) {
      await this.visit(n)
      await sleep(5 + this.random.int(25))
    }
    this.agent.destroy()
  }

  compose(n) {
    const { random, site } = this
    const page = random.favourite(site.pages)
    const from = Date.now()
    const isPost = this.kind !== 'kept' && random.chance(0.03)
    const sent = {
      page,
      n,
      who: this.who,
      method: isPost ? 'POST' : random.chance(0.1) ? 'HEAD' : 'GET',
      fields: fieldsOf(this.kind, this.who, random),
      target: page.target,
      newest: () => site.versions.get(page.name),
      mayBeStrict: () => site.strictUntil > from,
    }
    if (random.chance(0.03)) sent.leavesAfter = random.int(40)
    if (random.chance(0.03)) sent.isSlow = true
    if (random.chance(0.1)) sent.target += `${page.target.includes('?') ? '&' : '?'}utm_source=${this.who}`
    if (random.chance(0.15) && site.etags.size && !isPost)
      sent.fields['if-none-match'] = `"${random.pick([...site.etags.entries()].filter(([, made]) => made.page === page.name).map(([etag]) => etag)) ?? 'v0.none'}"`
    /* What is asked about each time is never older than the question. */
    sent.floor = /^\/m\//.test(page.target) ? site.versions.get(page.name) : (site.floors.get(page.name) ?? 0)
    return sent
  }

  async visit(n) {
    const sent = this.compose(n)
    const span = { page: sent.page.name, from: Date.now(), method: sent.method, who: this.who, n }
    const res = await this.ask(sent)
    span.to = Date.now()
    if (res.hasLeft) {
      this.site.count('left early')
    } else if (res.error) {
      this.site.unanswered.push({ ...span, error: res.error, sent: { target: sent.target, fields: sent.fields } })
      this.site.count('unanswered')
    } else if (res.aborted) {
      this.site.aborted.push({ ...span, status: res.status, cacheStatus: res.headers['cache-status'], bytes: res.bytes.length })
      this.site.count('aborted')
    } else {
      this.judge(sent, res)
    }
  }

  /** As browsers do: a connection that was closed while idle is tried anew, once. POST always takes a new one. */
  async ask(sent) {
    const agent = sent.method === 'POST' || this.random.chance(0.3) ? false : this.agent
    const res = await this.once(sent, agent)
    if (!res.error || !res.reused) return res
    this.site.count('reused connection was closed')
    return this.once(sent, false)
  }

  once(sent, agent) {
    return new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: this.port, path: sent.target, method: sent.method, agent, headers: headersOf(sent.fields, sent.page.host) }
      const req = http.request(options, (res) => {
        const chunks = []
        const done = (aborted) => {
          clearTimeout(timer)
          resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.concat(chunks), aborted })
        }
        res.on('data', (chunk) => {
          chunks.push(chunk)
          if (!sent.isSlow) return
          res.pause()
          setTimeout(() => res.resume(), 20)
        })
        res.on('end', () => done(!res.complete))
        res.on('error', () => done(true))
      })
      if (sent.leavesAfter !== undefined)
        setTimeout(() => {
          clearTimeout(timer)
          req.destroy()
          resolve({ hasLeft: true })
        }, sent.leavesAfter)
      const timer = setTimeout(() => req.destroy(new Error('no answer in 40 s')), 40000)
      req.on('error', (error) => {
        clearTimeout(timer)
        resolve({ error: error.code ?? error.message, reused: req.reusedSocket })
      })
      req.end(sent.method === 'POST' ? 'text=hello' : undefined)
    })
  }

  judge(sent, res) {
    const { site } = this
    const complain = (what, made) =>
      site.violation(what, { made, sent: { ...sent, newest: sent.newest() }, status: res.status, headers: res.headers })
    const outcome = outcomeOf(res)
    site.count(outcome)
    site.count(`status ${res.status}`)
    if (this.kind === 'person' || this.kind === 'token')
      if (['hit', 'stale', 'collapsed', 'revalidated'].includes(outcome)) complain('a logged-in person was answered from the cache')
    if (res.status >= 500) return
    if (res.status === 304) return this.judgeNotModified(sent, res, complain)
    if (res.status !== 200) return complain('an unexpected status')
    let made
    try {
      made = sent.method === 'HEAD' ? JSON.parse(res.headers['x-made-of']) : readBody(decoded(res).toString())
      if (JSON.stringify(made) !== res.headers['x-made-of']) return complain('head and body of different renders', made)
    } catch (error) {
      return complain(error.message)
    }
    const why = objection(sent, made)
    if (why) complain(why, made)
    this.remember(sent, made, complain)
  }

  judgeNotModified(sent, res, complain) {
    const made = this.site.etags.get(/v\d+\.[0-9a-f]{12}/.exec(sent.fields['if-none-match'] ?? '')?.[0])
    const why = made ? objection({ ...sent, method: 'GET' }, made) : 'a 304 that nobody asked for'
    if (why) complain(`304: ${why}`, made)
  }

  remember(sent, made, complain) {
    const { site } = this
    if (made.shareable && made.method === 'GET') site.etags.set(made.etag, made)
    if (!made.shareable || made.method === 'POST') {
      const other = site.onlyOnce.get(made.id)
      if (other) complain(`an answer for one alone came twice: also to ${other}`, made)
      site.onlyOnce.set(made.id, `${this.who} ${sent.n}`)
    }
    if (sent.method === 'POST' && /^\/w\//.test(sent.page.target)) site.promise(sent.page.name, made.version)
  }
}
