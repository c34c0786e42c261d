// The renderer of the bench: a process of its own, so that what it does to its event loop is not done to the clients'. What a page
// costs is in its URL, so that a run is the same each time; how the process behaves is in its environment:
//   ms, busy     wait so long; keep the processor for so long      bytes          length of the page
//   chunks, every  a page in so many parts, so many ms apart       cc, vary       fields of the answer
//   loop         never come back                                   throw          before: in the render; after: behind its answer
//   SERIAL       renders wait for each other, as if each kept the processor, which on a small machine they could not
//   EXIT_EVERY   exits in its so manieth render; with FIRST, a file's name, the first process of each port does so a bit sooner or
//                later: those that die in step take the same request along twice
//   DIES_ABOVE   exits when more are asked of it at a time
//   CAREFUL      after an exception: stop accepting, finish, exit; at once after so many ms
//   BROKEN       a file; while it is there, the process ends as it starts
// /_stats tells what was asked of it, and when, by the clock that all processes share.
import { existsSync, writeFileSync } from 'node:fs'
import http from 'node:http'

const { PORT, SERIAL, EXIT_EVERY, FIRST, DIES_ABOVE, CAREFUL, BROKEN } = process.env
const now = () => Number(process.hrtime.bigint()) / 1e6
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
if (BROKEN && existsSync(BROKEN)) process.exit(3)

const stats = { pid: process.pid, renders: 0, now: 0, most: 0, answered: 0, log: [] }
const isFirst = FIRST && !existsSync(`${FIRST}.${PORT}`)
if (isFirst) writeFileSync(`${FIRST}.${PORT}`, '')
const lastRender = EXIT_EVERY && Number(EXIT_EVERY) - (isFirst ? (Number(PORT) % 4) * 7 : 0)
let turn = Promise.resolve()
let kept = 'x'.repeat(1 << 16)
const filler = (bytes) => (kept.length < bytes ? (kept = 'x'.repeat(bytes)) : kept).slice(0, bytes)

/** Work as rendering is: objects, closures, strings. */
function work(ms) {
  const end = now() + ms
  let n = 0
  for (let text = ''; now() < end; n++) text = Array.from({ length: 200 }, (_, i) => `<li class="a${i % 7}">${(i * n).toString(36)}</li>`).join('')
  return n
}
/** The same amount of work each time: about 5 ms on a machine of 2020. */
function page(items) {
  const list = Array.from({ length: items }, (_, i) => ({ name: `item ${i}`, price: (i * 7919) % 1000, tags: [i % 3, i % 5, i % 7] }))
  list.sort((a, b) => a.price - b.price || a.name.localeCompare(b.name))
  return list.map(({ name, tags }) => `<li>${name.toUpperCase()} ${tags.map((tag) => `<b>${tag}</b>`).join(' ')}</li>`).join('\n')
}

async function render(req, res, q) {
  if (q.has('loop')) for (;;);
  if (q.get('throw') === 'before') setTimeout(() => { throw new Error('in a render') })
  if (q.get('throw') === 'before') return
  if (q.has('busy')) work(Number(q.get('busy')))
  const ms = Number(q.get('ms') ?? 0)
  if (SERIAL) await (turn = turn.then(() => pause(ms)))
  else if (ms) await pause(ms)
  const headers = { 'content-type': 'text/html', 'cache-control': q.get('cc') ?? 'no-store', ...(q.has('vary') && { vary: q.get('vary') }) }
  if (q.has('chunks')) {
    res.writeHead(200, headers)
    for (let i = 0; i < Number(q.get('chunks')); i++) {
      if (i) await pause(Number(q.get('every')))
      res.write(`${now()} ${filler(1000)}\n`)
    }
    return res.end()
  }
  const body = q.has('items') ? page(Number(q.get('items'))) : `page ${req.url} ${filler(Number(q.get('bytes') ?? 200))}`
  res.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) })
  res.end(body)
  if (q.get('throw') === 'after') setTimeout(() => { throw new Error('behind an answer') })
}

const server = http.createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://renderer')
  if (pathname === '/_stats') return res.end(JSON.stringify(stats))
  const seen = { url: req.url, at: now() }
  stats.renders++
  stats.most = Math.max(stats.most, ++stats.now)
  if (stats.log.length < 20000) stats.log.push(seen)
  if (stats.renders === lastRender) process.exit(1)
  if (DIES_ABOVE && stats.now > Number(DIES_ABOVE)) process.exit(1)
  res.on('close', () => {
    stats.now--
    stats.answered += res.writableFinished
    seen.held = now() - seen.at
  })
  req.on('end', () => {
    seen.body = now() - seen.at
    render(req, res, searchParams)
  }).resume()
})
if (CAREFUL)
  process.on('uncaughtException', () => {
    server.close(() => process.exit(1))
    setTimeout(() => process.exit(1), Number(CAREFUL))
  })
process.on('disconnect', () => process.exit(0)) /* the bench is gone */
server.listen(PORT, '127.0.0.1', () => process.send?.('ready'))
