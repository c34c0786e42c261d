// The renderer of the capacity table: the page of capacity_page.mjs in node, as varve runs it (`spawn`: it listens at PORT). With DATA_MS
// each render first waits so long for its data, as of a renderer that asks an API. Answers name their path, so that the load can see
// that nobody gets another's page.
import http from 'node:http'
import { render } from './capacity_page.mjs'

const DATA_MS = Number(process.env.DATA_MS ?? 0)

function answer(req, res) {
  const fail = () => res.socket?.destroy()
  render(req.url, (pipe) => {
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'x-path': req.url })
    pipe(res)
  }, fail)
}

const server = http.createServer((req, res) => {
  if (DATA_MS) setTimeout(answer, DATA_MS, req, res)
  else answer(req, res)
})
server.keepAliveTimeout = 0
server.listen(process.env.PORT)
process.on('SIGTERM', () => {
  server.close()
  server.closeIdleConnections()
})
