// Rows of queue and balance: who waits how long, what load does to whom, and what is left over behind it.
import { until } from '../../e2e/lib.mjs'
import { arrivals, client, fixed, isFailed, mean, now, openLoop, pause, percentile, random, tally, took } from '../load.mjs'
import { bare, gauge, haproxy, isRendered, isShell, renderer, renderers, shell, site } from './site.mjs'

const documents = { accept: 'text/html', 'sec-fetch-dest': 'document' }

/* --- balance --- */

const ROUNDS = 3
const BIMODAL = arrivals([{ rate: 220, seconds: 3 }], 9)
const costs = (() => {
  const chance = random(10)
  return BIMODAL.map(() => (chance() < 0.1 ? 50 : 5))
})()

/** p99 of the same requests at the same times. */
async function bimodal(t, url) {
  const { get } = client(t, url)
  const results = await openLoop(BIMODAL, (i) => get(`/${i}?ms=${costs[i]}`))
  if (results.some(isFailed)) throw new Error(`answers: ${tally(results)}`)
  return percentile(results.map(({ ms }) => ms), 99)
}

/** The servers take turns, so that a slow moment of the machine does not meet one alone; medians of their p99. */
async function balances(t) {
  const four = await renderers(t, 4, { SERIAL: 1 })
  const balanced = (origin) => site(t, four, { origin: `${origin}, queue: {shed_at: 512}` })
  const servers = [await balanced('slots: 1'), ...(await Promise.all(['round-robin', 'random'].map((name) => balanced(`slots: 0, balance: ${name}`)))),
    ...(await Promise.all(['roundrobin', 'random'].map((balance) => haproxy(t, four, { balance }))))]
  const p99s = servers.map(() => [])
  for (let round = 0; round < ROUNDS; round++) for (const [i, { url }] of servers.entries()) p99s[i].push(await bimodal(t, url))
  const [idle, turn, any, proxyTurn, proxyAny] = p99s.map((list) => percentile(list, 50))
  return {
    figure: [
      `p99 ${fixed(idle)} ms`,
      `without slots round-robin ${fixed(turn)} ms, random ${fixed(any)} ms`,
      `HAProxy maxconn 1 roundrobin ${fixed(proxyTurn)} ms, random ${fixed(proxyAny)} ms (medians of ${ROUNDS} rounds)`,
    ],
    isMet: idle <= turn && turn <= any,
  }
}

/** Renders that take the processor, few at a time: what a renderer that is kept warm is worth. */
async function firstOrIdle(t) {
  const cell = async (balance) => {
    const four = await renderers(t, 4)
    const { get } = client(t, (await site(t, four, { origin: `slots: 1, balance: ${balance}` })).url)
    const results = await openLoop(arrivals([{ rate: 40, seconds: 8 }], 11), (i) => get(`/${i}?items=600`))
    const times = results.slice(results.length >> 2).map(({ ms }) => ms) // the others warmed it up
    const shares = (await Promise.all(four.map((r) => r.stats()))).map(({ renders }) => Math.round((100 * renders) / results.length))
    return { times, shares }
  }
  const [first, idle] = [await cell('first'), await cell('idle')]
  const text = ({ times, shares }) => `mean ${mean(times).toFixed(2)} ms, p95 ${fixed(percentile(times, 95))} ms, renderers ${shares.join('/')} %`
  return { figure: [`first ${text(first)}`, `idle ${text(idle)}`] }
}

/* --- load that comes and goes --- */

async function randomAborts(t) {
  const four = await renderers(t, 4)
  const v = await site(t, four, { more: shell(t) })
  const { get } = client(t, v.url)
  const chance = random(12)
  const plans = Array.from({ length: 10000 }, () => ({
    target: chance() < 0.3 ? `/hot/${Math.floor(chance() * 50)}?ms=3&cc=max-age=1` : `/${Math.floor(chance() * 1e6)}?ms=${Math.floor(chance() * 8)}`,
    options: { ...(chance() < 0.5 && { abortAfter: chance() * 20 }), headers: chance() < 0.5 ? documents : {} },
  }))
  const results = await openLoop(arrivals([{ rate: 700, seconds: 16 }], 13).slice(0, plans.length), (i) => get(plans[i].target, plans[i].options))
  const begin = now()
  const left = () => Promise.all([/^varve_slots\{.*busy/, /^varve_queue_depth/, /^varve_flights /].map((series) => gauge(v, series)))
  const isQuiet = await until(async () => (await left()).every((n) => n === 0), 'the counters', 10000).catch(() => false)
  const quiet = now() - begin
  const most = Math.max(...(await Promise.all(four.map((r) => r.stats()))).map((s) => s.most))
  const gone = results.filter(({ error }) => error).length
  return {
    figure: [
      `slots, queue and flights ${(await left()).join(', ')}, ${fixed(quiet)} ms after the last`,
      `${gone} of ${results.length} left`,
      `at most ${most} render at a time`,
    ],
    isMet: Boolean(isQuiet) && most === 1 && results.length === 10000,
  }
}

async function stepLoad(t) {
  const four = await renderers(t, 4)
  const v = await site(t, four, { more: shell(t) })
  const { get } = client(t, v.url)
  const times = arrivals([{ rate: 40, seconds: 5 }, { rate: 400, seconds: 6 }, { rate: 40, seconds: 9 }], 14)
  const results = await openLoop(times, (i) => get(`/${i}?ms=50`, { headers: documents }))
  const during = results.filter(({ at }) => at >= 5000 && at < 11000)
  const share = (list) => Math.round((100 * list.filter(isShell).length) / list.length)
  const last = Math.max(11000, ...results.filter(isShell).map(({ at }) => at)) - 11000
  const rendered = (from, to) => results.filter((x) => isRendered(x) && x.at + x.ms >= from && x.at + x.ms < to).length / ((to - from) / 1000)
  const failed = results.filter((x) => !isShell(x) && !isRendered(x)).length
  const before = results.filter(({ at }) => at < 5000)
  return {
    figure: [
      `shells ${share(before)} %, ${share(during)} %, then the last ${fixed(last)} ms after the step down`,
      `pages ${[rendered(0, 5000), rendered(6000, 11000), rendered(13000, 20000)].map((n) => `${n.toFixed(0)}/s`).join(', ')}`,
      `${failed} of ${results.length} failed`,
    ],
    isMet: last < 5000 && failed === 0,
  }
}

/** Four are dead, a crowd is there; one comes up that dies when it is asked for more than 20 at once. */
async function firstOne(t) {
  const four = await renderers(t, 4, { DIES_ABOVE: 20 })
  const v = await site(t, four, { origin: 'slots: 20' })
  const { get } = client(t, v.url)
  const outage = async () => {
    await pause(1000)
    await Promise.all(four.map((r) => r.kill()))
    await pause(2000)
    await four[0].start()
    return now()
  }
  const load = openLoop(arrivals([{ rate: 300, seconds: 12 }], 15), (i) => get(`/${i}?ms=80`))
  const [up, results] = await Promise.all([outage(), load])
  const alive = four[0].child.exitCode === null
  const { most, renders, log } = alive ? await four[0].stats() : { most: 0, renders: 0, log: [] }
  const first = log[0]?.at ?? NaN
  const alone = log.filter(({ at }) => at < first + 80).length
  const late = results.filter(({ sent }) => sent > first + 500)
  const share = Math.round((100 * late.filter(isRendered).length) / late.length)
  return {
    figure: [
      `${alive ? 'alive' : 'dead'}, asked ${fixed(first - up)} ms after it listened`,
      `${alone} in the first 80 ms, then at most ${most} at a time`,
      `${renders} pages, ${share} % of requests thereafter (it can do 250/s)`,
    ],
    isMet: alive && most <= 20 && alone === 1,
  }
}

/* --- shedding --- */

async function shedBesideBusy(t) {
  const [r, still] = [await renderer(t), await bare(t)]
  const v = await site(t, [r], { origin: 'slots: 1, queue: {shed_at: 2, per_slot: false}' })
  const { get } = client(t, v.url)
  const [shed, beside] = [[], []]
  for (let round = 0; round < 3; round++) {
    const held = get(`/busy/${round}?busy=2000`)
    await until(async () => (await v.admin('GET', '/v1/slots')).body.includes('/busy'), 'the render')
    const waiting = [0, 1].map((i) => get(`/wait/${round}/${i}`))
    await until(async () => (await gauge(v, /^varve_queue_depth/)) === 2, 'two to wait')
    const ask = async (i) => ({ isBare: i % 2 === 1, ...(await (i % 2 ? still.get('/') : get(`/${round}/${i}`))) })
    const results = await openLoop(arrivals([{ rate: 400, seconds: 1.6 }], 16 + round), ask)
    for (const result of results) (result.isBare ? beside : shed).push(result)
    await Promise.all([held, ...waiting])
  }
  const p99 = percentile(shed.map(({ ms }) => ms), 99)
  const others = shed.filter(({ status }) => status !== 503).length
  return {
    figure: [`p99 ${fixed(p99)} ms of ${shed.length} 503s`, `a bare node server beside them: ${took(beside, 99)} ms`],
    isMet: p99 < 5 && others === 0,
  }
}

export const rows = [
  { id: 'A18, K1, K2, K3', does: '4 renderers, one render at a time, 5 ms or (1 of 10) 50 ms; 220 requests/s', goal: 'one queue ≤ round-robin ≤ random', run: balances },
  { id: 'A19', does: 'balance `first` and `idle`, renders that take the processor, 40 requests/s', goal: 'offered', run: firstOrIdle },
  { id: 'K6', does: '10 000 requests at 700/s, half of whose clients leave at random', goal: 'all counters back to 0', run: randomAborts },
  { id: 'K10', does: '40, 400, 40 requests/s on renderers that can do 80', goal: 'no shell 5 s after the step down', run: stepLoad },
  { id: 'K12, K13', does: 'all four down under 300 requests/s, then one up that dies of more than 20 at once', goal: 'it survives; one request first', run: firstOne },
  { id: 'K14', does: 'the only renderer keeps its event loop for 2 s, the queue is full', goal: 'p99 of the 503s < 5 ms', run: shedBesideBusy },
]
