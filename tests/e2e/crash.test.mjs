// kill -9 at random points, and stores that cannot be trusted: what is served afterwards is right, or nothing of it is served.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { existsSync, openSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync, closeSync } from 'node:fs'
import { test } from 'node:test'
import { freePort, outcome, page, renderer, until, varve, VARVE } from './lib.mjs'
import { seeded, sleep } from './oracle/random.mjs'

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 20)
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1000000)
const digest = (text) => createHash('sha1').update(text).digest('hex')
const ROUTES = 'routes: [{match: "/**"}]'
const data = (v) => `${v.dir}/store/f1/data.mdb`
const setAside = (v) => readdirSync(v.dir).filter((name) => name.startsWith('store.bad-'))
const countOf = (text, part) => text.split(part).length - 1

/** "URL version\n", padding, checksum. */
function body(url, version, random) {
  const text = `${url} ${version}\n${'x'.repeat(random.chance(0.2) ? random.int(200000) : random.int(8000))}\n`
  return text + digest(text)
}

/** The version that a page says it has; throws unless it is whole and this page's. */
function versionIn(text, url) {
  const at = text.lastIndexOf('\n') + 1
  assert.equal(digest(text.slice(0, at)), text.slice(at), `broken body of ${url}`)
  const [said, version] = text.slice(0, text.indexOf('\n')).split(' ')
  assert.equal(said, url)
  return Number(version)
}

test(`kill -9 at ${ROUNDS} random points: no wrong body, what was purged stays purged (CRASH_SEED=${SEED})`, { timeout: 600000 }, async (t) => {
  const random = seeded(SEED)
  const versions = Array(60).fill(1), floors = Array(60).fill(1), counts = { hit: 0, purges: 0 }
  const origin = await renderer(t, (req, res) => {
    const n = Number(req.url.slice(2))
    page(res, body(req.url, versions[n], random), { 'cache-control': 'max-age=1000', 'surrogate-key': `tag${n % 5}` })
  })
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\nstore: {path: $DIR/store, size: 32MiB, memory: 2MiB}\n`)
  let isDown = false

  const visit = async (n) => {
    const floor = floors[n]
    const res = await v.get(`/p${n}`).catch((error) => assert.ok(isDown, `not answered: ${error.message}`))
    if (!res || (res.aborted && isDown)) return
    assert.equal(res.status, 200)
    assert.ok(versionIn(res.body, `/p${n}`) >= floor, `/p${n} from before a purge`)
    if (outcome(res) === 'hit') counts.hit++
  }
  const purge = async (n, kind) => {
    const covered = versions.map((_, i) => i).filter((i) => (kind === 'tags' ? i % 5 === n % 5 : kind === 'all' || i === n))
    const promised = covered.map((i) => [i, ++versions[i]])
    const order = { urls: { urls: [`${v.url}/p${n}`] }, tags: { tags: [`tag${n % 5}`] }, all: { all: true, soft: false } }[kind]
    const res = await v.admin('POST', '/v1/purge', order).catch((error) => assert.ok(isDown, `purge: ${error.message}`))
    if (!res || (res.aborted && isDown)) return
    assert.equal(res.status, 200, res.body)
    for (const [i, version] of promised) floors[i] = Math.max(floors[i], version)
    counts.purges++
  }
  const visitors = (isOver) => Array.from({ length: 6 }, async () => {
    while (!isOver()) await visit(random.int(60))
  })
  const publisher = async (isOver) => {
    while (!isOver()) {
      await purge(random.int(60), random.chance(0.05) ? 'all' : random.pick(['urls', 'urls', 'tags']))
      await sleep(random.int(60))
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    const busy = Promise.all([...visitors(() => isDown), publisher(() => isDown)])
    await sleep(100 + random.int(700))
    isDown = true
    await v.stop('SIGKILL')
    await busy
    isDown = false
    await v.start()
    for (let n = 0; n < 60; n += 3) await visit(n)
  }
  t.diagnostic(`CRASH_SEED=${SEED}: ${JSON.stringify(counts)}`)
  assert.deepEqual(setAside(v), [], 'a killed process is no reason to distrust the store')
  assert.ok(counts.hit > 100 && counts.purges > ROUNDS, JSON.stringify(counts))
})

/** varve with one stored page; stopped. */
async function stoppedWithPage(t) {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=1000' }))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  assert.equal((await v.get('/kept')).body, 'render 1')
  await v.stop()
  v.log = ''
  return v
}

/** It begins anew, says so once, and serves and stores as ever. */
async function assertBeganAnew(v) {
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 2')
  assert.equal(outcome(await v.get('/kept')), 'hit')
  assert.equal(countOf(v.log, 'store set aside'), 1, v.log)
  assert.equal(setAside(v).length, 1)
  await v.stop()
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 2', 'the new store is kept')
}

test('9.3 a data file cut short is set aside with one line, and serving goes on', async (t) => {
  const v = await stoppedWithPage(t)
  const bytes = readFileSync(data(v))
  truncateSync(data(v), 4096 * 3)
  assert.ok(bytes.length > 4096 * 3)
  await assertBeganAnew(v)
})

test('9.3 a data file of garbage is set aside with one line, and serving goes on', async (t) => {
  const v = await stoppedWithPage(t)
  writeFileSync(data(v), Buffer.alloc(statSync(data(v)).size, 'garbage '))
  await assertBeganAnew(v)
})

test('9.3 garbage behind sound first pages: no wrong body, and serving goes on', async (t) => {
  const v = await stoppedWithPage(t)
  const file = openSync(data(v), 'r+')
  for (let at = 2 * 4096; at < 64 * 4096; at += 4096) writeSync(file, Buffer.alloc(4096, 'garbage '), 0, 4096, at)
  closeSync(file)
  await v.start()
  const answer = await until(async () => {
    const res = await v.get('/kept').catch(() => undefined)
    return res?.status === 200 && res
  }, 'a page')
  assert.match(answer.body, /^render \d$/)
  assert.ok(countOf(v.log, 'store set aside') <= 1, v.log)
})

for (const [what, sound, broken] of [
  ['body', 'render 1', 'rander 1'],
  ['head', 'x-kind: summer', 'x-kind: winter'],
])
  test(`a ${what} with a changed byte on the disk is never served`, async (t) => {
    const headers = { 'cache-control': 'max-age=1000', 'x-kind': 'summer' }
    const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, headers))
    const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
    await v.get('/kept')
    await v.stop()
    const bytes = readFileSync(data(v))
    const text = what === 'head' ? 'summer' : sound
    const at = bytes.indexOf(text)
    assert.ok(at > 0)
    for (let i = at; i >= 0; i = bytes.indexOf(text, i + 1)) bytes.write(broken.slice(-text.length), i)
    writeFileSync(data(v), bytes)
    await v.start()
    const res = await v.get('/kept')
    assert.equal(res.body, 'render 2')
    assert.equal(res.headers['x-kind'], 'summer')
  })

test('9.3 written when the machine went down: set aside with one line, and serving goes on', async (t) => {
  const v = await stoppedWithPage(t)
  const state = `${v.dir}/store/state`
  writeFileSync(state, readFileSync(state, 'utf8').replace(/boot=\w{16} clean=1/, 'boot=00000000deadbeef clean=0'))
  assert.match(readFileSync(state, 'utf8'), /deadbeef clean=0/)
  await assertBeganAnew(v)
})

test('9.3 a clean stop is trusted after a reboot', async (t) => {
  const v = await stoppedWithPage(t)
  const state = `${v.dir}/store/state`
  writeFileSync(state, readFileSync(state, 'utf8').replace(/boot=\w{16}/, 'boot=00000000deadbeef'))
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 1')
  assert.deepEqual(setAside(v), [])
})

test('9.3 a purge log of garbage: everything older is dead, and serving goes on', async (t) => {
  const v = await stoppedWithPage(t)
  await v.start()
  await v.cli('purge', `${v.url}/other`)
  await v.stop()
  assert.ok(existsSync(`${v.dir}/store/purges`))
  writeFileSync(`${v.dir}/store/purges`, Buffer.alloc(statSync(`${v.dir}/store/purges`).size, 'garbage '))
  v.log = ''
  await v.start()
  assert.equal((await v.get('/kept')).body, 'render 2', 'nobody knows whether it was purged')
  await until(() => v.log.includes('the purge file is damaged'), 'the log to tell')
  assert.equal(countOf(v.log, 'the purge file is damaged'), 1, v.log)
  assert.match((await v.admin('GET', '/metrics')).body, /^varve_purge_overflows_total 1$/m)
})

test('9.3 a second instance on the same store exits 2 and names the pid of the first', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`))
  const v = await varve(t, `renderer: ${origin.url}\n${ROUTES}\n`)
  const listen = `127.0.0.1:${await freePort()}`
  const { code, text } = await new Promise((resolve) =>
    execFile(VARVE, ['run', '--config', v.config, '--listen', listen], (error, stdout, stderr) => resolve({ code: error?.code, text: stdout + stderr })),
  )
  assert.equal(code, 2, text)
  assert.match(text, new RegExp(`in use.*pid ${v.child.pid}: give this one a directory of its own, by store.path or --store DIR`))
  assert.equal((await v.get('/')).status, 200)
})
