// What the test knows of the site: which version each page has, which one a purge has promised, when what was killed, what broke.
import { pageName, tagOf } from './renderer.mjs'

export const hosts = ['a.example', 'b.example']
const numbers = (kind, count) => Array.from({ length: count }, (_, i) => `/${kind}/${i}`)
const targets = [
  ...['p', 'v', 't', 'f', 'n', 'w', 'm'].flatMap((kind) => numbers(kind, 5)),
  ...numbers('l', 2),
  ...['', '?c=red', '?c=blue', '?b=2&a=1'].map((query) => `/q/0${query}`),
]

const rank = ({ target }) => Number(/\d+/.exec(target)[0])

export class Site {
  /* In an order that makes one of each class a favourite. */
  pages = hosts.flatMap((host) => targets.map((target) => ({ host, target, name: pageName(host, target) }))).sort((a, b) => rank(a) - rank(b))
  versions = new Map(this.pages.map((page) => [page.name, 1]))
  floors = new Map() // page → the version that an acknowledged hard purge promised
  windows = [] // kills: {from, to}
  breaks = [] // answers that a renderer broke off: {page, at}; page undefined: whatever it was rendering
  aborted = [] // answers that broke off: {page, from, to, ...}
  unanswered = []
  violations = []
  counts = {}
  strictUntil = 0 // until when a worker may have `seal: strict`, which learns no field
  etags = new Map()
  onlyOnce = new Map() // renders that were not for everybody → who got them

  count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
  bump(name) {
    const version = (this.versions.get(name) ?? 0) + 1
    this.versions.set(name, version)
    return version
  }
  /** Pages that a purge is about. */
  matching(kind, value) {
    const tests = {
      url: (page) => page.name === value,
      prefix: (page) => page.name.split('?')[0].startsWith(value),
      tag: (page) => /^\/[tm]\//.test(page.target) && tagOf(page.name) === value,
      host: (page) => page.host === value,
      all: () => true,
    }
    return this.pages.filter(tests[kind])
  }
  /** Bumps; what it returns raises the floors, once the purge is acknowledged. */
  publish(pages) {
    const fresh = pages.map((page) => [page.name, this.bump(page.name)])
    return () => fresh.forEach(([name, version]) => this.promise(name, version))
  }
  promise(name, version) {
    this.floors.set(name, Math.max(this.floors.get(name) ?? 0, version))
  }
  violation(what, details) {
    this.violations.push({ what, at: Date.now(), ...details })
  }
  startWindow() {
    const window = { from: Date.now(), to: Infinity }
    this.windows.push(window)
    return window
  }
  isNearKill({ from, to }) {
    return this.windows.some((window) => from <= window.to && to >= window.from)
  }
  /** A renderer broke this page's answer off while the request was under way: it says so first, and may hang for a second, which a slow machine draws out. */
  isBroken({ page, from, to }) {
    return this.breaks.some((b) => (b.page === undefined || b.page === page) && b.at <= to + 1000 && b.at >= from - 3000)
  }
  /** What could not be judged before the end. */
  settle() {
    this.judgeCuts('an answer broke off without a cause', this.aborted)
    this.judgeCuts('a request was not answered', this.unanswered)
  }
  judgeCuts(what, cuts) {
    for (const cut of cuts) {
      if (this.isNearKill(cut)) this.count('cut by a kill')
      else if (this.isBroken(cut)) this.count('cut by the renderer')
      else this.violation(what, cut)
    }
  }
}
