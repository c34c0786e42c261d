// What `varve check` calls good, `varve run` takes; and commands find a running varve by its policy file, whatever else is
// wrong with that file.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { freePort, page, renderer, tempDir, until, varve, VARVE } from './lib.mjs'
import { certificate } from './wire.mjs'

const call = (words, options = {}) => spawnSync(VARVE, words, { encoding: 'utf8', timeout: 60000, ...options })
const nobody = () => Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout)
const missing = (place, key, name) => new RegExp(`^\\S*varve\\.yaml:${place}: "${key}": cannot read "\\S*/${name}": No such file or directory: make it`, 'm')

test('what a policy names and is not there: `check`, `run` and `reload` say all of it, where it stands, and end with status 2', async (t) => {
  const dir = tempDir(t)
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const good = `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`
  const v = await varve(t, good, { dir })
  const whole = readFileSync(v.config, 'utf8')
  const lines = whole.split('\n').length
  const tls = `origins: {b: {workers: ["https://127.0.0.1:1"], tls: {ca: ca.pem}}}`
  const more = `shell: {file: nope.html}\nerror_page: {503: busy.html}\nadmin: {token_file: token}\nuser: nosuchuser\n${tls}\n`
  writeFileSync(v.config, whole + more)
  const config = ['--config', v.config]
  for (const [what, words] of [['check', ['check', ...config]], ['run', ['run', ...config]], ['reload', ['reload', ...config]]]) {
    const { status, stderr } = call(words)
    assert.equal(status, 2, `${what}: ${stderr}`)
    assert.match(stderr, missing(`${lines}:15`, 'file', 'nope.html'))
    assert.match(stderr, missing(`${lines + 1}:19`, 'error_page', 'busy.html'))
    assert.match(stderr, missing(`${lines + 2}:21`, 'token_file', 'token'))
    if (process.getuid() === 0) // else it stays who it is
      assert.match(stderr, new RegExp(`varve\\.yaml:${lines + 3}:7: "user": there is no user "nosuchuser"`))
    assert.match(stderr, missing(`${lines + 4}:59`, 'ca', 'ca.pem'))
  }
  assert.equal((await v.get('/')).body, 'page')
  await until(() => /reload failed; the old policy stays in force.*nope\.html/.test(v.log), 'the log to tell')
  assert.equal(await v.metric('varve_config_reloads_total{result="failed"}'), 1)
})

test('certificates: what `check` says of them is what `run` would say, with the line of each', async (t) => {
  const dir = tempDir(t)
  const file = path.join(dir, 'varve.yaml')
  const [a, b] = [certificate(dir, 'a.example'), certificate(dir, 'b.example')]
  writeFileSync(`${dir}/text.pem`, 'no certificate')
  const policy = async (pairs, more = '') => {
    const list = pairs.map(([cert, key]) => `    - {cert: ${cert}, key: ${key}}\n`).join('')
    const listen = `listen:\n- address: "127.0.0.1:${await freePort()}"\n  tls:\n${list}`
    writeFileSync(file, `${listen}store: {path: ${dir}/store, size: 16MiB, memory: 4MiB}\n${more || 'renderer: http://127.0.0.1:1'}\n`)
  }
  await policy([[a.cert, a.key], [a.cert, b.key], ['text.pem', a.key], ['nope.pem', 'nope.key']])
  let { status, stderr } = call(['check', '--config', file])
  assert.equal(status, 2)
  assert.match(stderr, missing('7:14', 'cert', 'nope\\.pem'))
  assert.match(stderr, missing('7:29', 'key', 'nope\\.key'))
  spawnSync('openssl', ['pkey', '-in', a.key, '-aes256', '-passout', 'pass:secret', '-out', `${dir}/locked.key`])
  await policy([[a.cert, a.key], [a.cert, b.key], ['text.pem', a.key], [a.cert, 'locked.key']])
  ;({ status, stderr } = call(['check', '--config', file]))
  assert.equal(status, 2)
  assert.match(stderr, /varve\.yaml:5:7: "key": cannot use "\S*b\.example\.key": .*mismatch/)
  assert.match(stderr, /varve\.yaml:6:7: "cert": cannot use "\S*text\.pem": .*as PEM/)
  assert.match(stderr, /varve\.yaml:7:7: "key": cannot use "\S*locked\.key": /)
  ;({ status, stderr } = call(['run', '--config', file]))
  assert.equal(status, 2, stderr)
  assert.match(stderr.replaceAll('\\"', '"'), /varve\.yaml:5:7: "key": cannot use "\S*b\.example\.key"/)
  await policy([[a.cert, a.key]], `origins: {b: {workers: ["https://127.0.0.1:1"], tls: {ca: text.pem}}}`)
  for (const command of ['check', 'run']) {
    ;({ status, stderr } = call([command, '--config', file]))
    assert.equal(status, 2, stderr)
    assert.match(stderr, /give authorities as PEM/)
  }
  await policy([[a.cert, a.key], [b.cert, b.key]])
  assert.equal(call(['check', '--config', file]).status, 0)
})

test('port 0 is refused where it stands', (t) => {
  const file = path.join(tempDir(t), 'varve.yaml')
  writeFileSync(file, 'listen: [":0"]\nrenderer: http://127.0.0.1:1\n')
  for (const words of [['check', '--config', file], ['run', '--config', file]]) {
    const { status, stderr } = call(words)
    assert.equal(status, 2)
    assert.match(stderr, /varve\.yaml:1:10: "address": port 0 is none to listen on: give one from 1 to 65535/)
  }
})

test('commands with --config find varve though the rest of the file has errors, and the environment is another', async (t) => {
  const origin = await renderer(t, (req, res, n) => page(res, `render ${n}`, { 'cache-control': 'max-age=60', 'surrogate-key': 'news' }))
  const secret = 'origins: {renderer: {workers: [$URL], set_headers: {X-Secret: "${VARVE_TEST_SECRET}"}}}'.replace('$URL', `"${origin.url}"`)
  const v = await varve(t, `${secret}\nroutes: [{match: "/**"}]\n`, { env: { VARVE_TEST_SECRET: 'x' } })
  const purge = () => call(['purge', '--tag', 'news', '--config', v.config])
  const good = readFileSync(v.config, 'utf8')
  const broken = [good, `${good}stael: 1\nlimits: {idle: soon}\n`, `${good}include: [gone.yaml]\n`, `${good}hosts: [a, {\n`]
  for (const [i, text] of broken.entries()) {
    writeFileSync(v.config, text)
    assert.equal((await v.get('/')).body, `render ${i + 1}`)
    const { status, stdout, stderr } = purge()
    assert.equal(status, 0, stderr)
    assert.match(stdout, /purged/)
    assert.equal(stderr, '')
  }
  assert.equal((await v.get('/')).body, `render ${broken.length + 1}`)
})

test('who gives --token-file and --config needs no token file of the config: its variable may be unset', async (t) => {
  const dir = tempDir(t)
  writeFileSync(`${dir}/token`, 'secret\n', { mode: 0o600 })
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const admin = `admin: {listen: "127.0.0.1:${await freePort()}", token_file: "\${VARVE_TEST_CREDENTIALS}/token"}\n`
  const v = await varve(t, `renderer: ${origin.url}\n${admin}routes: [{match: "/**"}]\n`, { env: { VARVE_TEST_CREDENTIALS: dir } })
  const purge = (...more) => call(['purge', '--tag', 'news', '--config', v.config, ...more])
  const { status, stderr } = purge('--token-file', `${dir}/token`)
  assert.equal(status, 0, stderr)
  const without = purge()
  assert.equal(without.status, 2)
  assert.match(without.stderr, /environment variable "VARVE_TEST_CREDENTIALS" is not set/)
})

test('a file that does not say where varve is: --admin is named, and no other varve is asked', async (t) => {
  const file = path.join(tempDir(t), 'varve.yaml')
  writeFileSync(file, 'store: {path: "${VARVE_TEST_NOWHERE}"}\nstael: 1\n')
  const { status, stderr } = call(['purge', '--all', '--soft', '--config', file])
  assert.equal(status, 2)
  assert.match(stderr, /varve\.yaml:1:15: environment variable "VARVE_TEST_NOWHERE" is not set/)
  assert.match(stderr, /varve purge: cannot tell from this file where the daemon is: mend it, or say --admin ADDR/)
})

test('when nobody is where the file says, what could not be read of the file is told', async (t) => {
  const dir = tempDir(t)
  const file = path.join(dir, 'varve.yaml')
  const ask = (text) => {
    writeFileSync(file, text)
    return call(['purge', '--all', '--soft', '--config', file])
  }
  const broken = ask(`store: {path: ${dir}/store}\n\tx\nadmin: {listen: "unix:${dir}/other.sock"}\n`)
  assert.equal(broken.status, 3, broken.stderr)
  assert.match(broken.stderr, /varve\.yaml:2:1: not valid YAML: .*\n.*varve\.yaml may not say all of where the daemon is\nvarve purge: cannot reach the daemon at unix:\S+\/store\/admin\.sock: /)
  const whole = ask(`store: {path: ${dir}/store}\n`)
  assert.equal(whole.status, 3)
  assert.match(whole.stderr, /^varve purge: cannot reach the daemon at unix:\S+\/store\/admin\.sock: .*\n$/)
})

test('`varve reload` asks varve whatever the file holds: its log and its counter tell of the failure', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const good = readFileSync(v.config, 'utf8')
  writeFileSync(v.config, `${good}stael: 1\nhosts: [`)
  const { status, stderr } = call(['reload', '--config', v.config])
  assert.equal(status, 2)
  assert.match(stderr, /varve\.yaml:\d+:\d+: not valid YAML/)
  await until(() => v.log.includes('reload failed; the old policy stays in force'), 'the log')
  assert.equal(await v.metric('varve_config_reloads_total{result="failed"}'), 1)
  const { body } = await v.admin('POST', '/v1/reload', {})
  assert.equal(JSON.parse(body).cause, 'policy')
})

test('a shell that goes while varve runs: a reload is refused, and what is in force goes on', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const dir = tempDir(t)
  writeFileSync(`${dir}/shell.html`, '<p>shell')
  const v = await varve(t, `renderer: ${origin.url}\nshell: {file: shell.html}\nroutes: [{match: "/**"}]\n`, { dir })
  copyFileSync(`${dir}/shell.html`, `${dir}/kept.html`)
  unlinkSync(`${dir}/shell.html`)
  const refused = await v.cli('reload')
  assert.equal(refused.code, 2, refused.stderr)
  assert.match(refused.stderr, missing('\\d+:\\d+', 'file', 'shell\\.html'))
  assert.equal((await v.get('/')).body, 'page')
  copyFileSync(`${dir}/kept.html`, `${dir}/shell.html`)
  chmodSync(`${dir}/shell.html`, 0o644)
  assert.equal((await v.cli('reload')).code, 0)
})

test('5.1 the lines at the start say of every route that the response is asked first', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const routes = ['{match: "/a"}', '{match: "/b", stale: 1h}', '{match: "/c", stale: {while_revalidate: 0s, if_error: 1m}}', '{match: "/d", stale: response}']
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [${routes.join(', ')}]\n`)
  await until(() => /  admin  /.test(v.log), 'the lines at the start')
  const said = (route) => new RegExp(`route +${route} .*stale: ([^;\n]*)`).exec(v.log)[1]
  assert.equal(said('/a'), 'as the response says, else if_error 1d')
  assert.equal(said('/b'), 'as the response says, else while_revalidate 1h, if_error 1h')
  assert.equal(said('/c'), 'as the response says, else if_error 1m')
  assert.equal(said('/d'), 'as the response says')
})

test('explain prints every field that its help names', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`)
  const { stdout } = await v.cli('explain', `${v.url}/a?b=c`)
  const help = call(['explain', '--help']).stdout
  const named = [...help.matchAll(/`([a-z_]+)`/g)].map((m) => m[1])
  assert.deepEqual(named, ['path', 'query_keyed', 'variant'])
  for (const name of named) assert.match(stdout, new RegExp(`^ *${name} `, 'm'))
})

test('started as root: what varve reads when it is no longer root, its user must be able to read', { skip: process.getuid() !== 0 && 'not root' }, async (t) => {
  const dir = tempDir(t)
  const file = path.join(dir, 'varve.yaml')
  const tls = certificate(dir, 'a.example')
  chmodSync(dir, 0o755)
  const ours = { 'shell.html': 0o640, 'busy.html': 0o600, token: 0o600, 'ca.pem': 0o400 }
  for (const [name, mode] of Object.entries(ours)) {
    copyFileSync(tls.cert, `${dir}/${name}`)
    if (name === 'token') writeFileSync(`${dir}/${name}`, 'secret\n')
    chmodSync(`${dir}/${name}`, mode)
  }
  writeFileSync(file, `listen: [{address: "127.0.0.1:${await freePort()}", tls: [${tls.yaml}]}]
store: {path: ${dir}/store, size: 16MiB, memory: 4MiB}
origins: {a: {workers: ["https://127.0.0.1:1"], tls: {ca: ca.pem}}}
shell: {file: shell.html}
error_page: {503: busy.html}
admin: {token_file: token}
user: nobody
`)
  for (const command of ['check', 'run']) {
    const { status, stderr } = call([command, '--config', file])
    assert.equal(status, 2, stderr)
    const lines = stderr.trim().split('\n')
    assert.deepEqual(lines.map((l) => /varve\.yaml:(\d+):\d+: "\w+": cannot read "\S*" as user "nobody": Permission denied: let that user/.exec(l)?.[1]), ['3', '4', '5', '6'])
  }
  for (const name of Object.keys(ours)) chownSync(`${dir}/${name}`, nobody(), nobody())
  assert.equal(call(['check', '--config', file]).status, 0)
  chmodSync(dir, 0o700)
  assert.equal(call(['check', '--config', file]).stderr.trim().split('\n').length, 4)
})
