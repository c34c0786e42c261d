// Slow and greedy clients of HTTP/1.1, HTTP/2 and TLS, all at the same time, with short limits: each is ended by its timeout or by a
// limit of size, takes bounded memory, and keeps nobody from being served. Memory as in floods.test.mjs.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { VARVE, until } from './lib.mjs'
import { connect } from './floods/frames.mjs'
import { floods as h2 } from './floods/h2.mjs'
import { again, endure, hits, isQuiet, rssAnon, site, together } from './floods/site.mjs'
import { floods as slow } from './floods/slow.mjs'

const GROWTH_MAX = (readFileSync(VARVE).includes('__asan_init') ? 4 : 1) * (64 << 20)
const all = [...h2, ...slow]
const lines = (s) => s.v.log.split('\n').filter((l) => /(slow|flooding) connections closed/.test(l))

test('floods, slow clients: each is ended by a timeout, 3 000 of them at a time hold up nobody', async (t) => {
  const s = await site(t, { limits: '{header_timeout: 5s, idle: 6s, stall: 3s}', patience: 120000 })
  const began = Date.now()
  const before = rssAnon(s.pid)
  let most = before
  const watch = setInterval(() => (most = Math.max(most, rssAnon(s.pid))), 50)
  let isOver = false
  const ends = Promise.all(all.filter((f) => f.isSlow).map(async (f) => [f.name, await f.run(s)])).finally(() => (isOver = true))
  do assert.equal((await hits(s)).answered, 1000) // as long as one of them lasts
  while (!isOver)
  for (const [name, seen] of await ends) assert.ok(seen.closed, `${name}: ${JSON.stringify(seen)}`)
  clearInterval(watch)
  assert.ok(most - before <= GROWTH_MAX, `${(most - before) >> 20} MiB more`)
  assert.equal(s.renders('/cold'), 0)
  await isQuiet(s)
  // two lines of the log at most for each second and loop, not one for each of 2 000 connections
  await until(() => lines(s).length > 0, 'a line of the log')
  const told = 4 * ((Date.now() - began) / 1000 + 1)
  assert.ok(lines(s).length <= told && lines(s).every((l) => / count=\d+ why=.+ client=127\.0\.0\.1 frames=\d+$/.test(l)), lines(s).join('\n'))
  assert.ok((await s.v.metric('varve_client_timeouts_total')) >= 2000)
})

test('floods, greedy clients: heads, chunks and trailers without end, renegotiation and key updates are cut at their limit', async (t) => {
  const s = await site(t, { patience: 120000 })
  const greedy = slow.filter((f) => !f.isSlow)
  for (const some of [greedy.slice(0, 7), greedy.slice(7)]) {
    const seen = await endure(s, together(some.map(again)))
    for (const [i, { runs }] of seen.all.entries()) assert.ok(runs.every((run) => run.closed), `${some[i].name}: ${JSON.stringify(runs)}`)
    assert.equal(seen.answered, 1000)
    assert.ok(seen.growth <= GROWTH_MAX, `${seen.growth >> 20} MiB more`)
  }
  assert.equal(s.renders('/cold'), 0)
  await isQuiet(s)
  await until(() => lines(s).some((l) => / why="?key updates/.test(l)), 'the line about key updates')
})

test('HTTP/2 connections without requests give way when limits.connections is reached, however they keep themselves alive', async (t) => {
  const s = await site(t, { limits: '{connections: 8}' })
  const held = []
  for (let i = 0; i < 8; i++) held.push(await connect(s.tls))
  for (let i = 0; i < 4; i++) assert.equal((await s.v.get('/hot')).status, 200)
  await until(() => held.some((c) => c.isOver), 'the oldest to be closed')
  assert.ok(held.at(-1).isOver === false)
  await until(async () => (await s.v.metric('varve_connections_refused_total')) >= 1, 'it to be counted')
  for (const c of held) c.socket.destroy()
})
