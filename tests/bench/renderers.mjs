// The table of docs/overload.md, section "Row by row". A row is {id, does, goal, run(t)}; run comes back with {figure, isMet}, or
// with {figure} alone where nothing is promised; a figure is a text or several. Rows run one after the other: they share two processors.
import { rows as cache } from './rows/cache.mjs'
import { rows as slots } from './rows/slots.mjs'
import { rows as queue } from './rows/queue.mjs'
import { rows as processes } from './rows/processes.mjs'

const ROW_MS = 120000
const wanted = process.argv.slice(2)
const all = [...cache, ...slots, ...queue, ...processes]
const unknown = wanted.filter((id) => !all.some((row) => row.id.split(', ').includes(id)))
if (unknown.length) {
  console.error(`no such row: ${unknown.join(' ')}; there are ${all.map((row) => row.id.replaceAll(', ', ' ')).join(' ')}`)
  process.exit(2)
}

/* What the row that runs has started; its end, or a signal, ends it. */
const cleanups = []
async function cleanUp() {
  while (cleanups.length) await cleanups.shift()()
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => cleanUp().finally(() => process.exit(1)))

/** What the row came to; whatever it started is gone when this returns. */
async function result(row) {
  let timer
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('did not end')), ROW_MS)))
  try {
    const came = await Promise.race([row.run({ after: (f) => cleanups.unshift(f) }), late])
    await cleanUp() // varve may say at its end what went wrong
    return came
  } catch (error) {
    console.error(error)
    return { figure: `broken: ${error.message.split('\n')[0]}`, isMet: false }
  } finally {
    clearTimeout(timer)
    await cleanUp().catch(console.error)
  }
}

let isGood = true
console.log('| row | what is done | figure | goal | met |\n|---|---|---|---|---|')
for (const row of all.filter(({ id }) => !wanted.length || wanted.some((w) => id.split(', ').includes(w)))) {
  const { figure, isMet } = await result(row)
  isGood &&= isMet !== false
  console.log(`| ${[row.id, row.does, [figure].flat().join('; '), row.goal, isMet === undefined ? 'as it is' : isMet ? 'yes' : 'no'].join(' | ')} |`)
}
process.exit(isGood ? 0 : 1)
