// Renderers under varve (`spawn`) over reloads: kept, changed, removed, wanted again.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { test } from 'node:test'
import { isAlive, tempDir, until, varve } from './lib.mjs'
import { ask, load, most, noneLeft, policy, ready, said, started } from './spawning.mjs'

test('9.1 a reload keeps the renderers; a changed block replaces them one by one; fewer are fewer', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2' }))
  await ready(v, 2)
  const old = started(v)
  v.write(policy({ spawn: 'workers: 2, grace: 4s', origin: 'client_wait: 3s,' }))
  assert.equal((await v.cli('reload')).code, 0)
  assert.deepEqual(started(v), old)
  v.write(`${policy({ spawn: 'workers: 2, env: {COLOUR: green}' })}stael: 1\n`)
  assert.equal((await v.cli('reload')).code, 2)
  assert.ok(old.every(isAlive) && started(v).length === 2, 'a bad file changes nothing')
  const clients = load(v, 3, '/slow?ms=10')
  v.write(policy({ spawn: 'workers: 2, env: {COLOUR: green}' }))
  assert.equal((await v.cli('reload')).code, 0)
  await ready(v, 4)
  assert.deepEqual((await clients.stop()).bad, [])
  assert.ok(!old.some(isAlive))
  assert.equal(most(v), 2)
  assert.equal((await ask(v)).colour, 'green')
  const [kept, gone] = started(v).slice(2)
  v.write(policy({ spawn: 'workers: 1, env: {COLOUR: green}' }))
  assert.equal((await v.cli('reload')).code, 0)
  await noneLeft([gone])
  assert.equal((await ask(v)).pid, kept)
  v.write(policy({ spawn: 'workers: 3, env: {COLOUR: green}' }))
  assert.equal((await v.cli('reload')).code, 0)
  await ready(v, 6)
  assert.ok(isAlive(kept))
  assert.equal((await v.cli('reload')).code, 0)
  assert.equal((await v.cli('restart')).stdout, 'restarted 3 renderers\n', 'right behind a reload')
})

test('9.1 a changed block whose renderer cannot be started: what the one before it said too much is still told under its name', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, env: {FLOODS: "1"}' }))
  await ready(v, 1)
  const address = (await ask(v)).port
  const other = net.createServer((socket) => socket.destroy())
  rmSync(address)
  await new Promise((resolve) => other.listen(address, resolve))
  t.after(() => other.close())
  v.write(policy({ spawn: 'workers: 1' }))
  assert.equal((await v.cli('reload')).code, 0)
  const refused = () => said(v, 'renderer not started: another process listens at its address')
  await until(() => refused().length >= 2, 'it to be tried twice, a second between')
  await new Promise((resolve) => other.close(resolve))
  await ready(v, 2)
  assert.ok([...refused(), ...said(v, 'renderer says more than the log takes')].every(({ worker }) => worker === 'renderer/0'))
})

test('9.1 a restart that was asked for is not forgotten when a block is changed and changed back meanwhile', async (t) => {
  const block = (env) => `${policy({ spawn: `workers: 2, grace: 30s, env: {${env}}` })}reload: {drain: 1s}\n`
  const dir = tempDir()
  writeFileSync(`${dir}/deaf-renderer-0.sock`, '')
  const v = await varve(t, block(''), { dir })
  await ready(v, 2)
  const [first] = started(v)
  const restart = v.cli('restart') /* ends with the worker that it asks, at reload.drain */
  await until(() => said(v, 'renderer restarts').length === 1, 'the turn of the first, which does not leave')
  for (const env of ['COLOUR: green', '']) {
    v.write(block(env))
    assert.equal((await v.cli('reload')).code, 0)
  }
  await restart
  rmSync(`${dir}/deaf-renderer-0.sock`)
  process.kill(first, 'SIGKILL')
  await ready(v, 4)
  assert.deepEqual(said(v, 'renderer restarts').map(({ worker, why }) => `${worker} ${why}`), ['renderer/0 asked', 'renderer/1 asked'])
})

test('9.1 one that a reload removed and another wants again while it leaves: a new one follows it, and nothing has died', async (t) => {
  const block = (workers) => policy({ spawn: `workers: ${workers}, grace: 30s` })
  const dir = tempDir()
  writeFileSync(`${dir}/deaf-renderer-1.sock`, '')
  const v = await varve(t, block(2), { dir })
  await ready(v, 2)
  const [, second] = started(v)
  rmSync(`${dir}/deaf-renderer-1.sock`)
  v.write(block(1))
  assert.equal((await v.cli('reload')).code, 0)
  await until(() => v.log.includes('SIGTERM? no'), 'the second to be asked to leave')
  v.write(block(2))
  assert.equal((await v.cli('reload')).code, 0)
  process.kill(second, 'SIGKILL')
  await ready(v, 3)
  assert.deepEqual([said(v, 'renderer died').length, said(v, 'renderer ended').length], [0, 1])
  assert.equal(await v.metric('varve_renderer_restarts_total{worker="renderer/1",why="changed"}'), 1)
  assert.equal((await v.cli('restart')).stdout, 'restarted 2 renderers\n')
})
