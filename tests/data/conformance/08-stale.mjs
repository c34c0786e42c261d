// http-caching §8: what is served stale, and what never is.
import { rule, section, staleAnswer, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const stale = (cc, more) => ({ answer: staleAnswer(cc, more), from: 'origin' })
const gone = { answer: { closes: 'silently' } }
const stands = (name, first, answer) => steps(name, first, { answer, asked: 1, status: 200, of: 1, has: { age: (v) => Number(v) >= 20 } })
const never = (name, first, status = 503) => steps(name, first, { ...gone, status, matches: /^(?!\/s)/ })
const passes = (name, first, status = 500) => steps(name, first, { answer: { status }, from: 'origin' })
const raw = (cc, more = {}) => ({ answer: { headers: { 'Cache-Control': cc, Age: '20', ...more } }, from: 'origin' })

export default section(8, 'Stale', [
  rule('The origin closes without an answer: stale is served, with its Age', { unit: ['policy/facts_test.c: test_5_1_what_the_response_says'], tests: ['fallback.test.mjs: B5'] }, [
    steps('max-age', stale(), { ...gone, status: 200, of: 1, has: { age: (v) => Number(v) >= 20, 'cache-status': /hit/ } }),
    steps('Expires', { answer: { headers: { Expires: 'Sun, 06 Nov 1994 08:49:37 GMT', ETag: '"a"' } }, from: 'origin' }, { ...gone, status: 200, of: 1 }),
    steps('with a validator', stale('', { ETag: '"a"' }), { ...gone, status: 200, of: 1 }),
    steps('a stored 404', { answer: { status: 404, ...staleAnswer() }, from: 'origin' }, { ...gone, status: 404, of: 1 }),
    steps('in the middle of the head', stale(), { answer: { raw: 'HTTP/1.1 200 O', closes: true }, status: 200, of: 1 }),
    steps('over HTTP/2', { over: 'h2', ...stale() }, { over: 'h2', ...gone, status: 200, of: 1 }),
    steps('HEAD', stale(), { method: 'HEAD', ...gone, status: 200, gets: '' }),
    steps('nothing stored: an error of our own that no cache keeps', { ...gone, status: 503, has: { 'cache-control': /no-store/, 'retry-after': /^\d+$/ } }),
    steps('later the origin is there again', stale(), { ...gone, status: 200, of: 1 }, { answer: { headers: fresh() }, from: 'origin' }, { from: 'cache', of: 3 }),
  ]),
  rule('On 500, 502, 503 and 504 too; other statuses replace what is stored', [
    ...[500, 502, 503, 504].map((status) => stands(`${status}`, stale(), { status })),
    ...[501, 505, 599, 400, 403, 404].map((status) => passes(`${status} goes to the client`, stale(), status)),
    stands('a 500 that says no-store does not take the place of what is stored', stale(), { status: 500, headers: { 'Cache-Control': 'no-store' } }),
    steps('after a 500 what is stored is still there', stale(), { answer: { status: 500 }, asked: 1, of: 1 }, { answer: { status: 500 }, asked: 1, of: 1 }),
  ]),
  rule('Never with must-revalidate, proxy-revalidate, no-cache or s-maxage: an error of our own, 504 for must-revalidate', { unit: ['policy/facts_test.c: test_5_1_what_the_response_says'] }, [
    never('must-revalidate', stale('must-revalidate'), 504),
    never('proxy-revalidate', stale('proxy-revalidate'), 504),
    never('no-cache', stale('no-cache', { ETag: '"a"' })),
    never('s-maxage', stale('s-maxage=10')),
    never('max-age=2, s-maxage=2', raw('max-age=2, s-maxage=2')),
    never('must-revalidate beside stale-if-error', stale('must-revalidate, stale-if-error=3600'), 504),
    never('no-cache beside stale-if-error', stale('no-cache, stale-if-error=3600', { ETag: '"a"' })),
    passes('must-revalidate: a 500 goes to the client', stale('must-revalidate')),
    passes('s-maxage: a 503 goes to the client', stale('s-maxage=10'), 503),
    never('the targeted must-revalidate', { answer: { headers: { 'CDN-Cache-Control': 'max-age=10, must-revalidate', Age: '20' } }, from: 'origin' }, 504),
    never('the targeted s-maxage', { answer: { headers: { 'CDN-Cache-Control': 's-maxage=10', Age: '20' } }, from: 'origin' }),
    steps('must-revalidate, fresh: no question', { answer: { headers: { 'Cache-Control': 'max-age=3600, must-revalidate' } }, from: 'origin' }, { from: 'cache' }),
  ]),
  rule('s-maxage beside its own stale-while-revalidate or stale-if-error',
    { unit: ['policy/facts_test.c: test_5_1_what_the_response_says'] }, [
      steps('s-maxage with stale-if-error', stale('s-maxage=10, stale-if-error=3600'), { ...gone, status: 200, of: 1 }),
      steps('s-maxage with stale-while-revalidate, as frameworks send it', raw('s-maxage=10, stale-while-revalidate=3600'), { answer: { headers: fresh() }, from: 'stale' }, { eventually: true, from: 'cache', of: 2 }),
      never('stale-while-revalidate that has passed helps nothing', raw('s-maxage=5, stale-while-revalidate=5')),
    ]),
  rule('An explicit `stale:` of the route covers s-maxage', { unit: ['policy/facts_test.c: test_5_1_what_the_route_says'], route: 'stale: {if_error: 1h}' }, [
    steps('s-maxage', stale('s-maxage=10'), { ...gone, status: 200, of: 1 }),
    stands('s-maxage and a 503', stale('s-maxage=10'), { status: 503 }),
    never('must-revalidate stays forbidden', stale('must-revalidate'), 504),
    never('after that hour', { answer: { headers: { 'Cache-Control': 's-maxage=10', Age: '7200' } }, from: 'origin' }),
  ]),
  rule('stale-while-revalidate=N: stale at once, validated behind it, once; not after lifetime plus N, and not once the answer replaced it', { tests: ['freshness.test.mjs: 5.1 stale-while-revalidate'] }, [
    steps('stale at once, then the new one', stale('stale-while-revalidate=3600'), { answer: { headers: fresh() }, from: 'stale' }, { eventually: true, from: 'cache', of: 2 }),
    steps('the question behind it is conditional', stale('stale-while-revalidate=3600', { ETag: '"a"' }), { answer: { status: 304, headers: fresh() }, from: 'stale', sent: { 'if-none-match': '"a"' } }, { eventually: true, from: 'cache', of: 1, age: [0, 19] }),
    steps('the Age of the stale one is its real age', stale('stale-while-revalidate=3600'), { answer: { headers: fresh() }, from: 'stale', age: [20, 120] }),
    steps('after lifetime plus N: asked before', raw('max-age=5, stale-while-revalidate=5'), { answer: { headers: fresh() }, from: 'origin' }),
    steps('max-age=1, stale-while-revalidate=60, 2 s later', { answer: { headers: { 'Cache-Control': 'max-age=1, stale-while-revalidate=60' } }, from: 'origin' }, { wait: 2.1, answer: { headers: fresh() }, from: 'stale' }, { eventually: true, from: 'cache', of: 2 }),
    steps('the answer behind it said no-cache: the next is asked for', stale('stale-while-revalidate=3600'), { answer: { headers: { 'Cache-Control': 'no-cache' } }, from: 'stale' }, { eventually: true, answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }),
    steps('the answer behind it said no-store: the old one is gone', stale('stale-while-revalidate=3600'), { answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'stale' }, { eventually: true, answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }),
    steps('a 404 behind it replaces the page', stale('stale-while-revalidate=3600'), { answer: { status: 404, headers: fresh() }, from: 'stale' }, { eventually: true, from: 'cache', of: 2 }),
    steps('a 500 behind it leaves the page', stale('stale-while-revalidate=3600'), { answer: { status: 500 }, from: 'stale' }, { answer: { status: 500 }, status: 200, of: 1 }),
    steps('once for several at a time', stale('stale-while-revalidate=3600'), { answer: { headers: fresh(), isHeld: true }, from: 'stale', times: 5 }, { eventually: true, from: 'cache', of: 2 }),
    steps('a HEAD', stale('stale-while-revalidate=3600'), { method: 'HEAD', answer: { headers: fresh() }, from: 'stale' }, { eventually: true, from: 'cache', of: 2 }),
    steps('with a value that is no number: never', stale('stale-while-revalidate=x'), { answer: { headers: fresh() }, from: 'origin' }),
  ]),
  rule('stale-if-error=N: on 500, 502, 503, 504 or no answer, for N s', [
    ...[500, 502, 503, 504].map((status) => stands(`${status}`, stale('stale-if-error=3600'), { status })),
    ...[500, 502, 503, 504].map((status) => steps(`${status} to a HEAD`, stale('stale-if-error=3600'), { method: 'HEAD', answer: { status }, asked: 1, status: 200, gets: '', has: { age: (v) => Number(v) >= 20 } }, { answer: { status }, asked: 1, of: 1 })),
    steps('no answer', stale('stale-if-error=3600'), { ...gone, status: 200, of: 1 }),
    steps('404 to a HEAD is no error', stale('stale-if-error=3600'), { method: 'HEAD', answer: { status: 404 }, asked: 1, status: 404, gets: '' }),
    passes('after N s', raw('max-age=5, stale-if-error=5')),
    never('after N s, no answer', raw('max-age=5, stale-if-error=5')),
    passes('stale-if-error=0', stale('stale-if-error=0')),
    passes('404 is no error', stale('stale-if-error=3600'), 404),
  ]),
])
