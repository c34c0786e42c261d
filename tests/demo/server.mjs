// The demo's renderer: a plain node:http server that renders each page with React, slowly enough to be felt. It caches nothing.
import http from 'node:http'
import { createReadStream, existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { createElement } from 'react'
import { renderToPipeableStream } from 'react-dom/server'
import { Account, List, LogIn, NotFound, Product } from './pages.mjs'
import { NAME_MAX, Shop } from './shop.mjs'

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname)
const dir = process.env.DEMO_DIR ?? path.resolve(here, '../../.cache/demo')
const port = Number(process.env.RENDERER_PORT ?? 3000)
const admin = process.env.VARVE_ADMIN ?? path.join(dir, 'store/admin.sock')
const RENDER_MS = 150
const BODY_MAX = 4096

mkdirSync(dir, { recursive: true })
const shop = new Shop(path.join(dir, 'shop.json'))
let renders = 0

// --- what a request says of itself ---

const ASSET_TYPES = { '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' }

/** The language asked for first among those that we have; varve sends one of them already, others may send lists. */
function languageOf(req) {
  const tags = (req.headers['accept-language'] ?? '').split(',').map((tag) => tag.trim().slice(0, 2).toLowerCase())
  return tags.find((tag) => tag === 'en' || tag === 'de') ?? 'en'
}

function sessionOf(req) {
  return /(?:^|;\s*)session=([0-9a-f]{32})(?:;|$)/.exec(req.headers.cookie ?? '')?.[1]
}

async function formOf(req) {
  let body = ''
  for await (const chunk of req) {
    body += chunk
    if (body.length > BODY_MAX) break
  }
  return new URLSearchParams(body.slice(0, BODY_MAX))
}

// --- answers ---

/** Renders the page and streams it; the head is sent when React has the frame of the page. */
async function show(req, res, component, props = {}, { status = 200, tags = [] } = {}) {
  const started = Date.now()
  const number = ++renders
  await new Promise((resolve) => setTimeout(resolve, RENDER_MS)) // the database that this shop does not have
  const person = shop.sessions.get(sessionOf(req))
  const render = { number, took: Date.now() - started, time: new Date().toISOString().slice(11, 19) }
  const page = createElement(component, { language: languageOf(req), person, render, ...props })
  const headers = { 'content-type': 'text/html; charset=utf-8', vary: 'Accept-Language' }
  if (tags.length) headers['surrogate-key'] = tags.join(' ')
  if (person) headers['cache-control'] = 'private, no-store'
  const stream = renderToPipeableStream(page, {
    onShellReady() {
      res.writeHead(status, headers)
      stream.pipe(res)
    },
    onShellError() {
      res.writeHead(500, { 'content-type': 'text/plain' }).end('rendering failed\n')
    },
  })
  res.on('close', () => stream.abort())
}

function goTo(res, location, headers = {}) {
  res.writeHead(303, { location, 'cache-control': 'no-store', ...headers }).end()
}

function say(res, status, text) {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(`${text}\n`)
}

function giveAsset(res, name) {
  const file = path.join(here, 'assets', name)
  const type = ASSET_TYPES[path.extname(name)]
  if (!type || !existsSync(file)) return say(res, 404, 'no such file')
  res.writeHead(200, { 'content-type': type, 'cache-control': 'max-age=60, stale-if-error=86400' })
  createReadStream(file).pipe(res)
}

// --- publishing ---

/** Tells varve which tag changed, over its admin socket. Resolves when varve has answered: from then on the old page is gone. */
function purge(tag) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const req = http.request({ socketPath: admin, path: '/v1/purge', method: 'POST', headers, timeout: 5000 }, (res) => {
      res.resume()
      res.on('end', () => (res.statusCode === 200 ? resolve() : reject(new Error(`varve answered ${res.statusCode}`))))
    })
    req.on('timeout', () => req.destroy(new Error('varve does not answer')))
    req.on('error', reject)
    req.end(JSON.stringify({ tags: [tag] }))
  })
}

async function publish(req, res) {
  const form = await formOf(req)
  const product = shop.publish(form.get('id'), form.get('price'))
  if (!product) return say(res, 400, 'publish wants id=1 to 6, and price= a whole number if any')
  try {
    await purge(`product-${product.id}`)
  } catch (error) {
    return say(res, 500, `published, but not purged: ${error.message}`)
  }
  goTo(res, `/p/${product.id}`)
}

async function logIn(req, res) {
  const name = ((await formOf(req)).get('name') ?? '').trim().slice(0, NAME_MAX)
  if (!name) return goTo(res, '/login')
  goTo(res, '/account', { 'set-cookie': `session=${shop.logIn(name)}; Path=/; HttpOnly; SameSite=Lax` })
}

function logOut(req, res) {
  shop.logOut(sessionOf(req))
  goTo(res, '/', { 'set-cookie': 'session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0' })
}

function crash(res) {
  res.on('finish', () => process.kill(process.pid, 'SIGKILL'))
  say(res, 200, 'the renderer kills itself now')
}

// --- routes ---

function post(req, res, pathname) {
  if (pathname === '/publish') return publish(req, res)
  if (pathname === '/login') return logIn(req, res)
  if (pathname === '/logout') return logOut(req, res)
  if (pathname === '/crash') return crash(res)
  say(res, 404, 'no such form')
}

function get(req, res, pathname) {
  const id = /^\/p\/([0-9]{1,6})$/.exec(pathname)?.[1]
  const product = id && shop.product(id)
  if (pathname.startsWith('/assets/')) return giveAsset(res, path.basename(pathname))
  if (pathname === '/') return show(req, res, List, { products: shop.products }, { tags: ['products', ...shop.products.map((p) => `product-${p.id}`)] })
  if (product) return show(req, res, Product, { product }, { tags: [`product-${product.id}`] })
  if (pathname === '/login') return show(req, res, LogIn)
  if (pathname === '/account') return shop.sessions.has(sessionOf(req)) ? show(req, res, Account) : goTo(res, '/login')
  return show(req, res, NotFound, {}, { status: 404 })
}

const server = http.createServer(async (req, res) => {
  try {
    const { pathname } = new URL(req.url, 'http://shop')
    await (req.method === 'POST' ? post(req, res, pathname) : get(req, res, pathname))
  } catch (error) {
    console.error('renderer:', error.message)
    if (!res.headersSent) say(res, 500, 'rendering failed')
    else res.destroy()
  }
})

server.on('error', (error) => {
  console.error(error.code === 'EADDRINUSE' ? `renderer: port ${port} is in use; choose another with RENDERER_PORT=` : `renderer: ${error.message}`)
  process.exit(1)
})
server.listen(port, '127.0.0.1', () => console.error(`renderer: http://127.0.0.1:${port} pid ${process.pid}`))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(0))
