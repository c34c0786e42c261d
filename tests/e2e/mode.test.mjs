// `varve mode`: what the operator may say over the rules (renderers B4, B5, B7; semantics 5.2, 7.3, 7.5, 8).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { freePort, gate, outcome, page, renderer, tempDir, until, varve, VARVE } from './lib.mjs'

const navigation = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-dest': 'document' }
const data = { accept: 'application/json' }
const crawler = { ...navigation, 'user-agent': 'Googlebot/2.1' }
const SHELL = 'the shell'
const lifetimes = { '/fresh': { 'cache-control': 'max-age=60' }, '/old': { age: '100', 'cache-control': 'max-age=60' }, '/swr': { age: '100', 'cache-control': 'max-age=60, stale-while-revalidate=3600' } }

/** A renderer, a shell, a class that never gets it, and varve. `render(req, res, n)` instead of a page. */
async function stage(t, { render, origin: ofOrigin = '', more = '', route = '', port } = {}) {
  const s = { dir: tempDir(t) }
  s.origin = await renderer(t, (req, res, n) => (render ? render(req, res, n) : page(res, `render ${n}`, lifetimes[req.url] ?? { 'cache-control': 'no-store' })), { port })
  writeFileSync(`${s.dir}/shell.html`, SHELL)
  s.policy = `origins: {renderer: {workers: ["${s.origin.url}"]${ofOrigin}}}
shell: {file: ${s.dir}/shell.html}
classes: [{name: search, user_agent: [Googlebot], never_shell: true}, {name: people}]
${more}routes: [{match: "/**", on_failure: [stale, shell]${route}}]\n`
  s.v = await varve(t, s.policy, { dir: s.dir })
  s.get = (target, headers = navigation, options) => s.v.get(target, headers, options)
  s.last = (path) => until(() => s.v.lastLine(path), `${path} in the log`)
  s.reasonIs = (path, reason) => until(() => s.v.lastLine(path)?.reason === reason, `${path}: ${reason} in the log`)
  s.mode = async (mode) => {
    const { code, stderr } = await s.v.cli('mode', mode)
    assert.equal(code, 0, stderr)
  }
  return s
}

test('mode shell: fresh pages as ever, else stale, else the shell, and no render; crawlers and data go on as under auto', async (t) => {
  const s = await stage(t)
  for (const path of Object.keys(lifetimes)) await s.get(path)
  const before = s.origin.requests.length
  await s.mode('shell')
  const fresh = await s.get('/fresh')
  assert.deepEqual([outcome(fresh), fresh.body], ['hit', 'render 1'])
  for (const path of ['/old', '/swr']) {
    const stale = await s.get(path)
    assert.match(stale.body, /^render/, path)
    assert.ok(Number(stale.headers.age) >= 100)
    await s.reasonIs(path, 'policy')
    assert.equal((await s.last(path)).outcome, 'stale')
  }
  for (const [path, headers] of [['/new', navigation], ['/mine', { ...navigation, cookie: 'sid=1' }]]) {
    const shell = await s.get(path, headers)
    assert.deepEqual([shell.status, shell.body, shell.headers['cache-control']], [200, SHELL, 'no-store'])
    await s.reasonIs(path, 'policy')
    assert.equal((await s.last(path)).outcome, 'shell')
  }
  assert.equal((await s.get('/swr', crawler)).status, 200)
  assert.equal((await s.get('/old', { ...navigation, via: '1.1 cdn' })).headers.age >= 100, true, 'what comes through another cache may have stale')
  await until(() => s.v.accessLog().filter((line) => line.path === '/old' && line.reason === 'policy').length === 2, 'its line, too')
  assert.equal(s.origin.requests.length, before, 'nothing was rendered, nor refreshed behind people')
  assert.equal(await s.v.metric('varve_shell_total{reason="policy"}'), 2)

  for (const [path, headers] of [['/new', data], ['/new', crawler], ['/old', crawler], ['/app.js', navigation], ['/new', { ...navigation, via: '1.1 cdn' }]])
    assert.match((await s.get(path, headers)).body, /^render/, `${path} ${JSON.stringify(headers)}`)
  assert.equal((await s.get('/new', navigation, { method: 'POST', body: 'a=1' })).body, `render ${before + 6}`)
  assert.equal(s.origin.requests.length, before + 6)

  await s.mode('auto')
  assert.match((await s.get('/new')).body, /^render/)
  await s.get('/swr')
  await until(() => s.origin.requests.length > before + 7, 'it to be refreshed behind people')
})

test('mode shell is about renderers: what has no slots, and assets, go on', async (t) => {
  const s = await stage(t, { more: '' })
  s.v.write(`origins: {renderer: {workers: ["${s.origin.url}"]}, api: {workers: ["${s.origin.url}"], slots: 0}}
shell: {file: ${s.dir}/shell.html}
routes: [{match: "/api/**", origin: api}, {match: "/files/**", assets: true}, {match: "/**"}]\n`)
  assert.equal((await s.v.cli('reload')).code, 0)
  await s.mode('shell')
  assert.equal((await s.get('/page')).body, SHELL)
  for (const path of ['/api/docs', '/files/manual']) assert.match((await s.get(path)).body, /^render/, path)
})

test('mode shell follows on_failure: the shell first where it says so, and what can have neither is rendered', async (t) => {
  const s = await stage(t)
  const routes = '[{match: "/first/**", on_failure: [shell, stale]}, {match: "/none/**", on_failure: [stale]}]'
  s.v.write(s.policy.replace(/routes: .*/, `routes: ${routes}`))
  assert.equal((await s.v.cli('reload')).code, 0)
  const old = { age: '100', 'cache-control': 'max-age=60' }
  Object.assign(lifetimes, { '/first/old': old, '/none/old': old })
  for (const path of ['/first/old', '/none/old']) await s.get(path)
  await s.mode('shell')
  assert.equal((await s.get('/first/old')).body, SHELL)
  assert.equal((await s.get('/none/old')).body, 'render 2')
  assert.equal((await s.get('/none/new')).body, 'render 3')
})

test('8.2 mode shell, and the shell is a light answer: no page is rendered for it; the page is when there is no shell after all', async (t) => {
  let isBroken = false
  const s = await stage(t, {
    render: (req, res, n) => (req.headers['x-render-mode'] !== 'client' ? page(res, `render ${n}`) : isBroken ? res.writeHead(500).end() : page(res, 'light')),
  })
  s.v.write(s.policy.replace(/shell: .*/, 'shell: {origin: renderer, set_headers: {X-Render-Mode: client}}'))
  assert.equal((await s.v.cli('reload')).code, 0)
  await s.mode('shell')
  assert.equal((await s.get('/p')).body, 'light')
  assert.equal((await s.last('/p')).reason, 'policy')
  isBroken = true
  assert.match((await s.get('/q')).body, /^render/)
})

test('mode ssr: no shell by load, by client_wait, by failure; stale then, else 503; when_logged_in: shell stays', async (t) => {
  const slow = gate()
  let isDown = false
  const s = await stage(t, {
    render: async (req, res, n) => {
      if (isDown) return res.socket.destroy()
      if (req.url === '/slow') await slow.promise
      page(res, `render ${n}`, lifetimes[req.url] ?? { 'cache-control': 'no-store' })
    },
    origin: ', slots: 1, client_wait: 100ms, retries: 0, queue: {shell_at: 0, shed_at: 2}',
    route: ', when_logged_in: shell',
  })
  await s.get('/old')
  await s.mode('ssr')
  assert.equal((await s.get('/x', { ...navigation, cookie: 'sid=1' })).body, SHELL)
  const held = s.get('/slow')
  await until(() => s.origin.now === 1, 'the render')
  const waiting = [s.get('/a'), s.get('/b')]
  await until(async () => (await s.v.metric('varve_queue_depth{origin="renderer"}')) === 2, 'two to wait, though shell_at is 0')
  const shed = await s.get('/c')
  assert.equal(shed.status, 503)
  assert.ok(shed.headers['retry-after'])
  await s.reasonIs('/c', 'over_shed')
  await new Promise((r) => setTimeout(r, 300)) /* client_wait passes three times */
  slow.open()
  for (const res of await Promise.all([held, ...waiting])) assert.match(res.body, /^render/)
  isDown = true
  assert.equal((await s.get('/old')).body, 'render 1')
  assert.equal((await s.get('/new')).status, 503)
  await s.reasonIs('/new', 'upstream_error')
  assert.equal(await s.v.metric('varve_shell_total{reason="logged_in"}'), 1)
  await s.mode('auto')
  assert.equal((await s.get('/new')).body, SHELL)
})

test('9.1 the mode holds over reloads and a crash of the worker, and not over a restart of varve', async (t) => {
  const s = await stage(t)
  assert.equal(JSON.parse((await s.v.admin('GET', '/v1/mode')).body).mode, 'auto')
  await s.mode('shell')
  assert.equal((await s.v.cli('reload')).code, 0)
  assert.equal((await s.get('/a')).body, SHELL)
  process.kill(s.v.workerPid(), 'SIGKILL')
  await until(async () => (await s.get('/b').catch(() => ({}))).body === SHELL, 'the next worker process')
  assert.equal(await s.v.metric('varve_mode{mode="shell"}'), 1)
  assert.equal(await s.v.metric('varve_mode_changes_total{to="shell"}'), 1)
  await until(() => (s.v.log.match(/starts in a mode set by the operator mode=shell/g) ?? []).length === 2, 'a line of each')
  await s.v.stop()
  await s.v.start()
  assert.equal((await s.v.cli('mode', '--json')).stdout.includes('"auto"'), true)
  assert.match((await s.get('/c')).body, /^render/)
})

test('each change is one line of the log with who, and one count; explain and stat tell of it; bad words change nothing', async (t) => {
  const s = await stage(t)
  await s.get('/old')
  const post = (body) => s.v.admin('POST', '/v1/mode', body)
  const set = JSON.parse((await post({ mode: 'shell' })).body)
  assert.deepEqual(set, { mode: 'shell', was: 'auto' })
  assert.deepEqual(JSON.parse((await post({ mode: 'shell' })).body), { mode: 'shell', was: 'shell' })
  const lines = () => s.v.log.match(/mode is [^\n]*by="uid \d+, pid \d+"/g) ?? []
  await until(() => lines().length === 1, 'one line for one change')
  assert.match(lines()[0], new RegExp(`mode=shell was=auto by="uid ${process.getuid()}, pid ${process.pid}"`))
  assert.equal(await s.v.metric('varve_mode_changes_total{to="shell"}'), 1)
  for (const [mode, is] of [['auto', 0], ['ssr', 0], ['shell', 1]]) assert.equal(await s.v.metric(`varve_mode{mode="${mode}"}`), is, mode)

  const explain = async (target, ...more) => JSON.parse((await s.v.cli('explain', s.v.url + target, '-H', `Accept: ${navigation.accept}`, ...more, '--json')).stdout)
  const [fallback, stale, crawled, logged] = [await explain('/new'), await explain('/old'), await explain('/new', '-H', crawlerHeader), await explain('/new', '-H', 'Cookie: sid=1')]
  assert.deepEqual([fallback.mode, fallback.would, fallback.reason], ['shell', 'shell', 'policy'])
  assert.deepEqual([stale.would, stale.reason], ['stale', 'policy'])
  assert.deepEqual([crawled.would, crawled.reason], ['render', 'cold'])
  assert.deepEqual([logged.would, logged.reason], ['shell', 'policy'])

  const stat = async (...more) => (await s.v.cli('stat', '--once', ...more)).stdout
  assert.match(await stat(), /^mode shell: /)
  assert.equal(JSON.parse(await stat('--json'))['varve_mode{mode="shell"}'], 1)
  assert.match((await s.v.cli('mode')).stdout, /^mode +shell\nsince_seconds +\d/)

  for (const body of [{}, { mode: 'off' }, { mode: 1 }, { mode: '' }, [], { mode: 'shell\u0000' }]) assert.equal((await post(body)).status, 400, JSON.stringify(body))
  const put = await s.v.admin('PUT', '/v1/mode', {})
  assert.deepEqual([put.status, put.headers.allow], [405, 'GET, HEAD, POST'])
  assert.equal((await post({ mode: 'shell' })).headers.allow, undefined)
  const off = await s.v.cli('mode', 'off')
  assert.equal(off.code, 2)
  assert.match(off.stderr, /"off" is no mode: auto, ssr or shell/)
  assert.equal((await s.v.cli('mode', 'auto', 'ssr')).code, 2)
  assert.equal(spawnSync(VARVE, ['mode', 'auto', '--admin', `unix:${s.dir}/nobody.sock`]).status, 3)
  const help = spawnSync(VARVE, ['mode', '--help'], { encoding: 'utf8' })
  assert.equal(help.status, 0)
  assert.match(help.stdout, /example: varve mode shell/)
  assert.equal(JSON.parse((await s.v.admin('GET', '/v1/mode')).body).mode, 'shell', 'nothing of this has changed it')
  await s.mode('auto')
  assert.doesNotMatch(await stat(), /^mode/)
  await until(() => lines().length === 2, 'the second change in the log')
})
const crawlerHeader = 'User-Agent: Googlebot/2.1'

test('B7 all renderers of an origin die, and come back later: the shell unattended, rendered pages by themselves; a line and a count at each change', async (t) => {
  const ports = [await freePort(), await freePort()]
  const handler = (req, res) => page(res, `page ${req.url}`, { 'cache-control': 'no-store' })
  const workers = []
  for (const port of ports) workers.push(await renderer(t, handler, { port }))
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, SHELL)
  const v = await varve(
    t,
    `origins: {renderer: {workers: [${ports.map((port) => `"http://127.0.0.1:${port}"`).join(', ')}], slots: 1}}
shell: {file: ${dir}/shell.html}
routes: [{match: "/**", on_failure: [stale, shell]}]\n`,
    { dir },
  )
  const changes = (to) => v.metric(`varve_origin_changes_total{origin="renderer",to="${to}"}`)
  let isOver = false
  let held = { open: () => {} }
  let underWay = 0
  const seen = []
  const visitor = async (name) => {
    for (let n = 0; !isOver; n++) {
      await held.promise
      underWay++
      const { status, body } = await v.get(`/${name}/${n}`, navigation)
      seen.push(status === 200 && (body === SHELL ? 'shell' : body === `page /${name}/${n}` ? 'page' : body))
      underWay--
      await new Promise((r) => setTimeout(r, 5))
    }
  }
  /** An answer that is read behind a refusal would be a sign of life. */
  const kill = async (worker) => {
    held = gate()
    await until(() => underWay === 0, 'those who ask to be answered')
    await worker.stop()
    held.open()
  }
  const load = Promise.all(['a', 'b', 'c', 'd'].map(visitor))
  await until(() => seen.length > 20, 'load')
  assert.equal(await v.metric('varve_origin_up{origin="renderer"}'), 1)
  await kill(workers[0])
  await until(async () => (await v.metric('varve_worker_up{worker="renderer/0"}')) === 0, 'one to be down')
  assert.equal(await changes('down'), 0, 'one is left')
  await kill(workers[1])
  await until(() => seen.at(-1) === 'shell', 'the shell')
  await until(async () => (await v.metric('varve_origin_up{origin="renderer"}')) === 0, 'the origin to be down')
  await until(() => /warn origin is down[^\n]*origin=renderer why="all its workers are down or drained"/.test(v.log), 'the log to tell')
  await renderer(t, handler, { port: ports[0] })
  await until(() => seen.at(-1) === 'page', 'rendered pages, with nobody doing anything')
  await until(() => /info origin is up again[^\n]*origin=renderer seconds_down=\d/.test(v.log), 'the log to tell')
  isOver = true
  await load
  assert.deepEqual([...new Set(seen)].sort(), ['page', 'shell'], 'nobody got an error')
  assert.deepEqual([await changes('down'), await changes('up')], [1, 1])
  assert.equal(await v.metric('varve_mode{mode="auto"}'), 1, 'nobody has said a word')
  assert.equal((v.log.match(/origin is (down|up|flapping)/g) ?? []).length, 2)
  for (const [word, to] of [['drain', 'down'], ['up', 'up']]) {
    assert.equal((await v.cli('slots', word, 'renderer/0')).code, 0)
    await until(async () => (await changes(to)) === 2, `${word}: drained by the operator is the same to visitors`)
  }
})
