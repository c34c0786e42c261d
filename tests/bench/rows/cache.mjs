// Rows of cache and fallback: short lifetimes, hits beside a renderer that is busy, the way back from an outage, many variants of one
// page, pages that come in parts.
import { until } from '../../e2e/lib.mjs'
import { arrivals, client, failures, fixed, isFailed, now, openLoop, pause, percentile, took } from '../load.mjs'
import { bare, isHit, isRendered, isShell, renderer, shell, site } from './site.mjs'

/** Two pages at once: one has its 2 s from the renderer, one from its route, which takes up to a tenth off what it invents. */
async function microCaching(t) {
  const r = await renderer(t)
  const v = await site(t, [r], { routes: 'match: "/t/**", ttl: 2s}, {match: "/**"', origin: 'slots: 8' })
  const { get } = client(t, v.url)
  const times = arrivals([{ rate: 150, seconds: 60 }], 1)
  const results = await openLoop(times, (i) => get(i % 2 ? '/r?ms=50&cc=max-age=2' : '/t/?ms=50&cc=public'))
  const renders = (await r.stats()).log
  const count = (prefix) => renders.filter(({ url }) => url.startsWith(prefix)).length
  const failed = results.filter(isFailed)
  const isMet = count('/r') <= 31 && count('/t') <= 35 && failed.length === 0
  return { figure: [`${count('/r')} renders`, `with the route's ttl, shortened by up to a tenth: ${count('/t')}`, failures(failed, results)], isMet }
}

async function hitsBesideBusy(t) {
  const [r, still] = [await renderer(t), await bare(t)]
  const v = await site(t, [r])
  const { get } = client(t, v.url)
  for (let i = 0; i < 20; i++) await get(`/${i}?cc=max-age=600`)
  const busy = get('/busy?busy=5000')
  await until(async () => (await v.admin('GET', '/v1/slots')).body.includes('/busy'), 'the render')
  const times = arrivals([{ rate: 400, seconds: 4.5 }], 2)
  const results = await openLoop(times, async (i) => ({ isBare: i % 2 === 1, ...(await (i % 2 ? still.get('/') : get(`/${i % 20}?cc=max-age=600`))) }))
  const was = await busy
  const hits = results.filter(({ isBare }) => !isBare)
  const p99 = percentile(hits.map(({ ms }) => ms), 99)
  const beside = took(results.filter(({ isBare }) => isBare), 99)
  const isAll = hits.every(isHit) && was.status === 200 && was.ms >= 4900
  return { figure: [`p99 ${fixed(p99)} ms of ${hits.length} hits`, `a bare node server beside it: ${beside} ms`], isMet: isAll && p99 < 5 }
}

async function wayBack(t) {
  const r = await renderer(t)
  const v = await site(t, [r], { more: shell(t), origin: 'slots: 4' })
  const { get } = client(t, v.url)
  const headers = { accept: 'text/html', 'sec-fetch-dest': 'document' }
  const outage = async () => {
    await pause(2000)
    await r.kill()
    const down = now()
    await pause(4000)
    await r.start()
    return { up: now(), away: now() - down }
  }
  const load = openLoop(arrivals([{ rate: 50, seconds: 14 }], 3), (i) => get(`/p/${i}?ms=10`, { headers }))
  const [{ up, away }, results] = await Promise.all([outage(), load])
  const first = (await r.stats()).log[0]?.at
  const back = results.filter((x) => isRendered(x) && x.sent + x.ms > up).map((x) => x.sent + x.ms).sort((a, b) => a - b)[0]
  const shells = results.filter(isShell)
  const after = results.filter((x) => x.sent > back)
  const share = (100 * after.filter(isRendered).length) / after.length
  const failed = results.filter((x) => !isShell(x) && !isRendered(x))
  return {
    figure: [
      `asked ${fixed(first - up)} ms after it listened`,
      `that page delivered ${fixed(back - first)} ms later, pages ${share.toFixed(1)} % of what was asked for from then on`,
      `${shells.length} shells, ${failures(failed, results)}`,
    ],
    isMet: failed.length === 0 && first - up < away / 3 && back - first < 1000 && share >= 99,
  }
}

async function manyVariants(t) {
  const r = await renderer(t)
  const v = await site(t, [r], { origin: 'slots: 32' })
  const { get } = client(t, v.url)
  const neighbour = (i) => `/n/${i % 1000}?bytes=8000&cc=max-age=3600`
  const turns = async (count, width, one) => {
    const turn = async (k) => {
      for (let i = k; i < count; i += width) await one(i)
    }
    await Promise.all(Array.from({ length: width }, (_, k) => turn(k)))
  }
  await turns(1000, 16, (i) => get(neighbour(i)))
  let isOver = false
  const hits = { all: 0, hits: 0 }
  const neighbours = (async () => {
    for (let i = 0; !isOver; i += 7, await pause(2)) {
      const answer = await get(neighbour(i))
      hits.all++
      hits.hits += isHit(answer)
    }
  })()
  let failed = 0
  const begin = now()
  await turns(10000, 16, async (i) => {
    const { status } = await get('/variants?bytes=8000&cc=max-age=3600&vary=x-bucket', { headers: { 'x-bucket': `u${i}` } })
    failed += status !== 200
  })
  const seconds = (now() - begin) / 1000
  isOver = true
  await neighbours
  let after = 0
  await turns(1000, 16, async (i) => {
    const answer = await get(neighbour(i))
    after += isHit(answer)
  })
  const share = (100 * hits.hits) / hits.all
  return {
    figure: [
      `${share.toFixed(2)} % of ${hits.all} requests meanwhile, ${(after / 10).toFixed(1)} % of all 1 000 afterwards`,
      `${failed} of 10 000 variants failed, in ${seconds.toFixed(0)} s`,
    ],
    isMet: share >= 99 && after >= 990 && failed === 0,
  }
}

const spread = (list) => `p50 ${fixed(percentile(list, 50))} ms, at most ${fixed(Math.max(...list))} ms`

async function streamed(t) {
  const r = await renderer(t)
  const v = await site(t, [r], { origin: 'slots: 32' })
  const { get } = client(t, v.url)
  const target = (i) => `/${i}?chunks=10&every=200&cc=max-age=60`
  const direct = client(t, r.url)
  const lateness = ({ first, body }) => first - parseFloat(body)
  const results = await openLoop(arrivals([{ rate: 10, seconds: 4 }], 4), async (i) => {
    const beside = direct.get(target(i))
    return { ...(await get(target(i))), beside: lateness(await beside) }
  })
  const late = results.map(lateness)
  const beside = results.map((x) => x.beside)
  const isWhole = results.every(({ body, error }) => !error && body.trim().split('\n').length === 10)
  const again = await Promise.all(results.map((_, i) => get(target(i))))
  const stored = again.filter(isHit).length
  return {
    figure: [`${spread(late)} (without varve: ${spread(beside)}) of ${late.length} pages`, `${stored} stored`],
    isMet: isWhole && Math.max(...late) < 50 && stored === results.length,
  }
}

export const rows = [
  { id: 'B1', does: 'a page of 2 s, rendered in 50 ms, asked for 60 s', goal: 'at most 31 renders (35 shortened), none failed', run: microCaching },
  { id: 'B2', does: 'the only renderer keeps its event loop for 5 s; hits of other pages', goal: 'p99 < 5 ms', run: hitsBesideBusy },
  { id: 'B7', does: 'the only renderer is dead for 4 s under 50 requests/s, then up', goal: 'asked within a third of the time it was away, then ≥ 99 % pages; none failed', run: wayBack },
  { id: 'K18, K19', does: '10 000 variants of one page, beside 1 000 stored pages', goal: '≥ 99 % hits', run: manyVariants },
  { id: 'K26', does: 'a page in 10 parts, 200 ms apart: first byte at the client after the renderer’s', goal: '< 50 ms; whole; stored', run: streamed },
]
