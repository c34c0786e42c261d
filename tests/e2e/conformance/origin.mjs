// The origin of the conformance cases: it speaks raw HTTP/1.1, so that it can say what no decent server would, and answers each case by
// its script. What it was asked is kept per case.
import net from 'node:net'

const lineOf = (name, value) => `${name}: ${value}\r\n`

function bodyOf(answer, head) {
  if (answer.chunks === undefined) return answer.body
  const trailers = Object.entries(answer.trailers ?? {}).map(([name, value]) => lineOf(name, value))
  head.push(lineOf('Transfer-Encoding', 'chunked'))
  return `${answer.chunks.map((c) => `${Buffer.byteLength(c, 'latin1').toString(16)}\r\n${c}\r\n`).join('')}0\r\n${trailers.join('')}\r\n`
}

/**
 * The bytes of an answer: {status, reason, headers, body, chunks, trailers, interim}, or `raw`, its very bytes. A field whose value is a list has several
 * lines, one that is null is not sent. Date and Content-Length are added where they are not given.
 * What the server does besides: `delay` (ms before it), `isHeld` (until the client has its answer), `closes` (behind the answer, or
 * 'silently' instead of it), `untilClose` (the end of the body is the end of the connection), `idle` (ms until it closes).
 */
export function answerBytes(answer, method) {
  if (answer.raw !== undefined) return Buffer.from(answer.raw, 'latin1')
  const { status = 200, reason = 'Answer', headers = {}, interim = [] } = answer
  const head = [...interim.map((i) => `HTTP/1.1 ${i.status} Interim\r\n${Object.entries(i.headers ?? {}).map(([n, v]) => lineOf(n, v)).join('')}\r\n`)]
  const hasBody = status !== 204 && status !== 304
  head.push(`HTTP/1.1 ${status} ${reason}\r\n`)
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  if (!names.has('date')) head.push(lineOf('Date', new Date().toUTCString()))
  if (hasBody && !names.has('content-length') && answer.chunks === undefined && !answer.untilClose)
    head.push(lineOf('Content-Length', Buffer.byteLength(answer.body, 'latin1')))
  for (const [name, value] of Object.entries(headers))
    for (const one of value === null ? [] : [value].flat()) head.push(lineOf(name, one))
  const body = bodyOf(answer, head)
  return Buffer.from(head.join('') + '\r\n' + (hasBody && method !== 'HEAD' ? body : ''), 'latin1')
}

function parseHead(text) {
  const [line, ...lines] = text.split('\r\n').filter(Boolean)
  const [method, target] = line.split(' ')
  const headers = {}
  for (const l of lines) {
    const name = l.slice(0, l.indexOf(':')).toLowerCase()
    const value = l.slice(l.indexOf(':') + 1).trim()
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return { method, target, headers, text }
}

/** The request that stands at the front of `bytes`: {request, rest}, or undefined as long as it is not all there. */
function takeRequest(bytes) {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const request = parseHead(bytes.subarray(0, end).toString('latin1'))
  let rest = bytes.subarray(end + 4)
  request.body = ''
  if (request.headers['transfer-encoding'])
    for (;;) {
      const size = /^([0-9a-f]+)\r\n/i.exec(rest.subarray(0, 20).toString('latin1'))
      const length = size ? parseInt(size[1], 16) : 0
      if (!size || rest.length < size[0].length + length + 2) return undefined
      request.body += rest.subarray(size[0].length, size[0].length + length).toString('latin1')
      rest = rest.subarray(size[0].length + length + 2)
      if (length === 0) return { request, rest }
    }
  const length = Number(request.headers['content-length'] ?? 0)
  if (rest.length < length) return undefined
  request.body = rest.subarray(0, length).toString('latin1')
  return { request, rest: rest.subarray(length) }
}

/** `onRequest(request)` gives back the answer, or a promise of it; {url, stop}. */
export async function conformanceOrigin(t, onRequest) {
  const sockets = new Set()
  const serve = async (socket, request) => {
    const answer = await onRequest(request)
    if (answer.delay) await new Promise((resolve) => setTimeout(resolve, answer.delay))
    if (answer.closes === 'silently') return socket.destroy()
    socket.write(answerBytes(answer, request.method))
    if (answer.closes || answer.untilClose) socket.end()
    if (answer.idle !== undefined) setTimeout(() => socket.destroy(), answer.idle)
  }
  const server = net.createServer((socket) => {
    let bytes = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more])
      for (let taken; (taken = takeRequest(bytes)); bytes = taken.rest) serve(socket, taken.request)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${server.address().port}` }
}
