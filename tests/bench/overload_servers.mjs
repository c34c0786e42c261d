// The servers that stand before the renderers, each configured as somebody would who knows it well: one request at a time on each
// renderer, as far as it can; 3 s for an answer to begin, and nobody need wait longer than 3 s for his turn; a GET is asked again
// elsewhere when its renderer dies, a POST is not. None caches, and no queue is too short.
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { freePort, tempDir, until, VARVE } from '../e2e/lib.mjs'

const varve = {
  name: 'varve',
  configuration: (dir, port, renderers) => `
listen: ["127.0.0.1:${port}"]
store: {path: ${dir}/store, size: 64MiB, memory: 16MiB}
log: {access: none}
origins:
  renderer:
    workers: [${renderers.map((r) => `"http://127.0.0.1:${r}"`)}]
    slots: 1
    timeouts: {first_byte: 3s}
    slot_max: 3s
    queue: {shed_at: 256}
routes: [{match: "/**", cache: never}]
`,
  command: (file) => [VARVE, 'run', '--config', file],
}

/* A refused connection takes a server out at once; a check each 100 ms brings it back. Two checks that get no answer take it out too:
 * that is what an endless loop looks like. A request that a dying server has left unanswered is sent elsewhere, unless it is a POST. */
const haproxy = {
  name: 'HAProxy',
  configuration: (dir, port, renderers) => `
global
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
  timeout connect 250ms
  timeout server 3s
  timeout queue 3s
  timeout check 1s
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  http-reuse safe
frontend site
  bind 127.0.0.1:${port}
  default_backend renderers
backend renderers
  balance leastconn
  http-request disable-l7-retry if !{ method GET HEAD }
  option httpchk GET /ping
  default-server maxconn 1 check inter 1s fastinter 100ms downinter 100ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
${renderers.map((r, i) => `  server r${i} 127.0.0.1:${r}`).join('\n')}
`,
  command: (file) => ['haproxy', '-db', '-f', file],
}

/* Without "timeout" in proxy_next_upstream: the page that hangs one renderer would hang the next. */
const nginxWith = (name, limit) => ({
  name,
  configuration: (dir, port, renderers) => `
user ${process.getuid() === 0 ? 'root' : 'nobody'}; daemon off; worker_processes auto; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; keepalive_timeout 60s;
  client_body_temp_path ${dir}/b; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s; proxy_temp_path ${dir}/t;
  upstream renderers {
    zone renderers 256k;
    least_conn;
${renderers.map((r) => `    server 127.0.0.1:${r} ${limit} max_fails=1 fail_timeout=1s;`).join('\n')}
    keepalive 4;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://renderers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 250ms;
      proxy_read_timeout 3s;
      proxy_next_upstream error;
      proxy_next_upstream_tries 4;
    }
  }
}
`,
  command: (file, dir) => ['nginx', '-p', dir, '-c', file],
})

export const servers = {
  varve,
  haproxy,
  nginx: nginxWith('nginx', 'max_conns=1'),
  'nginx-unlimited': nginxWith('nginx, no limit', ''),
}

const ping = (port) =>
  new Promise((resolve) => {
    http.get({ port, path: '/ping', agent: false }, (res) => res.resume().on('end', () => resolve(res.statusCode === 200))).on('error', () => resolve(false))
  })

/** Starts it before these ports; {port, stop()}. It is a process of its own for each of its turns: nothing is carried over. */
export async function start(server, renderers) {
  const dir = tempDir()
  const port = await freePort()
  const file = `${dir}/configuration`
  let log = ''
  mkdirSync(`${dir}/store`, { mode: 0o700 })
  writeFileSync(file, server.configuration(dir, port, renderers))
  const [program, ...args] = server.command(file, dir)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (log = (log + bytes).slice(-100000)))
  const exit = new Promise((resolve) => child.on('exit', resolve).on('error', resolve))
  const end = () => child.kill('SIGTERM') /* when this program ends before it */
  process.on('exit', end)
  exit.then(() => process.off('exit', end))
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10000)
    await exit
    clearTimeout(timer)
  }
  const isDead = exit.then(() => Promise.reject(new Error(`${server.name} did not start:\n${log}`)))
  isDead.catch(() => {}) /* at its end nobody listens any more */
  await Promise.race([until(() => ping(port), `${server.name} to answer`), isDead])
  return { port, stop, log: () => log }
}
