// A render gateway for the tests: a server of its own process shape that renders the URL it is asked for, speaks the
// gateway's protocol (ping, version, warm-up, secret) and says in Vary which request headers a render has read.
import http from 'node:http'

/**
 * Listens on a port of its own. `state` may be changed at any time: version, versionField (none: it is told on the version route
 * alone, as Khan Academy's does), versions (answers to that route in its place), secret, pages (path → (read) => {status, headers,
 * body}). `renders` are the URLs that were rendered, `hosts` their hosts, `asked` all paths in order, `now` and `most` requests at a time.
 */
export async function gateway(t, { secret = 's3cret', version = 'v1', versionField = 'x-app-version', pages = {}, port = 0 } = {}) {
  const g = { secret, version, versionField, versions: [], pages, renders: [], hosts: [], asked: [], refused: 0, now: 0, most: 0 }
  const server = http.createServer((req, res) => {
    const asked = new URL(req.url, 'http://gateway')
    const plain = (status, text) => res.writeHead(status, { 'content-type': 'text/plain' }).end(text)
    g.asked.push(asked.pathname)
    g.most = Math.max(g.most, ++g.now)
    res.on('close', () => g.now--)
    if (asked.pathname === '/_api/ping') return plain(200, 'pong\n')
    if (asked.pathname === '/_api/version') return g.versions.length ? g.versions.shift()(res) : res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ version: g.version }))
    if (asked.pathname === '/_ah/warmup') return plain(200, 'OK\n')
    if (asked.pathname !== '/_render') return plain(404, 'no such endpoint')
    if (req.headers['x-render-secret'] !== g.secret) return g.refused++, plain(403, 'who are you?')
    render(g, new URL(asked.searchParams.get('url')), req, res)
  })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  g.count = (path) => g.asked.filter((p) => p === path).length
  g.stop = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()))
  g.url = `http://127.0.0.1:${server.address().port}`
  return g
}

/** A page reads headers through `read`, as the gateway's does: what was read is what the page varies by. */
async function render(g, url, req, res) {
  const wasRead = new Set()
  const read = (name) => (wasRead.add(name), req.headers[name])
  g.renders.push(url.pathname + url.search)
  g.hosts.push(url.host)
  const page = g.pages[url.pathname] ?? g.page ?? (() => ({ body: `page ${url.pathname}` }))
  const { status = 200, headers = {}, body = '' } = await page(read, url, req)
  res.writeHead(status, { 'content-type': 'text/html', ...(g.versionField ? { [g.versionField]: g.version } : {}), ...(wasRead.size ? { vary: [...wasRead].join(', ') } : {}), ...headers })
  res.end(body)
}

/** What `varve init --preset render-gateway` writes, for these gateways. */
export const gatewayPolicy = (urls, { build = '{probe: /_api/version}', more = '' } = {}) => `origins:
  renderer:
    workers: [${urls.map((url) => `"${url}"`).join(', ')}]
    slots: 1
    client_wait: 60s
    target: "/_render?url={url}"
    host: origin
    set_headers: {X-Render-Secret: s3cret${more}}
    probe: {path: /_api/ping, every: 100ms, timeout: 10s}
    build: ${build}
    warmup: /_ah/warmup
routes: [{match: "/**", ttl: 60s}]
`
