// Several edges before the same renderers: each uses its share of them (renderers A1, K17; semantics 7.2, 7.3).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { gate, page, renderer, tempDir, until, varve, VARVE } from './lib.mjs'

const documents = { accept: 'text/html' }
const uncached = { 'cache-control': 'no-store' }

/** Four renderers, two edges that divide them, in lists of different order. */
async function twoEdges(t, handler, longest = '8s') {
  const renderers = []
  for (let i = 0; i < 4; i++) renderers.push(await renderer(t, handler))
  const urls = renderers.map((r) => `"${r.url}"`)
  const policy = (name, share, list) => `origins: {renderer: {workers: [${list.join(', ')}], slots: 1, client_wait: 60s, timeouts: {first_byte: ${longest}}, slot_max: ${longest}, share: ${share}, set_headers: {X-Edge: ${name}}}}\nroutes: [{match: "/**"}]\n`
  const one = await varve(t, policy('one', '1/2', urls))
  const two = await varve(t, policy('two', '2/2', [...urls].reverse()))
  return { renderers, one, two }
}
const edgesOf = (r) => [...new Set(r.requests.map((req) => req.headers['x-edge']))]

test('A1, K17 two edges before four renderers with one slot: never two renders at once, through reloads and a crash of an edge', async (t) => {
  const { renderers, one, two } = await twoEdges(t, (req, res) => setTimeout(() => page(res, `page ${req.url}`, uncached), 3))
  const failed = []
  let isOver = false
  let answered = 0
  const visitor = async (v, name) => {
    for (let n = 0; !isOver; n++) {
      const { status, body } = await v.get(`/${name}/${n}`, documents).catch((error) => ({ body: error.message }))
      if (status !== 200 || body !== `page /${name}/${n}`) failed.push([name, status, body])
      answered++
    }
  }
  const load = Promise.all([0, 1, 2].flatMap((i) => [visitor(one, `a${i}`), visitor(two, `b${i}`)]))
  await until(() => answered > 60, 'load')
  for (const v of [one, two]) assert.equal((await v.cli('reload')).code, 0)
  assert.deepEqual(failed, [])
  process.kill(two.workerPid(), 'SIGKILL')
  const before = answered
  await until(() => answered > before + 60 && two.log.match(/is ready|worker started/g).length >= 3, 'load on the next worker process')
  isOver = true
  await load
  assert.ok(failed.every(([name]) => name.startsWith('b')), 'only the clients of the edge that was killed see it')
  assert.deepEqual(renderers.map((r) => r.most), [1, 1, 1, 1])
  assert.deepEqual(renderers.map((r) => edgesOf(r).length), [1, 1, 1, 1], 'each is one edge\'s')
  assert.equal(renderers.filter((r) => edgesOf(r)[0] === 'one').length, 2, 'and each edge has two')
})

test('7.3 slots, names and limits are those of the share', async (t) => {
  const held = gate()
  const { renderers, one, two } = await twoEdges(t, async (req, res) => (await held.promise, page(res, 'page', uncached)), '60s')
  const slots = async (v) => JSON.parse((await v.admin('GET', '/v1/slots')).body)
  const both = [await slots(one), await slots(two)]
  for (const { origins, workers } of both) {
    assert.equal(origins[0].live_slots, 2)
    assert.equal(workers.length, 2)
  }
  const ports = (v, names) => names.map(({ worker }) => Number(worker.split('/')[1])).map((i) => (v === one ? i : 3 - i)) // its list is the other way round
  assert.deepEqual([...ports(one, both[0].workers), ...ports(two, both[1].workers)].sort(), [0, 1, 2, 3])
  assert.deepEqual([both[0].origins[0].share, both[1].origins[0].share], ['1/2', '2/2'])
  const answers = [0, 1, 2, 3, 4].map((i) => one.get(`/${i}`, documents))
  await until(async () => (await one.metric('varve_queue_depth{origin="renderer"}')) === 3, 'three to wait for two slots')
  await until(() => renderers.filter((r) => r.now > 0).length === 2, 'two to be rendered')
  assert.equal((await one.cli('slots', 'drain', both[1].workers[0].worker.replace(/\d+/, (i) => 3 - i))).code, 1, 'the other edge\'s worker is none of ours')
  held.open()
  for (const res of await Promise.all(answers)) assert.equal(res.status, 200)
  assert.deepEqual(renderers.map((r) => r.most <= 1), [true, true, true, true])
})

test('9.1 a reload to another share uses those workers, and without one all', async (t) => {
  const renderers = []
  for (let i = 0; i < 2; i++) renderers.push(await renderer(t, (req, res) => page(res, req.url, uncached)))
  const policy = (share) => `origins: {renderer: {workers: [${renderers.map((r) => `"${r.url}"`).join(', ')}], slots: 1${share}}}\nroutes: [{match: "/**"}]\n`
  const v = await varve(t, policy(', share: 1/2'))
  const used = async (label) => {
    const before = renderers.map((r) => r.requests.length)
    for (let i = 0; i < 6; i++) assert.equal((await v.get(`/${label}/${i}`, documents)).status, 200)
    return renderers.map((r, i) => r.requests.length > before[i])
  }
  const first = await used('one')
  assert.equal(first.filter(Boolean).length, 1)
  v.write(policy(', share: 2/2'))
  assert.equal((await v.cli('reload')).code, 0)
  assert.deepEqual(await used('two'), first.map((is) => !is))
  v.write(policy(''))
  assert.equal((await v.cli('reload')).code, 0)
  assert.deepEqual(await used('all'), [true, true])
})

test('check refuses a share that leaves an edge with nothing, and what is nobody else\'s; the file\'s share is printed', (t) => {
  const file = `${tempDir(t)}/varve.yaml`
  const check = (origin, ...more) => {
    writeFileSync(file, `origins: {renderer: {${origin}}}\nroutes: [{match: "/**"}]\n`)
    return spawnSync(VARVE, ['check', '--config', file, ...more], { encoding: 'utf8' })
  }
  for (const [origin, why] of [
    ['workers: ["http://127.0.0.1:1"], share: 1/2', /varve\.yaml:1:\d+: 2 edges cannot share 1 worker/],
    ['spawn: {command: [/bin/true]}, share: 1/2', /varve\.yaml:1:\d+: "share" with "spawn"/],
    ['workers: ["http://127.0.0.1:1"], share: 2', /varve\.yaml:1:\d+: "share": expected which edge this is/],
  ]) {
    const { status, stdout, stderr } = check(origin)
    assert.equal(status, 2, origin)
    assert.match(stdout + stderr, why)
  }
  const fine = check('workers: ["http://renderers.internal"], share: 2/3', '--effective')
  assert.equal(fine.status, 0, fine.stderr)
  assert.match(fine.stdout, /^ +share: 2\/3$/m)
})

test('an edge whose share has no worker says so, and is down; the other one serves', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', uncached))
  const edges = []
  for (const share of ['1/2', '2/2']) edges.push(await varve(t, `origins: {renderer: {workers: ["http://localhost:${origin.port}"], slots: 1, share: ${share}}}\nroutes: [{match: "/**"}]\n`))
  const statuses = await until(async () => {
    const seen = []
    for (const v of edges) seen.push((await v.get('/', documents)).status)
    return seen.includes(200) && seen
  }, 'localhost to be resolved')
  assert.deepEqual([...statuses].sort(), [200, 503])
  const none = edges[statuses.indexOf(503)]
  await until(() => /warn origin is down[^\n]*origin=renderer why="none of its workers belongs to the share of this edge"/.test(none.log), 'the log to tell')
  assert.equal(await none.metric('varve_origin_up{origin="renderer"}'), 0)
  assert.equal(await none.metric('varve_origin_changes_total{origin="renderer",to="down"}'), 1)
})
