// varve simulate: the queue under a virtual clock, by the command line (renderers A18, K4, K7, K10–K13).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { gate, page, renderer, tempDir, tlsListener, until, varve, VARVE } from './lib.mjs'

const simulate = (...words) => spawnSync(VARVE, ['simulate', ...words], { encoding: 'utf8' })
const json = (...words) => {
  const { status, stdout, stderr } = simulate(...words, '--json')
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}
const four = ['--workers', '4', '--slots', '1']
const bimodal = ['--render', 'bimodal:5ms,50ms,10%']

test('the same seed gives the same bytes, another seed another load', () => {
  const words = ['--rate', '600/s', ...bimodal, ...four, '--requests', '5000', '--compare']
  const first = simulate(...words)
  assert.equal(first.status, 0, first.stderr)
  assert.equal(simulate(...words).stdout, first.stdout)
  assert.equal(simulate(...words, '--seed', '1').stdout, first.stdout)
  assert.notEqual(simulate(...words, '--seed', '2').stdout, first.stdout)
  assert.match(first.stdout, /^4 workers of 1 slot; shell_at 4, shed_at 32 for each live slot; client_wait 2s; seed 1\n5000 requests in /)
})

test('A18 compared: one queue is better than any way of sending who comes to a worker at once', () => {
  const { rows } = json('--rate', '260/s', ...bimodal, ...four, '--shell', '0%', '--requests', '20000', '--compare')
  assert.deepEqual(rows.map((r) => `${r.queue} ${r.balance}`), [
    ...['idle', 'first', 'least', 'round-robin', 'random'].map((b) => `common ${b}`),
    ...['idle', 'first', 'least', 'round-robin', 'random'].map((b) => `per worker ${b}`),
    'retry random',
  ])
  const p99 = Object.fromEntries(rows.map((r) => [`${r.queue} ${r.balance}`, r.total_ms.p99]))
  const common = p99['common idle']
  for (const row of rows.filter((r) => r.queue === 'common')) assert.equal(row.total_ms.p99, common, 'one queue is one queue')
  for (const row of rows.filter((r) => r.queue === 'per worker')) assert.ok(row.total_ms.p99 > common, row.balance)
  assert.ok(p99['per worker idle'] <= p99['per worker round-robin'] && p99['per worker round-robin'] <= p99['per worker random'])
})

test('K4 compared: workers that refuse, and random retries: requests fail while slots are idle, and what is rendered takes longer', () => {
  const { rows } = json('--rate', '300/s', ...bimodal, ...four, '--shell', '0%', '--requests', '20000', '--compare')
  const common = rows[0]
  const retry = rows.find((r) => r.queue === 'retry')
  assert.equal(common.rendered, 20000)
  assert.ok(retry.shed > 200 && retry.retried > 2 * retry.shed && retry.busy < 0.75)
  assert.ok(retry.total_ms.p50 > 2 * common.total_ms.p50, `${retry.total_ms.p50} ms, ${common.total_ms.p50} ms`)
})

test('K10, K11 load of 1, 10 and 1: renders stay what the slots can do, shells follow the spike and end within 5 s of it', () => {
  const { rows: [row] } = json('--rate', '20/s:30s,200/s:30s,20/s:60s', '--render', 'exponential:50ms', ...four)
  assert.ok(row.over_shell > 2500, 'of some 3600 that were too many')
  assert.equal(row.shed + row.failed, 0)
  assert.ok(row.last_shell_seconds > 59 && row.last_shell_seconds < 65, `${row.last_shell_seconds} s`)
})

test('K10 a spike: renders go on, who is too many gets the shell; without it they wait and are shed', () => {
  const { rows } = json('--rate', '20/s:30s,400/s:30s,20/s:30s', '--render', 'exponential:50ms', ...four, '--compare')
  const on = rows[0]
  const off = rows.find((r) => r.queue === 'common' && !r.shell)
  assert.equal(on.requests, off.requests)
  assert.ok(on.over_shell > 0 && on.shed === 0)
  assert.ok(off.over_shell === 0 && off.shed > 0)
  assert.equal(on.longest_queue, 16)
  assert.equal(off.longest_queue, 4 * 32)
  assert.ok(on.total_ms.p99 < off.total_ms.p99)
})

test('K12 an outage: limits follow the live workers, and what one rendered is asked for again', () => {
  const words = ['--rate', '1000/s', '--render', '50ms', '--workers', '2', '--slots', '1', '--requests', '5000']
  const { rows: [row] } = json(...words, '--outage', '0@0s+1h', '--outage', '1@2s+1s')
  assert.equal(row.longest_queue, 4)
  assert.equal(row.retried, 1)
  assert.ok(row.all_down > 900 && row.all_down < 1100, 'a second of nobody there')
})

test('K13 all are gone, and one comes back before the others: limits follow it, and it is not sent what was meant for four', () => {
  const outages = [15, 25, 35, 45].flatMap((end, i) => ['--outage', `${i}@10s+${end - 10}s`])
  const { rows } = json('--rate', '60/s:60s', '--render', 'exponential:50ms', ...four, '--shell', '0%', '--shed-at', '4', ...outages, '--compare')
  const common = rows[0]
  const drowned = rows.find((r) => r.queue === 'per worker' && r.balance === 'random')
  assert.ok(common.failed > 4 * 60 && common.failed < 6 * 60, 'nobody is there for five seconds')
  assert.ok(common.longest_queue <= 16)
  assert.ok(drowned.longest_queue > 300, `${drowned.longest_queue} at the first one`)
})

test('the advice holds: with it waits are as short as it says, and with a longer queue they are not', () => {
  const words = ['--rate', '160/s', '--render', 'exponential:50ms', ...four, '--requests', '20000', '--client-wait', '500ms']
  const { advice } = json(...words)
  assert.ok(advice.shell_at > 0)
  assert.match(advice.text, /^queue: \{shell_at: \d+\} is the most with which 95 % of those who wait have a slot within client_wait \(500ms\): after \d+ ms, at the load given$/)
  const p95 = (shellAt) => json(...words, '--shell-at', String(shellAt)).rows[0].waiters_p95_ms
  assert.ok(p95(advice.shell_at) < 500)
  assert.ok(p95(advice.shell_at + 1) >= 500)
  assert.match(json('--rate', '1/s', '--render', '50ms', ...four).advice.text, /at twice what the slots can do/)
  assert.equal(json(...words, '--shell', '0%').advice.shell_at, null)
})

test('--config: workers, slots, limits, classes and the shell of the policy', (t) => {
  const dir = tempDir(t)
  const file = path.join(dir, 'varve.yaml')
  fs.writeFileSync(path.join(dir, 'shell.html'), '<div id=app></div>')
  const policy = (shell) => `${shell}
store: {path: ${dir}/store}
classes:
- {name: search, ip_ranges: [10.9.0.0/16], never_shell: true, reserve: 1}
- {name: people}
origins:
  api: {workers: ["http://127.0.0.1:4000"], slots: 0}
  renderer: {workers: ["http://127.0.0.1:3001", "http://127.0.0.1:3002"], slots: 1, client_wait: 300ms, queue: {shell_at: 3, shed_at: 7, per_slot: false}}
routes: [{match: "/**", origin: renderer}]
`
  const words = ['--config', file, '--origin', 'renderer', '--rate', '100/s', '--render', '50ms', '--requests', '2000']
  fs.writeFileSync(file, policy(`shell: {file: ${dir}/shell.html}`))
  const people = json(...words)
  assert.deepEqual([people.setup.workers, people.setup.slots, people.setup.client_wait_ms], [2, 1, 300])
  assert.equal(people.rows[0].longest_queue, 3)
  assert.ok(people.rows[0].over_shell > 0 && people.rows[0].shed === 0)
  const search = json(...words, '--class', 'search=100%').rows[0]
  assert.equal(search.longest_queue, 7)
  assert.ok(search.over_shell === 0 && search.shed > 0, 'never_shell')
  fs.writeFileSync(file, policy(''))
  assert.equal(json(...words).rows[0].longest_queue, 7, 'no shell in the policy')
  const api = simulate('--config', file, '--rate', '1/s', '--render', '5ms')
  assert.equal(api.status, 2)
  assert.match(api.stderr, /slots: 0 has no queue to simulate; say --slots/)
})

test('--log: what a running varve wrote, hits left out, is played again', async (t) => {
  const origin = await renderer(t, (req, res) => setTimeout(() => page(res, req.url, { 'cache-control': 'max-age=60' }), 20))
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}"], slots: 1}}\nroutes: [{match: "/**"}]\n`)
  for (const target of ['/1', '/2', '/1', '/3', '/1', '/2']) assert.equal((await v.get(target)).status, 200)
  await until(() => v.accessLog().length === 6, 'six lines')
  const renders = v.accessLog().filter((l) => l.outcome === 'miss')
  assert.equal(renders.length, 3)
  const log = path.join(v.dir, 'access.log')
  const noAdvice = ['--shell', '0%'] /* it would be looked for at twice what the slots can do */
  const played = json('--config', v.config, '--log', log)
  assert.equal(played.setup.requests, 3)
  assert.equal(played.rows[0].rendered, 3)
  const mean = renders.reduce((sum, l) => sum + l.render_ms, 0) / 3
  assert.ok(Math.abs(played.setup.mean_render_ms - mean) < 0.001)
  const seconds = (new Date(renders[2].time) - new Date(renders[0].time)) / 1000
  assert.ok(Math.abs(played.setup.seconds - seconds) < 0.0011)
  const fast = json('--log', log, '--speed', '10', ...noAdvice).setup.seconds
  assert.ok(Math.abs(fast - seconds / 10) < 0.0011)
  const drawn = json('--log', log, '--rate', '50/s', '--requests', '3000', ...noAdvice)
  assert.equal(drawn.setup.requests, 3000)
  assert.ok(Math.abs(drawn.setup.mean_render_ms - mean) < mean / 10, "the log's renders at another rate")
  assert.equal(json('--log', log, '--render', '5ms', ...noAdvice).setup.mean_render_ms, 5)
})

test('--log: a 304 counts with the time it took; a redirect, a PURGE and who left too early are no renders of 0 ms', async (t) => {
  const dir = tempDir(t)
  const tls = await tlsListener(dir)
  const asked = gate()
  const origin = await renderer(t, (req, res) => {
    if (req.url === '/never') return asked.open()
    const answer = () => (req.headers['if-none-match'] ? res.writeHead(304).end() : page(res, 'x', { etag: '"v"', 'cache-control': 'no-cache' }))
    setTimeout(answer, 100)
  })
  const policy = `purge: {methods: [PURGE], allow: [127.0.0.0/8]}\nredirect_http: true\nrenderer: ${origin.url}\nroutes: [{match: "/**"}]\n`
  const v = await varve(t, tls.yaml + policy, { dir })
  const secure = { 'x-forwarded-proto': 'https' }
  for (const target of ['/', '/', '/']) assert.equal((await v.get(target, secure)).status, 200)
  const leaver = new AbortController()
  const left = assert.rejects(v.get('/never', secure, { signal: leaver.signal }))
  await asked.promise
  leaver.abort()
  await left
  for (const target of ['/a', '/b']) assert.equal((await v.get(target)).status, 308)
  assert.equal((await v.get('/', secure, { method: 'PURGE' })).status, 200)
  await until(() => v.accessLog().length === 7, 'seven lines')
  const renders = v.accessLog().filter((l) => l.worker === 'renderer/0')
  assert.deepEqual(renders.map((l) => l.outcome).sort(), ['miss', 'revalidated', 'revalidated'])
  for (const line of renders) assert.ok(line.render_ms >= 50, JSON.stringify(line)) // it counts from when varve has seen that it was sent
  for (const words of [[], ['--config', v.config]]) {
    const { setup } = json(...words, '--log', path.join(dir, 'access.log'), '--shell', '0%')
    assert.equal(setup.requests, 4, 'who left wanted one too')
    assert.ok(setup.mean_render_ms >= 50, `${setup.mean_render_ms} ms`)
  }
})

test('a log: which lines count, in whatever order; what is wrong is named with its line', (t) => {
  const file = path.join(tempDir(t), 'access.log')
  const line = (ms, outcome, reason, render, more = {}) =>
    JSON.stringify({ time: new Date(Date.UTC(2026, 10, 22) + ms).toISOString(), outcome, reason, class: 'people', worker: render ? 'renderer/0' : '', render_ms: render, ...more })
  const lines = [
    line(3000, 'miss', 'cold', 40),
    line(1000, 'pass', 'no_store', 20),
    line(0, 'revalidated', 'fresh', 30),
    line(500, 'hit', 'fresh', 0),
    line(600, 'collapsed', 'cold', 40),
    line(700, 'stale', 'revalidating', 0),
    line(2000, 'shell', 'over_shell', 0),
    line(2100, 'shell', 'logged_in', 0),
    line(2200, 'shed', 'over_shed', 0),
    line(2300, 'error', 'all_down', 0),
    line(2400, 'error', 'policy', 0),
    line(2500, 'pass', 'route', 0, { status: 308 }),
    line(2600, 'pass', 'method', 0, { status: 200 }),
    line(2700, 'miss', 'cold', 0, { status: 499 }),
  ]
  fs.writeFileSync(file, `${lines.join('\n')}\n{"time":"2026-11-22T00:00`)
  const { setup } = json('--log', file, ...four, '--shell', '0%')
  assert.equal(setup.requests, 7)
  assert.equal(setup.seconds, 3)
  const bad = [
    ['{"a":1}\n', /access\.log:1: is not a line of varve's access log/],
    [`${lines[0]}\n127.0.0.1 - - [22/Nov/2026:03:14:22 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n`, /access\.log:2: is not JSON: .*format: json/],
    [`${lines[3]}\n`, /no line is of a request that wanted a render/],
    ['', /no line is of a request that wanted a render/],
    [`${lines[8]}\n`, /at least one render that ended, or --render/],
    [`${'x'.repeat(100000)}\n`, /access\.log:1: is too long/],
    [`${line(0, 'miss', 'cold', 5).replace('2026-11-22', '2026-99-22')}\n`, /access\.log:1: is not a line/],
    [`${line(0, 'miss', 'cold', 5).replace('2026-11-22', '1013-11-22')}\n`, /access\.log:1: is not a line/],
  ]
  for (const [text, expected] of bad) {
    fs.writeFileSync(file, text)
    const { status, stderr, stdout } = simulate('--log', file)
    assert.equal(status, 2, text.slice(0, 80))
    assert.match(stderr, expected)
    assert.equal(stdout, '')
  }
})

test('a mistake is named with what to write instead, status 2', () => {
  const load = ['--rate', '5/s', '--render', '5ms']
  const mistakes = [
    [[], /says not what load: --rate 200\/s or --log FILE/],
    [['--rate', '5/s'], /says not how long renders take/],
    [['--rate', '5', '--render', '5ms'], /--rate 5: expected requests\/s/],
    [['--rate', '5/s,6/s', '--render', '5ms'], /--rate 5\/s,6\/s: expected/],
    [['--rate', '0/s', '--render', '5ms'], /--rate 0\/s: expected/],
    [['--rate', '5/s', '--render', '5'], /--render 5: expected 50ms, exponential/],
    [['--rate', '5/s', '--render', 'bimodal:5ms,50ms'], /--render bimodal:5ms,50ms: expected/],
    [['--rate', '5/s', '--render', 'lognormal:50ms,x'], /expected/],
    [[...load, '--workers', '0'], /--workers 0: expected a number from 1 to 256/],
    [[...load, '--slots', '1025'], /--slots 1025: expected a number from 1 to 1024/],
    [[...load, '--requests', '10000001'], /--requests 10000001: expected a number from 1 to 10000000/],
    [[...load, '--balance', 'best'], /--balance best: expected idle, first, round-robin, least or random/],
    [[...load, '--client-wait', 'long'], /--client-wait long: expected a duration/],
    [[...load, '--shell', '101%'], /--shell 101%: expected a share/],
    [[...load, '--class', 'nobody=5%'], /--class nobody=5%: expected NAME=SHARE of a class of the policy/],
    [[...load, '--outage', '1@5s'], /--outage 1@5s: expected WORKER@START\+LENGTH/],
    [[...load, '--outage', '1@5s+1s'], /--outage 1@5s\+1s: there is no worker 1, only 0; --workers N makes more/],
    [[...load, '--workers', '3', '--outage', '3@5s+1s'], /there is no worker 3, only 0 to 2; --workers N/],
    [[...load, '--speed', '2'], /--speed 2: expected a --log/],
    [[...load, '--origin', 'other'], /the policy has no origin "other"/],
    [[...load, '--config', '/nowhere/varve.yaml'], /varve\.yaml: there is no such file/],
    [['--log', '/nowhere/access.log'], /cannot read \/nowhere\/access\.log: No such file/],
    [['--log', '/'], /Is a directory/],
    [[...load, 'more'], /unexpected "more"; a load is given by --rate or --log/],
    [[...load, '--bogus'], /unrecognized option '--bogus'\ntry: varve simulate --help/],
  ]
  for (const [words, expected] of mistakes) {
    const { status, stderr, stdout } = simulate(...words)
    assert.equal(status, 2, words.join(' '))
    assert.match(stderr, expected)
    assert.equal(stdout, '')
  }
  const help = simulate('--help')
  assert.equal(help.status, 0)
  for (const [, words] of help.stdout.matchAll(/(?:example:|^ {8}) varve simulate (--rate.*)$/gm)) assert.equal(simulate(...words.split(' ')).status, 0, words)
})

test('docs/operations.md shows what it prints', () => {
  const [, words, shown] = /^```\n\$ varve (simulate .*)\n([^]*?)^```$/m.exec(fs.readFileSync('docs/operations.md', 'utf8'))
  const { stdout } = simulate(...words.split(' ').slice(1))
  assert.equal(stdout, shown)
})
