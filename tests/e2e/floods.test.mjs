// HTTP/2 floods: each ends with its connection, costs bounded memory and few renders, and another client's 1 000 hits are answered.
// Memory is measured from outside: with a sanitizer, which keeps freed memory back, the bound is four times as wide.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { VARVE, until } from './lib.mjs'
import { INITIAL_WINDOW_SIZE, connect, get } from './floods/frames.mjs'
import { settings, windowUpdate } from './h2-frames.mjs'
import { floods } from './floods/h2.mjs'
import { endure, isQuiet, site } from './floods/site.mjs'

const MIB = 1 << 20
const GROWTH_MAX = (readFileSync(VARVE).includes('__asan_init') ? 4 : 1) * 64 * MIB
const RENDERS_MAX = 100 // as many streams as may be open at a time

test('floods, HTTP/2: no flood of frames outlives its budget or keeps a neighbour from 1 000 hits', async (t) => {
  const s = await site(t)
  for (const flood of floods.filter((f) => !f.isSlow)) {
    const before = s.renders('/cold') + s.renders('/held')
    const seen = await endure(s, flood)
    const told = `${flood.name}: ${JSON.stringify(seen)}`
    assert.ok(seen.closed, told)
    assert.equal(seen.answered, 1000, told)
    assert.ok(seen.growth <= GROWTH_MAX, told)
    assert.ok(s.renders('/cold') + s.renders('/held') - before <= RENDERS_MAX, told)
    await isQuiet(s)
  }
  assert.equal(s.v.workerPid(), s.pid, 'the worker lives')
  // once a second the log tells of them, and how many frames the longest of them was let send
  const told = () => [...s.v.log.matchAll(/flooding connections closed count=\d+ why=.+ frames=(\d+)/g)].map((m) => Number(m[1]))
  await until(() => told().length > 0, 'a line of the log')
  assert.ok(told().every((frames) => frames > 0 && frames <= 2000), told().join(' '))
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
