// Renderers under varve (`spawn`): started, watched, ended; what they say. Rows V1 and V3 of what sites that render on servers learned.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { isAlive, tempDir, until, varve, VARVE } from './lib.mjs'
import { NODE, SERVER, ask, freePorts, load, noneLeft, policy, ready, said, started } from './spawning.mjs'

test('V1 each process has a port of its own, and varve’s end is theirs', async (t) => {
  const base = await freePorts(2)
  const v = await varve(t, policy({ spawn: 'workers: 2, env: {COLOUR: red}' }).replace('listen: unix', `listen: ${base}`))
  await ready(v, 2)
  const answers = [await ask(v), await ask(v)]
  assert.deepEqual(answers.map(({ port }) => Number(port)).sort(), [base, base + 1])
  assert.deepEqual(answers.map(({ colour }) => colour), ['red', 'red'])
  const { workers } = JSON.parse((await v.admin('GET', '/v1/slots')).body)
  assert.deepEqual(workers.map(({ worker, state }) => `${worker} ${state}`), ['renderer/0 live', 'renderer/1 live'])
  assert.ok(await v.metric('varve_renderer_memory_bytes{worker="renderer/0"}') > 1 << 20)
  await until(() => said(v, 'renderer says').length >= 2, 'what they said')
  assert.ok(said(v, 'renderer says').some(({ worker, line }) => worker === 'renderer/0' && line.includes(`started ${started(v)[0]}`)))
  await v.stop()
  await noneLeft(started(v))
})

test('V1 requests that come before the first renderer is ready wait for it', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1' }))
  assert.equal((await ask(v)).status, 200)
  assert.equal(said(v, 'renderer ready').length, 1)
})

test('V3 a renderer that dies is started again, and the requests of others are answered', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2' }))
  await ready(v, 2)
  const clients = load(v, 4, '/slow?ms=5')
  await until(() => clients.good > 20)
  const [first, second] = started(v)
  process.kill(first, 'SIGKILL')
  await ready(v, 3)
  const good = clients.good
  await until(() => clients.good > good + 20)
  const { bad } = await clients.stop()
  assert.deepEqual(bad, [], 'a request that was under way is asked again at the other one')
  assert.ok(isAlive(second) && !isAlive(first))
  assert.equal(await v.metric('varve_renderer_restarts_total{worker="renderer/0",why="died"}'), 1)
  assert.equal(said(v, 'renderer died')[0].signal, '9')
})

test('V3 when all renderers die at once, the requests under way wait for the ones that are started anew', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 2' }))
  await ready(v, 2)
  const busy = async () => JSON.parse((await v.admin('GET', '/v1/slots')).body).workers.map((w) => w.busy)
  const answers = Array.from({ length: 6 }, (_, i) => v.get(`/slow?ms=600&n=${i}`))
  await until(async () => (await busy()).join() === '1,1', 'both to render')
  for (const signal of ['SIGSTOP', 'SIGKILL']) for (const pid of started(v)) process.kill(pid, signal)
  assert.deepEqual((await Promise.all(answers)).map((res) => res.status), [200, 200, 200, 200, 200, 200])
})

test('V3 one that exits at start is tried at most once a second, and a line says what it said', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, env: {BOOT: fail}' }))
  await until(() => said(v, 'renderer is in a crash loop: it dies before it has served anything').length > 0, 'the crash loop to be named', 30000)
  const [line] = said(v, 'renderer is in a crash loop: it dies before it has served anything')
  assert.equal(line.worker, 'renderer/0')
  assert.match(line.stderr, /Error: cannot find module/)
  const times = said(v, 'renderer started').map(({ at }) => at)
  for (let i = 1; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= 900, `${times[i] - times[i - 1]} ms between two starts`)
  assert.ok(times[2] - times[1] >= 1900, 'then later')
  assert.equal((await v.get('/')).status, 503, 'nobody waits for it')
})

test('V3 what listens at a renderer’s address already is not taken for it', async (t) => {
  const base = await freePorts(1)
  const other = net.createServer((socket) => socket.destroy())
  await new Promise((resolve) => other.listen(base, '127.0.0.1', resolve))
  t.after(() => other.close())
  const v = await varve(t, policy({ spawn: 'workers: 1' }).replace('listen: unix', `listen: ${base}`))
  await until(() => v.log.includes('another process listens at its address'))
  assert.equal((await v.get('/')).status, 503)
  await new Promise((resolve) => other.close(resolve))
  await ready(v, 1)
  assert.equal((await ask(v)).status, 200)
})

test('9.1 renders that a dead worker process of varve waited for end with the renderer’s restart', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1', origin: 'slot_max: 60s,' }))
  await ready(v, 1)
  const first = (await ask(v)).pid
  const lost = v.get('/busy?ms=600000').catch(() => ({}))
  const busy = async () => JSON.parse((await v.admin('GET', '/v1/slots')).body).workers[0].busy
  await until(async () => (await busy()) === 1)
  const worker = v.workerPid()
  process.kill(worker, 'SIGKILL')
  await lost
  await until(() => v.workerPid() !== worker && (v.log.match(/worker ready/g) ?? []).length === 2)
  assert.ok(isAlive(first), 'it survives a crash of varve’s worker')
  process.kill(first, 'SIGKILL')
  assert.equal((await ask(v)).status, 200)
})

test('a renderer that floods its stdout neither stops nor fills the log', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1' }))
  await ready(v, 1)
  assert.equal((await ask(v, '/say?text=hello%09%1b%5b31mworld')).status, 200)
  await until(() => said(v, 'renderer says').some(({ line }) => line.includes('hello')))
  assert.ok(!v.log.includes('\u001b'), 'control bytes are escaped')
  assert.equal((await ask(v, '/flood?lines=100000')).status, 200)
  assert.equal((await ask(v)).status, 200)
  await until(() => said(v, 'renderer says more than the log takes').length > 0)
  assert.ok(said(v, 'renderer says').length < 3000, `${said(v, 'renderer says').length} lines`)
})

test('a reload changes the level at which what renderers say is logged', async (t) => {
  const level = (name) => `${policy({ spawn: 'workers: 1' })}log: {level: ${name}, access: {path: $DIR/access.log}}\n`
  const v = await varve(t, level('info'))
  await ready(v, 1)
  for (const [name, text] of [['warn', 'unheard'], ['info', 'heard']]) {
    v.write(level(name))
    assert.equal((await v.cli('reload')).code, 0)
    assert.equal((await ask(v, `/say?text=${text}`)).status, 200)
  }
  await until(() => said(v, 'renderer says').some(({ line }) => line === 'heard'))
  assert.ok(!v.log.includes('unheard'))
})

const guards = (v) =>
  readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
    try {
      return new RegExp(`\\(varve-guard\\) [^Z] ${v.child.pid} `).test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    } catch {
      return false /* it is gone */
    }
  })

test('9.1 kill -9 of the master leaves no process behind, nor what renderers started', async (t) => {
  const shell = policy({ spawn: 'workers: 2' }).replace(`["${NODE}", "${SERVER}"]`, `["sh", "-c", "${NODE} ${SERVER} & wait"]`)
  const v = await varve(t, shell)
  await ready(v, 2)
  const nodes = [(await ask(v)).pid, (await ask(v)).pid]
  const shells = started(v)
  assert.equal(new Set([...nodes, ...shells]).size, 4)
  const [first] = guards(v)
  process.kill(first, 'SIGKILL')
  await until(() => guards(v).some((pid) => pid !== first), 'another guard')
  await v.stop('SIGKILL')
  await noneLeft([...nodes, ...shells])
})

test('9.1 a renderer that ignores SIGTERM is killed after its grace, with all that it started', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, grace: 300ms, env: {DEAF: "1"}' }))
  await ready(v, 1)
  await v.stop()
  await noneLeft(started(v))
})

test('one that does not listen in time is ended and tried again', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, ready_timeout: 500ms, env: {SILENT: "1"}' }))
  await until(() => started(v).length >= 2)
  assert.ok(v.log.includes('renderer is not ready in time'))
  assert.equal((await v.get('/')).status, 503)
  await until(async () => (await v.metric('varve_renderer_restarts_total{worker="renderer/0",why="startup"}')) >= 1, 'it to be counted')
})

test('commands find a varve whose programs they could not start, and /readyz?renderers tells when one is ready', async (t) => {
  const v = await varve(t, policy({ spawn: 'workers: 1, env: {SILENT: "1"}' }).replace(NODE, 'node'))
  const ready = async () => (await v.admin('GET', '/readyz?renderers')).status
  assert.equal(await ready(), 503)
  v.write(policy({ spawn: 'workers: 1' }).replace(NODE, 'node'))
  assert.equal((await v.cli('reload')).code, 0)
  await until(async () => (await ready()) === 200)
  const stat = spawnSync(VARVE, ['stat', '--once', '--config', v.config], { env: { PATH: '/nowhere' }, encoding: 'utf8' })
  assert.equal(stat.status, 0, stat.stderr)
})

test('`user` is who the renderers are', { skip: process.getuid() !== 0 && 'only root can change users' }, async (t) => {
  const base = await freePorts(1)
  const v = await varve(t, policy({ spawn: 'workers: 1, user: nobody, directory: /' }).replace('listen: unix', `listen: ${base}`))
  await ready(v, 1)
  const { uid } = await ask(v)
  assert.equal(uid, Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout))
})

test('`varve check` says what cannot be started, and where it says so', (t) => {
  const dir = tempDir(t)
  const file = path.join(dir, 'varve.yaml')
  const check = (text) => {
    writeFileSync(file, text)
    return spawnSync(VARVE, ['check', '--config', file], { encoding: 'utf8' })
  }
  const rows = [
    ['{workers: ["http://127.0.0.1:1"], spawn: {command: [node]}}', /:1:\d+: "spawn" starts the workers itself: remove "workers"/],
    ['{spawn: {command: [no-such-program]}}', /:1:\d+: "command": there is no program "no-such-program" in PATH/],
    ['{spawn: {command: ["node server.js"]}}', /write each word as an item of its own/],
    [`{spawn: {command: ["/etc/passwd"]}}`, /"command": there is no program "\/etc\/passwd" that can be executed/],
    ['{spawn: {command: [node], directory: nowhere}}', /"directory": ".*nowhere" is not a directory/],
    ['{spawn: {command: [node], user: nosuchuser}}', /there is no user "nosuchuser"/],
    ['{spawn: {command: [node], env: {PORT: "1"}}}', /varve sets PORT itself/],
    ['{spawn: {workers: 2}}', /"spawn" needs a "command"/],
    ['{spawn: {command: [node], listen: 65535, workers: 2}}', /give a lower port/],
    ['{spawn: {command: [node]}}, b: {spawn: {command: [node]}}', /are those of origin "a": give another one/],
  ]
  for (const [text, message] of rows) {
    const { status, stderr } = check(`origins: {a: ${text}}\n`)
    assert.equal(status, 2, text)
    assert.match(stderr, message)
    assert.match(stderr, /varve\.yaml:1:\d+: /)
  }
  assert.equal(check('origins: {a: {spawn: {command: [node], workers: 2}}}\n').status, 0)
})
