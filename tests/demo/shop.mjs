// What the shop sells and who is logged in: one small JSON file, so that a renderer that was killed goes on where it stopped.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'

const SESSIONS_MAX = 100
export const NAME_MAX = 40

const PRODUCTS = [
  { id: 1, price: 14, hue: 205, name: { en: 'Lakebed notebook', de: 'Notizbuch Seegrund' }, text: { en: 'One hundred and twelve pages, one for each layer of a short core.', de: 'Hundertzwölf Seiten, eine für jede Schicht eines kurzen Kerns.' } },
  { id: 2, price: 38, hue: 24, name: { en: 'Clay cup, banded', de: 'Tonbecher, gebändert' }, text: { en: 'Summer clay is light, winter clay is dark. Both hold coffee.', de: 'Sommerton ist hell, Winterton ist dunkel. Kaffee halten beide.' } },
  { id: 3, price: 120, hue: 265, name: { en: 'Wool blanket, 40 winters', de: 'Wolldecke, 40 Winter' }, text: { en: 'Forty stripes, each as wide as the winter it stands for.', de: 'Vierzig Streifen, jeder so breit wie der Winter, für den er steht.' } },
  { id: 4, price: 9, hue: 150, name: { en: 'Pencil, layered wood', de: 'Bleistift aus Schichtholz' }, text: { en: 'Pressed from seven thin woods. Sharpen it and see.', de: 'Aus sieben dünnen Hölzern gepresst. Anspitzen und staunen.' } },
  { id: 5, price: 64, hue: 345, name: { en: 'Core sample lamp', de: 'Lampe Bohrkern' }, text: { en: 'A glass cylinder with light between its bands.', de: 'Ein Glaszylinder mit Licht zwischen den Bändern.' } },
  { id: 6, price: 22, hue: 48, name: { en: 'Map of a slow lake', de: 'Karte eines langsamen Sees' }, text: { en: 'Depths in metres, ages in years.', de: 'Tiefen in Metern, Alter in Jahren.' } },
]

export class Shop {
  constructor(file) {
    this.file = file
    const saved = readSaved(file)
    this.sessions = new Map(Array.isArray(saved.sessions) ? saved.sessions : [])
    this.products = PRODUCTS.map((product) => ({ ...product, edition: 1, ...saved.products?.[product.id] }))
  }

  product(id) {
    return this.products.find((product) => String(product.id) === String(id))
  }

  /** A new edition: the price given, or one more than before. Undefined: there is no such product, or the price is none. */
  publish(id, price) {
    const product = this.product(id)
    const next = price ? Number(price) : (product?.price ?? 0) + 1
    if (!product || !Number.isInteger(next) || next < 1 || next > 100000) return undefined
    product.price = next
    product.edition++
    this.#save()
    return product
  }

  logIn(name) {
    const session = randomBytes(16).toString('hex')
    this.sessions.set(session, name)
    if (this.sessions.size > SESSIONS_MAX) this.sessions.delete(this.sessions.keys().next().value)
    this.#save()
    return session
  }

  logOut(session) {
    this.sessions.delete(session)
    this.#save()
  }

  #save() {
    const changed = Object.fromEntries(this.products.map(({ id, price, edition }) => [id, { price, edition }]))
    writeFileSync(`${this.file}.new`, JSON.stringify({ products: changed, sessions: [...this.sessions] }), { mode: 0o600 })
    renameSync(`${this.file}.new`, this.file)
  }
}

function readSaved(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) ?? {}
  } catch {
    return {} // not there yet, or not ours to understand: the shop begins anew
  }
}
