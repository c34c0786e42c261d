// Airbnb's hypernova behind varve: a renderer that is asked by POST. Nothing of it is stored; slots and queue hold all the same.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { outcome, request, varve } from './lib.mjs'

const SERVER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'renderers/hypernova.cjs')

async function hypernova(t) {
  const child = spawn(process.execPath, [SERVER], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_ENV: 'development' } })
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const [port] = await once(child.stdout, 'data')
  return `http://127.0.0.1:${Number(String(port))}`
}

const batch = (url, name, data = {}) =>
  request(`${url}/batch`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ job: { name, data } }) })
const html = (res) => JSON.parse(res.body).results.job.html
const most = async (url) => Number(html(await batch(url, 'Most')))

test('A1 slots: 1 gives a hypernova one render at a time, which it has not by itself', async (t) => {
  const url = await hypernova(t)
  const v = await varve(t, `origins: {renderer: {workers: ["${url}"], slots: 1, queue: {shed_at: 100}}}\nroutes: [{match: "/**"}]\n`)
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => batch(v.url, 'Page', { name: `visitor ${i}` })))
  all.forEach((res, i) => {
    assert.equal(res.status, 200)
    assert.equal(html(res), `<p>Hello, visitor ${i}</p>`)
    assert.equal(outcome(res), 'method')
  })
  assert.equal(await most(url), 1)
  await Promise.all(Array.from({ length: 40 }, (_, i) => batch(url, 'Page', { name: i })))
  assert.ok((await most(url)) > 1, 'asked directly, it renders for several people at once')
})

test('a job that fails is the answer of the hypernova itself, and frees its slot', async (t) => {
  const url = await hypernova(t)
  const v = await varve(t, `origins: {renderer: {workers: ["${url}"], slots: 1}}\nroutes: [{match: "/**"}]\n`)
  const broken = await batch(v.url, 'Broken')
  assert.equal(JSON.parse(broken.body).results.job.success, false)
  assert.equal(html(await batch(v.url, 'Page', { name: 'again' })), '<p>Hello, again</p>')
})
