// A renderer for varve to run: one process of it is one worker. What it does is in the path; how it starts, in its directory and
// environment. It listens at PORT, a number or the path of a socket.
import { existsSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'

const busy = (ms) => {
  const end = Date.now() + ms
  while (Date.now() < end);
}
const kept = []
let n = 0

if (process.env.BOOT === 'fail' || existsSync('broken')) {
  console.error('Error: cannot find module ./pages')
  console.error('    at boot (server.mjs:1:1)')
  process.exit(3)
}
if (process.env.DEAF || existsSync(`deaf-${path.basename(process.env.PORT)}`)) process.on('SIGTERM', () => console.log('SIGTERM? no'))
/** With DIES_AT: no page kills two. */
function isFirstTo(url) {
  try {
    writeFileSync(`died-${encodeURIComponent(url)}`, '', { flag: 'wx' })
    return true
  } catch {
    return false
  }
}
console.log(`started ${process.pid}`)

process.on('SIGUSR2', () => {})
let isLeaving = false
/** What a careful server does: nothing new, and away when all that it has is answered. */
process.once('uncaughtException', (error) => {
  console.error(error.stack)
  isLeaving = true
  server.close(() => process.env.STAYS || process.exit(7))
  setInterval(() => server.closeIdleConnections(), 10)
})

const server = http.createServer(async (req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://renderer')
  const ms = Number(searchParams.get('ms') ?? 0)
  if (pathname === '/slow') await new Promise((resolve) => setTimeout(resolve, ms))
  if (pathname === '/busy') busy(ms)
  if (pathname === '/hang') return
  if (pathname === '/held') await new Promise((resolve) => process.once('SIGUSR2', resolve))
  if (pathname === '/throw') setImmediate(() => setImmediate(() => { throw new Error('the exception') }))
  if (isLeaving) res.setHeader('connection', 'close')
  if (pathname === '/exit' || (n + 1 >= Number(process.env.DIES_AT ?? Infinity) && isFirstTo(req.url))) process.exit(1)
  if (pathname === '/grow') kept.push(Buffer.alloc(Number(searchParams.get('mb')) << 20, 1))
  if (pathname === '/say') console.log(searchParams.get('text'))
  if (pathname === '/flood') for (let i = 0; i < Number(searchParams.get('lines')); i++) console.log(`flood ${i} ${'x'.repeat(80)}`)
  res.writeHead(pathname === '/error' ? 500 : 200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  res.end(JSON.stringify({ pid: process.pid, n: ++n, port: process.env.PORT, colour: process.env.COLOUR, uid: process.getuid() }))
})
if (process.env.FLOODS) setInterval(() => console.log('flood\n'.repeat(200)), 10)
if (!process.env.SILENT) server.listen(process.env.PORT)
else setInterval(() => {}, 1000)
