// HTTP/2 floods: each ends with its connection, costs bounded memory and few renders, and another client's 1 000 hits are answered.
// Memory is measured from outside: with a sanitizer, which keeps freed memory back, the bound is four times as wide. So some of them are
// poured over a release build as well, if there is one (VARVE_RELEASE or build/varve).
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { VARVE, until } from './lib.mjs'
import { INITIAL_WINDOW_SIZE, connect, get } from './floods/frames.mjs'
import { settings, windowUpdate } from './h2-frames.mjs'
import { floods } from './floods/h2.mjs'
import { again, endure, isQuiet, site, together } from './floods/site.mjs'

const MIB = 1 << 20
const RELEASE = path.resolve(process.env.VARVE_RELEASE ?? 'build/varve')
const growthMax = (binary) => (readFileSync(binary).includes('__asan_init') ? 4 : 1) * 64 * MIB
const RENDERS_MAX = 100 // of one connection: as many streams as may be open at a time
const PATIENCE = 120000 // a limit of waiting: only a flood that is not ended sees it
const AT_A_TIME = 8

/** Pours some floods at a time, each again and again, while the neighbour has his hits. */
async function withstand(s, some, binary) {
  const before = s.renders('/cold') + s.renders('/held')
  const seen = await endure(s, together(some.map(again)))
  let connections = 0
  for (const [i, { runs }] of seen.all.entries()) {
    const told = `${some[i].name}: ${JSON.stringify(runs)}`
    assert.ok(runs.every((run) => run.closed), told)
    /* none where the rest of the flood was too much to be read behind it */
    assert.ok(runs.every((run) => run.goaway === undefined || some[i].told.includes(run.goaway)), told)
    connections += runs.length
  }
  const told = JSON.stringify({ ...seen, all: some.map((flood) => flood.name) })
  assert.equal(seen.answered, 1000, told)
  assert.ok(seen.growth <= growthMax(binary), told)
  assert.ok(s.renders('/cold') + s.renders('/held') - before <= RENDERS_MAX * connections, told)
  await isQuiet(s)
}

const inGroups = (all) => Array.from({ length: Math.ceil(all.length / AT_A_TIME) }, (_, i) => all.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME))

test('floods, HTTP/2: no flood of frames outlives its budget or keeps a neighbour from 1 000 hits', async (t) => {
  const s = await site(t, { patience: PATIENCE })
  for (const some of inGroups(floods.filter((f) => !f.isSlow))) await withstand(s, some, VARVE)
  assert.equal(s.v.workerPid(), s.pid, 'the worker lives')
  // once a second the log tells of them, and how many frames the longest of them was let send
  const told = () => [...s.v.log.matchAll(/flooding connections closed count=\d+ why=.+ frames=(\d+)/g)].map((m) => Number(m[1]))
  await until(() => told().length > 0, 'a line of the log')
  assert.ok(told().every((frames) => frames > 0 && frames <= 2000), told().join(' '))
})

test('floods, HTTP/2: who spends a budget and listens is told ENHANCE_YOUR_CALM', async (t) => {
  const s = await site(t, { patience: PATIENCE })
  for (const flood of floods.filter((f) => f.burst)) {
    const { closed, goaway } = await flood.burst(s)
    assert.ok(closed, flood.name)
    assert.ok(flood.told.includes(goaway), `${flood.name}: ${goaway}`)
  }
})

const SOME = ['rapid reset', 'streams over the limit', 'CONTINUATION', 'PING, answers never read', 'references to one big field', 'references to one big cookie']

test('floods, HTTP/2: a release build grows by 64 MiB at most', { skip: !existsSync(RELEASE) && 'there is no release build' }, async (t) => {
  const s = await site(t, { patience: PATIENCE, binary: RELEASE })
  for (const some of inGroups(floods.filter((f) => SOME.includes(f.name)))) await withstand(s, some, RELEASE)
})

test('HTTP/2: more window for an answer that is just being written does not end the worker', async (t) => {
  const s = await site(t)
  const c = await connect(s.tls, settings([INITIAL_WINDOW_SIZE, 16000])) // a page of /mid uses it up
  c.socket.pause()
  await c.send(windowUpdate(0, 0x3fffffff))
  for (let i = 0; i < 300 && !c.isOver; i++) {
    await c.send(get(2 * i + 1, '/mid'))
    await pause(4)
    await c.send(windowUpdate(2 * i + 1, 1))
    await pause(4)
  }
  assert.equal((await s.v.get('/hot')).status, 200)
  assert.equal(s.v.workerPid(), s.pid, 'the worker lives')
  c.socket.destroy()
  await isQuiet(s)
})
