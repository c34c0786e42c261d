// A renderer whose renders end when the test says so, and varve before it: for tests of who waits, and who is next.
import fs from 'node:fs'
import path from 'node:path'
import { gate, page, renderer, request, tempDir, until, varve } from './lib.mjs'

const documents = { accept: 'text/html' }

/** A renderer of which each render waits for its turn: `renders` are the paths in order, `finish()` ends the oldest. */
export async function stage(t, policy) {
  const s = { renders: [], gates: [] }
  const origin = await renderer(t, async (req, res) => {
    const g = gate()
    s.renders.push(req.url)
    s.gates.push(g)
    await g.promise
    page(res, `page ${req.url}`, { 'cache-control': 'max-age=60' })
  })
  const shell = path.join(tempDir(t), 'shell.html')
  fs.writeFileSync(shell, '<div id=app></div>')
  s.v = await varve(t, policy(origin.url, shell))
  s.get = (target, from = '10.0.0.1', headers = {}, more = {}) =>
    request(s.v.url + target, { headers: { ...documents, 'x-forwarded-for': from, ...headers }, ...more })
  s.metric = async (name) =>
    (await s.v.admin('GET', '/metrics')).body.split('\n').filter((l) => l.startsWith(name)).reduce((n, l) => n + Number(l.split(' ').pop()), 0)
  s.rendering = (n) => until(() => s.renders.length >= n, `render ${n}`)
  s.waiting = (n) => until(async () => (await s.metric('varve_queue_depth')) === n, `${n} to wait`)
  s.finish = () => s.gates.shift().open()
  s.finishAll = async (promises) => {
    let isOver = false
    const all = Promise.all(promises).finally(() => (isOver = true))
    while (!isOver) {
      while (s.gates.length) s.finish()
      await new Promise((r) => setTimeout(r, 1))
    }
    return all
  }
  return s
}

export const oneSlot = (queue, more = '') => (url, shell) =>
  `${more.includes('shell') ? `shell: {file: ${shell}}\n` : ''}${more.replace('shell', '')}origins: {renderer: {workers: ["${url}"], slots: 1, client_wait: 60s, queue: {${queue}}}}\nroutes: [{match: "/**"}]\n`
