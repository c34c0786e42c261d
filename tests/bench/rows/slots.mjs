// Rows of slots: what holds one, what does not, and what becomes of requests whose renderer refuses, dies or hangs.
import net from 'node:net'
import { freePort, tempDir, tlsListener, until } from '../../e2e/lib.mjs'
import { h2 } from '../../e2e/wire.mjs'
import { arrivals, client, failures, fixed, isFailed, now, openLoop, pause, percentile, random, took } from '../load.mjs'
import { bare, gauge, haproxy, isHit, isRendered, isShell, renderer, renderers, shell, site } from './site.mjs'

const documents = { accept: 'text/html', 'sec-fetch-dest': 'document' }

async function waitAndRender(t) {
  const r = await renderer(t)
  const v = await site(t, [r])
  const { get } = client(t, v.url)
  await get('/')
  const results = await Promise.all([0, 1, 2, 3, 4].map((i) => get(`/${i}?ms=100`)))
  const timing = (name) => results.map(({ headers }) => Number(new RegExp(`${name};dur=([\\d.]+)`).exec(headers['server-timing'])[1])).sort((a, b) => a - b)
  const [waits, renders] = [timing('queue'), timing('render')]
  const isStepped = waits.every((ms, i) => i === 0 || ms >= waits[i - 1] + 40) && waits[4] >= 300
  const isApart = isStepped && renders.every((ms) => ms >= 99 && ms < 150)
  return { figure: [`waits ${waits.join(', ')} ms`, `renders ${renders.join(', ')} ms`], isMet: isApart }
}

/** `count` bodies of 300 kB at 10 kB/s, begun within 2 s; comes back with how each ended. */
const slowUploads = (port, count) =>
  Promise.all(Array.from({ length: count }, async (_, i) => {
    await pause((i * 2000) / count)
    const socket = net.connect(port, '127.0.0.1')
    let answer = ''
    socket.on('error', (error) => (answer += error.code)).on('data', (bytes) => (answer += bytes.toString('latin1')))
    socket.write(`POST /up/${i} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 300000\r\nContent-Type: text/plain\r\n\r\n`)
    for (let k = 0; k < 300 && !socket.destroyed; k++) {
      socket.write('u'.repeat(1000))
      await pause(100)
    }
    await until(() => answer !== '' || socket.destroyed, 'an answer to the upload', 40000)
    socket.destroy()
    return /^HTTP\/1.1 200/.test(answer)
  }))

async function slowBodies(t) {
  const r = await renderer(t)
  const v = await site(t, [r])
  const { get } = client(t, v.url)
  const uploads = slowUploads(v.port, 50)
  const results = await openLoop(arrivals([{ rate: 20, seconds: 31 }], 5), (i) => get(`/${i}?ms=2`))
  const good = (await uploads).filter(Boolean).length
  const held = (await r.stats()).log.filter(({ url }) => url.startsWith('/up')).map(({ held }) => held)
  return {
    figure: [
      `slot held p50 ${fixed(percentile(held, 50))} ms, at most ${fixed(Math.max(...held))} ms`,
      `${good} of 50 answered`,
      `pages beside them p99 ${took(results, 99)} ms`,
    ],
    isMet: good === 50 && held.length === 50 && Math.max(...held) < 100 && !results.some(isFailed),
  }
}

/** A client that takes 1 kB a second, and little at once. */
function slowReader(t, port, target) {
  const socket = net.connect({ port, host: '127.0.0.1', highWaterMark: 1024 })
  socket.on('error', () => {})
  socket.write(`GET ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
  socket.pause()
  const timer = setInterval(() => socket.read(1024), 1000)
  t.after(() => (clearInterval(timer), socket.destroy()))
}
async function heldBySlowReaders(t, r, url, count) {
  const before = (await r.stats()).log.length
  for (let i = 0; i < count; i++) slowReader(t, Number(new URL(url).port), `/slow/${i}?bytes=4000000`)
  await until(async () => (await r.stats()).log.slice(before).length > 0, 'the first render')
  const { get } = client(t, url)
  const beside = await Promise.race([get('/beside?ms=2'), pause(4000)])
  const log = (await r.stats()).log.filter(({ url }) => url.startsWith('/slow'))
  return { beside, held: log.map(({ at, held }) => held ?? now() - at) }
}

async function slowReaders(t) {
  const [r, other] = await renderers(t, 2)
  const v = await site(t, [r])
  const h = await haproxy(t, [other])
  const mine = await heldBySlowReaders(t, r, v.url, 10)
  const theirs = await heldBySlowReaders(t, other, h.url, 10)
  const beside = theirs.beside ? `${fixed(theirs.beside.ms)} ms` : 'not within 4 s'
  return {
    figure: [
      `slot held at most ${fixed(Math.max(...mine.held))} ms`,
      `a page behind all ten after ${mine.beside ? fixed(mine.beside.ms) : '> 4 000'} ms (HAProxy: ${beside})`,
    ],
    isMet: mine.held.length === 10 && Math.max(...mine.held) < 200 && mine.beside?.status === 200,
  }
}

async function oneConnection(t) {
  const four = await renderers(t, 4)
  const listener = await tlsListener(tempDir(t))
  const v = await site(t, four, { more: listener.yaml })
  const counts = async () => (await Promise.all(four.map((r) => r.stats()))).map(({ renders }) => renders)
  const { get } = client(t, v.url)
  for (let i = 0; i < 200; i++) await get(`/${i}?ms=1`)
  const before = await counts()
  const connection = await h2(t, listener.port)
  let next = 0
  const stream = async () => {
    while (next < 200) await connection.get(`/${next++}?ms=1`, { headers: { ':authority': 'a.example' } })
  }
  await Promise.all([stream(), stream(), stream(), stream()])
  const after = (await counts()).map((n, i) => n - before[i])
  const isEven = [...before, ...after].every((n) => n >= 20)
  return { figure: [`HTTP/1.1 ${before.join(', ')}`, `HTTP/2 ${after.join(', ')}`], isMet: isEven }
}

async function notListening(t) {
  const three = await renderers(t, 3)
  const still = await bare(t)
  const v = await site(t, [{ url: `http://127.0.0.1:${await freePort()}` }, ...three])
  const { get } = client(t, v.url)
  const results = await openLoop(arrivals([{ rate: 60, seconds: 8 }], 6), async (i) => {
    const beside = still.get('/?ms=20')
    return { ...(await get(`/${i}?ms=20`)), bare: await beside }
  })
  const failed = results.filter(isFailed)
  const beside = took(results.map(({ bare }) => bare), 99)
  return { figure: [failures(failed, results), `p99 ${took(results, 99)} ms`, `a bare node server that takes 20 ms too: ${beside} ms`], isMet: failed.length === 0 }
}

/** Four renderers are busy and fifty requests wait when one is killed. */
async function killOne(t, url, four) {
  const { get } = client(t, url)
  const running = Array.from({ length: 4 }, (_, i) => get(`/busy/${i}?ms=1500`))
  await until(async () => (await Promise.all(four.map((r) => r.stats()))).every((s) => s.now === 1), 'all to be busy')
  const waiting = Array.from({ length: 50 }, (_, i) => get(`/wait/${i}?ms=100`))
  await pause(100)
  await four[0].kill()
  const results = await Promise.all([...running, ...waiting])
  await four[0].start()
  return { failed: results.filter(isFailed), slowest: Math.max(...results.map(({ ms }) => ms)) }
}

const TUNED = {
  server: 'maxconn 1 check inter 1s fastinter 100ms downinter 100ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down',
  retry: ['option redispatch 1', 'retry-on conn-failure empty-response'],
}
async function killed(t) {
  const four = await renderers(t, 4)
  const v = await site(t, four)
  const mine = await killOne(t, v.url, four)
  const plain = await killOne(t, (await haproxy(t, four, { server: 'maxconn 1 check' })).url, four)
  const tuned = await killOne(t, (await haproxy(t, four, TUNED)).url, four)
  const cell = ({ failed, slowest }) => `${failed.length} of 54 failed, the slowest answer after ${fixed(slowest)} ms`
  return { figure: [cell(mine), `HAProxy with health checks ${cell(plain)}`, `tuned ${cell(tuned)}`], isMet: mine.failed.length === 0 }
}

async function endlessLoop(t) {
  const four = await renderers(t, 4)
  const v = await site(t, four, { origin: 'slots: 1, slot_max: 1s, timeouts: {first_byte: 1s}' })
  const { get } = client(t, v.url)
  const loop = pause(1000).then(() => get('/?loop=1'))
  const restart = async () => {
    await pause(4000)
    const { workers } = JSON.parse((await v.admin('GET', '/v1/slots')).body)
    const looping = four[workers.findIndex(({ state }) => state === 'quarantined')]
    await looping.kill()
    await pause(500)
    await looping.start()
    return { looping, up: now() }
  }
  const load = openLoop(arrivals([{ rate: 50, seconds: 11 }], 7), (i) => get(`/${i}?ms=20`))
  const [{ looping, up }, results] = await Promise.all([restart(), load])
  const all = [...results, await loop]
  const failed = all.filter(isFailed)
  const again = (await looping.stats()).log[0]?.at
  return {
    figure: [`${failures(failed, all)}, after ${fixed(failed[0]?.ms ?? 0)} ms`, `rendering again ${fixed(again - up)} ms after its restart`],
    isMet: failed.length === 1 && again - up < 6000,
  }
}

async function allAbort(t) {
  const r = await renderer(t)
  const v = await site(t, [r])
  const { get } = client(t, v.url)
  const chance = random(8)
  const target = (i) => `/${i}?ms=100&cc=max-age=600`
  const results = await openLoop(arrivals([{ rate: 7, seconds: 9 }], 8), (i) => get(target(i), { abortAfter: 5 + 45 * chance() }))
  await pause(500) // the last request may not have come to varve yet
  await until(async () => (await gauge(v, /^varve_slots\{.*busy/)) === 0, 'the renders to end')
  const { most, log } = await r.stats()
  const rendered = new Set(log.map(({ url }) => url))
  const again = await Promise.all([...rendered].map((url) => get(url)))
  const stored = again.filter(isHit).length
  return {
    figure: [
      `${results.filter(({ error }) => error).length} of ${results.length} left`,
      `at most ${most} at a time`,
      `${stored} of ${rendered.size} pages that were begun are stored`,
    ],
    isMet: most === 1 && stored === rendered.size && results.every(({ error }) => error),
  }
}

async function twoClocks(t) {
  const r = await renderer(t)
  const v = await site(t, [r], { more: shell(t), origin: 'slots: 1, client_wait: 1s' })
  const { get } = client(t, v.url)
  const begin = now()
  const first = await get('/p?ms=5000&cc=max-age=600', { headers: documents })
  await until(async () => {
    const probe = await v.admin('GET', `/v1/variants?url=${encodeURIComponent(`${v.url}/p?ms=5000&cc=max-age=600`)}`)
    return /"state":\s*"fresh"/.test(probe.body)
  }, 'the page to be stored')
  const stored = now() - begin
  const [render] = (await r.stats()).log
  const ended = render.at + render.held - begin
  const hit = await get('/p?ms=5000&cc=max-age=600', { headers: documents })
  return {
    figure: `the shell after ${fixed(first.ms)} ms, the page in the cache after ${fixed(stored)} ms (rendered: ${fixed(ended)} ms)`,
    isMet: isShell(first) && first.ms >= 995 && first.ms < 1200 && isHit(hit) && isRendered(hit) && stored - ended < 200 && (await r.stats()).renders === 1,
  }
}

export const rows = [
  { id: 'A3', does: 'five at once for a renderer that takes 100 ms: wait and render as Server-Timing has them', goal: 'renders ~100 ms, waits in steps of them', run: waitAndRender },
  { id: 'A4', does: '50 clients send 300 kB each at 10 kB/s', goal: 'slot held < 100 ms each', run: slowBodies },
  { id: 'A5', does: '10 clients read 4 MB each at 1 kB/s', goal: 'slot held < 200 ms each', run: slowReaders },
  { id: 'A8', does: '200 requests on one connection, 4 renderers', goal: 'all four used', run: oneConnection },
  { id: 'A10', does: '1 of 4 renderers does not listen, 60 requests/s', goal: '0 failed', run: notListening },
  { id: 'A11', does: '4 renderers busy, 50 requests wait, 1 renderer is killed', goal: '0 failed', run: killed },
  { id: 'A13, A14', does: 'a render loops in 1 of 4 renderers, which is restarted 3 s later; 50 requests/s', goal: '1 failed; used again', run: endlessLoop },
  { id: 'A15', does: 'every client leaves before its render of 100 ms ends', goal: '1 at a time; every page that was begun is stored', run: allAbort },
  { id: 'A16', does: 'a render of 5 s, client_wait 1 s', goal: 'the shell at 1 s, the page stored at 5 s', run: twoClocks },
]
