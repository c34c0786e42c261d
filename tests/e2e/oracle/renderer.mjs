// The oracle's renderer: each page says what it was made of. Its class, the first segment of the path, decides what it reads and
// what it tells the cache; faults come at random. Runs in the test's process, and as a process of its own (below) that is killed.
import { createHash } from 'node:crypto'
import http from 'node:http'
import zlib from 'node:zlib'
import { seeded, sleep } from './random.mjs'

const digest = (text) => createHash('sha1').update(text).digest('hex')

/** Without what the policy drops: the name under which a page's version is kept. */
export function pageName(host, target) {
  const url = new URL(target, 'http://x')
  const query = [...url.searchParams].filter(([name]) => !name.startsWith('utm_')).map(([n, v]) => `${n}=${v}`).sort()
  return host + url.pathname + (query.length ? '?' + query.join('&') : '')
}

export const cookiesOf = (text) => Object.fromEntries((text ?? '').split('; ').filter(Boolean).map((c) => c.split('=')))

/** Which request fields a class reads; those with `declares` it names in Vary, as often as `declares` says. */
export const classes = {
  p: { lang: true, declares: 0.5, sealed: true }, // the route has a ttl: reads what it gets and may forget to say so
  f: { lang: true, flavor: true, declares: 1, sealed: true }, // a Vary that the policy does not know: learned, but for a strict seal
  v: { lang: true, declares: 1, control: ['max-age=1', 'max-age=3', 's-maxage=2', 'max-age=1, stale-while-revalidate=5'] },
  t: { control: ['max-age=20'], tags: true },
  q: { sealed: true },
  n: { control: ['no-store', 'private', 'max-age=1', 'max-age=1', 'cookie'] }, // not for everybody, and sometimes it is
  l: { sealed: true, large: true },
  w: { control: ['max-age=20'] }, // POST purges it hard
  m: { lang: true, declares: 1, control: ['no-cache'], tags: true }, // asked about each time
}

function read(kind, req, random) {
  const declares = random.chance(kind.declares ?? 0)
  const may = declares || kind.sealed
  return {
    lang: kind.lang && may ? (req.headers['accept-language'] ?? null) : null,
    flavor: kind.flavor && may ? (req.headers['x-flavor'] ?? null) : null,
    declared: declares ? [kind.lang && 'Accept-Language', kind.flavor && 'X-Flavor'].filter(Boolean) : [],
  }
}

const person = (req) => cookiesOf(req.headers.cookie).sid ?? req.headers.authorization ?? null

function describe(kind, req, random, id, version) {
  const control = kind.control ? random.pick(kind.control) : null
  const made = {
    page: pageName(req.headers.host, req.url),
    method: req.method === 'HEAD' ? 'GET' : req.method,
    ...read(kind, req, random),
    cookies: cookiesOf(req.headers.cookie),
    accept: req.headers.accept ?? null,
    person: person(req),
    shareable: !['no-store', 'private', 'cookie'].includes(control),
  }
  return { control, made: { ...made, etag: `v${version}.${digest(JSON.stringify(made)).slice(0, 12)}`, version, id } }
}

function headersOf(kind, made, control) {
  const headers = { 'content-type': made.accept === 'application/json' ? 'application/json' : 'text/html' }
  if (control && control !== 'cookie') headers['cache-control'] = control
  if (control === 'cookie') headers['set-cookie'] = `token=${made.id}`
  if (kind.tags) headers['surrogate-key'] = tagOf(made.page)
  if (made.declared.length) headers.vary = made.declared.join(', ')
  if (made.shareable) headers.etag = `"${made.etag}"`
  return headers
}

export const tagOf = (name) => `tag${Number(/\d+/.exec(name.split('/').pop())) % 3}`

/** Body: what it was made of, padding, checksum. */
function bodyOf(kind, made, random) {
  const length = kind.large ? 100000 + random.int(400000) : random.chance(0.1) ? random.int(60000) : random.int(2000)
  const text = JSON.stringify(made) + '\n' + `${made.id} `.repeat(length / (made.id.length + 1)) + '\n#'
  return text + digest(text)
}

export function readBody(text) {
  const at = text.lastIndexOf('\n#') + 2
  if (at < 2 || digest(text.slice(0, at)) !== text.slice(at)) throw new Error(`broken body of ${text.length} characters`)
  return JSON.parse(text.slice(0, text.indexOf('\n')))
}

async function send(res, body, kind, random) {
  const parts = kind.large || random.chance(0.2) ? 2 + random.int(6) : 1
  const size = Math.ceil(body.length / parts)
  for (let at = 0; at < body.length; at += size) {
    if (parts > 1) await sleep(random.int(10))
    if (!res.write(body.subarray(at, at + size)) && !res.destroyed) await new Promise((r) => res.once('drain', r).once('close', r))
  }
  res.end()
}

/** `version(page, bump)` → number, at the moment of rendering; `broke(page)` tells that the answer under way breaks off. */
export function oracleRenderer({ name, random, version, broke }) {
  let renders = 0
  return async (req, res) => {
    res.on('error', () => {})
    const page = pageName(req.headers.host, req.url)
    const kind = classes[page.split('/')[1]] ?? {}
    const fault = random.next()
    if (random.chance(0.05)) await sleep(random.int(300))
    else await sleep(random.int(15))
    if (fault < 0.01) return void req.socket.resetAndDestroy()
    if (fault < 0.04) return void res.writeHead(random.pick([500, 503]), { 'content-type': 'text/plain' }).end('no page today')
    if (fault < 0.042) return // hangs before the head
    const id = `${name}-${++renders}`
    const { made, control } = describe(kind, req, random, id, await version(page, req.method === 'POST'))
    const headers = headersOf(kind, made, control)
    const asked = /v\d+\.[0-9a-f]{12}/.exec(req.headers['if-none-match'] ?? '')?.[0]
    if (asked && made.shareable && asked === made.etag) {
      const { 'content-type': _, ...rest } = headers
      return void res.writeHead(304, rest).end()
    }
    headers['x-made-of'] = JSON.stringify(made)
    let body = Buffer.from(bodyOf(kind, made, random))
    if (/gzip/.test(req.headers['accept-encoding'] ?? '') && random.chance(0.5)) {
      body = zlib.gzipSync(body)
      headers['content-encoding'] = 'gzip'
      if (headers.etag) headers.etag = `W/${headers.etag}`
    }
    if (random.chance(0.5)) headers['content-length'] = body.length
    res.writeHead(200, headers)
    if (req.method === 'HEAD') return void res.end()
    if (fault < 0.06) {
      broke(page)
      res.write(body.subarray(0, random.int(body.length)))
      if (fault < 0.043) return // hangs inside the body
      return void setTimeout(() => req.socket.destroy(), random.int(20))
    }
    await send(res, body, kind, random)
  }
}

/** `node renderer.mjs NAME PORT SEED`: versions are asked from the parent. */
if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [, , name, port, seed] = process.argv
  const questions = new Map()
  process.on('message', ({ question, version }) => questions.get(question)(version))
  process.on('disconnect', () => process.exit())
  const version = (page, bump) =>
    new Promise((resolve) => {
      const question = questions.size
      questions.set(question, resolve)
      process.send({ question, page, bump })
    })
  const render = oracleRenderer({ name, random: seeded(Number(seed)), version, broke: (page) => process.send({ broke: page }) })
  http.createServer((req, res) => req.resume().on('end', () => render(req, res))).listen(Number(port), '127.0.0.1', () => process.send({ ready: true }))
}
