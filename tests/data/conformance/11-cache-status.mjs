// http-caching §11: Cache-Status (RFC 9211).
import { rule, section, staleAnswer, steps } from '../../e2e/conformance/words.mjs'

const fresh = (more) => ({ 'Cache-Control': 'max-age=3600', ...more })
const says = (...parts) => ({ has: { 'cache-status': (v) => ['varve', ...parts].every((part) => (part instanceof RegExp ? part.test(v) : v.split('; ').includes(part))) } })

export default section(11, 'Cache-Status', [
  rule('One member of ours behind those that came', { unit: ['policy/cache_status_test.c'], tests: ['cache-status.test.mjs: http-caching §11 it stands behind'] }, [
    steps('on a miss', { answer: { headers: fresh({ 'Cache-Status': 'inner; hit; ttl=5' }) }, from: 'origin', has: { 'cache-status': /^inner; hit; ttl=5, varve; fwd=uri-miss/ } },
      { from: 'cache', has: { 'cache-status': /^inner; hit; ttl=5, varve; hit; ttl=\d+$/ } }),
    steps('behind two lines', { answer: { headers: fresh({ 'Cache-Status': ['a; hit', 'b; fwd=miss'] }) }, from: 'origin', has: { 'cache-status': /^a; hit, b; fwd=miss, varve; fwd=uri-miss/ } }),
    steps('only ours', { answer: { headers: fresh() }, from: 'origin', has: { 'cache-status': /^varve; [^,]*$/ } }, { from: 'cache', has: { 'cache-status': /^varve; hit; ttl=\d+$/ } }),
    steps('over HTTP/2', { over: 'h2', answer: { headers: fresh() }, from: 'origin', has: { 'cache-status': /^varve; fwd=uri-miss/ } }, { over: 'h2', from: 'cache', has: { 'cache-status': /^varve; hit/ } }),
  ]),
  rule('hit, with the lifetime that is left; negative for a stale one', { tests: ['cache-status.test.mjs: http-caching §11 a stale hit has a negative ttl'] }, [
    steps('ttl', { answer: { headers: fresh({ Age: '600' }) }, from: 'origin' }, { from: 'cache', has: { 'cache-status': (v) => Number(/^varve; hit; ttl=(\d+)$/.exec(v)?.[1]) <= 3000 } }),
    steps('a 304 to the client is a hit', { answer: { headers: fresh({ ETag: '"a"' }) }, from: 'origin' }, { headers: { 'If-None-Match': '"a"' }, from: 'cache', status: 304, has: { 'cache-status': /^varve; hit/ } }),
    steps('a stale hit has a negative ttl', { answer: staleAnswer('stale-while-revalidate=3600'), from: 'origin' }, { answer: { headers: fresh() }, from: 'stale', has: { 'cache-status': /^varve; hit; ttl=-\d+/ } }),
    steps('a stale one that stands for an error says which', { answer: staleAnswer(), from: 'origin' }, { answer: { status: 500 }, status: 200, of: 1, ...says('fwd=stale', 'fwd-status=500', /; ttl=-\d+/) }),
    steps('a stale one that stands for no answer', { answer: staleAnswer(), from: 'origin' }, { answer: { closes: 'silently' }, status: 200, of: 1, ...says('hit', /; ttl=-\d+/) }),
    steps('ttl of what is stored just now', { answer: { headers: fresh({ Age: '600' }) }, from: 'origin', ...says('stored', /; ttl=(2\d{3}|3000)/) }),
  ]),
  rule('fwd says why the origin was asked, fwd-status what it said, stored that it is kept', { tests: ['cache-status.test.mjs: http-caching §11 uri-miss', 'cache-status.test.mjs: http-caching §11 bypass and method'] }, [
    steps('uri-miss', { answer: { headers: fresh() }, from: 'origin', ...says('fwd=uri-miss', 'fwd-status=200', 'stored') }),
    steps('not stored', { answer: { headers: { 'Cache-Control': 'no-store' } }, from: 'origin', has: { 'cache-status': (v) => /^varve; fwd=uri-miss; fwd-status=200/.test(v) && !/stored/.test(v) } }),
    steps('vary-miss', { headers: { Foo: '1' }, answer: { headers: fresh({ Vary: 'Foo' }) }, from: 'origin' }, { headers: { Foo: '2' }, answer: { headers: fresh({ Vary: 'Foo' }) }, from: 'origin', ...says('fwd=vary-miss', 'stored') }),
    steps('stale, answered by a 200', { answer: staleAnswer(), from: 'origin' }, { answer: { headers: fresh() }, from: 'origin', ...says('fwd=stale', 'fwd-status=200', 'stored') }),
    steps('stale, answered by a 304', { answer: staleAnswer('', { ETag: '"a"' }), from: 'origin' }, { answer: { status: 304, headers: fresh() }, from: 'validated', ...says('fwd=stale', 'fwd-status=304') }),
    steps('method', { method: 'POST', answer: { status: 201 }, from: 'origin', ...says('fwd=method', 'fwd-status=201') }),
    steps('an unknown method', { method: 'FOO', answer: {}, from: 'origin', ...says('fwd=method') }),
    steps('a status other than 200', { answer: { status: 404, headers: fresh() }, from: 'origin', ...says('fwd-status=404', 'stored') }),
    steps('an error of our own has none, since no origin made it', { answer: { closes: 'silently' }, status: 503, lacks: ['cache-status'] }),
  ]),
  rule('collapsed: who waited for a question of somebody else', { tests: ['cache-status.test.mjs: http-caching §11 collapsed'] }, []),
  rule('key is shown to nobody on the public side; detail with the debug token alone', { tests: ['cache-status.test.mjs: 10.2 key and detail'] }, [
    steps('neither on a miss nor on a hit', { answer: { headers: fresh() }, from: 'origin', has: { 'cache-status': /^(?!.*(key|detail)=)/ } }, { from: 'cache', has: { 'cache-status': /^(?!.*(key|detail)=)/ } }),
  ]),
])
