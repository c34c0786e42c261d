// The admin API as an operator's tools meet it: who may ask, what is refused and how, purges and their counts, what is shown.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, rmdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { VARVE, all, freePort, gate, isAlive, page, renderer, request, tempDir, until, varve } from './lib.mjs'
import { exchange } from './wire.mjs'

const MINUTE = { 'cache-control': 'max-age=60' }
const pages = (t) => renderer(t, (req, res, n) => page(res, `render ${n}`, MINUTE))
const plain = async (t, more = '') => varve(t, `renderer: ${(await pages(t)).url}\nroutes: [{match: "/**"}]\n${more}`)

/** Sends raw bytes and gives what came until the connection was closed. */
const problem = (res, status, words) => {
  assert.equal(res.status, status, res.body)
  assert.equal(res.headers['content-type'], 'application/problem+json')
  assert.equal(res.headers['cache-control'], 'no-store')
  const body = JSON.parse(res.body)
  assert.equal(body.status, status)
  assert.match(body.detail, words)
}
const ok = (res) => {
  assert.equal(res.status, 200, res.body)
  return JSON.parse(res.body)
}
const purge = async (v, order) => ok(await v.admin('POST', '/v1/purge', order))

test('10.2 over TCP: a token, its own Host, no foreign Origin', async (t) => {
  const origin = await pages(t)
  const port = await freePort()
  const dir = tempDir(t)
  writeFileSync(`${dir}/token`, ' secret-token \n', { mode: 0o600 })
  await varve(t, `renderer: ${origin.url}\nadmin: {listen: "127.0.0.1:${port}", token_file: $DIR/token}\n`, { dir })
  const ask = (headers, target = '/v1/stats') => request(`http://127.0.0.1:${port}${target}`, { headers })
  const authorization = 'Bearer secret-token'
  assert.equal((await ask({ authorization })).status, 200)
  assert.equal((await ask({ authorization: 'bearer secret-token' })).status, 200)
  for (const wrong of [{}, { authorization: 'Bearer secret-toke' }, { authorization: 'Bearer secret-token2' }, { authorization: 'Bearer ' }, { authorization: 'Basic secret-token' }]) {
    const res = await ask(wrong)
    problem(res, 401, /token/)
    assert.equal(res.headers['www-authenticate'], 'Bearer')
  }
  problem(await ask({ authorization, origin: 'https://evil.example' }), 403, /origin/)
  problem(await ask({ authorization, origin: 'null' }), 403, /origin/)
  for (const host of ['evil.example', `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, `localhost.evil.example:${port}`])
    problem(await ask({ authorization, host }), 403, /Host/)
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'localhost'])
    assert.equal((await ask({ authorization, host })).status, 200, host)
  assert.equal((await ask({ authorization }, '/healthz')).body, 'ok\n')
  const { status, stderr } = spawnSync(VARVE, ['slots', '--admin', `127.0.0.1:${port}`, '--token-file', `${dir}/token`], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const refused = [
    [() => writeFileSync(`${dir}/copy`, 's'.repeat(1025), { mode: 0o600 }), /token file \S+copy: the token is too long \(the limit is 1024 bytes\)/],
    [() => writeFileSync(`${dir}/copy`, 'secret-token\r\nX-Other: 1\n'), /token file \S+copy: a token is one line, without control characters/],
    [() => writeFileSync(`${dir}/copy`, ' \n'), /token file \S+copy: there is no token in it/],
    [() => rmSync(`${dir}/copy`) ?? mkdirSync(`${dir}/copy`), /token file \S+copy: it must be a file/],
    [() => rmdirSync(`${dir}/copy`) ?? spawnSync('mkfifo', [`${dir}/copy`]), /token file \S+copy: it must be a file/],
  ]
  for (const [make, words] of refused) {
    make()
    const answer = spawnSync(VARVE, ['slots', '--admin', `127.0.0.1:${port}`, '--token-file', `${dir}/copy`], { encoding: 'utf8', timeout: 20000 })
    assert.equal(answer.status, 2, answer.stderr)
    assert.match(answer.stderr, words)
  }
})

test('what is not there is 404, what is there otherwise 405 with Allow', async (t) => {
  const v = await plain(t)
  problem(await v.admin('GET', '/v2/stats'), 404, /path/)
  problem(await v.admin('GET', '/'), 404, /path/)
  for (const [method, target, allow] of [
    ['GET', '/v1/purge', 'POST'],
    ['GET', '/v1/reload', 'POST'],
    ['POST', '/v1/stats', 'GET, HEAD'],
    ['DELETE', '/v1/slots', 'GET, HEAD'],
    ['PUT', '/metrics', 'GET, HEAD'],
    ['DELETE', '/v1/mode', 'GET, HEAD, POST'],
    ['GET', '/v1/slots/renderer/0', 'POST'],
  ]) {
    const res = await v.admin(method, target)
    problem(res, 405, /method/)
    assert.equal(res.headers.allow, allow)
  }
  const post = await v.admin('HEAD', '/v1/purge')
  assert.deepEqual([post.status, post.headers.allow, post.body], [405, 'POST', ''])
})

test('HEAD is GET without the body', async (t) => {
  const v = await plain(t)
  for (const target of ['/healthz', '/readyz', '/metrics', '/v1/stats', '/v1/slots', '/v1/mode', `/v1/explain?url=${encodeURIComponent(`${v.url}/`)}`]) {
    const [head, get] = [await v.admin('HEAD', target), await v.admin('GET', target)]
    assert.deepEqual([head.status, head.body, head.headers['content-type'], head.headers.allow], [200, '', get.headers['content-type'], undefined], target)
    assert.ok(Number(head.headers['content-length']) > 0, target)
  }
  for (const target of ['/v2', '/v1/explain']) assert.equal((await v.admin('HEAD', target)).body, '')
})

test('10.2 a POST is application/json and nothing else', async (t) => {
  const v = await plain(t)
  const post = (type) =>
    request('http://localhost/v1/purge', {
      method: 'POST',
      socketPath: `${v.dir}/store/admin.sock`,
      headers: type ? { 'content-type': type } : {},
      body: '{"all": true, "dry_run": true}',
    })
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonp', 'text/plain, application/json'])
    problem(await post(type), 415, /application\/json/)
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json ;x=y']) ok(await post(type))
})

test('every wrong purge is refused with its reason, and purges nothing', async (t) => {
  const v = await plain(t)
  await v.get('/a')
  const send = (body) =>
    request('http://localhost/v1/purge', {
      method: 'POST',
      socketPath: `${v.dir}/store/admin.sock`,
      headers: { 'content-type': 'application/json' },
      body,
    })
  const long = 'é'.repeat(300)
  const url = `${v.url}/a`
  for (const [body, words] of [
    ['', /JSON object/],
    ['{', /JSON object/],
    ['[]', /JSON object/],
    ['"all"', /JSON object/],
    ['{"all": true, "all": true}', /JSON object/],
    [Buffer.from('{"urls": ["http://h/\xff"]}', 'latin1'), /JSON object/],
    ['[' .repeat(5000), /JSON object/],
    ['{}', /nothing to purge/],
    ['{"urls": []}', /nothing to purge/],
    ['{"all": false}', /nothing to purge/],
    [`{"urls": ["${url}"], "url": "x"}`, /unknown key "url"/],
    [`{"urls": ["${url}"], "${long}": 1}`, /unknown key/],
    [`{"urls": "${url}"}`, /"urls" must be a list/],
    [`{"urls": ["${url}", 5]}`, /"urls": item 1/],
    [`{"urls": ["${url}", ""]}`, /"urls": item 1/],
    [`{"urls": ["${url}", null]}`, /"urls": item 1/],
    [`{"urls": ["${url}", "/a"]}`, /not a URL with a host/],
    [`{"urls": ["${url}", "http://"]}`, /not a URL with a host/],
    [`{"urls": ["${url}", "http://a b/"]}`, /not a URL with a host/],
    [`{"urls": ["${url}", "${long}"]}`, /not a URL with a host/],
    [`{"urls": ["${url}"], "tags": {"a": 1}}`, /"tags" must be a list/],
    [`{"urls": ["${url}"], "prefixes": ["${url}?q"]}`, /not a prefix/],
    [`{"urls": ["${url}"], "hosts": ["a/b"]}`, /not a host/],
    [`{"urls": ["${url}"], "hosts": ["a b"]}`, /not a host/],
    [`{"urls": ["${url}"], "hosts": ["127.0.0.1:${v.port}#a"], "soft": false}`, /not a host/],
    [`{"urls": ["${url}"], "all": 1}`, /"all" must be true or false/],
    [`{"urls": ["${url}"], "soft": "yes"}`, /"soft" must be true or false/],
    [`{"urls": ["${url}"], "dry_run": null}`, /"dry_run" must be true or false/],
    [JSON.stringify({ urls: Array(10001).fill(url) }), /more than 10000/],
  ])
    problem(await send(body), 400, words)
  assert.equal((await v.get('/a')).body, 'render 1')
})

test('6.4 purged is exact for URLs: variants, both schemes, each URL once; null for what cannot be counted', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...MINUTE, vary: 'x-device', 'surrogate-key': 'news' }))
  const v = await varve(t, `renderer: ${origin.url}\npurge: {tag_headers: [Surrogate-Key]}\nroutes: [{match: "/**", query: {drop: [utm]}}]\n`)
  for (const device of ['a', 'b', 'c']) await v.get('/p', { 'x-device': device })
  await v.get('/p', { 'x-forwarded-proto': 'https' })
  await v.get('/q')
  const url = `${v.url}/p`
  assert.equal((await purge(v, { urls: [url], dry_run: true })).purged, 4)
  const dry = await purge(v, { urls: [url, url, `${url}?utm=1`, `${v.url}/q`, `${v.url}/none`], dry_run: true })
  assert.deepEqual([dry.purged, dry.dry_run, dry.soft], [5, true, false])
  assert.equal((await v.get('/p', { 'x-device': 'a' })).body, 'render 1') // nothing was purged

  const done = await purge(v, { urls: [url, url] })
  assert.equal(done.purged, 4)
  assert.ok(done.stamp > dry.stamp)
  assert.equal((await purge(v, { urls: [url] })).purged, 0) // they are gone
  assert.equal((await v.get('/p', { 'x-device': 'a' })).body, 'render 6')
  assert.equal((await v.get('/q')).body, 'render 5')
  for (const order of [{ tags: ['news'] }, { prefixes: [`${v.url}/x`] }, { hosts: ['other.example'] }, { all: true }])
    assert.equal((await purge(v, { ...order, dry_run: true })).purged, null)
  assert.equal((await purge(v, { urls: [url], tags: ['none'] })).purged, null)
})

test('6.4 the default port of either scheme names the same host, and another port another, of which nothing is counted or purged', async (t) => {
  const v = await plain(t)
  const shop = (body) => v.get('/p', { host: 'shop.example' }).then((res) => assert.equal(res.body, body))
  await shop('render 1')
  for (const url of ['https://shop.example:80/p', 'http://shop.example:443/p']) assert.equal((await purge(v, { urls: [url] })).purged, 0, url)
  await purge(v, { hosts: ['shop.example:8080'], soft: false })
  await shop('render 1')
  let n = 1
  for (const url of ['http://shop.example:80/p', 'https://shop.example:443/p']) {
    assert.equal((await purge(v, { urls: [url] })).purged, 1, url)
    await shop(`render ${++n}`)
  }
  for (const host of ['shop.example:80', 'shop.example:443']) {
    await purge(v, { hosts: [host], soft: false })
    await shop(`render ${++n}`)
  }
})

test('6.4 all and hosts are soft unless said otherwise; the rest is hard', async (t) => {
  const v = await plain(t)
  for (const [order, soft] of [
    [{ all: true }, true],
    [{ hosts: ['h'] }, true],
    [{ all: true, soft: false }, false],
    [{ urls: [`${v.url}/`] }, false],
    [{ tags: ['t'] }, false],
    [{ tags: ['t'], soft: true }, true],
    [{ all: true, hosts: ['h'] }, true],
    [{ all: true, tags: ['t'] }, false], // not all that it names
    [{ all: true, tags: ['t'], soft: true }, true],
  ])
    assert.equal((await purge(v, { ...order, dry_run: true })).soft, soft, JSON.stringify(order))
})

test('6.4 a URL, prefix or tag that is purged together with a host is gone, and the rest of that host is stale', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...MINUTE, 'surrogate-key': req.url.slice(1) }))
  const v = await varve(t, `renderer: ${origin.url}\npurge: {tag_headers: [Surrogate-Key]}\nroutes: [{match: "/**", stale: {while_revalidate: 1h}}]\n`)
  for (const what of [{ urls: [`${v.url}/p`] }, { prefixes: [`${v.url}/p`] }, { tags: ['p'] }])
    for (const wide of [{ hosts: [`127.0.0.1:${v.port}`] }, { all: true }]) {
      const [old, rest] = [(await v.get('/p')).body, (await v.get('/rest')).body]
      assert.equal((await purge(v, { ...what, ...wide })).soft, false)
      assert.notEqual((await v.get('/p')).body, old, JSON.stringify({ ...what, ...wide }))
      assert.equal((await v.get('/rest')).body, rest)
      await until(async () => (await v.get('/rest')).body !== rest, 'the refreshed page')
    }
})

test('variants, stats, slots, healthz', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, 'x'.repeat(100), { ...MINUTE, vary: 'x-device' }))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const device of ['a', 'b']) await v.get('/p', { 'x-device': device })
  await v.get('/p', { 'x-device': 'b' })
  const { union, variants } = ok(await v.admin('GET', `/v1/variants?url=${encodeURIComponent(`${v.url}/p`)}`))
  assert.deepEqual(union, ['x-device'])
  assert.equal(variants.length, 2)
  assert.deepEqual(variants.map((row) => row.bytes.identity), [100, 100])
  assert.deepEqual(variants.map((row) => row.hits).sort(), [0, 1])
  assert.ok(variants.every((row) => row.in_memory && row.state === 'fresh' && row.age >= 0 && row.variant.includes('x-device')))

  await v.isQuiet()
  const stats = ok(await v.admin('GET', '/v1/stats'))
  assert.equal(stats['varve_hits_total{tier="memory"}'], 1)
  assert.ok(!Object.keys(stats).some((name) => name.includes('_bucket')))
  const slots = ok(await v.admin('GET', '/v1/slots'))
  assert.deepEqual(slots.origins.map((o) => [o.origin, o.live_slots, o.busy]), [['renderer', 8, 0]])
  assert.deepEqual(slots.workers.map((w) => [w.worker, w.state, w.slots]), [['renderer/0', 'live', 8]])
  assert.equal((await v.admin('GET', '/healthz')).status, 200)
})

test('10.3 /readyz is 200 as long as varve answers by any means, and 503 while it drains', async (t) => {
  const origin = await renderer(t, (req, res) => (req.url === '/slow' ? undefined : page(res, 'x')))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const status = async (target) => (await v.admin('GET', target)).status
  assert.equal(await status('/readyz'), 200)
  assert.equal(await status('/readyz?renderers'), 200)
  const slow = v.get('/slow').catch(() => {})
  await until(() => origin.now === 1, 'the slow render')
  v.child.kill('SIGTERM')
  await until(async () => (await status('/readyz')) === 503, 'it to drain')
  await origin.stop()
  await slow
  assert.deepEqual(await v.exit, { code: 0, signal: null })
})

test('10.3 without a live renderer /readyz is 200, and 503 with ?renderers', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'x'))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  await origin.stop()
  await until(async () => (await v.get('/cold')).status === 503, 'the renderer to be seen as down')
  assert.equal((await v.admin('GET', '/readyz')).status, 200)
  await until(async () => (await v.admin('GET', '/readyz?renderers')).status === 503, 'no live renderer')
})

test('9.2 a reload that fails names every error and changes nothing; one that succeeds is in force', async (t) => {
  const origin = await pages(t)
  const good = `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`
  const v = await varve(t, good)
  v.write(`${good}stael: 1\nhosts: 5x5: 3\n`)
  let res = await v.admin('POST', '/v1/reload', {})
  assert.equal(res.status, 409, res.body)
  v.write(`renderer: ${origin.url}\nroutes: [{match: "/**", tll: 5s}]\nsael: standard\n`)
  res = await v.admin('POST', '/v1/reload', {})
  assert.equal(res.status, 409)
  assert.equal(await v.metric('varve_config_reloads_total{result="failed"}'), 2)
  const { result, errors } = JSON.parse(res.body)
  assert.equal(result, 'failed')
  assert.match(errors, /varve\.yaml:\d+:\d+: unknown key "tll"/)
  assert.match(errors, /unknown key "sael"/)
  assert.equal((await v.get('/a')).status, 200)
  v.write(`renderer: ${origin.url}\nroutes: [{match: "/now/**"}]\n`)
  assert.equal(ok(await v.admin('POST', '/v1/reload', {})).result, 'ok')
  await until(async () => ok(await v.admin('GET', `/v1/explain?url=${encodeURIComponent(`${v.url}/now/x`)}`)).route === '/now/**', 'the new policy')
  await until(async () => (await v.metric('varve_config_reloads_total{result="ok"}')) === 1, 'the reload to be counted')
})

test('9.2 a reload with more errors than fit: whole lines, and how many there are beside them', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  for (const shift of ['', 'a', 'aa']) {
    v.write(`renderer: ${origin.url}\nroutes: [{match: "/**"}]\n${Array.from({ length: 90 }, (_, i) => `"${shift}${'…'.repeat(15)}${i}": 1\n`).join('')}`)
    const res = await v.admin('POST', '/v1/reload', {})
    assert.equal(res.status, 409, res.body)
    const lines = JSON.parse(res.body).errors.split('\n')
    const [, more] = /^(\d+) more lines: see `varve check`, or the log$/.exec(lines.pop())
    assert.equal(lines.length + Number(more), 90)
    for (const line of lines) assert.match(line, /varve\.yaml:\d+:1: unknown key "a*…{15}\d+"(; known here: .*, user)?$/)
  }
})

test('of renderers that fail, each has a line of the log, though another had one in the same second', async (t) => {
  const asked = []
  const broken = () => renderer(t, (req) => asked.push(req.socket) === 2 && asked.forEach((socket) => socket.destroy()))
  const workers = [(await broken()).url, (await broken()).url].map((url) => `"${url}"`)
  const v = await varve(t, `origins: {renderer: {workers: [${workers}], slots: 1, retries: 0}}\nroutes: [{match: "/**"}]\n`)
  assert.deepEqual((await all(2, (i) => v.get(`/${i}`))).map(({ status }) => status), [503, 503])
  await until(() => [0, 1].every((n) => new RegExp(`renderer failed worker=renderer/${n} kind=(closed|reset)`).test(v.log)), 'a line about each')
})

/** Reads Prometheus text as a scraper does; throws at what it would not take. */
function scrape(text) {
  const families = new Map()
  const samples = new Map()
  let family
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-z0-9_]+) (counter|gauge|histogram)$/.exec(line)
    if (type) {
      assert.ok(!families.has(type[1]), `two TYPE lines of ${type[1]}`)
      families.set((family = type[1]), type[2])
      continue
    }
    const sample = /^([a-z0-9_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,(?!\})|(?=\})))+\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)$/.exec(line)
    assert.ok(sample, `not a sample: ${line}`)
    const [, name, labels = '', value] = sample
    const belongs = families.get(family) === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name
    assert.equal(belongs, family, `${name} stands below ${family}`)
    assert.ok(!samples.has(name + labels), `twice: ${line}`)
    samples.set(name + labels, Number(value))
  }
  return { families, samples }
}

test('metrics have their names and types, in a text that a scraper takes', async (t) => {
  const origin = await renderer(t, (req, res, n) => {
    if (req.url === '/cut') return res.destroy()
    page(res, `render ${n}`, req.url === '/private' ? { 'cache-control': 'private' } : MINUTE)
  })
  const odd = 'q"uo\\te/é/'
  const long = 'x'.repeat(300)
  const v = await varve(t, `renderer: ${origin.url}\nclasses: [{name: people}]\nroutes: [{match: '/${odd}**'}, {match: '/${long}/**'}, {match: "/**"}]\n`)
  for (const path of ['/a', '/a', '/private', '/cut', `/${encodeURIComponent('q"uo\\te')}/%C3%A9/x`, `/${long}/y`]) await v.get(path)
  await v.get('/a', { cookie: 'session=1' })
  await v.get('/a', { authorization: 'Bearer x' })
  await purge(v, { tags: ['t'] })
  await exchange(t, v.port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
  await v.isQuiet()
  const res = await v.admin('GET', '/metrics')
  assert.match(res.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const { families, samples } = scrape(res.body)
  for (const [name, type] of Object.entries({
    varve_requests_total: 'counter',
    varve_request_duration_seconds: 'histogram',
    varve_render_seconds: 'histogram',
    varve_queue_wait_seconds: 'histogram',
    varve_queue_depth: 'gauge',
    varve_slots: 'gauge',
    varve_not_stored_total: 'counter',
    varve_store_bytes: 'gauge',
    varve_store_objects: 'gauge',
    varve_evictions_total: 'counter',
    varve_purges_total: 'counter',
    varve_upstream_errors_total: 'counter',
    varve_connections: 'gauge',
    varve_loop_lag_seconds: 'gauge',
    varve_store_dropped_total: 'counter',
    varve_store_commit_seconds: 'gauge',
    varve_store_state: 'gauge',
    varve_memory_bytes: 'gauge',
    varve_hits_total: 'counter',
    varve_flights: 'gauge',
    varve_identified_total: 'counter',
    varve_build_info: 'gauge',
    varve_refused_requests_total: 'counter',
    varve_worker_up: 'gauge',
    varve_retries_total: 'counter',
  }))
    assert.equal(families.get(name), type, name)
  const value = (name) => samples.get(name)
  assert.equal(value('varve_requests_total{route="/**",class="people",outcome="hit"}'), 1)
  assert.equal(value('varve_requests_total{route="/**",class="people",outcome="pass"}'), 2)
  assert.equal(value('varve_not_stored_total{reason="private"}'), 1)
  assert.equal(value('varve_identified_total{why="cookie"}'), 1)
  assert.equal(value('varve_identified_total{why="header"}'), 1)
  assert.equal(value('varve_worker_up{worker="renderer/0"}'), 1)
  assert.equal(value('varve_purges_total{kind="tag"}'), 1)
  assert.equal(value('varve_refused_requests_total{status="400"}'), 1)
  assert.equal(samples.get('varve_series_overflow_total'), undefined)
  for (const name of [...samples.keys()].filter((n) => n.includes('_bucket{')))
    if (name.includes('le="+Inf"')) {
      const base = name.replace('_bucket{', '_count{').replace(/,?le="\+Inf"/, '')
      assert.equal(samples.get(name), samples.get(base), name)
    }
  const bounds = [...samples.entries()].filter(([n]) => n.startsWith('varve_request_duration_seconds_bucket{outcome="miss"'))
  assert.equal(bounds.length, 17)
  const le = ([n]) => Number(/le="([^"]+)"/.exec(n)[1].replace('+Inf', 'Infinity'))
  for (let i = 1; i < bounds.length; i++) assert.ok(le(bounds[i]) > le(bounds[i - 1]) && bounds[i][1] >= bounds[i - 1][1])
})

test('every series has the labels that are documented', async (t) => {
  const held = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/cut') return res.destroy()
    if (req.url === '/slow') await held.promise
    if (req.url === '/hints') res.writeEarlyHints({ link: '</a.css>; rel=preload' })
    page(res, 'page', req.url === '/private' ? { 'cache-control': 'private' } : { ...MINUTE, vary: 'x-device' })
  })
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, 'the shell')
  const v = await varve(
    t,
    `origins: {renderer: {workers: ["${origin.url}"], slots: 1, queue: {shell_at: 0, shed_at: 0}}}\nshell: {file: ${dir}/shell.html}\nvary: {max_variants: 1}\nroutes: [{match: "/app/**", when_logged_in: shell}, {match: "/**"}]\n`,
    { dir },
  )
  const documents = { accept: 'text/html', 'sec-fetch-dest': 'document' }
  for (const path of ['/a', '/a', '/private', '/cut', '/hints']) await v.get(path, documents)
  await v.get('/a', { ...documents, 'x-device': 'other' }) // one too many
  const slow = v.get('/slow')
  await until(() => origin.now === 1, 'the slow render')
  assert.equal((await v.get('/data', { accept: 'application/json' })).status, 503)
  held.open()
  await slow
  await v.get('/app/', { ...documents, cookie: 'session=1' })
  await purge(v, { urls: [`${v.url}/a`] })
  await exchange(t, v.port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
  for (const mode of ['ssr', 'auto']) ok(await v.admin('POST', '/v1/mode', { mode }))
  ok(await v.admin('POST', '/v1/reload', {}))
  await until(async () => (await v.metric('varve_config_reloads_total{result="ok"}')) === 1, 'the reload to be counted')
  const documented = new Map([...readFileSync('docs/operations.md', 'utf8').matchAll(/^\| (`varve_.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)(?:\{([a-z,]+)\})?`/g)].map(([, name, labels = '']) => [name, labels])))
  const { families, samples } = scrape((await v.admin('GET', '/metrics')).body)
  const labelsOf = (sample) => [...sample.matchAll(/[{,]([a-z_]+)="/g)].map((m) => m[1]).filter((label) => label !== 'le').join()
  for (const name of ['varve_shed_total', 'varve_shell_total', 'varve_variants_capped_total', 'varve_upstream_errors_total', 'varve_interim_responses_total', 'varve_mode_changes_total']) assert.ok(families.has(name), name)
  for (const sample of samples.keys()) {
    const family = families.has(/^\w+/.exec(sample)[0]) ? /^\w+/.exec(sample)[0] : /^\w+/.exec(sample)[0].replace(/_(bucket|sum|count)$/, '')
    assert.equal(labelsOf(sample), documented.get(family), sample)
  }
})

test('9.2 what is counted of renders goes on over a reload', async (t) => {
  const deaths = [true]
  const answer = (req, res) => (deaths.pop() ? req.socket.destroy() : page(res, 'page', MINUTE))
  const origin = await renderer(t, answer)
  const v = await varve(t, `origins: {renderer: {workers: ["${origin.url}", "${(await renderer(t, answer)).url}"], retries: 1}}\nroutes: [{match: "/**"}]\n`)
  assert.equal(await v.metric('varve_retries_total'), 0)
  assert.equal((await v.get('/dies')).status, 200)
  assert.equal(await v.metric('varve_retries_total'), 1)
  const before = v.workerPid()
  ok(await v.admin('POST', '/v1/reload', {}))
  await until(() => !isAlive(before), 'the old worker to be gone')
  assert.equal(await v.metric('varve_retries_total'), 1)
})

const FIELDS = 'time id client host method path status bytes outcome reason route class worker queue_ms render_ms total_ms age ua'.split(' ')

test('9.7 the access log has one line per request, also for what is refused, and hides what it shall', async (t) => {
  const origin = await pages(t)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\nlog: {access: {path: $DIR/access.log}, redact_query: [token]}\n`)
  const logged = (count) => until(() => v.accessLog().length === count, `line ${count}`) // of two threads each has its turn
  await v.get('/a?token=secret&x=1', { 'user-agent': 'probe "1"' })
  await logged(1)
  await v.get('/a?token=secret&x=1')
  await logged(2)
  const refused = await exchange(t, v.port, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n')
  assert.equal(refused.answers()[0].status, 400)
  const lines = await until(() => {
    const log = v.accessLog()
    return log.length >= 3 && log
  }, 'three lines')
  assert.equal(lines.length, 3)
  for (const line of lines) assert.deepEqual(Object.keys(line), FIELDS)
  assert.deepEqual(lines.map((l) => [l.status, l.outcome, l.client]), [[200, 'miss', '127.0.0.1'], [200, 'hit', '127.0.0.1'], [400, 'error', '127.0.0.1']])
  assert.equal(lines[0].path, '/a?token=***&x=1')
  assert.equal(lines[0].ua, 'probe "1"')
  assert.equal(lines[0].worker, 'renderer/0')
  assert.equal(lines[0].bytes, 'render 1'.length)
  assert.ok(!readFileSync(`${v.dir}/access.log`, 'utf8').includes('secret'))

  renameSync(`${v.dir}/access.log`, `${v.dir}/access.1`)
  v.child.kill('SIGUSR1')
  await until(async () => {
    await v.get('/a')
    try {
      return v.accessLog().length > 0
    } catch {
      return false
    }
  }, 'the log to be opened anew')
})

test('6.5 PURGE on the public listener: from whom it is allowed, for a URL with all its variants', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { ...MINUTE, vary: 'x-device' }))
  const policy = (purge) => `renderer: ${origin.url}\nroutes: [{match: "/**", query: {drop: [utm]}}]\n${purge}`
  const v = await varve(t, policy('purge: {methods: [PURGE], allow: [127.0.0.1]}\n'))
  const send = async (target, headers) => {
    const res = await request(v.url + target, { method: 'PURGE', headers })
    await v.isQuiet() // so that its line comes before that of the next
    return res
  }
  for (const device of ['a', 'b']) await v.get('/p?x', { 'x-device': device })
  await v.get('/q')
  const done = await send('/p?utm=1&x')
  assert.equal(done.status, 200)
  assert.ok(JSON.parse(done.body).stamp > 0)
  for (const device of ['a', 'b']) assert.match((await v.get('/p?x', { 'x-device': device })).body, /render [45]/)
  assert.equal((await v.get('/q')).body, 'render 3')

  // loopback is a trusted proxy: the client that it names counts
  assert.equal((await send('/q', { 'x-forwarded-for': '192.0.2.1' })).status, 405)
  assert.equal((await send('/q', { 'x-forwarded-for': '127.0.0.1' })).status, 200)
  const rows = await until(() => v.accessLog().filter((l) => l.method === 'PURGE').length === 3 && v.accessLog(), 'the log')
  assert.deepEqual(rows.filter((l) => l.method === 'PURGE').map((l) => l.status), [200, 405, 200])

  for (const purge of ['', 'purge: {methods: [], allow: [127.0.0.1]}\n', 'purge: {methods: [PURGE], allow: [192.0.2.0/24]}\n']) {
    v.write(policy(purge))
    await until(async () => (await v.admin('POST', '/v1/reload', {})).status === 200, 'a reload') // the worker may be leaving
    await until(async () => (await send('/q')).status === 405, 'PURGE to be refused')
  }
  assert.equal(origin.requests.filter((r) => r.method === 'PURGE').length, 0)
})

test('10.2 values of cookies and Authorization are not shown, and detail only to who has the token', async (t) => {
  const origin = await pages(t)
  const dir = tempDir(t)
  writeFileSync(`${dir}/token`, 'secret-token', { mode: 0o600 })
  const v = await varve(t, `renderer: ${origin.url}\nadmin: {token_file: $DIR/token}\nvary: {cookie: {keep: [bucket]}}\nroutes: [{match: "/**"}]\n`, { dir })
  const headers = { cookie: 'bucket=verysecretvalue', accept: 'text/html' }
  await v.get('/a', headers)
  assert.equal((await v.get('/a', headers)).body, 'render 1')
  const url = encodeURIComponent(`${v.url}/a`)
  const shown = [
    (await v.admin('GET', `/v1/variants?url=${url}`)).body,
    (await v.admin('GET', `/v1/explain?url=${url}&header=${encodeURIComponent('Cookie: bucket=verysecretvalue')}`)).body,
    (await v.admin('GET', `/v1/explain?url=${url}&header=${encodeURIComponent('Authorization: Bearer verysecretvalue')}`)).body,
  ]
  assert.equal(JSON.parse(shown[0]).variants.length, 1)
  assert.match(shown[0], /cookie/)
  assert.equal(JSON.parse(shown[1]).would, 'hit')
  await until(() => v.accessLog().length === 2, 'both lines')
  for (const text of [...shown, v.log, readFileSync(`${dir}/access.log`, 'utf8')]) assert.ok(!text.includes('verysecretvalue'))

  for (const debug of [{}, { 'x-varve-debug': 'secret' }, { 'x-varve-debug': '' }])
    assert.doesNotMatch((await v.get('/b', { ...debug, authorization: 'x' })).headers['cache-status'], /detail|key=/)
  const debugged = await v.get('/b', { authorization: 'x', 'x-varve-debug': 'secret-token' })
  assert.match(debugged.headers['cache-status'], /detail=logged_in/)
  assert.ok(origin.requests.every((r) => r.headers['x-varve-debug'] === undefined || r.headers['x-varve-debug'] !== 'secret-token'))
})
