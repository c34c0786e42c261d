// The page that the capacity table is about: a shop in React 19, as shops are. A list of products or a product with what is like it;
// each card formats prices and dates, makes its class names and the sources of its picture. Most of its time goes where it does in
// such sites: some in React, some in Intl, some in string work of the components. It waits for nothing: its data are at hand, as
// behind a renderer that gets them with the request.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../demo/package.json', import.meta.url))
const { createContext, createElement: h, useContext, useMemo } = require('react')
const { renderToPipeableStream } = require('react-dom/server')

export const PAGES = 2000
const LIST_CARDS = 80
const PRODUCT_CARDS = 28
const WORDS = 'lake clay wool pencil layer winter summer core lamp map slow depth band thin page blanket cup shore stone reed'.split(' ')

/** The page of rank `i` by popularity. Three of ten are lists, which take about three times as long as a product. */
export const pathOf = (i) => (i % 10 < 3 ? `/c/${i}` : `/p/${i}`)

const Shop = createContext(null)

/* Class names as styles in code have them: a hash of the rules. */
function className(rules) {
  let hash = 5381
  const text = JSON.stringify(rules)
  for (let i = 0; i < text.length; i++) hash = (hash * 33) ^ text.charCodeAt(i)
  return `c-${(hash >>> 0).toString(36)}`
}
const textOf = (seed, words) => Array.from({ length: words }, (_, i) => WORDS[(seed * 31 + i * i * 7 + i) % WORDS.length]).join(' ')

function productOf(id) {
  return {
    id, name: textOf(id, 3), text: textOf(id * 3, 40), price: 5 + (id * 37) % 400, was: 9 + (id * 41) % 500, stars: 1 + (id % 5),
    reviews: (id * 17) % 900, day: Date.UTC(2026, id % 12, 1 + (id % 28)), hue: (id * 47) % 360, sizes: ['S', 'M', 'L', 'XL'].slice(id % 3),
  }
}

function Price({ amount, isOld }) {
  const { language, currency } = useContext(Shop)
  const text = new Intl.NumberFormat(language, { style: 'currency', currency }).format(amount)
  return h('span', { className: className({ isOld, color: 'ink', weight: isOld ? 400 : 700 }) }, text)
}

function Arrival({ day }) {
  const { language } = useContext(Shop)
  const text = new Intl.DateTimeFormat(language, { weekday: 'short', day: 'numeric', month: 'long', timeZone: 'UTC' }).format(day)
  return h('time', { dateTime: new Date(day).toISOString() }, text)
}

const Stars = ({ count, reviews }) =>
  h('span', { role: 'img', 'aria-label': `${count} of 5` },
    Array.from({ length: 5 }, (_, i) => h('i', { key: i, className: i < count ? 'full' : 'empty' }, i < count ? '★' : '☆')), ` (${reviews})`)

const Picture = ({ product }) =>
  h('picture', null,
    ['avif', 'webp'].map((type) => h('source', { key: type, type: `image/${type}`, srcSet: [320, 640, 960].map((w) => `/i/${product.id}-${w}.${type} ${w}w`).join(', ') })),
    h('img', { src: `/i/${product.id}-640.jpg`, alt: product.name, loading: 'lazy', style: { backgroundColor: `hsl(${product.hue} 40% 80%)`, aspectRatio: '5 / 3' } }))

function Card({ id }) {
  const product = useMemo(() => productOf(id), [id])
  return h('li', { className: className({ display: 'grid', gap: 8, radius: 6, hue: product.hue }) },
    h('a', { href: `/p/${id}` }, h(Picture, { product }), h('h2', null, product.name)),
    h(Stars, { count: product.stars, reviews: product.reviews }),
    h('p', { className: className({ price: true }) }, h(Price, { amount: product.price }), ' ', h(Price, { amount: product.was, isOld: true })),
    h('p', null, h(Arrival, { day: product.day })),
    h('form', { method: 'post', action: '/cart' }, h('input', { type: 'hidden', name: 'id', value: id }),
      h('select', { name: 'size', 'aria-label': 'Size' }, product.sizes.map((size) => h('option', { key: size, value: size }, size))),
      h('button', { type: 'submit' }, 'Add')))
}

const Cards = ({ first, count }) => h('ul', null, Array.from({ length: count }, (_, i) => h(Card, { key: i, id: first + i })))

function Product({ id }) {
  const product = productOf(id)
  return h('main', null, h('article', null, h(Picture, { product }), h('h1', null, product.name), h('p', null, product.text), h(Price, { amount: product.price })),
    h('h2', null, 'Others like it'), h(Cards, { first: id + 1, count: PRODUCT_CARDS }))
}
const List = ({ id }) => h('main', null, h('h1', null, textOf(id, 2)), h(Cards, { first: id * 3, count: LIST_CARDS }))

function Page({ path }) {
  const [, kind, number] = path.split('/')
  const id = Number(number) || 0
  return h(Shop.Provider, { value: { language: 'de', currency: 'EUR' } },
    h('html', { lang: 'de' },
      h('head', null, h('meta', { charSet: 'utf-8' }), h('title', null, path), h('link', { rel: 'stylesheet', href: '/assets/style.css' })),
      h('body', null,
        h('header', null, h('nav', null, WORDS.slice(0, 12).map((word, i) => h('a', { key: word, href: `/c/${i}` }, word)))),
        kind === 'c' ? h(List, { id }) : h(Product, { id }),
        h('footer', null, h('p', null, textOf(7, 30))))))
}

/** Renders the page of a path to a stream, when `onReady(pipe)` calls pipe(stream); onError() when it cannot. */
export function render(path, onReady, onError) {
  const { pipe } = renderToPipeableStream(h(Page, { path }), { onShellReady: () => onReady(pipe), onShellError: onError, onError })
}
