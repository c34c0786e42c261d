// Which build made a page: as its answer says, or as its worker says when it is asked (semantics 1.1; renderers G2, G7).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort, gate, outcome, until, varve } from './lib.mjs'
import { gateway, gatewayPolicy } from './renderers/gateway.mjs'

const documents = { accept: 'text/html' } /* as explain asks */
const variants = async (v, target) => JSON.parse((await v.cli('variants', '--json', v.url + target)).stdout).variants
const buildOf = async (v, target) => (await variants(v, target))[0].build
const worker = async (v, i = 0) => JSON.parse((await v.cli('slots', '--json')).stdout).workers[i]
test('G7 each object knows the build it was made by, and explain shows it', async (t) => {
  const g = await gateway(t)
  const v = await varve(t, gatewayPolicy([g.url], { build: '{header: X-App-Version}' }))
  await v.get('/a', documents)
  g.version = 'v2'
  await v.get('/b')
  assert.equal(await buildOf(v, '/a'), 'v1')
  assert.equal(await buildOf(v, '/b'), 'v2')
  const explained = JSON.parse((await v.cli('explain', '--json', `${v.url}/a`)).stdout)
  assert.equal(explained.object.build, 'v1')
})

test('G2, 1.1 answers without their build: each worker is asked for it after its warm-up and before its first render', async (t) => {
  const port = await freePort()
  const old = await gateway(t, { versionField: null, port })
  const v = await varve(t, gatewayPolicy([old.url]))
  for (const res of await Promise.all(['/a', '/b', '/c'].map((target) => v.get(target, documents)))) assert.equal(res.status, 200)
  assert.deepEqual(old.asked.filter((path) => path !== '/_api/ping').slice(0, 3), ['/_ah/warmup', '/_api/version', '/_render'])
  assert.equal(old.most, 1)
  assert.equal(await buildOf(v, '/a'), 'v1')
  assert.equal((await worker(v)).build, 'v1')
  assert.match((await v.cli('slots')).stdout, /slots +build\n +renderer\/0 .* v1\n/)
  const explained = JSON.parse((await v.cli('explain', '--json', `${v.url}/a`)).stdout)
  assert.equal(explained.object.build, 'v1')

  await old.stop()
  await until(async () => (await worker(v)).state === 'down', 'the worker to be down')
  assert.equal((await worker(v)).build, undefined)
  const young = await gateway(t, { versionField: null, version: 'v2', port })
  await until(async () => (await v.get('/d')).status === 200, 'pages again')
  assert.deepEqual(young.asked.filter((path) => path !== '/_api/ping').slice(0, 3), ['/_ah/warmup', '/_api/version', '/_render'])
  assert.equal(await buildOf(v, '/d'), 'v2')
  assert.equal(await buildOf(v, '/a'), 'v1', 'who made it counts, not who is there now')
  assert.equal(young.most, 1)
})

test('1.1 {build} is the build that was asked for: in the head of a fill, and in its key', async (t) => {
  const port = await freePort()
  const seen = []
  const page = (read, url, req) => (seen.push(req.headers['x-build']), { body: 'page' })
  const old = await gateway(t, { versionField: null, port, pages: { '/a': page } })
  const v = await varve(t, gatewayPolicy([old.url], { more: ', X-Build: "{build}"' }))
  await until(async () => (await worker(v)).build === 'v1', 'the build')
  await v.get('/a')
  assert.equal(outcome(await v.get('/a')), 'hit')
  await old.stop()
  await until(async () => (await worker(v)).state === 'down', 'the worker to be down')
  await gateway(t, { versionField: null, version: 'v2', port, pages: { '/a': page } })
  await until(async () => (await worker(v)).build === 'v2', 'the new build')
  assert.equal((await v.get('/a')).status, 200)
  assert.equal(outcome(await v.get('/a')), 'hit')
  assert.deepEqual(seen, ['v1', 'v2'])
})

test('1.1 if answers name their build, that counts, and nobody is asked any more', async (t) => {
  const g = await gateway(t, { versions: [] })
  g.versions.push((res) => res.end('said when asked'))
  const v = await varve(t, gatewayPolicy([g.url], { build: '{header: X-App-Version, probe: /_api/version}' }))
  assert.equal((await v.get('/a')).status, 200)
  assert.equal(await buildOf(v, '/a'), 'v1')
  assert.equal((await worker(v)).build, 'v1')
  assert.equal(g.count('/_api/version'), 1)
})

test('1.1 who does not tell a build renders all the same: counted, told once, the page has no build', async (t) => {
  const bad = {
    'status 404': (res) => res.writeHead(404).end('no such endpoint'),
    'no id in the answer': (res) => res.end('<!doctype html><title>Shop</title>'),
    'the answer is too long': (res) => res.end('v'.repeat(2000)),
    closed: (res) => res.destroy(),
    truncated: (res) => (res.writeHead(200, { 'content-length': 9 }).write('v1'), setImmediate(() => res.destroy())),
  }
  const gateways = []
  for (const answer of Object.values(bad)) {
    const g = await gateway(t, { versionField: null })
    g.versions.push(answer)
    gateways.push(g)
  }
  const v = await varve(t, gatewayPolicy(gateways.map((g) => g.url)))
  await until(() => gateways.every((g) => g.count('/_api/version') === 1), 'all to be asked')
  const held = gate() /* so that each has one */
  for (const g of gateways) g.page = async () => (await held.promise, { body: 'page' })
  const pages = gateways.map((_, i) => v.get(`/${i}`))
  await until(() => gateways.every((g) => g.renders.length === 1), 'all to render')
  held.open()
  for (const res of await Promise.all(pages)) assert.equal(res.status, 200)
  for (const [i, why] of Object.keys(bad).entries()) {
    assert.equal(await buildOf(v, `/${i}`), undefined)
    assert.equal(await v.metric(`varve_worker_build_unclear_total{worker="renderer/${i}"}`), 1)
    await until(() => new RegExp(`worker does not tell its build worker=renderer/${i} path=/_api/version why="?${why}"?\n`).test(v.log), `the log to tell: ${why}`)
  }
  assert.equal(v.log.match(/does not tell its build/g).length, gateways.length)
})
