// http-caching §9: what unsafe requests do to what is stored, and HEAD.
import { rule, section, staleAnswer, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const stored = (more = {}) => ({ answer: { headers: fresh() }, from: 'origin', ...more })
const unsafe = (method, status, more = {}) => ({ method, answer: { status, headers: { 'Cache-Control': 'no-store' } }, from: 'origin', ...more })
const dropped = (name, method, status, more) => steps(name, stored(), unsafe(method, status, more), stored(), { from: 'cache', of: 3 })
const stays = (name, method, status, more) => steps(name, stored(), unsafe(method, status, more), { from: 'cache', of: 1 })
const withBody = { body: 'a=1', headers: { 'Content-Type': 'text/plain' } }
const says = (headers, status = 201) => ({ method: 'POST', answer: { status, headers }, from: 'origin' })

export default section(9, 'Invalidation and HEAD', [
  rule('A method not known to be safe, answered by 2xx or 3xx: the target URI’s response is dropped', { unit: ['edge/invalidate_test.c: test_6_1_rfc_drops_the_url_and_what_the_answer_names'] }, [
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FOO', 'MKCOL', 'LOCK', 'POSTX'].map((method) => dropped(`${method}, 200`, method, 200)),
    ...[201, 202, 204, 205, 299, 301, 302, 303, 307, 308, 399].map((status) => dropped(`POST, ${status}`, 'POST', status)),
    dropped('POST with a body', 'POST', 200, withBody),
    dropped('PUT with a body', 'PUT', 204, withBody),
    dropped('POST over HTTP/2', 'POST', 200, { over: 'h2', body: 'a=1' }),
  ]),
  rule('Answered by 4xx or 5xx: it stays', [
    ...[400, 403, 404, 405, 409, 422, 499, 500, 501, 503, 599].map((status) => stays(`POST, ${status}`, 'POST', status)),
    ...['PUT', 'DELETE', 'M-SEARCH', 'FOO'].map((method) => stays(`${method}, 500`, method, 500)),
  ]),
  rule('Safe methods drop nothing', [
    ...['OPTIONS', 'HEAD'].map((method) => steps(`${method}`, stored(), { method, answer: { status: 200, headers: { 'Cache-Control': 'no-store' } } }, { from: 'cache', of: 1 })),
  ]),
  rule('All variants of the URI are dropped', [
    steps('two variants',
      { headers: { Foo: '1' }, ...stored(), answer: { headers: fresh({ Vary: 'Foo' }) } },
      { headers: { Foo: '2' }, ...stored(), answer: { headers: fresh({ Vary: 'Foo' }) } },
      unsafe('POST', 200),
      { headers: { Foo: '1' }, ...stored(), answer: { headers: fresh({ Vary: 'Foo' }) } },
      { headers: { Foo: '2' }, ...stored(), answer: { headers: fresh({ Vary: 'Foo' }) } }),
    steps('another query is another URI', stored({ path: '?a=1' }), stored({ path: '?a=2' }), unsafe('POST', 200, { path: '?a=1' }), { path: '?a=2', from: 'cache', of: 2 }, stored({ path: '?a=1' })),
    steps('a path below is another URI', stored({ path: '/a' }), unsafe('DELETE', 204), { path: '/a', from: 'cache', of: 1 }),
  ]),
  rule('Location and Content-Location of the same origin likewise', { unit: ['edge/invalidate_test.c: test_6_1_rfc_another_origin_is_never_touched'], defaults: 'the target URI alone (6.1)' }, [
    ...['Location', 'Content-Location'].flatMap((name) => [
      steps(`${name}, a path`, stored({ path: '/other' }), says({ [name]: '$PATH/other' }), stored({ path: '/other' })),
      steps(`${name}, absolute`, stored({ path: '/other' }), says({ [name]: '$URL/other' }), stored({ path: '/other' })),
      steps(`${name}, relative`, stored({ path: '/a/other' }), { ...says({ [name]: 'other' }), path: '/a/here' }, stored({ path: '/a/other' })),
      steps(`${name}, relative with dots`, stored({ path: '/other' }), { ...says({ [name]: '../other' }), path: '/a/here' }, stored({ path: '/other' })),
      steps(`${name}, only a query`, stored({ path: '?b=2' }), says({ [name]: '?b=2' }), stored({ path: '?b=2' })),
      steps(`${name} with a fragment`, stored({ path: '/other' }), says({ [name]: '$PATH/other#part' }), stored({ path: '/other' })),
      steps(`${name} of a 303`, stored({ path: '/other' }), says({ [name]: '$PATH/other' }, 303), stored({ path: '/other' })),
      steps(`${name} of a 404 drops nothing`, stored({ path: '/other' }), says({ [name]: '$PATH/other' }, 404), { path: '/other', from: 'cache', of: 1 }),
      steps(`${name} of another host drops nothing`, stored({ path: '/other' }), says({ [name]: 'http://other.example$PATH/other' }), { path: '/other', from: 'cache', of: 1 }),
      steps(`${name} with another scheme drops nothing`, stored({ path: '/other' }), says({ [name]: 'https://$HOST$PATH/other' }), { path: '/other', from: 'cache', of: 1 }),
      steps(`${name} with another port drops nothing`, stored({ path: '/other' }), says({ [name]: 'http://127.0.0.1:1$PATH/other' }), { path: '/other', from: 'cache', of: 1 }),
      steps(`${name} of a GET drops nothing`, stored({ path: '/other' }), { answer: { status: 200, headers: { [name]: '$PATH/other', 'Cache-Control': 'no-store' } }, from: 'origin' }, { path: '/other', from: 'cache', of: 1 }),
    ]),
  ]),
  rule('HEAD: answered from a fresh 200; written through where there is none, and not stored', { tests: ['rfc.test.mjs: 4.1 store_statuses: rfc'], defaults: 'a HEAD that misses is a GET fill (4.1)' }, [
    steps('from a fresh 200', { answer: { headers: fresh({ ETag: '"a"', 'X-Field': '1' }), body: 'twelve bytes' }, from: 'origin' },
      { method: 'HEAD', from: 'cache', has: { etag: '"a"', 'x-field': '1', 'content-length': '12' } }),
    steps('a miss goes to the origin as HEAD', { method: 'HEAD', answer: { headers: fresh() }, from: 'origin', sentLine: 'HEAD $PATH HTTP/1.1' }),
    steps('its answer is not stored for GET', { method: 'HEAD', answer: { headers: fresh() }, from: 'origin' }, stored(), { from: 'cache', of: 2 }),
    steps('nor for HEAD', { method: 'HEAD', answer: { headers: fresh() }, from: 'origin' }, { method: 'HEAD', answer: { headers: fresh() }, from: 'origin' }),
    steps('stale: written through', { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { method: 'HEAD', answer: { headers: fresh({ ETag: '"b"' }) }, from: 'origin', has: { etag: '"b"' }, sentLine: 'HEAD $PATH HTTP/1.1' }),
    steps('what a HEAD was answered does not make the page empty', { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { method: 'HEAD', answer: { headers: fresh({ ETag: '"a"' }) } },
      { answer: { headers: fresh() }, asked: 1, status: 200, matches: /step/ }),
    steps('a 304 to a HEAD that was stale', { answer: staleAnswer('', { ETag: '"a"', 'X-Field': '1' }), from: 'origin' },
      { method: 'HEAD', headers: { 'If-None-Match': '"a"' }, answer: { status: 304, headers: fresh({ ETag: '"a"' }) }, asked: 1, status: 304, gets: '' },
      { answer: { headers: fresh() }, status: 200, matches: /step/ }),
    steps('no answer to a HEAD: the stale one’s fields', { answer: staleAnswer('', { 'X-Field': '1' }), from: 'origin' }, { method: 'HEAD', answer: { closes: 'silently' }, status: 200, gets: '', has: { 'x-field': '1' } }),
    steps('a HEAD does not invalidate a fresh one', stored(), { method: 'HEAD', from: 'cache' }, { from: 'cache', of: 1 }),
    steps('over HTTP/2', { over: 'h2', answer: { headers: fresh(), body: 'twelve bytes' }, from: 'origin' }, { over: 'h2', method: 'HEAD', from: 'cache', has: { 'content-length': '12' } }),
  ]),
])
