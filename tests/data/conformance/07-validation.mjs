// http-caching §7: validation towards the origin.
import { at, now, rule, section, staleAnswer, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const unchanged = (more) => ({ status: 304, headers: fresh(more) })
const stale = (fields) => ({ answer: staleAnswer('', fields), from: 'origin' })
const updated = (name, before, after, has, lacks) => steps(name,
  stale({ ETag: '"a"', ...before }),
  { answer: unchanged(after), from: 'validated', has, lacks },
  { from: 'cache', has, lacks })
const field = (name, before, after) => updated(name, { [name]: before }, { [name]: after }, { [name.toLowerCase()]: after })
const done = { answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }

/** Behind a page within its stale-while-revalidate; who comes later asks the origin. */
const notStored = (name, answer) => steps(name, { answer: staleAnswer('stale-while-revalidate=3600'), from: 'origin' }, { answer, from: 'stale' }, { eventually: true, answer, from: 'origin' })

export default section(7, 'Validation', [
  rule('Stale: If-None-Match with the stored ETag byte for byte, If-Modified-Since with the stored Last-Modified', { unit: ['policy/conditional_test.c: test_7_validators_go_out_byte_for_byte'] }, [
    ...['"a"', 'W/"a"', '""', '"a,b"', '"a\\b"', '"caf\xe9"', 'unquoted'].map((etag) =>
      steps(`ETag: ${etag.replace('\xe9', '\\xe9')}`, stale({ ETag: etag }), { answer: unchanged(), from: 'validated', sent: { 'if-none-match': etag, 'if-modified-since': undefined } })),
    steps('Last-Modified', stale({ 'Last-Modified': at(-3600) }), { answer: unchanged(), from: 'validated', sent: { 'if-modified-since': at(-3600), 'if-none-match': undefined } }),
    steps('Last-Modified in the form in which it came', stale({ 'Last-Modified': at(-3600, 'rfc850') }), { answer: unchanged(), from: 'validated', sent: { 'if-modified-since': at(-3600, 'rfc850') } }),
    steps('both', stale({ ETag: '"a"', 'Last-Modified': at(-3600) }), { answer: unchanged(), from: 'validated', sent: { 'if-none-match': '"a"', 'if-modified-since': at(-3600) } }),
    steps('no validator: an ordinary GET', stale(), { ...done, sent: { 'if-none-match': undefined, 'if-modified-since': undefined } }),
    steps('a 304 all the same is a 502 or the stale page', { answer: staleAnswer('must-revalidate'), from: 'origin' }, { answer: unchanged(), asked: 1, status: 504 }),
  ]),
  rule('In place of the client’s conditions, which do not go upstream', [
    steps('If-None-Match', stale({ ETag: '"a"' }), { headers: { 'If-None-Match': '"b", "c"' }, answer: unchanged(), from: 'validated', sent: { 'if-none-match': '"a"' } }),
    steps('If-Modified-Since', stale({ ETag: '"a"' }), { headers: { 'If-Modified-Since': at(-9999) }, answer: unchanged(), from: 'validated', sent: { 'if-modified-since': undefined, 'if-none-match': '"a"' } }),
    steps('If-Match, If-Unmodified-Since, If-Range and Range', stale({ ETag: '"a"' }),
      { headers: { 'If-Match': '"z"', 'If-Unmodified-Since': at(0), 'If-Range': '"z"', Range: 'bytes=0-0' }, answer: { headers: fresh({ ETag: '"b"' }) }, asked: 1,
        sent: { 'if-match': undefined, 'if-unmodified-since': undefined, 'if-range': undefined, range: undefined, 'if-none-match': '"a"' } },
      { from: 'cache', of: 2 }),
    steps('the fields that Vary selects on stay',
      { headers: { Foo: '1' }, answer: staleAnswer('', { ETag: '"a"', Vary: 'Foo' }), from: 'origin' },
      { headers: { Foo: '1' }, answer: unchanged({ Vary: 'Foo' }), from: 'validated', sent: { foo: '1', 'if-none-match': '"a"' } },
      { headers: { Foo: '1' }, from: 'cache' }),
    steps('each variant is validated with its own ETag',
      { headers: { Foo: '1' }, answer: staleAnswer('', { ETag: '"a"', Vary: 'Foo' }), from: 'origin' },
      { headers: { Foo: '2' }, answer: staleAnswer('', { ETag: '"b"', Vary: 'Foo' }), from: 'origin', sent: { 'if-none-match': undefined } },
      { headers: { Foo: '1' }, answer: unchanged(), from: 'validated', of: 1, sent: { 'if-none-match': '"a"' } },
      { headers: { Foo: '2' }, answer: unchanged(), from: 'validated', of: 2, sent: { 'if-none-match': '"b"' } },
      { headers: { Foo: '1' }, from: 'cache', of: 1 }),
  ]),
  rule('A 304 adds and replaces stored fields; what it omits stays', { unit: ['policy/merge_test.c: test_7_fields_of_a_304_replace_the_stored_ones'], defaults: 'Content-Type and ETag are not merged (4.6)' }, [
    field('X-Field', 'old', 'new'), field('Cache-Control', 'max-age=10', 'max-age=3600, foo'), field('Content-Type', 'text/x', 'text/y'), field('Content-Location', '/x', '/y'),
    field('Content-Security-Policy', "default-src 'self'", "default-src 'none'"), field('Content-Language', 'de', 'en'), field('ETag', '"a"', '"b"'),
    field('X-Frame-Options', 'DENY', 'SAMEORIGIN'), field('Content-Foo', 'old', 'new'), field('Link', '<a>', '<b>'),
    updated('a field that was not there', {}, { 'X-New': '1' }, { 'x-new': '1' }),
    updated('a field that it omits', { 'X-Old': '1' }, {}, { 'x-old': '1' }),
    updated('Expires', { Expires: at(-60) }, { Expires: at(3600) }, { expires: at(3600) }),
    updated('Date', { Date: at(-120), Age: '120' }, { Date: now(0) }, { date: (v) => Date.parse(v) > Date.now() - 100000 }),
    updated('two lines in place of one', { 'X-Field': 'old' }, { 'X-Field': ['a', 'b'] }, { 'x-field': 'a, b' }),
    updated('one line in place of two', { 'X-Field': ['a', 'b'] }, { 'X-Field': 'c' }, { 'x-field': 'c' }),
    { ...field('Set-Cookie', 'a=1', 'a=2'), exception: 'a cookie that comes with a 304 is given to nobody, also where cookies are stored (semantics 4.6)' },
    { ...steps('another strong ETag than the stored one: the page is asked for anew', stale({ ETag: '"a"' }), { answers: [unchanged({ ETag: '"b"' }), { headers: fresh({ ETag: '"b"' }), body: 'anew' }], asked: 2, gets: 'anew' }),
      exception: 'RFC 9111 §4.3.4 would have nothing updated by it; but the 304 answers a condition that names the stored ETag alone, and servers that code on the way say “a-gzip” for “a” in it, which would have each page rendered twice. It is merged (http-caching §7); the new ETag is taken along with `store_statuses: rfc`, else the stored one stays (4.6)' },
    steps('the new ETag is the next condition', stale({ ETag: '"a"' }),
      { answer: { status: 304, headers: { 'Cache-Control': 'max-age=10', Age: '20', ETag: '"b"' } }, from: 'validated' },
      { answer: unchanged(), from: 'validated', sent: { 'if-none-match': '"b"' } }),
  ]),
  rule('Except Content-Length, what describes the stored body, and fields of the connection', { unit: ['policy/merge_test.c: test_4_6_what_describes_the_body_stays', 'policy/merge_test.c: test_3_hop_by_hop_fields_and_those_that_connection_names_go'] }, [
    updated('Content-Length', {}, { 'Content-Length': '5000' }, { 'content-length': (v) => v !== '5000' }),
    updated('Content-Encoding', {}, { 'Content-Encoding': 'gzip' }, {}, ['content-encoding']),
    updated('Content-Range', {}, { 'Content-Range': 'bytes 0-1/2' }, {}, ['content-range']),
    updated('Connection and what it names', {}, { Connection: 'X-Hop', 'X-Hop': '1' }, {}, ['x-hop']),
    updated('Transfer-Encoding, Keep-Alive, Upgrade, Proxy-Authenticate', {}, { 'Keep-Alive': 'timeout=77', Upgrade: 'x', 'Proxy-Authenticate': 'Basic' }, { 'keep-alive': (v) => v !== 'timeout=77' }, ['upgrade', 'proxy-authenticate']),
  ]),
  rule('Times and freshness start anew with the 304', { unit: ['policy/merge_test.c: test_7_times_and_freshness_start_anew'] }, [
    steps('max-age=10, a 304 with max-age=3600, then a hit', stale({ ETag: '"a"' }), { answer: unchanged(), from: 'validated' }, { from: 'cache', age: [0, 100] }),
    steps('the stored Age goes', stale({ ETag: '"a"', Age: '500' }), { answer: unchanged(), from: 'validated', has: { age: (v) => Number(v ?? 0) < 100 } }, { from: 'cache', age: [0, 100] }),
    steps('an Age of the 304 counts', stale({ ETag: '"a"' }), { answer: unchanged({ Age: '600' }), from: 'validated' }, { from: 'cache', age: [600, 700] }),
    steps('an Age beyond the lifetime', stale({ ETag: '"a"' }), { answer: unchanged({ Age: '7200' }), from: 'validated' }, { ...done }),
    steps('a 304 that omits the lifetime keeps the stored one', { answer: { headers: { 'Cache-Control': 'max-age=100', Age: '200', ETag: '"a"' } }, from: 'origin' },
      { answer: { status: 304, headers: { ETag: '"a"' } }, from: 'validated' }, { from: 'cache' }),
    steps('a 304 with max-age=0', stale({ ETag: '"a"' }), { answer: { status: 304, headers: { 'Cache-Control': 'max-age=0' } }, from: 'validated' }, { answer: unchanged(), from: 'validated' }),
    steps('a lifetime that a second passed', { answer: { headers: { 'Cache-Control': 'max-age=1', ETag: '"a"' } }, from: 'origin' },
      { wait: 2.1, answer: unchanged(), from: 'validated', sent: { 'if-none-match': '"a"' } }, { from: 'cache' }),
  ]),
  rule('A 304 never narrows Vary, and never changes the choice of variant', { unit: ['policy/merge_test.c: test_4_6_a_304_never_changes_the_union_nor_narrows_vary'] }, [
    steps('without Vary',
      { headers: { Foo: '1' }, answer: staleAnswer('', { ETag: '"a"', Vary: 'Foo' }), from: 'origin' },
      { headers: { Foo: '1' }, answer: unchanged(), from: 'validated', has: { vary: 'Foo' } },
      { headers: { Foo: '2' }, ...done }),
    steps('with a further name: the page is asked for anew',
      { headers: { Foo: '1' }, answer: staleAnswer('', { ETag: '"a"', Vary: 'Foo' }), from: 'origin' },
      { headers: { Foo: '1', Bar: '1' }, answers: [unchanged({ Vary: 'Foo, Bar' }), { headers: fresh({ Vary: 'Foo, Bar' }), body: 'anew' }], asked: 2, gets: 'anew' },
      { headers: { Foo: '1', Bar: '2' }, ...done }),
  ]),
  rule('Any other answer replaces the entry', [
    steps('200', stale({ ETag: '"a"', 'X-Old': '1' }), { answer: { headers: fresh({ ETag: '"b"' }) }, from: 'origin', lacks: ['x-old'] }, { from: 'cache', of: 2, has: { etag: '"b"' }, lacks: ['x-old'] }),
    steps('404', stale({ ETag: '"a"' }), { answer: { status: 404, headers: fresh() }, from: 'origin' }, { from: 'cache', of: 2, status: 404 }),
    steps('301', stale({ ETag: '"a"' }), { answer: { status: 301, headers: fresh({ Location: '/x' }) }, from: 'origin' }, { from: 'cache', of: 2, status: 301 }),
    steps('410 without a lifetime: the old one is not validated again', stale({ ETag: '"a"' }),
      { answer: { status: 410, headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }, { ...done, sent: { 'if-none-match': undefined } }),
    steps('206 is no replacement', stale({ ETag: '"a"' }), { answer: { status: 206, headers: fresh({ 'Content-Range': 'bytes 0-1/10' }), body: '01' }, from: 'origin' }, { ...done }),
  ]),
  rule('An answer that is not stored takes the place of the old page too: that is never served again', { unit: ['policy/judge_test.c: test_7_what_says_nothing_of_the_page_does_not_take_its_place'], tests: ['revalidation.test.mjs: 4.1'] }, [
    ...[302, 303, 307, 401, 403, 405, 451].map((status) => notStored(`${status} without a lifetime`, { status, headers: { Location: '/login' } })),
    notStored('302 with no-store', { status: 302, headers: { Location: '/login', 'Cache-Control': 'no-store' } }),
    ...[302, 403].map((status) => steps(`${status}, then no answer`, stale({ ETag: '"a"' }), { answer: { status, headers: { Location: '/login' } }, from: 'origin', sent: { 'if-none-match': '"a"' } }, { answer: { closes: 'silently' }, status: 503, matches: /^(?!\/s)/ })),
  ]),
  rule('must-revalidate: fresh is used without asking, stale is always asked for', [
    steps('fresh', { answer: { headers: { 'Cache-Control': 'max-age=3600, must-revalidate' } }, from: 'origin' }, { from: 'cache' }),
    steps('stale', { answer: staleAnswer('must-revalidate', { ETag: '"a"' }), from: 'origin' }, { answer: unchanged(), from: 'validated' }),
    steps('stale, in spite of stale-while-revalidate', { answer: staleAnswer('must-revalidate, stale-while-revalidate=3600', { ETag: '"a"' }), from: 'origin' }, { answer: unchanged(), from: 'validated' }),
    steps('proxy-revalidate', { answer: staleAnswer('proxy-revalidate, stale-while-revalidate=3600', { ETag: '"a"' }), from: 'origin' }, { answer: unchanged(), from: 'validated' }),
  ]),
  rule('A 304 that was answered to somebody else’s question is not believed', { tests: ['freshness.test.mjs: 4.6 a 304 makes the object fresh again'] }, [
    steps('nothing stored: 502, and the next one is asked for', { headers: { 'If-None-Match': '"a"' }, answer: unchanged({ ETag: '"a"' }), asked: 1, status: 502 }, { answer: { headers: fresh() }, from: 'origin' }, { from: 'cache', of: 2 }),
  ]),
  rule('Over HTTP/2 the same', [
    steps('validated, then a hit', { over: 'h2', answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { over: 'h2', answer: unchanged({ 'X-New': '1' }), from: 'validated', has: { 'x-new': '1' } }, { over: 'h2', from: 'cache', has: { 'x-new': '1' } }),
  ]),
])
