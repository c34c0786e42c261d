// A flood of variants costs nobody else his page: 10 000 values of a field that the renderer varies by, beside 1 000 other pages.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { outcome, page, renderer, varve } from './lib.mjs'
import { byteClient, spread } from './hostile.mjs'

/** 10 000 values of Accept-Language: languages that nobody speaks, lists with weights, and some hundred real ones. */
const LANGUAGES = Array.from({ length: 10000 }, (_, i) => {
  const tag = `${'abcdefghijklmnopqrst'[i % 20]}${'abcdefghijklmnopqrst'[(i / 20 | 0) % 20]}-${100 + (i / 400 | 0)}`
  return i % 3 === 0 ? `${tag}, en;q=0.${1 + (i % 9)}` : i % 3 === 1 ? tag : `fr;q=0.3, ${tag};q=0.9, de`
})
const NEIGHBOURS = Array.from({ length: 1000 }, (_, i) => `/neighbour/${i}`)
/* AddressSanitizer keeps what was freed for a while, which is not memory that varve holds. */
const env = { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? 'detect_leaks=1'}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64` }
const rssAnonKiB = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])

for (const [how, vary, mostVariants] of [
  ['as they come', '', 64],
  ['with choose', 'vary: {accept-language: {choose: [en, fr, de], default: en}}\n', 3],
])
  test(`2.5, K19 10 000 variants beside 1 000 neighbours: these stay, those are capped, memory is bounded (${how})`, async (t) => {
    const filler = 'x'.repeat(5 << 10)
    const origin = await renderer(t, (req, res) =>
      page(res, `${req.url} ${req.headers['accept-language']} ${filler}`, { 'cache-control': 'public, max-age=600', vary: 'Accept-Language' }))
    const v = await varve(t, `renderer: ${origin.url}\nstore: {path: $DIR/store, size: 128MiB, memory: 16MiB}\nlog: {access: {path: /dev/null}}\n${vary}routes: [{match: "/**"}]\n`, { env })
    const clients = Array.from({ length: 8 }, () => byteClient(t, v.port))
    const ask = (lane, target, language) => clients[lane].ask(target, { 'accept-language': language })
    await spread(NEIGHBOURS, 8, (target, _, lane) => ask(lane, target, 'en'))
    const before = rssAnonKiB(v.workerPid())
    await spread(LANGUAGES, 8, async (language, _, lane) => {
      const res = await ask(lane, '/flooded', language)
      assert.equal(res.status, 200)
      if (!vary) assert.ok(res.body.startsWith(`/flooded ${language.replace(/ /g, '')} `) || res.body.startsWith(`/flooded ${language} `), `${language}: ${res.body.slice(0, 80)}`)
    })
    const grown = rssAnonKiB(v.workerPid()) - before
    t.diagnostic(`RssAnon grew by ${grown} KiB`)
    assert.ok(grown < 32 << 10, `RssAnon grew by ${grown} KiB`)
    const { variants } = JSON.parse((await v.admin('GET', `/v1/variants?url=${encodeURIComponent(`http://a.example/flooded`)}`)).body)
    assert.ok(variants.length >= 1 && variants.length <= mostVariants, `${variants.length} variants`)
    const rendered = origin.requests.length
    await spread(NEIGHBOURS, 8, async (target, _, lane) => {
      const res = await ask(lane, target, 'en')
      assert.equal(outcome(res), 'hit', target)
      assert.ok(res.body.startsWith(`${target} en `))
    })
    assert.equal(origin.requests.length, rendered)
  })
