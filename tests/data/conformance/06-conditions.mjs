// http-caching §6: conditions and ranges of clients, answered from what is stored.
import { at, rule, section, staleAnswer, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const stored = (more, answer) => ({ answer: { headers: fresh(more), ...answer }, from: 'origin' })
const asks = (headers, status, more) => ({ headers, from: 'cache', status, ...more })
const tags = (name, etag, condition, status) => steps(name, stored({ ETag: etag }), asks({ 'If-None-Match': condition }, status, { has: { etag } }))
const since = (name, fields, condition, status) => steps(name, stored(fields), asks({ 'If-Modified-Since': condition }, status))

const digits = { body: '0123456789' }
const part = (name, range, text, contentRange, more = {}) => steps(name,
  stored({ ETag: '"a"', 'Content-Type': 'text/x', 'X-Field': '1' }, digits),
  asks({ Range: range, ...more }, 206, { gets: text, has: { 'content-range': contentRange, etag: '"a"', 'x-field': '1', 'content-length': String(text.length), 'content-type': 'text/x' } }))
const whole = (name, headers, more = {}) => steps(name, stored({ ETag: '"a"', 'Last-Modified': at(-3600), ...more }, digits), asks(headers, 200, { gets: '0123456789', lacks: ['content-range'] }))

export default section(6, 'Conditions and ranges of clients', [
  rule('If-None-Match on a fresh 200: weak comparison with each member, and “*”', { unit: ['policy/conditional_test.c: test_6_if_none_match_compares_weakly_with_each_member'], tests: ['freshness.test.mjs: clients'] }, [
    tags('the only member', '"a"', '"a"', 304),
    tags('the first of several', '"a"', '"a", "b", "c"', 304),
    tags('in the middle', '"b"', '"a", "b", "c"', 304),
    tags('the last one', '"c"', '"a","b","c"', 304),
    tags('weak, equal to itself', 'W/"a"', 'W/"a"', 304),
    tags('weak here, strong there', 'W/"a"', '"a"', 304),
    tags('strong here, weak there', '"a"', 'W/"a"', 304),
    tags('“*”', '"a"', '*', 304),
    tags('a comma inside a tag', '"a,b"', '"x", "a,b"', 304),
    tags('another tag', '"a"', '"b"', 200),
    tags('a part of the tag', '"abc"', '"ab"', 200),
    tags('another case', '"abc"', '"ABC"', 200),
    tags('a tag inside another', '"a"', '"x, "a"', 200),
    steps('two lines', stored({ ETag: '"b"' }), asks({ 'If-None-Match': ['"a"', '"b"'] }, 304, { over: 'h1' })),
    steps('no ETag held', stored(), asks({ 'If-None-Match': '"a"' }, 200)),
    steps('“*” without an ETag', stored(), asks({ 'If-None-Match': '*' }, 304)),
    steps('HEAD', stored({ ETag: '"a"' }), { ...asks({ 'If-None-Match': '"a"' }, 304), method: 'HEAD' }),
    steps('over HTTP/2', stored({ ETag: '"a"' }), { ...asks({ 'If-None-Match': '"a"' }, 304, { has: { etag: '"a"' } }), over: 'h2' }),
  ]),
  rule('A 304 carries ETag, Date, Cache-Control, Vary, Expires and Content-Location, and no body', { unit: ['policy/conditional_test.c: test_6_what_a_304_carries'], defaults: 'Vary names Accept-Encoding too where varve compresses (4.8)' }, [
    steps('all of them', stored({ ETag: '"a"', Vary: 'Foo', Expires: at(3600), 'Content-Location': '/x', Date: at(-60), 'Content-Type': 'text/x', 'Content-Language': 'de' }),
      asks({ 'If-None-Match': '"a"' }, 304, {
        has: { etag: '"a"', vary: 'Foo', expires: at(3600), 'content-location': '/x', date: at(-60), 'cache-control': 'max-age=3600', age: /^\d+$/ },
        lacks: ['content-type', 'content-language', 'content-length', 'transfer-encoding'] })),
    steps('Set-Cookie of the stored one is no reason to fail', stored({ ETag: '"a"', 'Set-Cookie': 'a=1' }), asks({ 'If-None-Match': '"a"' }, 304)),
  ]),
  rule('If-None-Match silences If-Modified-Since', { unit: ['policy/conditional_test.c: test_6_if_none_match_silences_if_modified_since'] }, [
    steps('no match, but not modified', stored({ ETag: '"a"', 'Last-Modified': at(-3600) }), asks({ 'If-None-Match': '"b"', 'If-Modified-Since': at(0) }, 200)),
    steps('a match, but modified', stored({ ETag: '"a"', 'Last-Modified': at(-60) }), asks({ 'If-None-Match': '"a"', 'If-Modified-Since': at(-3600) }, 304)),
  ]),
  rule('If-Modified-Since: 304 if Last-Modified is not later; without Last-Modified Date counts', { unit: ['policy/conditional_test.c: test_6_if_modified_since_compares_with_last_modified_or_date'] }, [
    since('equal', { 'Last-Modified': at(-3600) }, at(-3600), 304),
    since('earlier', { 'Last-Modified': at(-3600) }, at(-60), 304),
    since('later', { 'Last-Modified': at(-3600) }, at(-7200), 200),
    since('one second later', { 'Last-Modified': at(-3600) }, at(-3601), 200),
    since('RFC 850', { 'Last-Modified': at(-3600) }, at(-3600, 'rfc850'), 304),
    since('asctime', { 'Last-Modified': at(-3600) }, at(-3600, 'asctime'), 304),
    since('RFC 850 in the response', { 'Last-Modified': at(-3600, 'rfc850') }, at(-3600), 304),
    since('Date, equal', { Date: at(-60) }, at(-60), 304),
    since('Date, later', { Date: at(-60) }, at(-61), 200),
    since('an invalid date is no condition', { 'Last-Modified': at(-3600) }, 'yesterday', 200),
    steps('two lines are no condition', stored({ 'Last-Modified': at(-3600) }), asks({ 'If-Modified-Since': [at(-60), at(-60)] }, 200, { over: 'h1' })),
  ]),
  rule('Stale and a condition of the client: validated upstream with what is stored, then the client’s own condition is answered', [
    steps('If-Modified-Since, the origin says 304',
      { answer: staleAnswer('', { ETag: '"a"', 'Last-Modified': at(-3600) }), from: 'origin' },
      { headers: { 'If-Modified-Since': at(-60) }, answer: { status: 304, headers: fresh() }, asked: 1, status: 304, gets: '', sent: { 'if-none-match': '"a"', 'if-modified-since': at(-3600) } },
      { from: 'cache', status: 200, of: 1 }),
    steps('If-None-Match, the origin says 304',
      { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { headers: { 'If-None-Match': '"a"' }, answer: { status: 304, headers: fresh() }, asked: 1, status: 304, gets: '', sent: { 'if-none-match': '"a"' } }),
    steps('a condition that does not hold: the whole page',
      { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { headers: { 'If-None-Match': '"other"' }, answer: { status: 304, headers: fresh() }, from: 'validated', sent: { 'if-none-match': '"a"' } }),
    steps('the origin has a new one',
      { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { headers: { 'If-None-Match': '"a"' }, answer: { headers: fresh({ ETag: '"b"' }) }, from: 'origin', sent: { 'if-none-match': '"a"' } },
      { from: 'cache', of: 2 }),
  ]),
  rule('A condition on a miss does not reach the origin as the condition of a fill', [
    steps('If-None-Match', { headers: { 'If-None-Match': '"x"', 'If-Modified-Since': at(0) }, answer: { headers: fresh({ ETag: '"a"' }) }, from: 'origin', sent: { 'if-none-match': undefined, 'if-modified-since': undefined } },
      { from: 'cache' }),
    ...[0, 3600].map((seconds) => steps(`If-Modified-Since ${seconds ? 'later than' : 'as'} the Date of an answer without Last-Modified`,
      { headers: { 'If-Modified-Since': at(seconds) }, answer: { headers: fresh({ Date: at(0) }) }, from: 'origin' }, { from: 'cache', of: 1 })),
    steps('the same where nothing is stored', { headers: { 'If-Modified-Since': at(3600) }, answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }),
    steps('If-Match on a hit is the origin’s business, and stops nothing', stored({ ETag: '"a"' }), asks({ 'If-Match': '"a"' }, 200)),
  ]),
  rule('Range on a fresh 200: 206 with Content-Range and the bytes, other stored fields unchanged', { tests: ['ranges.test.mjs: http-caching §6 a Range request that hits'] }, [
    part('0-1', 'bytes=0-1', '01', 'bytes 0-1/10'),
    part('1-', 'bytes=1-', '123456789', 'bytes 1-9/10'),
    part('-1', 'bytes=-1', '9', 'bytes 9-9/10'),
    part('the whole', 'bytes=0-9', '0123456789', 'bytes 0-9/10'),
    part('the last position beyond the end', 'bytes=5-100', '56789', 'bytes 5-9/10'),
    part('a suffix longer than all', 'bytes=-100', '0123456789', 'bytes 0-9/10'),
    part('very large numbers', 'bytes=8-99999999999999999999', '89', 'bytes 8-9/10'),
    part('the unit in another case', 'Bytes=0-1', '01', 'bytes 0-1/10'),
    part('spaces about it', ' bytes=0-1 ', '01', 'bytes 0-1/10'),
    steps('over HTTP/2', stored({}, digits), { over: 'h2', headers: { range: 'bytes=2-3' }, from: 'cache', status: 206, gets: '23', has: { 'content-range': 'bytes 2-3/10' } }),
    steps('of a chunked response', { answer: { headers: fresh(), chunks: ['01234', '56789'] }, from: 'origin' }, asks({ Range: 'bytes=4-5' }, 206, { gets: '45', has: { 'content-range': 'bytes 4-5/10' } })),
    steps('digests of the whole content do not go with a part of it, those of the representation do', stored({ 'Content-Digest': 'sha-256=:AA==:', 'Content-MD5': 'AA==', 'Repr-Digest': 'sha-256=:BB==:' }, digits),
      asks({ Range: 'bytes=0-1' }, 206, { gets: '01', has: { 'repr-digest': 'sha-256=:BB==:' }, lacks: ['content-digest', 'content-md5'] }),
      { from: 'cache', of: 1, has: { 'content-digest': 'sha-256=:AA==:', 'content-md5': 'AA==', 'repr-digest': 'sha-256=:BB==:' } }),
    steps('HEAD has no ranges', stored({}, digits), { ...asks({ Range: 'bytes=0-1' }, 200), method: 'HEAD', lacks: ['content-range'] }),
    steps('Age and Cache-Status stay', stored({}, digits), asks({ Range: 'bytes=0-1' }, 206, { gets: '01', has: { 'cache-status': /varve; hit/, age: /^\d+$/ } })),
    steps('a part of a stale one, validated', { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' },
      { headers: { Range: 'bytes=0-1' }, answer: { status: 304, headers: fresh() }, asked: 1, status: 206, gets: '/s', sent: { range: undefined, 'if-none-match': '"a"' } }),
  ]),
  rule('A range that cannot be satisfied is a 416; one that cannot be read is as if it were not there', { tests: ['ranges.test.mjs: RFC 9110 §15.5.17', 'ranges.test.mjs: RFC 9110 §14.2'] }, [
    steps('behind the end', stored({}, digits), asks({ Range: 'bytes=10-' }, 416, { gets: '', has: { 'content-range': 'bytes */10' }, from: undefined, asked: 0 })),
    steps('the refusal has a Date of its own', stored({ Date: at(-3000) }, digits), asks({ Range: 'bytes=10-' }, 416, { gets: '', has: { date: (v) => Date.parse(v) > Date.now() - 100000 }, lacks: ['age', 'expires'], from: undefined, asked: 0 })),
    steps('a suffix of nothing', stored({}, digits), asks({ Range: 'bytes=-0' }, 416, { gets: '', has: { 'content-range': 'bytes */10' }, from: undefined, asked: 0 })),
    ...['bytes=2-1', 'bytes=a-b', 'bytes=', 'bytes=-', 'bytes 0-1', 'lines=0-1', '0-1', 'bytes=0-1;2-3'].map((range) => whole(range, { Range: range })),
    steps('two lines', stored({}, digits), asks({ Range: ['bytes=0-1', 'bytes=2-3'] }, 200, { over: 'h1', gets: '0123456789' })),
  ]),
  rule('Several ranges: as multipart/byteranges, or the whole where that is less', { tests: ['ranges.test.mjs: RFC 9110 §14.6'] }, [
    steps('two', stored({ 'Content-Type': 'text/x' }, digits), asks({ Range: 'bytes=0-1,8-9' }, 206, {
      gets: null, has: { 'content-type': /^multipart\/byteranges; boundary=/ }, lacks: ['content-range'],
      matches: /^\r\n--(\w+)\r\nContent-Type: text\/x\r\nContent-Range: bytes 0-1\/10\r\n\r\n01\r\n--\1\r\nContent-Type: text\/x\r\nContent-Range: bytes 8-9\/10\r\n\r\n89\r\n--\1--\r\n$/ })),
    steps('one of two lies behind the end', stored({}, digits), asks({ Range: 'bytes=0-1, 20-30' }, 206, { gets: null, matches: /01/ })),
    whole('together longer than the whole', { Range: 'bytes=0-9,0-9' }),
  ]),
  rule('If-Range: the part only on a strong match, else the whole 200', { tests: ['ranges.test.mjs: RFC 9110 §13.1.5'] }, [
    part('the strong tag', 'bytes=0-1', '01', 'bytes 0-1/10', { 'If-Range': '"a"' }),
    whole('another tag', { Range: 'bytes=0-1', 'If-Range': '"b"' }),
    whole('a weak tag', { Range: 'bytes=0-1', 'If-Range': 'W/"a"' }),
    whole('a weak tag on both sides', { Range: 'bytes=0-1', 'If-Range': 'W/"a"' }, { ETag: 'W/"a"' }),
    whole('a list', { Range: 'bytes=0-1', 'If-Range': '"a", "b"' }),
    whole('another date', { Range: 'bytes=0-1', 'If-Range': at(-60) }),
    whole('something else', { Range: 'bytes=0-1', 'If-Range': 'foo' }),
    steps('the date of Last-Modified, older than Date', stored({ 'Last-Modified': at(-3600) }, digits), asks({ Range: 'bytes=0-1', 'If-Range': at(-3600) }, 206, { gets: '01' })),
    steps('without Range it says nothing', stored({ ETag: '"a"' }, digits), asks({ 'If-Range': '"a"' }, 200, { gets: '0123456789' })),
  ]),
  rule('A 206 of the origin is passed on, not stored; a Range that misses goes to the origin', { tests: ['ranges.test.mjs: 4.1'] }, [
    steps('passed on, and not the answer to the next',
      { headers: { Range: 'bytes=0-1' }, answer: { status: 206, headers: fresh({ 'Content-Range': 'bytes 0-1/10' }), body: 'ab' }, from: 'origin', sent: { range: 'bytes=0-1' }, has: { 'content-range': 'bytes 0-1/10' } },
      { answer: { headers: fresh(), body: '0123456789' }, from: 'origin', sent: { range: undefined } },
      { headers: { Range: 'bytes=0-1' }, from: 'cache', status: 206, gets: '01' }),
    steps('a second one is asked for too',
      { headers: { Range: 'bytes=0-1' }, answer: { status: 206, headers: fresh({ 'Content-Range': 'bytes 0-1/10' }), body: '01' }, from: 'origin' },
      { headers: { Range: 'bytes=0-1' }, answer: { status: 206, headers: fresh({ 'Content-Range': 'bytes 0-1/10' }), body: '01' }, from: 'origin' }),
    steps('If-Range goes along', { headers: { Range: 'bytes=0-1', 'If-Range': '"a"' }, answer: { status: 206, headers: { 'Content-Range': 'bytes 0-1/10' }, body: '01' }, from: 'origin', sent: { 'if-range': '"a"' } }),
    steps('a 416 of the origin is passed on', { headers: { Range: 'bytes=20-' }, answer: { status: 416, headers: { 'Content-Range': 'bytes */10' } }, from: 'origin', has: { 'content-range': 'bytes */10' } }),
  ]),
])
