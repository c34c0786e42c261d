// http-caching §3: what of a response is stored, and what belongs to the connection.
import { at, reused, rule, section, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const kept = (name, value) => reused(name, fresh({ [name]: value }), { has: { [name.toLowerCase()]: value } })
const gone = (name, fields, lacks) => steps(name,
  { answer: { headers: fresh({ Stays: '1', ...fields }) }, from: 'origin', lacks, has: { stays: '1' } },
  { from: 'cache', lacks, has: { stays: '1' } })

export default section(3, 'What is stored', [
  rule('All fields are stored, unknown ones too', { unit: ['policy/merge_test.c: test_7_fields_of_a_304_replace_the_stored_ones'], defaults: 'a response with Set-Cookie or an unknown Content-Encoding is not stored (4.2, 4.7)' }, [
    kept('X-Unknown', 'a, b;c="d"'), kept('Content-Foo', 'bar'), kept('Content-Location', '/other'), kept('Content-MD5', 'Q2hlY2sgSW50ZWdyaXR5IQ=='),
    kept('Content-Range', 'bytes 0-3/10'), kept('Content-Language', 'de'), kept('Content-Encoding', 'x-unknown'), kept('Content-Type', 'x/y; z=1'),
    kept('Clear-Site-Data', '"cache"'), kept('Content-Security-Policy', "default-src 'self'"), kept('Public-Key-Pins', 'pin-sha256="x"'),
    kept('Set-Cookie', 'a=1; Path=/'), kept('Set-Cookie2', 'a=1'), kept('Expires', 'Fri, 31 Dec 9999 23:59:59 GMT'), kept('ETag', 'W/"a"'),
    kept('X-Frame-Options', 'DENY'), kept('X-XSS-Protection', '1'), kept('Strict-Transport-Security', 'max-age=1'), kept('Server', 'renderer'),
    kept('Link', '</a.css>; rel=preload'), kept('Warning', '299 - "old"'), kept('Pragma', 'no-cache'), kept('Allow', 'GET, HEAD'), kept('Retry-After', '5'),
    kept('Last-Modified', 'Sun, 06 Nov 1994 08:49:37 GMT'), kept('WWW-Authenticate', 'Basic realm="x"'), kept('Accept-Ranges', 'bytes'),
    reused('an empty field', fresh({ 'X-Empty': '' }), { has: { 'x-empty': '' } }),
    reused('obs-text', fresh({ 'X-Text': 'caf\xe9' }), { has: { 'x-text': 'caf\xe9' } }),
    reused('two lines of a field', fresh({ 'X-Two': ['a', 'b'] }), { has: { 'x-two': 'a, b' } }),
    reused('two lines of Set-Cookie stay two', fresh({ 'Set-Cookie': ['a=1', 'b=2'] }), { has: { 'set-cookie': 'a=1, b=2' } }),
    reused('the Cache-Control with all its extensions', { 'Cache-Control': 'max-age=3600, foo="bar", Baz' }, { has: { 'cache-control': 'max-age=3600, foo="bar", Baz' } }),
    reused('the Date', fresh({ Date: at(-60) }), { has: { date: at(-60) } }),
    reused('a Date of the first second that there was', { 'Cache-Control': 'max-age=99999999999', Date: 'Thu, 01 Jan 1970 00:00:00 GMT' }, { has: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } }),
    { ...kept('Server-Timing', 'db;dur=5'), exception: 'it tells how long the answer to one request took, and was told to who asked; on a hit it would be of another time (freshness.test.mjs)' },
  ]),
  rule('Connection and each field that it names is neither stored nor forwarded', { unit: ['policy/merge_test.c: test_3_hop_by_hop_fields_and_those_that_connection_names_go'] }, [
    gone('Connection: a', { Connection: 'a', a: '1' }, ['a']),
    gone('Connection: a, b', { Connection: 'a, b', a: '1', b: '2' }, ['a', 'b']),
    gone('names in another case', { Connection: 'X-Hop', 'x-hOP': '1' }, ['x-hop']),
    gone('two lines of Connection', { Connection: ['a', 'b'], a: '1', b: '2' }, ['a', 'b']),
    gone('two lines of the field', { Connection: 'a', a: ['1', '2'] }, ['a']),
    gone('a field that stands before Connection', { a: '1', Connection: 'a' }, ['a']),
    gone('empty members', { Connection: ', a,,', a: '1' }, ['a']),
    gone('names beside keep-alive', { Connection: 'keep-alive, a', a: '1' }, ['a']),
    steps('of the request: they do not reach the origin',
      { over: 'h1', headers: { Connection: 'close, X-Hop', 'X-Hop': '1', 'X-Stays': '1' }, answer: { headers: fresh() }, from: 'origin', sent: { 'x-hop': undefined, 'x-stays': '1' } }),
  ]),
  rule('Fields of the connection are neither stored nor forwarded', { unit: ['policy/merge_test.c: test_3_hop_by_hop_fields_and_those_that_connection_names_go'] }, [
    ...[['Keep-Alive', 'timeout=77'], ['Proxy-Connection', 'x'], ['TE', 'x'], ['Trailer', 'X-T'], ['Upgrade', 'x'], ['Proxy-Authenticate', 'Basic'],
      ['Proxy-Authentication-Info', 'x'], ['Proxy-Authorization', 'x']].map(([name, value]) =>
      steps(name,
        { answer: { headers: fresh({ Stays: '1', [name]: value }) }, from: 'origin', has: { stays: '1', [name.toLowerCase()]: (v) => v !== value } },
        { from: 'cache', has: { stays: '1', [name.toLowerCase()]: (v) => v !== value } })),
    steps('Transfer-Encoding: the coding of the hop is taken off',
      { answer: { headers: fresh(), chunks: ['one ', 'two'] }, from: 'origin', gets: 'one two' },
      { from: 'cache', gets: 'one two', lacks: ['transfer-encoding'], has: { 'content-length': '7' } }),
    steps('of the request',
      { over: 'h1', headers: { 'Keep-Alive': 'x', 'Proxy-Connection': 'x', TE: 'trailers', 'Proxy-Authorization': 'Basic eDp5' }, answer: { headers: fresh() }, from: 'origin',
        sent: { 'keep-alive': undefined, 'proxy-connection': undefined, te: undefined, 'proxy-authorization': undefined } }),
    steps('over HTTP/2', { over: 'h2', answer: { headers: fresh({ Connection: 'a', a: '1', 'Keep-Alive': 'x' }) }, from: 'origin', lacks: ['connection', 'a', 'keep-alive'] },
      { over: 'h2', from: 'cache', lacks: ['connection', 'a', 'keep-alive', 'transfer-encoding'] }),
  ]),
  rule('Trailers are not merged into the stored fields', [
    steps('a trailer is no header of the miss nor of the hit',
      { answer: { headers: fresh({ Trailer: 'X-Trailer' }), chunks: ['a', 'b'], trailers: { 'X-Trailer': '1' } }, from: 'origin', lacks: ['x-trailer', 'trailer'] },
      { from: 'cache', lacks: ['x-trailer', 'trailer'] }),
    steps('a trailer changes nothing of what was said before',
      { answer: { headers: fresh({ ETag: '"a"' }), chunks: ['a'], trailers: { 'Cache-Control': 'no-store', ETag: '"b"', 'Content-Length': '500', Vary: '*' } }, from: 'origin' },
      { from: 'cache', has: { etag: '"a"', 'content-length': '1', 'cache-control': 'max-age=3600' }, lacks: ['vary'] }),
    steps('a trailer gives no lifetime',
      { answer: { chunks: ['a'], trailers: { 'Cache-Control': 'max-age=3600' } }, from: 'origin' },
      { answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin' }),
  ]),
])
