// The site of the capacity table and what stands before it: the same renderers, run by varve (`spawn`), under one policy a line.
// Each line has what the line before it has, and one thing more.
import { spawn } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { freePort, request, tempDir, until, varve } from '../e2e/lib.mjs'
import { ready } from '../e2e/spawning.mjs'

const SERVER = new URL('./capacity_renderer.mjs', import.meta.url).pathname
const SHELL = new URL('../demo/shell.html', import.meta.url).pathname

/** As of a browser that goes to a page: only navigations get the shell. */
export const HEADERS = { Accept: 'text/html,application/xhtml+xml', 'Sec-Fetch-Dest': 'document', 'Sec-Fetch-Mode': 'navigate', 'Accept-Encoding': 'gzip' }
export const HEADER_LINES = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`).join('')
/** What only the shell has in its head. */
export const SHELL_MARK = 'no-store'

const NAIVE = 'slots: 0, connections: 4096, balance: random'
const SLOTS = 'slots: 1, balance: idle'
const NEVER = '{match: "/**", cache: never}'
const CACHED = '{match: "/**", ttl: 60s, stale: {while_revalidate: 60s, if_error: 1d}}'

export const lines = {
  nginx: { name: 'naive, nginx', origin: NAIVE, route: NEVER, isBehindNginx: true },
  naive: { name: 'naive', origin: NAIVE, route: NEVER },
  balance: { name: '+ balance', origin: SLOTS, route: NEVER },
  shell: { name: '+ shell', origin: SLOTS, route: NEVER, hasShell: true },
  cache: { name: '+ cache', origin: SLOTS, route: CACHED, hasShell: true, hasCache: true },
}

const policy = (line, { dataMs, renderers }) => `
store: {path: $DIR/store, size: 1GiB, memory: 512MiB}
log: {access: none}
origins:
  renderer: {${line.origin}, spawn: {command: ["${process.execPath}", "${SERVER}"], workers: ${renderers}, listen: unix, env: {DATA_MS: "${dataMs}", NODE_ENV: production}}}
${line.hasShell ? `shell: {file: ${SHELL}}` : ''}
routes: [${line.route}]
`

/* The renderers are the same, with their sockets in varve's store; nothing goes through varve. */
async function nginxBefore(sockets) {
  const dir = tempDir()
  const port = await freePort()
  const temporary = ['client_body', 'fastcgi', 'uwsgi', 'scgi', 'proxy'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')
  writeFileSync(`${dir}/nginx.conf`, `
user ${process.getuid() === 0 ? 'root' : 'nobody'}; daemon off; worker_processes auto; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000; ${temporary}
  upstream renderers { random; ${sockets.map((socket) => `server unix:${socket} max_fails=0;`).join(' ')} keepalive 64; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://renderers; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`)
  const child = spawn('nginx', ['-p', dir, '-c', `${dir}/nginx.conf`], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exit = new Promise((resolve) => child.on('exit', resolve))
  return { port, child, stop: () => (child.kill('SIGTERM'), exit) }
}

/** Starts a line: {port, ask(path), stop()}. Its renderers answer. */
export async function start(line, options) {
  const v = await varve({ after() {} }, policy(line, options))
  process.on('exit', () => v.child.kill('SIGTERM')) /* however this program ends */
  await ready(v, options.renderers)
  const run = path.join(v.dir, 'store', 'run')
  const sockets = readdirSync(run).map((name) => path.join(run, name)).filter((file) => statSync(file).isSocket())
  const nginx = line.isBehindNginx ? await nginxBefore(sockets) : undefined
  process.on('exit', () => nginx?.child.kill('SIGTERM'))
  const port = nginx?.port ?? v.port
  const ask = (target) => request(`http://127.0.0.1:${port}${target}`, { headers: { ...HEADERS, Host: 'shop.example' } })
  await until(async () => (await ask('/c/0').catch(() => ({}))).status === 200, 'the first page')
  return {
    line, port, ask,
    stop: async () => {
      await nginx?.stop()
      await v.stop()
    },
  }
}
