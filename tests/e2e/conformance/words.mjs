// The words in which tests/data/conformance is written. A section has rules, a rule has cases, a case is a list of steps that all
// concern one URL of the case's own:
//
//   {method, path, headers, body, over}   the request; `path` is put behind the case's URL, `over: 'h2'` takes HTTP/2,
//                                         'h1' cannot be said there
//   answer: {status, headers, body, …}    what the origin says if it is asked in this step (origin.mjs has every key)
//   answers: [{…}, …]                     the same for several questions; the last one holds on
//   from                                  who must have answered, see below; `asked: n` says how often the origin was asked instead of once
//   status, gets, of                      expected status and body; `of: n`: the body of the n-th step's answer;
//                                         `gets: null`: any body, `matches`: one of this pattern
//   has, lacks                            fields of the answer: text, a pattern, or a function of the value; and names that are not there
//   sent                                  the same of the origin's first question, undefined: it was not there
//   age: [least, most]                    the Age of the answer
//   lines                                 the lines of a field, one by one
//   interim                               the statuses of the interim responses before the answer
//   sentLine, sentBody                    request line and body of the origin's first question
//   wait                                  seconds before the step
//   times                                 so many requests at a time; the last one's answer is looked at
//   eventually                            asked again until it is so, for what happens behind the answers
//
// `from` is 'origin' (asked, and its answer came), 'cache' (not asked, an earlier answer came), 'validated' (asked, said 304, an
// earlier answer came) or 'stale' (an earlier answer came, and behind it the origin was asked).
//
// $URL, $PATH, $ORIGIN and $HOST in texts are the case's absolute URL, its path, scheme and host, and the host alone.

/** A date so many seconds from the moment at which the case began. */
export const at = (seconds, form = 'imf') => ({ isDate: true, seconds, form })
/** A date so many seconds from the moment at which it is written. */
export const now = (seconds = 0, form = 'imf') => ({ isDate: true, isNow: true, seconds, form })

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** The three forms of RFC 9110 §5.6.7, and functions of the first one. */
export function dateText(ms, form) {
  const date = new Date(ms)
  const imf = date.toUTCString()
  if (typeof form === 'function') return form(imf)
  const [, day, month, year, time] = /, (\d\d) (\w+) (\d+) ([\d:]+)/.exec(imf)
  if (form === 'rfc850') return `${DAYS[date.getUTCDay()]}, ${day}-${month}-${year.slice(2)} ${time} GMT`
  if (form === 'asctime') return `${imf.slice(0, 3)} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
  return imf
}

export const section = (number, title, rules) => ({ number, title, rules })

/**
 * `more.unit`: the unit tests that prove it as well, "folder/name_test.c: name_of_test". `more.tests`: other end-to-end tests, "file:
 * start of the name". `more.route`: a setting of the route that the rule is about; its cases have
 * a varve of their own. `more.defaults`: what the defaults do otherwise, and the number in semantics.
 */
export const rule = (text, ...rest) => {
  const [more, cases] = rest.length === 2 ? rest : [{}, rest[0]]
  return { text, ...more, cases: cases ?? [] }
}

export const steps = (name, ...list) => ({ name, steps: list })

/** Runs after all others: what it does to connections could concern a POST of theirs. */
export const alone = (one) => ({ ...one, isAlone: true })

/** Two requests alike: the second one is answered from the cache. `more`: of the answer, or `request`: of both requests. */
export const reused = (name, headers, { request = {}, has, lacks, age, ...answer } = {}) =>
  steps(name, { ...request, answer: { headers, ...answer }, from: 'origin' }, { ...request, from: 'cache', has, lacks, age })

/** Two requests alike: the origin is asked both times. */
export const askedAgain = (name, headers, { request = {}, ...answer } = {}) =>
  steps(name, { ...request, answer: { headers, ...answer }, from: 'origin' }, { ...request, answer: { headers: { 'cache-control': 'no-store' } }, from: 'origin' })

/** A response that is stored and stale at once: its lifetime is 10 s, and it comes 20 s old. `cc` is put behind max-age. */
export const staleAnswer = (cc = '', headers = {}) => ({ headers: { 'cache-control': `max-age=10${cc && `, ${cc}`}`, age: '20', ...headers } })
