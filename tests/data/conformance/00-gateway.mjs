// http-caching, first part: what a gateway owes both sides.
import { alone, now, reused, rule, section, steps } from '../../e2e/conformance/words.mjs'

const noStore = { 'Cache-Control': 'no-store' }
const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const raw = (head, body = '') => `HTTP/1.1 ${head.join('\r\n')}\r\n\r\n${body}`

export default section(0, 'What a gateway owes both sides', [
  rule('PUT, POST, DELETE with bodies, HEAD and unknown methods are forwarded', { tests: ['origins.test.mjs: A17, G10'] }, [
    ...['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'M-SEARCH', 'FOO', 'X-UNKNOWN.METHOD~1'].map((method) =>
      steps(`${method} with a body`, { method, body: 'the body', headers: { 'Content-Type': 'text/x', 'Content-Length': '8' }, answer: { headers: noStore }, from: 'origin', sentBody: 'the body', sent: { 'content-type': 'text/x' }, sentLine: `${method} $PATH HTTP/1.1` })),
    ...['PUT', 'POST', 'DELETE', 'OPTIONS', 'FOO'].map((method) => steps(`${method} without a body`, { method, answer: { headers: noStore }, from: 'origin', sentLine: `${method} $PATH HTTP/1.1`, sentBody: '' })),
    steps('POST with a chunked body', { over: 'h1', method: 'POST', body: 'in chunks', headers: { 'Transfer-Encoding': 'chunked' }, answer: { headers: noStore }, from: 'origin', sentBody: 'in chunks' }),
    steps('HEAD', { method: 'HEAD', answer: { headers: { ...noStore, 'X-Field': '1' }, body: 'twelve bytes' }, from: 'origin', has: { 'x-field': '1' } }),
    steps('POST over HTTP/2', { over: 'h2', method: 'POST', body: 'the body', answer: { headers: noStore }, from: 'origin', sentBody: 'the body' }),
    steps('a POST is never answered from the cache', { answer: { headers: fresh() }, from: 'origin' }, { method: 'POST', answer: { headers: fresh() }, from: 'origin' }, { method: 'POST', answer: { headers: fresh() }, from: 'origin' }),
  ]),
  rule('Statuses pass with their bodies, also unknown ones', [
    ...[200, 201, 206, 226, 299, 300, 305, 399, 400, 402, 418, 499, 500, 502, 503, 504, 511, 599, 600, 999].map((status) => steps(`${status}`, { answer: { status, headers: { ...noStore, 'X-Field': '1' } }, from: 'origin', has: { 'x-field': '1' } })),
    ...[299, 499, 599, 999].map((status) => steps(`${status} over HTTP/2`, { over: 'h2', answer: { status, headers: noStore }, from: 'origin' })),
    ...[299, 499, 599, 999].map((status) => steps(`${status} to a POST`, { method: 'POST', answer: { status, headers: noStore }, from: 'origin' })),
  ]),
  rule('Max-Forwards of OPTIONS and TRACE: one less goes on, and at 0 the answer comes from here', { unit: ['policy/forward_test.c: test_7_6_2_max_forwards_counts_down_for_options_and_trace'] }, [
    ...[['OPTIONS', {}], ['TRACE', {}], ['OPTIONS', { over: 'h2' }], ['TRACE', { over: 'h2' }]].flatMap(([method, over]) => {
      const name = over.over ? `${method} over HTTP/2` : method
      const goesOn = (value, sent) => ({ method, ...over, headers: { 'Max-Forwards': value }, answer: { headers: noStore }, from: 'origin', sent: { 'max-forwards': sent } })
      return [
        steps(`${name}, counted`, goesOn('7', '6'), goesOn('1', '0'), goesOn('0010', '9')),
        steps(`${name}, 0`, { method, ...over, headers: { 'Max-Forwards': '0' }, asked: 0, status: method === 'TRACE' ? 405 : 204, gets: method === 'TRACE' ? null : '', has: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS', 'cache-control': 'no-store' } }),
      ]
    }),
    ...['', '-1', 'x', '1.0', '0, 0'].map((value) => steps(`“${value}” says nothing`, { method: 'OPTIONS', headers: { 'Max-Forwards': value }, answer: { headers: noStore }, from: 'origin', sent: { 'max-forwards': value } })),
    steps('two lines say nothing', { over: 'h1', method: 'OPTIONS', headers: { 'Max-Forwards': ['0', '0'] }, answer: { headers: noStore }, from: 'origin' }),
    ...['GET', 'POST', 'FOO'].map((method) => steps(`${method} has none`, { method, headers: { 'Max-Forwards': '0' }, answer: { headers: noStore }, from: 'origin', sent: { 'max-forwards': '0' } })),
  ]),
  rule('102 and 103 go on to HTTP/1.1 and HTTP/2 clients', { tests: ['interim.test.mjs: http-caching §2: a 103 reaches an HTTP/1.1 client', 'interim.test.mjs: http-caching §2: a 103 reaches HTTP/2 clients'] }, [
    steps('103', { answer: { headers: noStore, interim: [{ status: 103, headers: { Link: '</a.css>; rel=preload' } }] }, from: 'origin', interim: [103] }),
    steps('102', { answer: { headers: noStore, interim: [{ status: 102 }] }, from: 'origin', interim: [102] }),
    steps('102 and two 103', { answer: { headers: noStore, interim: [{ status: 102 }, { status: 103, headers: { Link: '<a>' } }, { status: 103, headers: { Link: '<b>' } }] }, from: 'origin', interim: [102, 103, 103] }),
    steps('102 and 103 over HTTP/2', { over: 'h2', answer: { headers: noStore, interim: [{ status: 102 }, { status: 103, headers: { Link: '<a>' } }] }, from: 'origin', interim: [102, 103], lacks: ['link'] }),
    steps('before a response that is stored', { answer: { headers: fresh(), interim: [{ status: 103, headers: { Link: '<a>' } }] }, from: 'origin', interim: [103] }, { from: 'cache', interim: [] }),
  ]),
  rule('A 200 whose Content-Length is shorter than what follows delivers that length, and the connection is not used again', { unit: ['edge/response_parser_test.c: test_a_connection_is_used_again_only_where_both_sides_know_the_end'] }, [
    steps('five of ten bytes', { answer: { raw: raw(['200 OK', 'Content-Length: 5', 'Cache-Control: no-store'], 'helloworld') }, asked: 1, status: 200, gets: 'hello' },
      { answer: { headers: noStore }, from: 'origin' }),
    steps('what follows is no answer to anybody', { answer: { raw: raw(['200 OK', 'Content-Length: 5', 'Cache-Control: no-store'], `hello${raw(['200 OK', 'Content-Length: 4'], 'evil')}`) }, asked: 1, gets: 'hello' },
      { answer: { headers: noStore }, from: 'origin' }),
  ]),
  rule('A 304 with a Content-Length has no body', { unit: ['edge/response_parser_test.c: test_each_bad_origin_is_understood_however_it_is_cut_into_pieces'] }, [
    steps('it ends with its head', { answer: { headers: { 'Cache-Control': 'max-age=10', Age: '20', ETag: '"a"' } }, from: 'origin' },
      { answer: { status: 304, headers: fresh({ 'Content-Length': '500' }) }, from: 'validated' },
      { from: 'cache', has: { 'content-length': (v) => v !== '500' } }),
    steps('to a client that asked with its own condition, on a request that passes', { method: 'OPTIONS', headers: { 'If-None-Match': '"a"' }, answer: { status: 304, headers: { 'Content-Length': '500', ETag: '"a"' } }, asked: 1, status: 304, gets: '' }),
    steps('a 204 with a Content-Length', { answer: { status: 204, headers: { ...noStore, 'Content-Length': '0' } }, from: 'origin' }, { answer: { headers: noStore }, from: 'origin' }),
  ]),
  rule('An unknown Content-Encoding is not touched', { unit: ['policy/judge_test.c: test_4_7_unknown_codings_pass'], defaults: 'not stored (4.7)' }, [
    reused('stored and not stored alike', fresh({ 'Content-Encoding': 'x-unknown' }), { body: '\x01\x02\xff', has: { 'content-encoding': 'x-unknown' } }),
    steps('not stored', { answer: { headers: { ...noStore, 'Content-Encoding': 'x-unknown' }, body: '\x00\xff' }, from: 'origin', has: { 'content-encoding': 'x-unknown' } }),
    steps('two codings', { answer: { headers: { ...noStore, 'Content-Encoding': 'x-a, x-b' }, body: 'ab' }, from: 'origin', has: { 'content-encoding': 'x-a, x-b' } }),
  ]),
  rule('An unknown Transfer-Encoding is a 502', { unit: ['edge/response_parser_test.c: test_each_bad_origin_is_understood_however_it_is_cut_into_pieces'] }, [
    steps('unknown', { answer: { raw: raw(['200 OK', 'Transfer-Encoding: x-unknown'], 'hello'), closes: true }, status: 502 }),
    steps('unknown before chunked', { answer: { raw: raw(['200 OK', 'Transfer-Encoding: x-unknown, chunked'], '5\r\nhello\r\n0\r\n\r\n') }, status: 502 }),
    steps('gzip, chunked', { answer: { raw: raw(['200 OK', 'Transfer-Encoding: gzip, chunked'], '0\r\n\r\n') }, status: 502 }),
    steps('with a Content-Length', { answer: { raw: raw(['200 OK', 'Transfer-Encoding: x-unknown', 'Content-Length: 5'], 'hello') }, status: 502 }),
  ]),
  rule('An origin that closes idle connections costs no request', { tests: ['origins.test.mjs: frameworks 18'] }, [
    ...[0, 20, 50].map((idle) => alone(steps(`closed ${idle} ms after the answer`, ...Array.from({ length: 6 }, () => ({ wait: idle / 1000, answer: { headers: noStore, idle }, from: 'origin' }))))),
    alone(steps('a POST on a connection that was closed', ...Array.from({ length: 3 }, () => ({ wait: 0.2, method: 'POST', body: 'x', answer: { headers: noStore, idle: 10 }, from: 'origin' })))),
  ]),
  rule('A body that ends with its connection is delivered whole', { tests: ['cut.test.mjs'] }, [
    steps('and not stored, since nobody can say whether it is whole (semantics 4.2)', { answer: { headers: fresh(), untilClose: true }, from: 'origin' }, { answer: { headers: noStore }, from: 'origin' }),
  ]),
  rule('Failures of the origin yield an answer, never a dropped connection', { tests: ['fallback.test.mjs: B5', 'fallback.test.mjs: 10.1 errors'] }, [
    steps('closed without an answer', { answer: { closes: 'silently' }, status: 503 }),
    steps('closed without an answer to a POST', { method: 'POST', body: 'x', answer: { closes: 'silently' }, status: 503, asked: 1 }),
    steps('no HTTP', { answer: { raw: 'SSH-2.0-x\r\n\r\n', closes: true }, status: 502 }),
    steps('a head that breaks off', { answer: { raw: 'HTTP/1.1 200 OK\r\nX: ', closes: true }, status: 503 }),
    steps('a status of four digits', { answer: { raw: raw(['2000 OK', 'Content-Length: 0']) }, status: 502 }),
    steps('two Content-Lengths that differ', { answer: { raw: raw(['200 OK', 'Content-Length: 5', 'Content-Length: 6'], 'hello') }, status: 502 }),
    steps('over HTTP/2', { over: 'h2', answer: { closes: 'silently' }, status: 503 }),
  ]),
  rule('Headers of a miss arrive as the origin sent them, Age too; several lines of a field stay or are joined by “, ”', [
    steps('fields', { answer: { headers: { ...noStore, Age: '30', 'X-One': 'a', ETag: '"x"', 'Last-Modified': now(-60), Expires: '0', Server: 'renderer', 'X-Odd': ' a  b ' } }, from: 'origin',
      has: { age: '30', 'x-one': 'a', etag: '"x"', expires: '0', server: 'renderer', 'x-odd': 'a  b' } }),
    steps('two lines of a field', { answer: { headers: { ...noStore, 'X-Two': ['a', 'b, c'] } }, from: 'origin', has: { 'x-two': 'a, b, c' } }),
    steps('two lines of Set-Cookie stay two', { answer: { headers: { ...noStore, 'Set-Cookie': ['a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT', 'b=2'] } }, from: 'origin', lines: { 'set-cookie': ['a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT', 'b=2'] } }),
    steps('two lines of WWW-Authenticate', { answer: { status: 401, headers: { ...noStore, 'WWW-Authenticate': ['Basic realm="a"', 'Bearer'] } }, from: 'origin', has: { 'www-authenticate': 'Basic realm="a", Bearer' } }),
    steps('two lines of a request', { headers: { 'X-Two': ['a', 'b'] }, answer: { headers: noStore }, from: 'origin', sent: { 'x-two': 'a, b' } }),
    steps('the Date', { answer: { headers: { ...noStore, Date: 'Sun, 06 Nov 1994 08:49:37 GMT' } }, from: 'origin', has: { date: 'Sun, 06 Nov 1994 08:49:37 GMT' } }),
    steps('the Date of a POST', { method: 'POST', answer: { headers: { ...noStore, Date: 'Sun, 06 Nov 1994 08:49:37 GMT' } }, from: 'origin', has: { date: 'Sun, 06 Nov 1994 08:49:37 GMT' } }),
    steps('no Age is made up on a miss', { answer: { headers: noStore }, from: 'origin', lacks: ['age'] }),
    steps('Via', { answer: { headers: { ...noStore, Via: '1.0 inner' } }, from: 'origin', has: { via: /^1\.0 inner, 1\.1 varve$/ } }),
    steps('a trailer of a request that passes is dropped', { answer: { headers: { ...noStore, Trailer: 'X-T' }, chunks: ['ab'], trailers: { 'X-T': '1' } }, from: 'origin', lacks: ['x-t', 'trailer'] }),
  ]),
])
