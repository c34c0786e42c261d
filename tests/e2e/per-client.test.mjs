// One client address holds at most its share of an origin's slots and queue while another waits (limits.per_client, semantics 7.3).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAlive, until } from './lib.mjs'
import { oneSlot, stage } from './stage.mjs'

const FLOOD = '198.51.100.7'
const VISITOR = '203.0.113.9'

const slots = (url, count, more = '') =>
  `${more}origins: {renderer: {workers: ["${url}"], slots: ${count}, client_wait: 60s, queue: {shed_at: 8}}}\nroutes: [{match: "/**"}]\n`

/** So many requests of one address, each for a page of its own. */
const flood = (s, count, from = FLOOD, name = 'flood') => Array.from({ length: count }, (_, i) => s.get(`/${name}/${i}`, from))

const counted = (answers, status) => answers.filter((a) => a.status === status).length

/** Nothing is left of what was counted. */
async function assertQuiet(s) {
  assert.equal(await s.metric('varve_queue_depth'), 0)
  assert.equal(await s.metric('varve_slots{worker="renderer/0",state="busy"}'), 0)
}

test('7.3 the next free slot is for another address, and a flood waits for the slots that nobody else wants', async (t) => {
  const s = await stage(t, (url) => slots(url, 4))
  const all = flood(s, 20)
  await s.rendering(4) // all four, as nobody else was there
  await s.waiting(16)
  all.push(s.get('/visitor/0', VISITOR), s.get('/visitor/1', VISITOR))
  await s.waiting(18)
  s.finish()
  await s.rendering(5)
  assert.match(s.renders[4], /^\/visitor\//)
  s.finish()
  await s.rendering(6)
  assert.match(s.renders[5], /^\/flood\//, 'both have a quarter of the slots or more: in order of arrival')
  const answers = await s.finishAll(all)
  assert.equal(counted(answers, 200), 22)
  assert.equal(await s.metric('varve_over_share_total'), 0)
  await assertQuiet(s)
})

test('7.3 with one slot a visitor waits for a quarter of the queue at most; a full queue makes room for him', async (t) => {
  const s = await stage(t, (url) => slots(url, 1))
  const all = flood(s, 9)
  await s.rendering(1)
  await s.waiting(8)
  assert.equal((await s.get('/flood/more', FLOOD)).status, 503, 'the queue is full')
  all.push(s.get('/visitor', VISITOR))
  const turnedAway = await Promise.any(all.map(async (answer) => ((await answer).status === 503 ? answer : Promise.reject())))
  assert.match(turnedAway.headers['retry-after'], /^\d+$/)
  await s.waiting(8)
  for (let i = 1; i <= 3; i++) {
    s.finish()
    await s.rendering(i + 1)
  }
  assert.equal(s.renders[3], '/visitor', 'behind two of eight places')
  const answers = await s.finishAll(all)
  assert.equal(counted(answers, 200), 9)
  assert.equal(counted(answers, 503), 1)
  assert.equal(await s.metric('varve_over_share_total{origin="renderer"}'), 1)
  assert.equal(await s.metric('varve_shed_total'), 2)
  assert.equal(await s.metric('varve_upstream_errors_total'), 0)
  await assertQuiet(s)
  const before = s.v.workerPid()
  assert.equal((await s.v.admin('POST', '/v1/reload', {})).status, 200)
  await until(() => !isAlive(before), 'the old worker to be gone')
  assert.equal(await s.metric('varve_over_share_total{origin="renderer"}'), 1, 'also after a reload')
})

test('7.3 who has his share of the queue gets the shell where he may, a POST a 503, and others their places', async (t) => {
  const s = await stage(t, oneSlot('shell_at: 4, shed_at: 8', 'shell'))
  const all = [s.get('/0', VISITOR)]
  await s.rendering(1)
  all.push(s.get('/1', VISITOR))
  await s.waiting(1)
  all.push(s.get('/flood/0', FLOOD))
  await s.waiting(2)
  assert.equal((await s.get('/flood/1', FLOOD)).body, '<div id=app></div>')
  all.push(s.get('/flood/post/0', FLOOD, {}, { method: 'POST' }))
  await s.waiting(3)
  assert.equal((await s.get('/flood/post/1', FLOOD, {}, { method: 'POST' })).status, 503, 'a quarter of eight')
  all.push(s.get('/2', '203.0.113.10'))
  await s.waiting(4)
  assert.equal(await s.metric('varve_shell_total{reason="over_shell"}'), 1)
  assert.equal(await s.metric('varve_over_share_total'), 2)
  const answers = await s.finishAll(all)
  assert.equal(counted(answers, 200), 5)
  await assertQuiet(s)
})

test('7.3 a client that leaves, or joins, costs its address nothing; a /64 of IPv6 is one address', async (t) => {
  const s = await stage(t, (url) => slots(url, 1))
  const all = [s.get('/0', VISITOR)]
  await s.rendering(1)
  all.push(...[1, 2].map((i) => s.get(`/${i}`, `2001:db8:0:1::${i}`)))
  await s.waiting(2)
  all.push(s.get('/visitor', VISITOR))
  await s.waiting(3)
  assert.equal((await s.get('/3', '2001:db8:0:1::3')).status, 503)
  for (let i = 0; i < 5; i++) all.push(s.get('/visitor', '2001:db8:0:1::4'))
  all.push(s.get('/4', '2001:db8:0:2::1'))
  await s.waiting(4)
  const leaving = new AbortController()
  const left = s.get('/5', '2001:db8:0:2::1', {}, { signal: leaving.signal })
  await s.waiting(5)
  assert.equal((await s.get('/6', '2001:db8:0:2::1')).status, 503)
  leaving.abort()
  await assert.rejects(left)
  await s.waiting(4)
  all.push(s.get('/7', '2001:db8:0:2::1'))
  await s.waiting(5)
  const answers = await s.finishAll(all)
  assert.equal(counted(answers, 200), all.length)
  assert.equal(await s.metric('varve_over_share_total'), 2)
  await assertQuiet(s)
})

test('7.3 an address of trusted_proxies has no share, nor has anybody with 100%', async (t) => {
  for (const [more, from] of [['', undefined], ['trusted_proxies: [198.51.100.0/24]\n', FLOOD], ['limits: {per_client: 100%}\n', FLOOD]]) {
    const s = await stage(t, (url) => slots(url, 1, more))
    const all = [s.get('/0', VISITOR)]
    await s.rendering(1)
    all.push(s.get('/1', VISITOR))
    await s.waiting(1)
    all.push(...flood(s, 7, from ?? '127.0.0.1'))
    await s.waiting(8)
    assert.equal(await s.metric('varve_over_share_total'), 0)
    assert.equal(counted(await s.finishAll(all), 200), 9)
  }
})
