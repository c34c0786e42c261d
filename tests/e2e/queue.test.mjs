// The one queue of an origin: who waits, who is next, who gets something else (semantics 7.3, 7.4; renderers K7, B9).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, page, renderer, until, varve } from './lib.mjs'
import { oneSlot, stage } from './stage.mjs'

test('7.3, K7 one slot and a burst of twelve: one renders, shell_at wait, the others get the shell at once', async (t) => {
  const s = await stage(t, oneSlot('shell_at: 4', 'shell'))
  const first = s.get('/0')
  await s.rendering(1)
  const others = Array.from({ length: 11 }, (_, i) => s.get(`/${i + 1}`))
  await s.waiting(4)
  await until(async () => (await s.metric('varve_shell_total{reason="over_shell"}')) === 7, 'seven shells')
  assert.equal(s.renders.length, 1, 'nobody waited for those shells')
  const answers = await s.finishAll([first, ...others])
  assert.equal(answers.filter((a) => a.body === '<div id=app></div>').length, 7)
  assert.equal(answers.filter((a) => a.body.startsWith('page ')).length, 5)
  assert.ok(answers.every((a) => a.status === 200))
})

test('7.3, K7, K14 without a shell shed_at wait, and beyond it is a 503 at once, with Retry-After', async (t) => {
  const s = await stage(t, oneSlot('shed_at: 3'))
  const first = s.get('/0')
  await s.rendering(1)
  const waiting = [1, 2, 3].map((i) => s.get(`/${i}`))
  await s.waiting(3)
  for (let i = 4; i < 8; i++) {
    const shed = await s.get(`/${i}`)
    assert.equal(shed.status, 503)
    assert.match(shed.headers['retry-after'], /^\d+$/)
    assert.equal(shed.headers['cache-control'], 'no-store')
  }
  await until(async () => (await s.metric('varve_shed_total')) === 4, 'four to be counted')
  assert.equal(await s.metric('varve_upstream_errors_total'), 0, 'the renderer has not even seen them')
  const answers = await s.finishAll([first, ...waiting])
  assert.ok(answers.every((a) => a.status === 200))
})

test('7.3 joining a render that waits is never refused', async (t) => {
  const s = await stage(t, oneSlot('shed_at: 1'))
  const first = s.get('/0')
  await s.rendering(1)
  const same = [s.get('/1')]
  await s.waiting(1)
  for (let i = 0; i < 20; i++) same.push(s.get('/1'))
  await until(async () => (await s.metric('varve_connections')) >= 22, 'all to have come')
  assert.equal((await s.get('/2')).status, 503)
  const answers = await s.finishAll([first, ...same])
  assert.ok(answers.every((a) => a.status === 200))
  assert.equal(s.renders.length, 2)
})

const classes = 'classes:\n- {name: search, ip_ranges: [10.9.0.0/16]}\n- {name: bot, user_agent: [AnyBot]}\n- {name: people}\n'

test('7.4, B9 who is of a better class goes before those who came earlier; a User-Agent alone is no priority', async (t) => {
  const s = await stage(t, oneSlot('shed_at: 50', classes))
  const all = [s.get('/0')]
  await s.rendering(1)
  for (const [target, from, headers] of [['/people', '10.0.0.1'], ['/bot', '10.0.0.2', { 'user-agent': 'AnyBot/1' }], ['/search', '10.9.0.1']]) {
    all.push(s.get(target, from, headers))
    await s.waiting(all.length - 1)
  }
  for (let i = 1; i <= 3; i++) {
    s.finish()
    await s.rendering(i + 1)
  }
  assert.deepEqual(s.renders, ['/0', '/search', '/people', '/bot'])
  await s.finishAll(all)
})

test('7.4 a render that somebody better joins moves up with him', async (t) => {
  const s = await stage(t, oneSlot('shed_at: 50', classes))
  const all = [s.get('/0')]
  await s.rendering(1)
  all.push(s.get('/first'))
  await s.waiting(1)
  all.push(s.get('/second'))
  await s.waiting(2)
  all.push(s.get('/second', '10.9.0.1'))
  const queue = async () => JSON.parse((await s.v.admin('GET', '/v1/slots')).body).queue
  await until(async () => (await queue()).some((row) => row.class === 'search'), 'the render to have moved')
  s.finish()
  await s.rendering(2)
  assert.equal(s.renders[1], '/second')
  await s.finishAll(all)
})

test('7.4 reserve: the last free slot is for the class that has it', async (t) => {
  const s = await stage(t, (url) =>
    `classes:\n- {name: search, ip_ranges: [10.9.0.0/16], reserve: 1}\n- {name: people}\norigins: {renderer: {workers: ["${url}"], slots: 2, client_wait: 60s}}\nroutes: [{match: "/**"}]\n`)
  const all = [s.get('/a')]
  await s.rendering(1)
  all.push(s.get('/b'))
  await s.waiting(1)
  all.push(s.get('/search', '10.9.0.1'))
  await s.rendering(2)
  assert.deepEqual(s.renders, ['/a', '/search'])
  await s.finishAll(all)
  assert.deepEqual(s.renders, ['/a', '/search', '/b'])
})

test('7.4 renders: false gets what is stored, fresh or stale, and never a render', async (t) => {
  const s = await stage(t, (url) =>
    `classes:\n- {name: ai, user_agent: [GPTBot], renders: false}\n- {name: people}\norigins: {renderer: {workers: ["${url}"], slots: 2}}\nroutes: [{match: "/**"}]\n`)
  const bot = { 'user-agent': 'GPTBot/1' }
  const none = await s.get('/page', '10.0.0.1', bot)
  assert.equal(none.status, 503)
  await s.finishAll([s.get('/page')])
  assert.equal((await s.get('/page', '10.0.0.1', bot)).body, 'page /page')
  assert.equal((await s.v.cli('purge', '--soft', `${s.v.url}/page`)).code, 0)
  assert.equal((await s.get('/page', '10.0.0.1', bot)).body, 'page /page', 'stale')
  await s.finishAll([s.get('/later')])
  assert.deepEqual(s.renders, ['/page', '/later'], 'nobody renders it for a bot')
  const refused = await until(() => s.v.accessLog().find((l) => l.status === 503), 'its line')
  assert.equal(`${refused.outcome} ${refused.reason}`, 'error policy')
  assert.equal(await s.metric('varve_shed_total'), 0, 'nobody waited')
})

test('7.1, 7.4 what costs no render is not refused by renders: false, nor old because all slots are taken', async (t) => {
  const asked = gate(), rest = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url !== '/page') return page(res, req.url, { 'cache-control': 'max-age=60', ...(req.url.includes('old') && { age: '100' }) })
    asked.open()
    await rest.promise
    page(res, 'page')
  })
  const v = await varve(t, `classes:
- {name: ai, user_agent: [GPTBot], renders: false}
- {name: people}
origins: {renderer: {workers: ["${origin.url}"], slots: 1, slots_cover: pages}}
routes:
- {match: "/assets/soft", assets: true, stale: {while_revalidate: 1d}}
- {match: "/assets/**", assets: true}
- {match: "/**"}
`)
  const bot = { 'user-agent': 'GPTBot/1' }
  const asks = (target) => origin.requests.filter((r) => r.url === target).length
  assert.equal((await v.get('/assets/a.js', bot)).body, '/assets/a.js')
  assert.equal((await v.get('/assets/old.js', bot)).body, '/assets/old.js')
  assert.equal((await v.get('/page', bot)).status, 503)
  const running = v.get('/page')
  await asked.promise
  assert.match((await v.get('/assets/old.js', bot)).headers['cache-status'], /fwd=stale; fwd-status=200/)
  assert.equal(asks('/assets/old.js'), 2)
  assert.equal((await v.get('/assets/soft', bot)).status, 200)
  assert.equal((await v.cli('purge', '--soft', `${v.url}/assets/soft`)).code, 0)
  assert.match((await v.get('/assets/soft', bot)).headers['cache-status'], /hit/)
  await until(() => asks('/assets/soft') === 2, 'the refresh behind it')
  rest.open()
  await running
})
