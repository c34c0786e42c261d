// Behind render gateways: `target:` asks them for the public URL, and a secret proves who asks (renderers G1, G3–G5).
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { outcome, until, varve, VARVE } from './lib.mjs'
import { gateway } from './renderers/gateway.mjs'

const policy = (g, more = '') => `origins:
  renderer:
    workers: ["${g.url}"]
    target: "/_render?url={url}"
    host: origin
    set_headers: {X-Render-Secret: "\${RENDER_SECRET}"}
routes:
- {match: "/**", ttl: 60s, status_ttl: {301: 1h, 404: 10s}${more}}
`
const start = (t, g, more) => varve(t, policy(g, more), { env: { RENDER_SECRET: 's3cret' } })

test('G1 the gateway is asked for the public URL; key and purge use that URL', async (t) => {
  const g = await gateway(t)
  const v = await start(t, g)
  const first = await v.get('/shop/a%20b?c=d')
  assert.equal(first.body, 'page /shop/a%20b')
  assert.deepEqual(g.renders, ['/shop/a%20b?c=d'])
  assert.equal(outcome(await v.get('/shop/a%20b?c=d')), 'hit')
  assert.equal((await v.cli('purge', `${v.url}/shop/a%20b?c=d`)).code, 0)
  assert.equal(outcome(await v.get('/shop/a%20b?c=d')), 'uri-miss')
  assert.equal(g.renders.length, 2)
})

test('G1, 1.5 with hosts the gateway is asked for the site alone; without it check and run say that clients choose what is rendered', async (t) => {
  const g = await gateway(t)
  const v = await start(t, g)
  const warned = /origins\.renderer\.target.* is made of the Host that clients send/
  assert.match(v.log, warned)
  assert.equal((await v.get('/', { host: '169.254.169.254' })).status, 200)
  assert.deepEqual(g.hosts, ['169.254.169.254'])
  const check = (...more) => spawnSync(VARVE, ['check', '--config', v.config, ...more], { encoding: 'utf8', env: { ...process.env, RENDER_SECRET: 's3cret' } })
  const { status, stderr } = check()
  assert.equal(status, 0)
  assert.match(stderr, warned)
  const [told] = JSON.parse(check('--json').stdout).warnings
  assert.match(told.text, warned)
  assert.deepEqual([told.file, told.line > 0, told.column > 0], [v.config, true, true])

  const before = v.log.length
  v.write(`hosts: [shop.example]\n${policy(g)}`)
  assert.equal((await v.cli('reload')).code, 0)
  await until(() => v.log.slice(before).includes('reloaded'), 'the reload')
  for (const host of ['169.254.169.254', 'localhost', '[::1]', 'shop.example.evil.example']) assert.equal((await v.get('/latest/meta-data', { host })).status, 421, host)
  assert.equal((await v.get('/', { host: 'shop.example' })).status, 200)
  assert.deepEqual(g.hosts, ['169.254.169.254', 'shop.example'])
  assert.doesNotMatch(v.log.slice(before), warned)
  assert.equal(check().stderr, '')
})

test('G3 the secret is set by varve; what a client sends in its place is removed; without it the gateway refuses', async (t) => {
  const g = await gateway(t)
  const v = await start(t, g)
  assert.equal((await v.get('/a', { 'x-render-secret': 'guessed' })).body, 'page /a')
  assert.equal((await v.get('/b', { 'x-render-secret': 'guessed', cookie: 'session=1' })).body, 'page /b', 'on passes too')
  assert.equal(g.refused, 0)
  g.secret = 'another'
  const refused = await v.get('/c')
  assert.equal(refused.status, 403)
  assert.equal(g.refused, 1)
})

test('G4 redirects and statuses of page code are stored for their own times', async (t) => {
  const g = await gateway(t, {
    pages: {
      '/old': () => ({ status: 301, headers: { location: '/new' } }),
      '/gone': () => ({ status: 404, body: 'no such page' }),
      '/moved': () => ({ status: 302, headers: { location: '/new', 'cache-control': 'max-age=60' } }),
    },
  })
  const v = await start(t, g)
  for (const [target, status] of [['/old', 301], ['/gone', 404], ['/moved', 302]]) {
    assert.equal((await v.get(target)).status, status)
    const again = await v.get(target)
    assert.equal(again.status, status)
    assert.equal(outcome(again), 'hit', target)
  }
  const ttl = async (target) => Number(/ttl=(-?\d+)/.exec((await v.get(target)).headers['cache-status'])[1])
  assert.ok((await ttl('/old')) > 3000 && (await ttl('/gone')) <= 10)
})

test('G5 pages vary by the headers that their render has read, each URL by its own', async (t) => {
  const g = await gateway(t, {
    pages: {
      '/greeting': (read) => ({ body: `hello in ${read('accept-language') ?? 'any language'}` }),
      '/sometimes': (read, url) => ({ body: url.search === '?mobile' ? `for ${read('user-agent')}` : 'for all' }),
    },
  })
  const v = await start(t, g)
  for (const language of ['de', 'fr', 'de', 'fr'])
    assert.equal((await v.get('/greeting', { 'accept-language': language })).body, `hello in ${language}`)
  assert.equal((await v.get('/sometimes', { 'user-agent': 'phone' })).body, 'for all')
  assert.equal(outcome(await v.get('/sometimes', { 'user-agent': 'desk' })), 'hit')
  assert.equal((await v.get('/sometimes?mobile', { 'user-agent': 'phone' })).body, 'for phone')
  assert.equal((await v.get('/sometimes?mobile', { 'user-agent': 'desk' })).body, 'for desk')
})

test('G5 renders of one URL that read now these headers, now those: nobody gets a page that was made for another', async (t) => {
  const fields = { 'accept-language': ['de', 'fr'], 'x-device': ['phone', 'desk'], 'x-currency': ['eur', 'usd'] }
  let reads = []
  const g = await gateway(t, { pages: { '/changing': (read) => ({ body: JSON.stringify(Object.fromEntries(reads.map((name) => [name, read(name)]))) }) } })
  const v = await start(t, g)
  let dice = 7
  const next = (n) => (dice = (dice * 16807) % 2147483647) % n
  let hits = 0
  for (let i = 0; i < 240; i++) {
    if (i % 12 === 0) {
      reads = Object.keys(fields).filter(() => next(2))
      if (next(2)) assert.equal((await v.cli('purge', ...(next(2) ? ['--soft'] : []), `${v.url}/changing`)).code, 0)
    }
    const mine = Object.fromEntries(Object.entries(fields).map(([name, values]) => [name, values[next(2)]]))
    const res = await v.get('/changing', mine)
    for (const [name, value] of Object.entries(JSON.parse(res.body))) assert.equal(value, mine[name], `request ${i}: ${name}`)
    hits += outcome(res) === 'hit'
  }
  assert.ok(hits > 60 && g.renders.length > 8, `${hits} hits, ${g.renders.length} renders`)
})
