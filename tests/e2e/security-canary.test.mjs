// Two people who are logged in, and one who is not, wander over 100 random routes with random policies, at a renderer that writes
// into each page whom it is for and calls what it likes public. Nobody ever sees anybody else's name: in no body, no field, no cookie.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { outcome, renderer, tempDir, tlsListener, varve } from './lib.mjs'
import { BROWSER, byteClient, crumbClient, spread } from './hostile.mjs'
import { seeded } from './oracle/random.mjs'

const SEED = Number(process.env.CANARY_SEED ?? Date.now() % 1000000)
const [ROUTES, REQUESTS] = [100, 1500]
const NAMES = ['canary-anna', 'canary-berta']

/** A route's policy, as YAML; `isOwn`: who is logged in gets pages of his own there. */
function randomRoute(random, n) {
  const words = [`match: "/r${n}/**"`]
  const whenLoggedIn = random.pick(['pass', 'pass', 'pass', 'cache', 'shell'])
  const isIgnoring = random.chance(0.1)
  words.push(...random.pick([[], [], ['ttl: 1m'], ['ttl: 1s'], ['ttl: {force: 1m}'], ['status_ttl: {200: 1m, 404: 10s}'], ['cache: never']]))
  words.push(...random.pick([[], ['stale: 1m'], ['stale: {while_revalidate: 1m, if_error: 1m, force: true}'], ['stale: response']]))
  words.push(...random.pick([[], [], ['query: {keep: [q]}'], ['query: {drop: [x], sort: true}']]))
  words.push(...random.pick([[], [], ['store_statuses: rfc']]), ...random.pick([[], [], ['invalidate: rfc'], ['invalidate: never']]))
  words.push(...random.pick([[], ['client_cache: none'], ['tags: ["t"]']]), ...random.pick([[], ['on_failure: [stale, shell]'], ['keep_old: 1m']]))
  words.push(`when_logged_in: ${whenLoggedIn}`, ...(isIgnoring ? ['cookies: ignore'] : []))
  return { yaml: `{${words.join(', ')}}`, whenLoggedIn, isIgnoring }
}

/** What the renderer's answers on a page are like; the same each time, but for whom they are. */
function randomManners(random) {
  return {
    cacheControl: random.pick([undefined, undefined, 'public, max-age=60', 'public, max-age=1', 's-maxage=60', 'public, max-age=60, must-revalidate', 'max-age=0', 'private', 'no-store',
      'no-cache', 'public, max-age=1, stale-while-revalidate=60', 'public, max-age=60, stale-if-error=60']),
    vary: random.pick([undefined, undefined, undefined, 'Cookie', 'Authorization', 'Accept-Language', 'Cookie, Accept-Encoding', '*']),
    etag: random.pick([undefined, '"same for all"', 'W/"same for all"']),
    setsCookie: random.pick([undefined, undefined, undefined, undefined, 'session', 'analytics', 'kept']),
    status: random.pick([200, 200, 200, 200, 200, 404, 302, 500]),
    at: random.pick(['body', 'body', 'field']),
  }
}

const cookiesOf = (req) => Object.fromEntries((req.headers.cookie ?? '').split(/; */).map((c) => [c.split('=')[0], c.slice(c.indexOf('=') + 1)]))

/** Whom the request is from, for a renderer that asks the cookie, then Authorization. */
const personOf = (req) => cookiesOf(req).session ?? /Bearer (.*)/.exec(req.headers.authorization ?? '')?.[1] ?? 'nobody'

const answerLike = (pages) => (req, res, n) => {
  const manners = pages.get(req.url.split('?')[0])
  if (!manners) return res.writeHead(404).end()
  const [who, bucket] = [personOf(req), cookiesOf(req).bucket ?? 'none']
  const cookie = { session: `session=${who}; HttpOnly`, analytics: `_ga=${n}`, kept: `bucket=${bucket}` }[manners.setsCookie]
  const headers = { 'content-type': 'text/html', 'cache-control': manners.cacheControl, vary: manners.vary, etag: manners.etag, 'set-cookie': cookie, 'x-bucket': bucket,
    'x-for': manners.at === 'field' ? who : undefined, location: manners.status === 302 ? `/hello/${who}` : undefined }
  const isUnchanged = manners.etag && req.headers['if-none-match'] === manners.etag && manners.status === 200
  res.writeHead(isUnchanged ? 304 : manners.status, Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)))
  res.end(req.method === 'HEAD' || isUnchanged ? undefined : `<p>for ${manners.at === 'body' ? who : 'you'}, bucket=${bucket}, render ${n}</p>`)
}

/** A request of one of the three, with things beside that change nothing. */
function randomRequest(random, targets) {
  const who = random.pick(['canary-anna', 'canary-berta', undefined, undefined])
  const bucket = random.pick([undefined, undefined, 'red', 'blue'])
  const analytics = random.pick([[], [], ['_ga=GA1.2.3'], ['_gid=9', 'OptanonConsent=yes'], ['_fbp=fb.1']])
  const isByHeader = who && random.chance(0.3)
  const cookies = [...analytics, ...(bucket ? [`bucket=${bucket}`] : []), ...(who && !isByHeader ? [`session=${who}`] : [])]
  const fields = { ...BROWSER, ...(isByHeader ? { authorization: `Bearer ${who}` } : {}) }
  if (cookies.length) fields.cookie = cookies.sort(() => random.int(3) - 1).join('; ')
  if (random.chance(0.1)) fields['if-none-match'] = random.pick(['"same for all"', 'W/"same for all"', '*'])
  if (random.chance(0.1)) fields['accept-language'] = random.pick(['fr', 'de'])
  if (random.chance(0.05)) fields.range = 'bytes=0-20'
  if (random.chance(0.05)) fields['cache-control'] = 'no-cache'
  return { who, bucket, fields, method: random.chance(0.03) ? 'POST' : 'GET', target: random.pick([random.favourite(targets), random.pick(targets)]) + random.pick(['', '', '', '?q=1', '?x=2']) }
}

for (const [how, lines, isByCrumbs] of [
  ['as it comes', ''],
  ['seal: strict', 'seal: strict\n'],
  ['seal: off', 'seal: off\n'],
  ['with a list of cookies that log in', 'identity: {logged_in: {cookies: [session]}}\n'],
  ['over HTTP/2, each cookie a field of its own', '', true],
])
  test(`2.6 nobody sees another's name over ${ROUTES} random routes, ${how} (CANARY_SEED=${SEED})`, async (t) => {
    const random = seeded(SEED)
    const dir = tempDir(t)
    writeFileSync(`${dir}/shell.html`, '<!doctype html><title>shell</title>')
    const routes = Array.from({ length: ROUTES }, (_, n) => randomRoute(random, n))
    const targets = routes.flatMap((_, n) => [`/r${n}/a`, `/r${n}/b`])
    const pages = new Map(targets.map((target) => [target, randomManners(random)]))
    const origin = await renderer(t, answerLike(pages))
    const tls = isByCrumbs && (await tlsListener(dir))
    const v = await varve(t, `${tls ? tls.yaml : ''}origins: {renderer: {workers: ["${origin.url}"], client_wait: 60s}}\nshell: {file: ${dir}/shell.html}\nvary: {cookie: {keep: [bucket]}}\n${lines}routes:\n${routes.map((r) => `  - ${r.yaml}\n`).join('')}`, { dir })
    const clients = await Promise.all(Array.from({ length: 8 }, () => (tls ? crumbClient(t, tls.port) : byteClient(t, v.port))))
    const counts = { hit: 0, own: 0 }
    await spread(Array.from({ length: REQUESTS }), 8, async (_, at, lane) => {
      const { who, bucket, fields, method, target } = randomRequest(random, targets)
      const res = await clients[lane].ask(target, fields, { method, body: method === 'POST' ? 'a=b' : undefined })
      const what = `${at}: ${method} ${target} ${JSON.stringify(fields)} → ${JSON.stringify(res)} on ${routes[Number(/\d+/.exec(target)[0])].yaml}`
      assert.ok(res?.status, what)
      const text = JSON.stringify(res)
      for (const name of NAMES) if (name !== who) assert.ok(!text.includes(name), what)
      const seenBucket = /bucket=(red|blue|none)/.exec(res.body)?.[1]
      const route = routes[Number(/\d+/.exec(target)[0])]
      if (seenBucket && !route.isIgnoring) assert.equal(seenBucket, bucket ?? 'none', what)
      counts.hit += outcome(res) === 'hit'
      const isOwn = who !== undefined && text.includes(who)
      counts.own += isOwn
      if (isOwn) assert.notEqual(outcome(res), 'hit', what)
      const manners = pages.get(target.split('?')[0])
      if (who && route.whenLoggedIn === 'pass' && (!route.isIgnoring || fields.authorization) && manners.at === 'body' && res.status === 200 && !fields.range) assert.ok(isOwn, what)
    })
    t.diagnostic(`CANARY_SEED=${SEED}: ${JSON.stringify(counts)}`)
    assert.ok(counts.hit > 10 && counts.own > 20, `the walk met nobody: ${JSON.stringify(counts)}`)
  })
