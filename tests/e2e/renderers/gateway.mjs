// A render gateway for the tests: a server of its own process shape that renders the URL it is asked for, speaks the
// gateway's protocol (ping, version, warm-up, secret) and says in Vary which request headers a render has read.
import http from 'node:http'

/**
 * Listens on a port of its own. `state` may be changed at any time: version, secret, pages (path → (read) => {status, headers,
 * body}). `renders` are the URLs that were rendered, `warmups` and `pings` counts.
 */
export async function gateway(t, { secret = 's3cret', version = 'v1', pages = {} } = {}) {
  const g = { secret, version, pages, renders: [], warmups: 0, pings: 0, refused: 0 }
  const server = http.createServer((req, res) => {
    const asked = new URL(req.url, 'http://gateway')
    const plain = (status, text) => res.writeHead(status, { 'content-type': 'text/plain' }).end(text)
    if (asked.pathname === '/_api/ping') return g.pings++, plain(200, 'pong')
    if (asked.pathname === '/_api/version') return plain(200, g.version)
    if (asked.pathname === '/_ah/warmup') return g.warmups++, plain(200, 'warm')
    if (asked.pathname !== '/_render') return plain(404, 'no such endpoint')
    if (req.headers['x-render-secret'] !== g.secret) return g.refused++, plain(403, 'who are you?')
    render(g, new URL(asked.searchParams.get('url')), req, res)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  g.url = `http://127.0.0.1:${server.address().port}`
  return g
}

/** A page reads headers through `read`, as the gateway's does: what was read is what the page varies by. */
function render(g, url, req, res) {
  const wasRead = new Set()
  const read = (name) => (wasRead.add(name), req.headers[name])
  g.renders.push(url.pathname + url.search)
  const page = g.pages[url.pathname] ?? (() => ({ body: `page ${url.pathname}` }))
  const { status = 200, headers = {}, body = '' } = page(read, url)
  res.writeHead(status, { 'content-type': 'text/html', 'x-app-version': g.version, ...(wasRead.size ? { vary: [...wasRead].join(', ') } : {}), ...headers })
  res.end(body)
}
