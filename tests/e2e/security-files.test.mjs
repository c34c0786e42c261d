// Files and rights: the store is a directory of varve's own, secrets are not everybody's to read, and root is given up before the
// first byte of a client.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { freePort, outcome, page, renderer, tempDir, varve, VARVE } from './lib.mjs'

const modeOf = (file) => lstatSync(file).mode & 0o7777

/** Paths of all that lies below; not by readdir's `recursive`, which in node 18 opens sockets as directories. */
const filesBelow = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    [entry.name, ...(entry.isDirectory() ? filesBelow(`${dir}/${entry.name}`).map((name) => `${entry.name}/${name}`) : [])])

/** `varve run` that is expected not to come up: {code, text}. */
async function refusedStart(dir, policy) {
  const config = path.join(dir, 'varve.yaml')
  writeFileSync(config, `listen: ["127.0.0.1:${await freePort()}"]\nrenderer: http://127.0.0.1:1\n${policy}`)
  const child = spawn(VARVE, ['run', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  return { code, text }
}

test('9.3 the store is made with mode 0700, and nothing in it can be read by others; a wider one is closed', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', { 'cache-control': 'max-age=60' }))
  const dir = tempDir(t)
  mkdirSync(`${dir}/store`, { mode: 0o777 })
  chmodSync(`${dir}/store`, 0o777)
  const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`, { dir })
  await v.get('/')
  await v.cli('purge', `${v.url}/other`)
  assert.equal(modeOf(`${dir}/store`), 0o700)
  const names = filesBelow(`${dir}/store`)
  assert.ok(names.includes('purges') && names.includes('f1/data.mdb'))
  for (const name of names) assert.equal(modeOf(`${dir}/store/${name}`) & 0o007, 0, name)
})

test('9.3 a store that is a link, a file, or somebody else\'s is refused, and what it leads to is left alone', async (t) => {
  const dir = tempDir(t)
  mkdirSync(`${dir}/elsewhere`, { mode: 0o755 })
  chmodSync(`${dir}/elsewhere`, 0o755)
  symlinkSync(`${dir}/elsewhere`, `${dir}/link`)
  writeFileSync(`${dir}/file`, 'precious')
  for (const [name, why] of [['link', /symbolic link/], ['link/', /symbolic link/], ['file', /not a directory|File exists/]]) {
    const { code, text } = await refusedStart(dir, `store: {path: ${dir}/${name}, size: 16MiB, memory: 4MiB}\n`)
    assert.equal(code, 1, text)
    assert.match(text, why)
  }
  assert.deepEqual(readdirSync(`${dir}/elsewhere`), [])
  assert.equal(modeOf(`${dir}/elsewhere`), 0o755)
  assert.equal(readFileSync(`${dir}/file`, 'utf8'), 'precious')
})

test('9.3 links inside the store are not followed', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', { 'cache-control': 'max-age=60' }))
  for (const name of ['state', 'state.new', 'lock', 'purges', 'purges.lock', 'purges.new']) {
    const dir = tempDir(t)
    mkdirSync(`${dir}/store`, { mode: 0o700 })
    writeFileSync(`${dir}/victim`, 'precious')
    symlinkSync(`${dir}/victim`, `${dir}/store/${name}`)
    if (/\.new$|^state$/.test(name)) {
      const v = await varve(t, `renderer: ${origin.url}\nroutes: [{match: "/**"}]\n`, { dir })
      await v.cli('purge', `${v.url}/other`)
      await v.get('/')
      assert.equal(outcome(await v.get('/')), 'hit')
      await v.stop()
    } else {
      const { code, text } = await refusedStart(dir, `store: {path: ${dir}/store, size: 16MiB, memory: 4MiB}\n`)
      assert.equal(code, 1, `${name}: ${text}`)
    }
    assert.equal(readFileSync(`${dir}/victim`, 'utf8'), 'precious', name)
  }
})

test('10.2 a token that others may read or change is refused, at start and at reload', async (t) => {
  const dir = tempDir(t)
  const token = `${dir}/token`
  const store = `store: {path: ${dir}/store, size: 16MiB, memory: 4MiB}\n`
  const admin = async () => `admin: {listen: "127.0.0.1:${await freePort()}", token_file: ${token}}\n`
  writeFileSync(token, 'secret\n')
  for (const mode of [0o644, 0o604, 0o660, 0o666]) {
    chmodSync(token, mode)
    const { code, text } = await refusedStart(dir, store + (await admin()))
    assert.equal(code, 2, text)
    assert.match(text, /varve\.yaml:\d+:\d+: "token_file".*chmod 600/)
    assert.doesNotMatch(text, /secret\b(?!,)/)
  }
  chmodSync(token, 0o600)
  for (const text of ['a\nb\n', 's'.repeat(1025), ' \n']) {
    writeFileSync(token, text)
    const { code, text: said } = await refusedStart(dir, store + (await admin()))
    assert.equal(code, 2, said)
    assert.match(said, /varve\.yaml:\d+:\d+: "token_file": cannot read ".*token"/)
  }
  writeFileSync(token, 'secret\n')
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const v = await varve(t, `renderer: ${origin.url}\nadmin: {token_file: ${token}}\n`, { dir })
  chmodSync(token, 0o644)
  const { code, stderr } = await v.cli('reload')
  assert.equal(code, 2)
  assert.match(stderr, /varve\.yaml:\d+:\d+: "token_file".*chmod 600/)
  assert.equal((await v.get('/')).status, 200)
})

test('the admin socket is not everybody\'s, and goes with varve', async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page'))
  const v = await varve(t, `renderer: ${origin.url}\n`)
  assert.equal(modeOf(`${v.dir}/store/admin.sock`), 0o660)
  await v.stop()
  assert.equal(existsSync(`${v.dir}/store/admin.sock`), false)
})

test('started as root with a user, the worker is that user, for good, and the store is his', { skip: process.getuid() !== 0 && 'not root' }, async (t) => {
  const origin = await renderer(t, (req, res) => page(res, 'page', { 'cache-control': 'max-age=60' }))
  const nobody = execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).trim()
  const dir = tempDir(t)
  chmodSync(dir, 0o755)
  const v = await varve(t, `user: nobody\nrenderer: ${origin.url}\nlog: {access: {path: "-"}}\nroutes: [{match: "/**"}]\n`, { dir })
  await v.get('/')
  const status = readFileSync(`/proc/${v.workerPid()}/status`, 'utf8')
  assert.match(status, new RegExp(`^Uid:\\s+${nobody}\\s+${nobody}\\s+${nobody}\\s+${nobody}$`, 'm'))
  assert.doesNotMatch(/^Groups:(.*)$/m.exec(status)[1], /(^|\s)0(\s|$)/)
  assert.match(status, /^CapEff:\s+0+$/m)
  for (const name of ['', '/state', '/f1', '/f1/data.mdb']) assert.equal(String(lstatSync(`${dir}/store${name}`).uid), nobody, name)
  assert.equal(outcome(await v.get('/')), 'hit')
})
