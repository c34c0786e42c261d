// How renderers under varve (`spawn`), and varve itself, leave: after an uncaught exception, at the first ^C, at the second, and when
// they have had their time. Rows V4 and V6 of what sites that render on servers learned.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAlive, until, varve } from './lib.mjs'
import { ask, load, noneLeft, policy, ready, said, started } from './spawning.mjs'

const busy = async (v) => JSON.parse((await v.admin('GET', '/v1/slots')).body).renders.length

test('V4 an uncaught exception: the process takes nothing new, ends what it has and exits; under load no request fails', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2', origin: 'queue: {shed_at: 100},' }).replace('slots: 1', 'slots: 4'))
  await ready(v, 2)
  const clients = load(v, 8, '/slow?ms=20')
  await until(() => clients.good > 20)
  const { pid } = await ask(v, '/throw')
  await ready(v, 3)
  const good = clients.good
  await until(() => clients.good > good + 20)
  assert.deepEqual((await clients.stop()).bad, [])
  const [first, second] = started(v)
  assert.ok(!isAlive(pid) && isAlive(pid === first ? second : first))
  assert.ok(said(v, 'renderer says').some(({ line }) => line.includes('the exception')))
  const [died] = said(v, 'renderer died')
  assert.deepEqual([Number(died.pid), died.status], [pid, '7'], 'it left by itself, with its own status')
})

test('V4 one that takes nothing new, and does not leave: others get the requests, and it is ended when it is replaced', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2, grace: 300ms, env: {STAYS: "1", DEAF: "1"}' }))
  await ready(v, 2)
  const { pid } = await ask(v, '/throw')
  const clients = load(v, 3, '/slow?ms=5')
  await until(() => clients.good > 30)
  assert.ok(isAlive(pid))
  assert.equal((await v.cli('restart')).code, 0)
  assert.deepEqual((await clients.stop()).bad, [])
  assert.ok(!isAlive(pid))
})

for (const [what, shutdown, clicks, body] of [
  ['the first ^C lets what is under way end', '2m', 1, true],
  ['a second ^C is now', '2m', 2, false],
  ['what outlives shutdown.drain is cut', '300ms', 1, false],
])
  test(`V6 ${what}: status 0, and no renderer is left`, async (t) => {
    const v = await varve(t, `shutdown: {drain: ${shutdown}}\n${policy({ spawn: 'workers: 2, grace: 300ms, env: {DEAF: "1"}', origin: 'slot_max: 2m, timeouts: {first_byte: 2m},' })}`)
    await ready(v, 2)
    const answer = v.get(body ? '/held' : '/hang').then((res) => res.body, () => 'cut')
    await until(async () => (await busy(v)) === 1, 'a render')
    v.child.kill('SIGINT')
    await until(() => v.get('/').then(() => false, () => true), 'connections to be refused')
    if (shutdown === '2m') {
      assert.equal(v.stopped, false)
      assert.ok(started(v).every(isAlive), 'renderers stay as long as something is under way')
    }
    if (body) process.kill(started(v)[0], 'SIGUSR2'), process.kill(started(v)[1], 'SIGUSR2')
    for (let i = 1; i < clicks; i++) v.child.kill('SIGINT')
    await until(() => v.stopped, 'it to end', 60000)
    assert.deepEqual(await v.exit, { code: 0, signal: null })
    if (body) assert.match(await answer, /"pid"/)
    else assert.doesNotMatch(await answer, /"pid"/)
    await noneLeft(started(v))
  })
