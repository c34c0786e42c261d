// Renderers die, all or some of them, and come back: what people get meanwhile, and how gently it begins again
// (semantics 7.3, 7.6; renderers A11, B4, B7, K12, K13).
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { all, freePort, gate, outcome, page, renderer, tempDir, until, varve } from './lib.mjs'

const navigation = { accept: 'text/html', 'sec-fetch-dest': 'document' }
const SHELL = '<!doctype html><div id=app></div>'
const patient = 'client_wait: 60s'
/** For what must not have to wait: it fails, rather than hangs, when it does. */
const soon = () => ({ signal: AbortSignal.timeout(20000) })
const unstored = { 'cache-control': 'no-store' }

/** A policy for these workers; `shell`: there is one, in the file whose path comes back. */
function site(workers, { more = '', shell } = {}) {
  const dir = tempDir()
  const file = `${dir}/shell.html`
  if (shell) writeFileSync(file, SHELL)
  const urls = workers.map((w) => `"${w.url}"`).join(', ')
  const policy = `${shell ? `shell: {file: ${file}}\n` : ''}origins: {renderer: {workers: [${urls}], ${patient}${more}}}\nroutes: [{match: "/**"}]\n`
  return { dir, file, policy }
}

/** A worker whose renders wait until the test ends them: `held` are the renders under way, oldest first. */
async function holding(t, held, options) {
  return renderer(t, async (req, res) => {
    const g = gate()
    held.push(g)
    await g.promise
    page(res, `page ${req.url}`, unstored)
  }, options)
}

/** Opens gates as renders come until `answers` are all there. */
async function finishAll(held, answers) {
  let isOver = false
  const got = Promise.all(answers).finally(() => (isOver = true))
  while (!isOver) {
    for (const g of held.splice(0)) g.open()
    await new Promise(setImmediate)
  }
  return got
}

const waiting = (v, n) => until(async () => (await v.metric('varve_queue_depth{origin="renderer"}')) === n, `${n} to wait`)

test('B4 one of two is gone: rendered pages for everybody. Both are: 200 and the shell for everybody, from memory, no-store', async (t) => {
  const pages = (req, res) => page(res, `page ${req.url}`, unstored)
  const [one, two] = [await renderer(t, pages), await renderer(t, pages)]
  const { dir, file, policy } = site([one, two], { shell: true, more: ', slots: 1, queue: {shell_at: 100}' })
  const v = await varve(t, policy, { dir })
  rmSync(file)
  await one.stop()
  const before = await all(30, (i) => v.get(`/${i}`, navigation))
  before.forEach((res, i) => assert.equal(res.body, `page /${i}`))
  assert.equal(two.requests.length, 30)
  assert.equal(await v.metric('varve_shell_total{reason="all_down"}'), 0)
  await two.stop()
  for (const res of await all(30, (i) => v.get(`/down/${i}`, navigation))) {
    assert.deepEqual([res.status, res.body, res.headers['cache-control']], [200, SHELL, 'no-store'])
  }
  await v.isQuiet()
  assert.equal(await v.metric('varve_shell_total{reason="all_down"}'), 30)
})

test('B7 dead under load and up again: 200 for everybody all the time, pages from the first sign of life on, two lines in the log', async (t) => {
  const port = await freePort()
  const pages = (req, res) => page(res, 'page', unstored)
  const first = await renderer(t, pages, { port })
  const { dir, policy } = site([{ url: first.url }], { shell: true })
  const v = await varve(t, policy, { dir })
  const seen = { pages: 0, shells: 0, other: [] }
  let isOver = false
  let held = { open: () => {} }
  let underWay = 0
  const visitor = async () => {
    while (!isOver) {
      await held.promise
      underWay++
      const res = await v.get('/', navigation)
      underWay--
      if (res.status === 200 && res.body === 'page') seen.pages++
      else if (res.status === 200 && res.body === SHELL) seen.shells++
      else seen.other.push(`${res.status} ${res.body}`)
    }
  }
  const visitors = all(4, visitor)
  await until(() => seen.pages >= 20, 'pages')
  assert.equal(seen.shells, 0)
  held = gate() // an answer that is read behind a refusal would be a sign of life
  await until(() => underWay === 0, 'those who ask to be answered')
  await first.stop()
  held.open()
  await until(() => seen.shells >= 20, 'shells')
  const before = seen.pages
  const second = await renderer(t, pages, { port })
  await until(() => seen.pages > before, 'the first page')
  const shells = seen.shells
  await until(() => seen.pages >= before + 60, 'pages again')
  assert.ok(seen.shells <= shells + 4, 'after the first page, the shell is only for those who had asked by then')
  isOver = true
  await visitors
  assert.deepEqual(seen.other, [])
  assert.equal(second.requests.length, seen.pages - before, 'what tried it was a visitor, and he got his page')
  for (const to of ['down', 'up']) assert.equal(await v.metric(`varve_worker_changes_total{worker="renderer/0",to="${to}"}`), 1)
  await until(() => /worker is up[^\n]*worker=renderer\/0[^\n]*\n/.test(v.log), 'the log to tell')
  assert.equal(v.log.match(/worker is (up|down|flapping)/g).length, 2, v.log)
})

test('A11 four busy, fifty wait, one dies: everybody is answered, and the dead one does not burn the queue', async (t) => {
  const held = []
  const workers = await all(4, () => holding(t, held))
  const { policy } = site(workers, { more: ', slots: 1, queue: {shed_at: 100}' })
  const v = await varve(t, policy)
  const answers = Array.from({ length: 54 }, (_, i) => v.get(`/${i}`))
  await until(() => held.length === 4, 'all to be busy')
  await waiting(v, 50)
  await workers[2].stop()
  await waiting(v, 51) // the one whose render died is asked for once more, in front of them
  const got = await finishAll(held, answers)
  got.forEach((res, i) => assert.deepEqual([res.status, res.body], [200, `page /${i}`]))
  assert.equal(workers.reduce((sum, w) => sum + w.requests.length, 0), 55, 'one render was begun twice')
  assert.ok(workers.every((w) => w.most === 1))
  assert.equal(await v.metric('varve_retries_total'), 1)
  assert.equal(await v.metric('varve_worker_changes_total{worker="renderer/2",to="down"}'), 1)
})

test('K12 limits follow the live slots: with one of two drained, half as many may wait', async (t) => {
  const held = []
  const workers = await all(2, () => holding(t, held))
  const { policy } = site(workers, { more: ', slots: 1, queue: {shed_at: 3}' })
  const v = await varve(t, policy)
  const first = Array.from({ length: 8 }, (_, i) => v.get(`/${i}`))
  await until(() => held.length === 2, 'both to be busy')
  await waiting(v, 6)
  assert.equal((await v.get('/seventh', {}, soon())).status, 503)
  assert.ok((await finishAll(held, first)).every((res) => res.status === 200))
  assert.equal((await v.cli('slots', 'drain', 'renderer/1')).code, 0)
  const then = Array.from({ length: 4 }, (_, i) => v.get(`/then/${i}`))
  await until(() => held.length === 1, 'the other to be busy')
  await waiting(v, 3)
  assert.equal((await v.get('/fourth', {}, soon())).status, 503)
  assert.ok((await finishAll(held, then)).every((res) => res.status === 200))
})

test('K13 all down, then one comes up that dies of more than its slots: it gets one request first, never more than its slots, and lives', async (t) => {
  const port = await freePort()
  const { dir, policy } = site([{ url: `http://127.0.0.1:${port}` }], { more: ', slots: 20, queue: {shed_at: 10}' })
  const v = await varve(t, policy, { dir })
  assert.equal((await v.get('/')).status, 503, 'all are down')
  const held = []
  const origin = await holding(t, held, { port })
  const tries = until(async () => (await v.get('/try')).status === 200, 'it to be tried')
  await until(() => held.length === 1, 'the try')
  assert.equal((await v.get('/beside')).status, 503, 'nobody waits for what may be down')
  held.shift().open()
  await tries
  const answers = Array.from({ length: 60 }, (_, i) => v.get(`/${i}`))
  await waiting(v, 59) // one more is rendered, until it has shown that it renders
  await until(() => held.length === 1, 'that one')
  held.shift().open()
  await until(() => held.length === 20, 'full weight')
  await waiting(v, 39)
  assert.ok((await finishAll(held, answers)).every((res) => res.status === 200))
  assert.ok(origin.most <= 20, `${origin.most} at a time`)
})

test('5.4 the probe alone saw the outage, visitors got hits: what is of before is refreshed behind them once a worker is back', async (t) => {
  const port = await freePort()
  const serve = (text) => renderer(t, (req, res) => page(res, req.url === '/healthz' ? 'well' : text, { 'cache-control': 'max-age=600' }), { port })
  const first = await serve('of before')
  const { dir, policy } = site([first], { more: ', probe: {path: /healthz, every: 100ms, timeout: 10s, down_after: 1, up_after: 1}' })
  const v = await varve(t, policy, { dir })
  await v.get('/a')
  await first.stop()
  await until(() => v.log.includes('origin is down'), 'the outage')
  assert.equal(outcome(await v.get('/a')), 'hit')
  const second = await serve('of now')
  await until(() => v.log.includes('origin is up again'), 'its end')
  assert.equal((await v.get('/a')).body, 'of before', 'nobody waits for the new one')
  await until(async () => (await v.get('/a')).body === 'of now', 'it to be refreshed')
  assert.equal(outcome(await v.get('/a')), 'hit')
  assert.equal(second.requests.filter((r) => r.url === '/a').length, 1)
})
