// Known attacks on caches, replayed (tests/data/cve_requests.json) at a renderer that does what the attacked ones did, and calls all of
// it public. What a visitor then gets is byte for byte what he would have got without the attack.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderer } from './lib.mjs'
import { BROWSER, byteClient, cveRequests, spread, withStrangers } from './hostile.mjs'

/*
 * A row: {id, product, about}
 *   attack {headers: [[name, value]], target, host, method, body}   {path} and {host} stand for those of the visitor
 *   only: the attack's fields take the place of a browser's of the same name, where they else are lines beside them
 *   naive {when: {field: regular expression}, answer}   what the renderer then says; ":target" and ":body" are fields too
 *   page   what it says to everybody else; by default a page that names its URL
 *   direct  fields of an attack past varve, where the attack is on what varve does
 */
const ROWS = cveRequests()
const PUBLIC = { 'content-type': 'text/html', 'cache-control': 'public, max-age=60' }
const pathOf = (at) => `/row/${at}`
const rowOf = (target) => ROWS[Number(/\/row\/(\d+)/.exec(target)[1])]

const seenField = (req, body, name) => (name === ':target' ? req.url : name === ':body' ? body : req.headers[name]) ?? ''
const fill = (text, get) => text.replace(/\{([a-z:][a-z0-9:_-]*)\}/g, (whole, name) => get(name) ?? whole)

/** Answers as the attacked ones did. `plain`: fields of a page without a lifetime of its own. */
const naive = (plain) => (req, res, n, body) => {
  const { naive: { when, answer }, page = { body: `<p>page of ${req.headers.host}${req.url}</p>` } } = rowOf(req.url)
  const isHit = Object.entries(when).every(([name, pattern]) => new RegExp(pattern).test(seenField(req, body, name)))
  const say = isHit ? { status: 200, ...answer, headers: { ...PUBLIC, ...answer.headers } } : { status: 200, ...page, headers: { ...plain, ...page.headers } }
  const filled = (text) => fill(text, (name) => seenField(req, body, name))
  res.writeHead(say.status, Object.fromEntries(Object.entries(say.headers).map(([name, value]) => [name, filled(value)])))
  res.end(filled(say.body))
}

const plainValue = (value) => (typeof value === 'string' ? value : value.repeat.repeat(value.times))

/** The attack on a visitor of `host`, as arguments of ask(). */
function attackOn(row, at, host, headers = row.attack.headers ?? []) {
  const { attack, only } = row
  const names = headers.map(([name]) => name.toLowerCase())
  const browser = Object.entries(BROWSER).filter(([name]) => !only || !names.includes(name))
  const filled = (text) => fill(text, (name) => ({ path: pathOf(at), host })[name])
  return [filled(attack.target ?? '{path}'), [...browser, ...headers.map(([name, value]) => [name, plainValue(value)])],
    { method: attack.method, body: attack.body, hostLine: `Host: ${filled(attack.host ?? '{host}')}\r\n` }]
}

/** What a visitor sees of an answer: not when and by which way it came. */
const OF_THE_WAY = ['date', 'age', 'via', 'cache-status', 'server-timing', 'connection', 'keep-alive', 'content-length', 'transfer-encoding', 'vary', 'server']
const visible = (answer) => ({
  status: answer?.status,
  headers: Object.fromEntries(Object.entries(answer?.headers ?? {}).filter(([name]) => !OF_THE_WAY.includes(name))),
  body: answer?.body,
})
const isSame = (a, b) => JSON.stringify(visible(a)) === JSON.stringify(visible(b))
const HOST_LINE = (host) => ({ hostLine: `Host: ${host}\r\n` })

test('the attacks work on the naive renderer itself', async (t) => {
  const origin = await renderer(t, naive(PUBLIC))
  const client = byteClient(t, origin.port)
  assert.ok(ROWS.length >= 90 && ROWS.filter((row) => row.id.startsWith('CVE-')).length >= 40)
  for (const [at, row] of ROWS.entries()) {
    const ours = [['X-Forwarded-Host', 'a.example'], ['X-Forwarded-Proto', 'http']]
    const visit = await client.ask(pathOf(at), [...Object.entries(BROWSER), ...ours], HOST_LINE('a.example'))
    const attack = await client.ask(...attackOn(row, at, 'a.example', row.direct))
    assert.ok(visit.status < 400, row.id)
    assert.ok(!isSame(visit, attack), `${row.id}: no attack`)
  }
})

for (const [how, policy, headers] of [
  ['seal: standard', 'routes: [{match: "/**", query: {keep: [q]}}]\n', PUBLIC],
  ['seal: strict', 'seal: strict\nroutes: [{match: "/**", query: {keep: [q]}}]\n', PUBLIC],
  ['a route with ttl', 'routes: [{match: "/**", ttl: 1m, query: {keep: [q]}}]\n', { 'content-type': 'text/html' }],
])
  test(`replayed attacks change nobody else's page: ${how}`, async (t) => {
    const origin = await renderer(t, naive(headers))
    const { port } = await withStrangers(t, `renderer: ${origin.url}\n${policy}`)
    const attackers = Array.from({ length: 4 }, (_, i) => byteClient(t, port, { from: `198.51.100.${i + 1}` }))
    const visitors = Array.from({ length: 4 }, (_, i) => byteClient(t, port, { from: `203.0.113.${i + 1}` }))
    const direct = Array.from({ length: 4 }, () => byteClient(t, origin.port))
    const changed = []
    await spread(ROWS, 4, async (row, at, lane) => {
      const visit = (host) => visitors[lane].ask(pathOf(at), BROWSER, HOST_LINE(host))
      const attack = async (host) => {
        for (let i = 0; i < 3; i++) await attackers[lane].ask(...attackOn(row, at, host))
      }
      const expected = (host) => direct[lane].ask(pathOf(at), { ...BROWSER, 'x-forwarded-host': host, 'x-forwarded-proto': 'http' }, HOST_LINE(host))
      const note = (answer, wanted, when) => isSame(answer, wanted) || changed.push(`${row.id}, ${when}: ${JSON.stringify(visible(answer))}`)

      const cold = await expected('cold.example')
      await attack('cold.example') // nobody has been there before
      note(await visit('cold.example'), cold, 'cold')
      note(await visit('cold.example'), cold, 'cold, again')

      const warm = await expected('warm.example')
      note(await visit('warm.example'), warm, 'before')
      await attack('warm.example')
      note(await visit('warm.example'), warm, 'warm')
    })
    assert.deepEqual(changed, [])
  })
