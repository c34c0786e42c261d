// What the tests of `spawn` share: the policy, what varve's log says of renderers, and load.
import net from 'node:net'
import path from 'node:path'
import { isAlive, until } from './lib.mjs'

export const SERVER = path.resolve(path.dirname(new URL(import.meta.url).pathname), 'spawned.mjs')
export const NODE = process.execPath

export const policy = ({ spawn = '', origin = '', routes = 'match: "/**"' } = {}) =>
  `origins: {renderer: {slots: 1, ${origin} spawn: {command: ["${NODE}", "${SERVER}"], listen: unix, ${spawn}}}}\nroutes: [{${routes}, cache: never}]\n`

/** The log's lines of one kind: [{at, worker, pid, …}]. */
export const said = (v, phrase) =>
  v.log.split('\n').filter((line) => line.includes(` ${phrase} `)).map((line) => ({
    at: Date.parse(line.split(' ')[0]), line, ...Object.fromEntries([...line.matchAll(/(\w+)=("(?:[^"\\]|\\.)*"|\S+)/g)].map(([, key, value]) => [key, value])),
  }))
export const ready = (v, count) => until(() => said(v, 'renderer ready').length >= count, `${count} renderers to be ready`, 60000)
export const started = (v) => said(v, 'renderer started').map(({ pid }) => Number(pid))
export const noneLeft = (pids) => until(() => !pids.some(isAlive), 'all renderers to be gone')
export const ask = async (v, target = '/') => {
  const res = await v.get(target)
  return { status: res.status, ...(res.status === 200 ? JSON.parse(res.body) : {}) }
}
/** How many processes there were at a time, by the log's order of starts and ends. */
export function most(v) {
  let now = 0
  let top = 0
  for (const line of v.log.split('\n')) {
    if (line.includes(' renderer started ')) top = Math.max(top, ++now)
    if (line.includes(' renderer ended ') || line.includes(' renderer died ')) now--
  }
  return top
}
/** Asks for `target` on `count` connections until stopped: what was not the page. */
export function load(v, count, target) {
  const results = { good: 0, bad: [] }
  let isOver = false
  const clients = Array.from({ length: count }, async (_, i) => {
    for (let n = 0; !isOver; n++) {
      const res = await v.get(typeof target === 'function' ? target(i, n) : target).catch((error) => ({ error: error.message }))
      if (res.status === 200 && !res.aborted) results.good++
      else results.bad.push({ status: res.status, error: res.error, body: res.body })
    }
  })
  results.stop = async () => {
    isOver = true
    await Promise.all(clients)
    return results
  }
  return results
}
export async function freePorts(count) {
  for (let base = 20000 + (process.pid % 5000); ; base += count) {
    const free = await Promise.all(Array.from({ length: count }, (_, i) => new Promise((resolve) => {
      const server = net.createServer().once('error', () => resolve(false)).listen(base + i, '127.0.0.1', () => server.close(() => resolve(true)))
    })))
    if (free.every(Boolean)) return base
  }
}
