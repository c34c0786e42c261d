// A renderer as a server-side-rendered site has it: one page at a time, what comes meanwhile waits inside. Most of a render is waiting
// (a timer, ?ms=), so that four renderers fit two cores; the rest is making the page. It tells its parent how many requests
// it had at a time. Usage: node overload_renderer.mjs PORT, with an IPC channel.
import http from 'node:http'

const LOOP_MS = 60000 /* "for good": somebody kills it long before, but nothing is left running if nobody does */
let inside = 0
let most = 0
let isClosing = false
let turn = Promise.resolve()

const page = (title) => {
  let items = ''
  for (let i = 0; i < 150; i++) items += `<li><a href="/p/${i}">${title} ${i}</a></li>`
  return `<!doctype html><title>${title}</title><ul>${items}</ul>`
}

function loop() {
  process.send({ looping: true })
  const end = Date.now() + LOOP_MS
  while (Date.now() < end);
  process.exit(1)
}

async function render(req, res) {
  const { pathname, searchParams } = new URL(req.url, 'http://renderer')
  if (pathname === '/loop') loop()
  await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get('ms'))))
  const body = page(pathname)
  inside-- /* with the last byte handed out, it is over */
  const headers = { 'content-type': 'text/html', 'content-length': Buffer.byteLength(body) }
  res.writeHead(200, isClosing ? { ...headers, connection: 'close' } : headers)
  res.end(body)
}

const server = http.createServer((req, res) => {
  if (req.url === '/ping') return void res.end('pong')
  req.resume().on('end', () => {
    if (++inside > most) process.send({ most: (most = inside) })
    turn = turn.then(() => render(req, res))
  })
})
server.keepAliveTimeout = 60000
server.listen(Number(process.argv[2]), '127.0.0.1', 1024, () => process.send({ ready: true }))

process.on('message', () => (most = 0))
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => {
  isClosing = true
  server.close(() => process.exit())
  server.closeIdleConnections()
})
