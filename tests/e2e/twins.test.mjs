// The data that a framework gives for a page at a URL of its own goes with the page when that is purged (semantics 6.4).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, outcome, page, renderer, request, until, varve } from './lib.mjs'

const MINUTE = { 'cache-control': 'max-age=60, stale-while-revalidate=60' }
const TWINS = ['{path}?_rsc', '/_next/data/*/index.json', '/_next/data/*{path}.json', '{path}.data', '{path}/__data.json', '{path}/_payload.json']
const OF_A = ['/a?_rsc=1', '/a?_rsc=2', '/a?page=2&_rsc=3', '/_next/data/b1/a.json', '/_next/data/b2/a.json?id=a', '/a.data', '/a/__data.json', '/a/_payload.json?5b']
const OTHERS = ['/a/b', '/a?page=2', '/a/b?_rsc=1', '/_next/data/b1/a/b.json', '/_next/data/b1/index.json', '/b.data', '/__data.json', '/a.database']

const site = (origin, twins = TWINS) =>
  `renderer: ${origin.url}\npurge: {methods: [PURGE], allow: [127.0.0.0/8], twins: ${JSON.stringify(twins)}}\nroutes: [{match: "/**"}]\n`

test('6.4 a purge of a page takes its data along, of every build and query, by command, API and PURGE, and nothing else', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, MINUTE))
  const v = await varve(t, site(origin))
  const ways = {
    command: async () => JSON.parse((await v.cli('purge', `${v.url}/a`, '--json')).stdout).purged,
    api: async () => JSON.parse((await v.admin('POST', '/v1/purge', { urls: [`${v.url}/a/`, `${v.url}/a`] })).body).purged,
    method: async () => (await request(`${v.url}/a`, { method: 'PURGE' })).status,
  }
  for (const [way, purge] of Object.entries(ways)) {
    for (const target of ['/a', ...OF_A, ...OTHERS]) await v.get(target)
    for (const target of ['/a', ...OF_A, ...OTHERS]) assert.equal(outcome(await v.get(target)), 'hit', `${way} ${target}`)
    assert.equal(await purge(), way === 'method' ? 200 : 1, 'twins are not counted')
    for (const target of ['/a', ...OF_A]) assert.notEqual(outcome(await v.get(target)), 'hit', `${way} ${target}`)
    for (const target of OTHERS) assert.equal(outcome(await v.get(target)), 'hit', `${way} ${target}`)
  }
})

test('6.4 a soft purge marks the data stale; a dry run and a policy without twins leave it alone', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, MINUTE))
  const v = await varve(t, site(origin))
  const { body } = await v.get('/a.data')
  await v.admin('POST', '/v1/purge', { urls: [`${v.url}/a`], dry_run: true })
  assert.equal(outcome(await v.get('/a.data')), 'hit')
  await v.cli('purge', `${v.url}/a`, '--soft')
  assert.equal((await v.get('/a.data')).body, body, 'stale, while it is refreshed')
  await until(async () => (await v.get('/a.data')).body !== body, 'it to be refreshed')
  v.write(site(origin, []))
  assert.equal((await v.cli('reload')).code, 0)
  await v.cli('purge', `${v.url}/a`)
  assert.equal(outcome(await v.get('/a.data')), 'hit')
})

test('6.4, 3.3 data whose render began before the purge is not stored', async (t) => {
  const old = gate()
  const origin = await renderer(t, async (req, res, n) => {
    if (n === 1) await old.promise
    page(res, n === 1 ? 'old' : 'new', MINUTE)
  })
  const v = await varve(t, site(origin))
  const first = v.get('/_next/data/b1/a.json')
  await until(() => origin.requests.length === 1, 'the render')
  await v.cli('purge', `${v.url}/a`)
  old.open()
  assert.equal((await first).body, 'old')
  assert.equal((await v.get('/_next/data/b1/a.json')).body, 'new')
})

test('6.1, 6.4 what a POST makes stale is the page and its data', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, MINUTE))
  const v = await varve(t, site(origin))
  const [a, b] = [await v.get('/a/__data.json'), await v.get('/b/__data.json')]
  assert.equal((await request(`${v.url}/a?/save`, { method: 'POST' })).status, 200)
  await until(async () => (await v.get('/a/__data.json')).body !== a.body, 'it to be refreshed')
  assert.equal((await v.get('/b/__data.json')).body, b.body)
  assert.equal(origin.requests.filter((r) => r.url.startsWith('/b')).length, 1)
})
