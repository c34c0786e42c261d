// Origins as they are: wrong answers, dead and hanging workers, connections that close under one's hands; and who may ask when.
import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { all, freePort, gate, outcome, page, rawOrigin, renderer, request, tempDir, until, varve } from './lib.mjs'
import { FRAME, headers, rawH2, windowUpdate } from './h2-frames.mjs'
import { certificate, exchange, raw, table } from './wire.mjs'

const fresh = { 'cache-control': 'max-age=60' }
const origins = (worker, more = '') => `origins: {renderer: {workers: [${[worker].flat().map((w) => `"${w}"`)}]${more}}}\nroutes: [{match: "/pass/**", cache: never}, {match: "/**"}]\n`
const deadUrl = async () => `http://127.0.0.1:${await freePort()}`

/* --- wrong answers --- */

/** A server that answers `/NAME` (whatever is in front or behind) with row NAME of the table of bad origins; all else is good. */
async function badOrigin(t, rows) {
  const origin = { heads: [], connections: 0, reused: [] }
  const sockets = new Set()
  const play = (socket, [name, method, head, repeated, times, tail, ending, expected], asked) => {
    // what came out of order, or with more behind it than it should
    const hasMore = /_with_body$|_with_chunks$|behind_/.test(name) && asked === method // a HEAD may be asked as a GET
    if (expected !== 'CLEAN' || ending !== 'KEEP' || hasMore) socket.spoiledBy = name
    const bytes = Buffer.from(head + repeated.repeat(times) + tail, 'latin1')
    if (ending === 'TRICKLE') {
      let i = 0
      const timer = setInterval(() => socket.write(bytes.subarray(i, ++i)), 5)
      return socket.on('close', () => clearInterval(timer))
    }
    socket.write(bytes, () => {
      if (ending === 'CLOSE') socket.end()
      if (ending === 'RESET') setTimeout(() => socket.resetAndDestroy(), 20)
    })
  }
  const server = net.createServer((socket) => {
    let rest = ''
    origin.connections++
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      rest += bytes.toString('latin1')
      if (socket.spoiledBy) origin.reused.push(socket.spoiledBy)
      for (let end; (end = rest.indexOf('\r\n\r\n') + 4) > 3; rest = rest.slice(end)) {
        origin.heads.push(rest.slice(0, end))
        const row = rows.get(rest.split(' ')[1].split('/').pop())
        if (row) play(socket, row, rest.split(' ')[0])
        else socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood')
      }
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin.url = `http://127.0.0.1:${server.address().port}`
  t.after(() => (sockets.forEach((s) => s.destroy()), server.close()))
  return origin
}

/** Is this what a client must see of such an answer? Complete, or an error of varve's own, or visibly broken. */
function judge(row, c, isStorable) {
  const [name, method, head, , , , , expected, bytes] = row
  const answers = c.answers()
  assert.equal(answers.length, 1, `${name}: one answer`)
  const [answer] = answers
  const isBroken = answer.broken !== undefined || answer.isUntilClose === true || c.isReset
  if (expected === 'CLEAN') {
    const status = Number(/^HTTP\/1.\d (?!1)(\d{3})/m.exec(head)[1])
    assert.equal(answer.status, status === 304 && isStorable ? 502 : status, name)
    assert.ok(!isBroken, `${name}: whole`)
    if (answer.status === status) assert.equal(answer.body.length, method === 'HEAD' ? 0 : bytes, `${name}: body`)
  } else if (expected === 'UNCLEAN') {
    assert.equal(answer.status, 200, name)
    assert.equal(answer.body, 'hello', name)
  } else if (/^HTTP\/1.[01] \d{3} /.test(answer.line) && answer.status === 200) {
    assert.ok(isBroken, `${name}: the client must see that it is not whole`)
  } else {
    assert.ok([502, 503, 504].includes(answer.status), `${name}: ${answer.status}`)
    assert.ok(!isBroken, `${name}: an answer of varve's own is whole`)
    if (/timeout/.test(expected)) assert.equal(answer.status, 503, name)
  }
}

for (const [what, prefix] of [['a pass', '/pass/'], ['a fill', '/fill/']])
  test(`bad origins, as ${what}: the client gets a right answer or sees that it is broken, nothing wrong is stored, its connection is never used again, varve goes on`, async (t) => {
    const rows = new Map(table('bad_origins.def', 'BAD').map((row) => [row[0], row]))
    for (const row of rows.values()) // storable, so that only its wrongness keeps it out
      if (row[0] !== 'two_hundred_lines') row[2] = row[2].replace(/^(HTTP\/1.[01] 200.*\r\n)/, '$1Content-Type: text/html\r\nCache-Control: max-age=60\r\n')
    const origin = await badOrigin(t, rows)
    const v = await varve(t, 'threads: 1\n' + origins(origin.url, ', slots: 200, retries: 0, timeouts: {connect: 5s, first_byte: 4s, between_bytes: 2s}'))
    const one = async (row) => {
      const [name, method, , , , , , expected] = row
      const c = await exchange(t, v.port, `${method} ${prefix}${name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { methods: [method] })
      judge(row, c, prefix === '/fill/')
      if (prefix === '/pass/' || expected === 'CLEAN') return
      rows.delete(name) // from now on a good answer
      const again = await v.get(prefix + name)
      assert.equal(again.body, 'good', `${name}: was stored`)
    }
    const hanging = ([, , , , , , ending]) => ending === 'HANG' || ending === 'TRICKLE'
    for (const row of [...rows.values()].filter((row) => !hanging(row))) {
      await one(row)
      assert.equal((await v.get('/pass/good')).body, 'good', `after ${row[0]}`)
    }
    await Promise.all([...rows.values()].filter(hanging).map(one))
    assert.equal((await v.get('/pass/good')).body, 'good')
    assert.deepEqual(origin.reused, [])
    assert.ok(origin.connections < origin.heads.length - 20, 'but those of right answers are')
    assert.doesNotMatch(v.log, /worker died|Sanitizer/)
  })

test('an answer that nobody asked for, on an idle connection, is given to nobody', async (t) => {
  const poison = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil'
  const open = new Set()
  const ports = []
  const origin = await rawOrigin(t, (socket, head) => {
    ports.push(socket.remotePort)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    socket.write(poison.replace('evil', 'good'))
  })
  const v = await varve(t, `threads: 1\n${origins(origin.url)}`)
  for (const [i, ask] of ['/pass/a', '/b', '/pass/c', '/d'].entries()) {
    assert.equal((await v.get(ask)).body, 'good', ask)
    await until(() => open.size === 1, 'varve to have closed the one before')
    for (const socket of open) socket.write(poison)
    if (i % 2) await until(() => open.size === 0, 'varve to close it') // else the next request comes as fast as it can
  }
  assert.equal((await v.get('/e')).body, 'good')
  assert.equal(new Set(ports).size, ports.length, 'a connection each')
})

/* --- several workers --- */

test('A10: a worker that is not listening is skipped, with no error for anybody', async (t) => {
  const alive = await all(3, () => renderer(t, (req, res) => page(res, 'alive')))
  const v = await varve(t, origins([alive[0].url, await deadUrl(), alive[1].url, alive[2].url], ', slots: 1'))
  for (const method of ['GET', 'POST']) {
    const got = await all(60, (i) => request(`${v.url}/pass/${i}`, { method }))
    assert.deepEqual([...new Set(got.map((r) => r.status))], [200])
  }
  assert.ok(alive.every((origin) => origin.requests.length > 0), 'all that live are used')
  assert.ok(alive.every((origin) => origin.most === 1))
})

test('A11: a worker that dies while others are busy does not burn the queue; when it is back it is used again', async (t) => {
  const gates = []
  const slow = async (req, res) => {
    const g = gate()
    gates.push(g)
    await g.promise
    page(res, 'ok')
  }
  const one = await renderer(t, slow)
  const two = await renderer(t, slow)
  const v = await varve(t, origins([one.url, two.url], ', slots: 1'))
  const got = all(20, (i) => v.get(`/pass/${i}`))
  await until(() => gates.length === 2, 'both to be busy')
  await two.stop()
  const opener = setInterval(() => gates.forEach((g) => g.open()), 5)
  const statuses = (await got).map((r) => r.status)
  clearInterval(opener)
  assert.ok(statuses.every((s) => s === 200), `one GET was resubmitted, the others waited: ${statuses}`)
  const back = await renderer(t, (req, res) => page(res, 'back'), { port: two.port })
  const timer = setInterval(() => gates.forEach((g) => g.open()), 5)
  await until(async () => (await all(2, (i) => v.get(`/pass/again${i}`))) && back.requests.length > 0, 'the worker to be used again')
  clearInterval(timer)
})

test('A17, G10: a render cut before its first byte: GET goes to another worker once, POST never', async (t) => {
  const broken = []
  const server = net.createServer((socket) => socket.on('error', () => {}).on('data', (bytes) => {
    broken.push(bytes.toString().split(' ')[0])
    socket.destroy()
  }))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const good = await renderer(t, (req, res) => page(res, 'good'))
  const bad = `http://127.0.0.1:${server.address().port}`
  const v = await varve(t, origins([bad, good.url]))
  const gets = await all(6, (i) => v.get(`/pass/${i}`))
  assert.ok(gets.every((r) => r.status === 200 || r.status === 503), 'within the budget of retries')
  assert.ok(gets.filter((r) => r.status === 200).length >= 3)
  assert.equal(good.requests.length, gets.filter((r) => r.status === 200).length)
  broken.length = good.requests.length = 0
  const posts = []
  for (let i = 0; i < 6; i++) posts.push((await request(`${v.url}/pass/p`, { method: 'POST', body: `x${i}` })).status)
  assert.equal(good.requests.length, posts.filter((s) => s === 200).length)
  assert.equal(broken.length, posts.filter((s) => s !== 200).length, 'each POST was sent once')
  assert.ok(posts.includes(200) && posts.some((s) => s >= 502))
})

test('A6: a worker on a unix socket, and one by the name of localhost', async (t) => {
  const dir = tempDir(t)
  const local = await renderer(t, (req, res) => page(res, 'by socket'), { unix: `${dir}/app.sock` })
  const named = await renderer(t, (req, res) => page(res, `by name ${req.headers.host}`))
  const v = await varve(t, `origins: {a: {workers: ["${local.url}"]}, b: {workers: ["http://localhost:${named.port}"], host: origin}}\n` +
    'routes: [{match: "/a", origin: a, cache: never}, {match: "/b", origin: b, cache: never}]\n')
  assert.equal((await v.get('/a')).body, 'by socket')
  await until(async () => (await v.get('/b')).status === 200, 'localhost to be resolved')
  assert.equal((await v.get('/b')).body, `by name localhost:${named.port}`)
})

test('9.6 a name that cannot be resolved is a worker that is down, not a failed start', async (t) => {
  const good = await renderer(t, (req, res) => page(res, 'good'))
  const v = await varve(t, `origins: {a: {workers: ["http://no-such-host.invalid:80", "${good.url}"]}, b: {workers: ["http://no-such-host.invalid:80"]}}\n` +
    'routes: [{match: "/a", origin: a, cache: never}, {match: "/b", origin: b, cache: never}]\n')
  assert.deepEqual((await all(10, () => v.get('/a'))).map((r) => r.body), Array(10).fill('good'))
  assert.equal((await v.get('/b')).status, 503)
})

/* --- TLS to the worker --- */

async function tlsRenderer(t, cert) {
  const server = https.createServer({ cert: readFileSync(cert.cert), key: readFileSync(cert.key) }, (req, res) =>
    page(res, `sni=${req.socket.servername || ''} host=${req.headers.host}`))
  server.on('tlsClientError', () => {})
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  return server.address().port
}

test('a worker by https: the certificate must be for its name and of a trusted authority, unless verify is off', async (t) => {
  const dir = tempDir(t)
  const ca = certificate(dir, 'ca')
  const other = certificate(dir, 'other-ca')
  const port = await tlsRenderer(t, certificate(dir, 'app.internal', { ca }))
  const byIp = await tlsRenderer(t, certificate(dir, 'by-ip', { ca, names: ['127.0.0.1'] }))
  const origin = (name, url, tlsMore, more = '') => `${name}: {workers: ["${url}"], timeouts: {connect: 10s}, tls: {${tlsMore}}${more}}`
  const url = `https://127.0.0.1:${port}`
  const list = {
    ok: origin('ok', url, `name: app.internal, ca: ${ca.cert}`, ', host: origin'),
    wrongname: origin('wrongname', url, `name: elsewhere.internal, ca: ${ca.cert}`),
    noname: origin('noname', url, `ca: ${ca.cert}`),
    wrongca: origin('wrongca', url, `name: app.internal, ca: ${other.cert}`),
    system: origin('system', url, 'name: app.internal'),
    off: origin('off', url, 'verify: false'),
    ip: origin('ip', `https://127.0.0.1:${byIp}`, `ca: ${ca.cert}`),
    plain: origin('plain', `http://127.0.0.1:${port}`, ''),
  }
  const v = await varve(t, `origins: {${Object.values(list).join(', ')}}\nroutes: [${Object.keys(list).map((name) =>
    `{match: "/${name}", origin: ${name}, cache: never}`).join(', ')}]\n`)
  const ok = await v.get('/ok', { host: 'site.example' })
  assert.equal(ok.body, `sni=app.internal host=127.0.0.1:${port}`)
  assert.equal((await v.get('/off')).status, 200)
  assert.equal((await v.get('/ip')).status, 200)
  for (const name of ['wrongname', 'noname', 'wrongca', 'system', 'plain']) {
    const res = await v.get(`/${name}`)
    assert.ok([400, 502, 503].includes(res.status), `${name}: ${res.status}`)
    assert.doesNotMatch(res.body, /sni=/, name)
  }
  assert.equal((await v.get('/ok')).status, 200)
})

/* --- connections --- */

test('connections are kept and used again, also after answers without a body', async (t) => {
  let connections = 0
  const server = http.createServer((req, res) => {
    res.writeHead(Number(req.url.split('/')[2]))
    res.end(req.method === 'HEAD' || /204|304/.test(req.url) ? undefined : 'body')
  }).on('connection', () => connections++)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  const v = await varve(t, `threads: 1\n${origins(`http://127.0.0.1:${server.address().port}`)}`)
  for (let i = 0; i < 5; i++)
    for (const [method, status] of [['GET', 200], ['HEAD', 200], ['GET', 204], ['GET', 304], ['GET', 404], ['POST', 200]])
      assert.equal((await request(`${v.url}/pass/${status}`, { method })).status, status)
  assert.equal(connections, 1)
})

test('frameworks 18: an origin that closes idle connections, at whatever moment: no request is lost', async (t) => {
  for (const closeAfter of [0, 1, 5]) {
    const server = http.createServer((req, res) => {
      res.end('body')
      setTimeout(() => req.socket.destroy(), closeAfter) // without a word, and without Connection: close
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => (server.closeAllConnections(), server.close()))
    const v = await varve(t, origins(`http://127.0.0.1:${server.address().port}`))
    for (let i = 0; i < 150; i++) {
      const res = await v.get(`/pass/${i}`)
      assert.equal(res.status, 200, `request ${i}, closed after ${closeAfter} ms`)
    }
    await v.stop()
  }
})

/* --- what the worker is sent --- */

test('2.8 host: the client\'s, the worker\'s own, or a name; target: and set_headers with the client\'s own removed', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, JSON.stringify({ url: req.url, ...req.headers })))
  const host = (name, more) => `${name}: {workers: ["${origin.url}"]${more}}`
  const v = await varve(t, `origins: {${[
    host('client', ''), host('origin', ', host: origin'), host('name', ', host: inner.example'),
    host('gateway', ', target: "/_render?url={url}", set_headers: {X-Render-Secret: "${RENDER_SECRET}", X-Class: "{class} of {host}"}'),
  ].join(', ')}}\nroutes: [${['client', 'origin', 'name', 'gateway'].map((n) =>
    `{match: "/never/${n}/**", origin: ${n}, cache: never}, {match: "/${n}/**", origin: ${n}}`).join(', ')}]\n`, { env: { RENDER_SECRET: 's3cret' } })
  const seen = async (path) => JSON.parse((await v.get(path, { host: 'Shop.example', 'x-render-secret': 'guess', 'x-class': 'vip' })).body)
  for (const prefix of ['', '/never']) {
    assert.equal((await seen(`${prefix}/client/`)).host.toLowerCase(), 'shop.example')
    assert.equal((await seen(`${prefix}/origin/`)).host, `127.0.0.1:${origin.port}`)
    assert.equal((await seen(`${prefix}/name/`)).host, 'inner.example')
    const gateway = await seen(`${prefix}/gateway/a%20b?c=d&e=%26`)
    assert.equal(gateway.url, `/_render?url=${encodeURIComponent(`http://shop.example${prefix}/gateway/a%20b?c=d&e=%26`)}`)
    assert.equal(gateway['x-render-secret'], 's3cret')
    assert.equal(gateway['x-class'], 'people of shop.example')
  }
})

/* --- what streams --- */

test('an event stream passes through as it comes, keeps no slot, and ends with its client', async (t) => {
  const streams = []
  const closed = gate()
  const origin = await renderer(t, (req, res) => {
    if (req.url !== '/events') return page(res, 'page')
    res.writeHead(200, { 'content-type': 'text/event-stream', ...fresh })
    res.write('data: 0\n\n')
    streams.push(res)
    res.on('close', closed.open)
  })
  const v = await varve(t, origins(origin.url, ', slots: 1'))
  const client = await raw(t, v.port)
  client.send('GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n')
  const text = () => client.bytes.toString()
  await until(() => text().includes('data: 0'), 'the first event')
  for (let i = 1; i < 4; i++) {
    streams[0].write(`data: ${i}\n\n`)
    await until(() => text().includes(`data: ${i}`), `event ${i}`)
    assert.equal((await v.get(`/${i}`)).body, 'page', 'the only slot is free')
  }
  const second = await raw(t, v.port)
  second.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => second.bytes.includes('data: 0'), 'a second stream, not joined to the first')
  assert.equal(streams.length, 2)
  second.socket.destroy()
  client.socket.destroy()
  await closed.promise
  await until(() => origin.now === 0, 'both to be closed')
})

for (const [what, target] of [['a pass', '/pass/big'], ['a page that is stored', '/big']])
  test(`A5, 7.8: a client that reads slowly holds no slot (${what})`, async (t) => {
    const big = 'x'.repeat(3 << 20)
    const origin = await renderer(t, (req, res) => page(res, req.url === target ? big : 'small', fresh))
    const port = await freePort()
    const { yaml } = certificate(tempDir(t), 'a.example')
    const listen = `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nlimits: {stall: 120s}\n`
    const v = await varve(t, listen + origins(origin.url, ', slots: 1'))
    const slow = await rawH2(t, port) // of HTTP/1 the kernel would take it all
    const read = () => slow.frames().filter((f) => f.type === FRAME.DATA).reduce((sum, f) => sum + f.payload.length, 0)
    slow.send(headers(1, { ':path': target }, true))
    await until(() => read() === 65535, 'its window to be full')
    for (let i = 0; i < 10; i++) assert.equal((await v.get(`/pass/${i}`, {}, { signal: AbortSignal.timeout(60000) })).body, 'small') // not only once `stall` has cut it
    slow.send(Buffer.concat([windowUpdate(0, 4 << 20), windowUpdate(1, 4 << 20)]))
    await until(() => read() === big.length, 'all of it to be read')
    slow.socket.destroy()
  })

test('7.8: who takes less than 8 KiB/s of an answer that its renderer has to wait for is cut off, and the slot is free', async (t) => {
  const port = await freePort()
  const origin = await renderer(t, (req, res) => page(res, req.url === '/pass/big' ? 'x'.repeat(12 << 20) : 'small'))
  const { yaml } = certificate(tempDir(t), 'a.example')
  const listen = `listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:${port}", tls: [${yaml}]}]\nlimits: {stall: 1s}\n`
  const v = await varve(t, listen + origins(origin.url, ', slots: 1'))
  const slow = await rawH2(t, port)
  slow.send(headers(1, { ':path': '/pass/big' }, true))
  await until(() => origin.now === 1, 'the render')
  const reading = setInterval(() => slow.send(Buffer.concat([windowUpdate(0, 1000), windowUpdate(1, 1000)])), 250) // 4 kB/s
  t.after(() => clearInterval(reading))
  assert.equal((await v.get('/pass/next')).body, 'small')
  await slow.ended
})

test('A4: fifty clients that send 300 kB slowly hold no slot: the renderer sees none of them before its last byte is there', async (t) => {
  const most = 'x'.repeat(300_000 - 5)
  const origin = await renderer(t, (req, res, n, body) => page(res, `${body.length} ${body.slice(-5)}`))
  const v = await varve(t, origins(origin.url, ', slots: 1, queue: {shed_at: 50}'))
  const slow = await all(50, async () => {
    const c = await raw(t, v.port)
    c.send(`POST /pass/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n${most}`)
    return c
  })
  for (let i = 0; i < 10; i++) assert.equal((await v.get(`/pass/${i}`)).status, 200)
  assert.ok(origin.requests.every((r) => r.method === 'GET'))
  for (const c of slow) c.send('whole')
  for (const c of slow) assert.equal((await c.answer()).body, '300000 whole')
  assert.equal(origin.most, 1)
})

test('B2: the outcome of a hit does not wait for renders', async (t) => {
  const held = gate()
  const origin = await renderer(t, async (req, res) => {
    if (req.url === '/slow') await held.promise
    page(res, req.url, fresh)
  })
  const v = await varve(t, origins(origin.url, ', slots: 1'))
  await v.get('/hot')
  const waiting = v.get('/slow')
  await until(() => origin.now === 1, 'the slot to be taken')
  for (const res of await all(50, () => v.get('/hot'))) assert.equal(outcome(res), 'hit')
  held.open()
  assert.equal((await waiting).body, '/slow')
})
