// The pages, as React components. Nothing here knows of a cache: a page shows what it was made of.
import { createElement as h } from 'react'

const WORDS = {
  en: {
    language: 'English', title: 'Lakebed', claim: 'A small shop of layered things', all: 'All products', logIn: 'Log in', logOut: 'Log out', name: 'Your name',
    account: 'Account', hello: 'Hello', orders: 'You have no orders yet. This page is rendered for you alone, and never stored.',
    publish: 'Publish a new edition', publishHelp: 'Raises the price by 1 € and purges the pages that show it.', edition: 'Edition',
    render: 'Render', took: 'took', at: 'at', forAll: 'for everybody', forYou: 'for', notFound: 'There is no such page',
    logInHelp: 'Any name will do. From then on every page is rendered for you.', answered: 'Answered in', rendered: 'rendered now', cached: 'from the cache',
  },
  de: {
    language: 'Deutsch', title: 'Seegrund', claim: 'Ein kleiner Laden für Geschichtetes', all: 'Alle Produkte', logIn: 'Anmelden', logOut: 'Abmelden', name: 'Ihr Name',
    account: 'Konto', hello: 'Hallo', orders: 'Sie haben noch nichts bestellt. Diese Seite ist nur für Sie gerendert und wird nie gespeichert.',
    publish: 'Neue Auflage veröffentlichen', publishHelp: 'Erhöht den Preis um 1 € und verwirft die Seiten, die ihn zeigen.', edition: 'Auflage',
    render: 'Rendering', took: 'dauerte', at: 'um', forAll: 'für alle', forYou: 'für', notFound: 'Diese Seite gibt es nicht',
    logInHelp: 'Jeder Name ist recht. Von da an wird jede Seite für Sie gerendert.', answered: 'Beantwortet in', rendered: 'jetzt gerendert', cached: 'aus dem Cache',
  },
}

const price = (amount, language) => new Intl.NumberFormat(language, { style: 'currency', currency: 'EUR', maximumFractionDigits: 0 }).format(amount)

/** The picture of a product: bands whose widths come from its id, as in a core of lake sediment. */
function Bands({ product }) {
  const bands = []
  for (let y = 0, i = 0; y < 120; i++) {
    const height = 5 + ((product.id * 37 + i * i * 13) % 17)
    bands.push(h('rect', { key: i, x: 0, y, width: 200, height, fill: `hsl(${product.hue + (i % 5) * 7} ${i % 2 ? 42 : 58}% ${i % 2 ? 38 + (i % 4) * 5 : 72 + (i % 3) * 6}%)` }))
    y += height
  }
  return h('svg', { className: 'bands', viewBox: '0 0 200 120', preserveAspectRatio: 'xMidYMid slice', role: 'img', 'aria-label': product.name.en }, bands)
}

function Header({ words, person }) {
  const who = person
    ? h('form', { method: 'post', action: '/logout' },
        h('a', { href: '/account' }, `${words.hello}, ${person}`), h('button', { className: 'quiet' }, words.logOut))
    : h('a', { href: '/login' }, words.logIn)
  return h('header', null,
    h('a', { className: 'brand', href: '/' }, h('span', { className: 'mark', 'aria-hidden': true }), words.title),
    h('nav', null, h('a', { href: '/' }, words.all), who))
}

/** What this page was made of; page.js adds how long the answer took. */
function Made({ words, language, person, render }) {
  return h('footer', null,
    h('dl', null,
      h('div', null, h('dt', null, words.render), h('dd', { id: 'render' }, `#${render.number}`)),
      h('div', null, h('dt', null, words.took), h('dd', null, `${render.took} ms`)),
      h('div', null, h('dt', null, words.at), h('dd', null, render.time)),
      h('div', null, h('dt', null, words.language), h('dd', null, person ? `${words.forYou} ${person}` : words.forAll))),
    h('p', { id: 'answered', 'data-answered': words.answered, 'data-rendered': words.rendered, 'data-cached': words.cached, hidden: true }))
}

function Page({ language, person, render, title, children }) {
  const words = WORDS[language]
  return h('html', { lang: language },
    h('head', null,
      h('meta', { charSet: 'utf-8' }),
      h('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
      h('title', null, title ? `${title} · ${words.title}` : words.title),
      h('link', { rel: 'icon', href: '/assets/icon.svg' }),
      h('link', { rel: 'stylesheet', href: '/assets/style.css' }),
      h('script', { src: '/assets/page.js', defer: true })),
    h('body', null, h(Header, { words, person }), h('main', null, children), h(Made, { words, language, person, render })))
}

export function List({ products, ...page }) {
  const { language } = page
  return h(Page, page,
    h('h1', null, WORDS[language].claim),
    h('ul', { className: 'products' }, products.map((product) =>
      h('li', { key: product.id }, h('a', { href: `/p/${product.id}` },
        h(Bands, { product }),
        h('h2', null, product.name[language]),
        h('p', { className: 'price' }, price(product.price, language)))))))
}

export function Product({ product, ...page }) {
  const { language } = page
  const words = WORDS[language]
  return h(Page, { ...page, title: product.name[language] },
    h('article', { className: 'product' },
      h(Bands, { product }),
      h('div', null,
        h('h1', null, product.name[language]),
        h('p', null, product.text[language]),
        h('p', { className: 'price', id: 'price' }, price(product.price, language)),
        h('p', { className: 'edition' }, `${words.edition} ${product.edition}`),
        h('form', { method: 'post', action: '/publish' },
          h('input', { type: 'hidden', name: 'id', value: product.id }),
          h('button', null, words.publish),
          h('p', { className: 'help' }, words.publishHelp)))))
}

export function LogIn(page) {
  const words = WORDS[page.language]
  return h(Page, { ...page, title: words.logIn },
    h('h1', null, words.logIn),
    h('form', { method: 'post', action: '/login', className: 'card' },
      h('label', null, words.name, h('input', { name: 'name', required: true, maxLength: 40, defaultValue: 'Ada', autoFocus: true })),
      h('button', null, words.logIn),
      h('p', { className: 'help' }, words.logInHelp)))
}

export function Account(page) {
  const words = WORDS[page.language]
  return h(Page, { ...page, title: words.account },
    h('h1', null, `${words.hello}, ${page.person}`),
    h('p', null, words.orders))
}

export function NotFound(page) {
  return h(Page, page, h('h1', null, WORDS[page.language].notFound))
}
