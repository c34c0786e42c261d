// Rows of renderers that varve runs itself: restarts, crashes, exceptions under load.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { tempDir } from '../../e2e/lib.mjs'
import { freePorts, most, ready, said } from '../../e2e/spawning.mjs'
import { arrivals, client, failures, isFailed, now, openLoop, pause, tally, took } from '../load.mjs'
import { spawned, stats } from './site.mjs'

/** So that only deaths turn anybody away, and not a machine on which renderers take long to start. */
const LONG_QUEUE = 'queue: {shed_at: 256}'

/** What the machine makes of a figure today: how long a renderer took to start, at most. */
const slowestStart = (v) => `a renderer took up to ${Math.max(...said(v, 'renderer ready').map(({ ms }) => Number(ms)))} ms to start`

async function rollingRestart(t) {
  const v = await spawned(t, { base: await freePorts(3), origin: `slots: 1, ${LONG_QUEUE}` })
  await ready(v, 3)
  const { get } = client(t, v.url)
  const restart = async () => {
    await pause(1000)
    const begin = now()
    const { code } = await v.cli('restart')
    return { code, seconds: (now() - begin) / 1000 }
  }
  const load = openLoop(arrivals([{ rate: 60, seconds: 12 }], 20), (i) => get(`/${i}?ms=20`))
  const [{ code, seconds }, results] = await Promise.all([restart(), load])
  const failed = results.filter(isFailed)
  const again = said(v, 'renderer ready').length
  return {
    figure: [
      `${failures(failed, results)}, p99 ${took(results, 99)} ms`,
      `three replaced in ${seconds.toFixed(1)} s, never more than ${most(v)} processes`,
      slowestStart(v),
    ],
    isMet: failed.length === 0 && code === 0 && again === 6 && most(v) <= 4,
  }
}

async function exits(t) {
  const v = await spawned(t, {
    base: await freePorts(4), origin: `slots: 1, ${LONG_QUEUE}`, spawn: 'workers: 4', env: { EXIT_EVERY: 30, FIRST: path.join(tempDir(t), 'first') },
  })
  await ready(v, 4)
  const { get } = client(t, v.url)
  const results = await openLoop(arrivals([{ rate: 32, seconds: 16 }], 21), (i) => get(`/${i}?ms=10`))
  const failed = results.filter(isFailed)
  const deaths = said(v, 'renderer died').length
  return { figure: [failures(failed, results), `${deaths} deaths, p99 ${took(results, 99)} ms`, slowestStart(v)], isMet: failed.length === 0 && deaths >= 10 }
}

/** One of two renderers cannot start any more; the other one serves. */
async function crashLoop(t) {
  const base = await freePorts(2)
  const broken = path.join(tempDir(t), 'broken')
  const v = await spawned(t, { base, origin: `slots: 1, ${LONG_QUEUE}`, spawn: 'workers: 2', env: { BROKEN: broken } })
  await ready(v, 2)
  writeFileSync(broken, '')
  process.kill((await stats(base)).pid, 'SIGKILL')
  const { get } = client(t, v.url)
  const results = await openLoop(arrivals([{ rate: 40, seconds: 12 }], 22), (i) => get(`/${i}?ms=10`))
  const starts = said(v, 'renderer started').filter(({ worker }) => worker === 'renderer/0').map(({ at }) => at)
  const gaps = starts.slice(1).map((at, i) => at - starts[i])
  const failed = results.filter(isFailed)
  const isNamed = /crash loop/i.test(v.log)
  return {
    figure: [
      `${starts.length - 1} tries in 12 s, ${gaps.map((ms) => (ms / 1000).toFixed(1)).join(', ')} s apart, ${isNamed ? '' : 'not '}named in the log`,
      failures(failed, results),
    ],
    isMet: gaps.length > 0 && Math.min(...gaps) >= 950 && failed.length === 0 && isNamed,
  }
}

/** Exceptions behind an answer and, of which the request is asked again, in a render. */
async function exceptions(t) {
  const v = await spawned(t, { base: await freePorts(3), origin: `slots: 4, ${LONG_QUEUE}`, spawn: 'workers: 3', env: { CAREFUL: 1000 } })
  await ready(v, 3)
  const { get } = client(t, v.url)
  const thrown = (i) => (i % 300 === 220 ? '&throw=after' : i % 300 === 50 ? '&throw=before' : '') // never in all three at once
  const results = await openLoop(arrivals([{ rate: 60, seconds: 14 }], 23), (i) => get(`/${i}?ms=60${thrown(i)}`))
  const failed = results.filter((x, i) => isFailed(x) && !thrown(i).includes('before'))
  const own = results.filter((_, i) => thrown(i).includes('before'))
  const died = said(v, 'renderer died').length + said(v, 'renderer ended').length
  return {
    figure: [
      `${failures(failed, results)} beside the ${own.length} that threw in their render (${tally(own)})`,
      `${died} processes left, p99 ${took(results, 99)} ms`,
      slowestStart(v),
    ],
    isMet: failed.length === 0 && died >= 5,
  }
}

export const rows = [
  { id: 'A21, V5', does: '`varve restart` of 3 renderers under 60 requests/s', goal: '0 failed, at most 4 processes', run: rollingRestart },
  { id: 'G10', does: '4 renderers that exit in each 30th render, not in step; 32 requests/s', goal: '0 failed', run: exits },
  { id: 'V3', does: 'one of two renderers exits whenever it starts, 40 requests/s', goal: 'at most one try a second; 0 failed', run: crashLoop },
  { id: 'V4', does: 'uncaught exceptions in renderers that then stop accepting, finish and exit', goal: '0 failed', run: exceptions },
]
