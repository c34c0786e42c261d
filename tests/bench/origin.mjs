// The page that the bench caches: BYTES of HTML, fresh for an hour. Usage: node origin.mjs PORT BYTES
import http from 'node:http'
const [port, bytes] = process.argv.slice(2).map(Number)
const page = '<!doctype html>' + 'x'.repeat(bytes - 15)
http
  .createServer((req, res) => {
    res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=3600', 'content-length': page.length })
    res.end(page)
  })
  .listen(port, '127.0.0.1')
