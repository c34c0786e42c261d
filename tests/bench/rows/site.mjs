// What the rows share: renderers as processes, varve and HAProxy in front of them, a bare server beside them.
import { fork, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { freePort, tempDir, until, varve } from '../../e2e/lib.mjs'
import { client } from '../load.mjs'

export const RENDERER = path.resolve(path.dirname(new URL(import.meta.url).pathname), 'renderer.mjs')

/** A renderer that can be killed and started again at the same port. */
export async function renderer(t, env = {}) {
  const r = { port: await freePort() }
  r.url = `http://127.0.0.1:${r.port}`
  r.start = async () => {
    r.child = fork(RENDERER, { env: { ...process.env, PORT: r.port, ...env }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    r.exit = new Promise((resolve) => r.child.once('exit', resolve))
    await new Promise((resolve, reject) => r.child.once('message', resolve).once('exit', () => reject(new Error('the renderer did not start'))))
    return r
  }
  r.kill = async () => {
    r.child.kill('SIGKILL')
    await r.exit
  }
  r.stats = () => stats(r.port)
  t.after(r.kill)
  return r.start()
}
export const renderers = (t, count, env) => Promise.all(Array.from({ length: count }, () => renderer(t, env)))

/** What a renderer tells of itself, asked without varve. */
export const stats = (port) =>
  new Promise((resolve, reject) => {
    const req = http.get({ port, host: '127.0.0.1', path: '/_stats', agent: false }, async (res) => {
      let text = ''
      for await (const chunk of res) text += chunk
      resolve(JSON.parse(text))
    })
    req.on('error', reject)
  })

/** varve before these renderers: `origin` and `more` are lines of the policy, `routes` what its routes say. */
export function site(t, workers, { origin = 'slots: 1', more = '', routes = 'match: "/**"', isLogged = false } = {}) {
  const log = isLogged ? '' : 'log: {access: none, level: info}\n'
  const urls = workers.map((w) => `"${w.url}"`).join(', ')
  return varve(t, `${log}${more}origins: {renderer: {workers: [${urls}], ${origin}}}\nroutes: [{${routes}}]\n`)
}
/** varve with renderers of its own. */
export function spawned(t, { origin = 'slots: 1', spawn = 'workers: 3', env = {}, more = '', base }) {
  const pairs = Object.entries(env).map(([name, value]) => `${name}: "${value}"`).join(', ')
  const command = `command: ["${process.execPath}", "${RENDERER}"], listen: ${base}, env: {${pairs}}`
  return varve(t, `log: {access: none, level: info}\n${more}origins: {renderer: {${origin}, spawn: {${command}, ${spawn}}}}\nroutes: [{match: "/**"}]\n`)
}

/** The shell's file, as a line of the policy. */
export function shell(t) {
  const file = path.join(tempDir(t), 'shell.html')
  writeFileSync(file, '<p>shell')
  return `shell: {file: "${file}"}\n`
}
export const isShell = (result) => result.status === 200 && result.body === '<p>shell'
export const isRendered = (result) => result.status === 200 && result.body.startsWith('page ')
export const isHit = (result) => /; hit/.test(result.headers?.['cache-status'] ?? '')

/** HAProxy before the same renderers: one request at a time for each, the others in its queue. */
export async function haproxy(t, workers, { balance = 'roundrobin', server = 'maxconn 1', retry = ['option redispatch'] } = {}) {
  const port = await freePort()
  const file = path.join(tempDir(t), 'haproxy.cfg')
  writeFileSync(file, `global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout queue 60s
  retries 3
${retry.map((line) => `  ${line}`).join('\n')}
listen site
  bind 127.0.0.1:${port}
  balance ${balance}
${workers.map((w, i) => `  server s${i} 127.0.0.1:${w.port} ${server}`).join('\n')}
`)
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes) => (said += bytes))
  const exit = new Promise((resolve) => child.once('exit', resolve).once('error', (error) => resolve((said += error.message))))
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const url = `http://127.0.0.1:${port}`
  const { get } = client(t, url, { isKept: false })
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`HAProxy did not start: ${said}`)
    return (await get('/')).status === 200
  }, 'HAProxy to answer')
  return { url }
}

/** What the machine makes of a figure today: a server that does nothing, in a process of its own, asked by the same clients. */
export async function bare(t) {
  const r = await renderer(t)
  return client(t, r.url)
}

/** What one of varve's gauges sums up to. */
export async function gauge(v, pattern) {
  const { body } = await v.admin('GET', '/metrics')
  return body.split('\n').reduce((sum, line) => (pattern.test(line) ? sum + Number(line.split(' ').pop()) : sum), 0)
}
