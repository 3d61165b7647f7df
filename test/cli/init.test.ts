import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { credentialName } from '../../src/cli/init-plan.ts'
import { init, type InitDeps, type Prompter } from '../../src/cli/init.ts'
import { loadConfig } from '../../src/config/load.ts'
import { providers } from '../../src/providers/provider.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { terminal } from './fixture.ts'

const key = Buffer.alloc(32, 7).toString('base64')
const noTerminal: InitDeps = {
  interactive: false,
  prompter: () => assert.fail('nobody is there to be asked'),
  key: () => key,
}
/** A person who picks `provider` and answers each question by its variable. */
function person(provider: string | undefined, answers: (variable: string) => string | undefined): InitDeps {
  const prompter: Prompter = {
    choose: () => Promise.resolve(provider),
    ask: ({ variable }) => Promise.resolve(answers(variable)),
  }
  return { interactive: true, prompter: () => Promise.resolve(prompter), key: () => key }
}
const read = (directory: string, file: string) => readFileSync(join(directory, file), 'utf8')

for (const name of providers.keys()) {
  test(`what init writes for ${name} is a valid configuration once it is filled in`, async (t) => {
    const directory = tempDir(t)
    const value = (variable: string) =>
      /URL$|UPSTREAM$/.test(variable) ? 'https://api.example.com/x' : variable.endsWith('PARTNER') ? '' : 'filled-in'
    assert.equal(await init({}, terminal(directory).io, person(name, value)), 0)
    const { config, warnings } = await loadConfig({ env: {}, cwd: directory })
    assert.deepEqual(
      warnings.filter(({ path }) => !path.endsWith('scopes')),
      [],
    )
    const credential = config.credentials[credentialName(name)]
    assert.equal(credential?.provider, name)
    const own = !credential.clientAuthentication.startsWith('credential:')
    assert.equal(credential.clientSecret, own ? 'filled-in' : null)
    assert.equal(config.store.encryptionKey, key)
    assert.ok([config.routes[0]?.credential].flat().includes(credentialName(name)))
  })
}

test('the credential has the name that README and the provider pages log in with', async (t) => {
  const pages = ['README.md', 'docs/quickstart.md', 'docs/providers/blackbaud-sky.md']
  const directory = tempDir(t)
  const shown = terminal(directory)
  assert.equal(await init({ provider: 'blackbaud-sky', yes: true }, shown.io, noTerminal), 0)
  assert.match(shown.out(), /Fill in SKY_CLIENT_ID, SKY_CLIENT_SECRET, SKY_KEY in \.env/)
  const { credentials } = parse(read(directory, 'bearer-sidecar.yaml')) as { credentials: object }
  for (const page of pages) {
    const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
    const named = [...text.matchAll(/^bearer-sidecar login ([\w-]+)/gm)].map(([, name]) => name)
    assert.deepEqual([...new Set(named)], Object.keys(credentials), page)
  }
})

test('without a terminal nothing is asked, the files say what is to be filled in', async (t) => {
  const directory = tempDir(t)
  const shown = terminal(directory)
  assert.equal(await init({ provider: 'highq', dir: 'new/folder', yes: true }, shown.io, noTerminal), 0)
  const env = read(directory, 'new/folder/.env')
  assert.match(env, /^HQ_CLIENT_SECRET=$/m)
  assert.match(env, /^# the host of your HighQ site, such as acme\.highq\.com\nHQ_HOST=$/m)
  assert.match(env, new RegExp(`^BEARER_SIDECAR_KEY=${key.replaceAll('+', '\\+')}$`, 'm'))
  assert.equal(statSync(join(directory, 'new/folder/.env')).mode & 0o777, 0o600)
  assert.match(
    shown.out(),
    /1\. Fill in HQ_CLIENT_ID, HQ_CLIENT_SECRET, HQ_HOST, HQ_INSTANCE, HQ_UPSTREAM in new\/folder\/\.env/,
  )
  assert.match(shown.out(), /bearer-sidecar start --config new\/folder\/bearer-sidecar\.yaml/)
})

test('secrets go into .env alone, whatever characters they hold, and never to the screen', async (t) => {
  for (const secret of ['se#cret with space', "it's", `a"b'c`, 'back`tick', '$HOME', 'a=b==', '\\n']) {
    const directory = tempDir(t)
    const shown = terminal(directory)
    const answers = (variable: string) => (variable.endsWith('CLIENT_SECRET') ? secret : 'x')
    assert.equal(await init({ provider: 'blackbaud-sky' }, shown.io, person(undefined, answers)), 0)
    assert.ok(!read(directory, 'bearer-sidecar.yaml').includes(secret))
    assert.ok(!(shown.out() + shown.err()).includes(secret))
    const { config } = await loadConfig({ env: {}, cwd: directory })
    assert.equal(config.credentials['sky']?.clientSecret, secret)
  }
})

test('nothing is overwritten, a dangling link included', async (t) => {
  for (const file of ['bearer-sidecar.yaml', '.env']) {
    const directory = tempDir(t)
    writeFileSync(join(directory, file), 'mine')
    const shown = terminal(directory)
    assert.equal(await init({ provider: 'xero', yes: true }, shown.io, noTerminal), 1)
    assert.match(shown.err(), new RegExp(`${file.replace('.', '\\.')} exists already`))
    assert.equal(read(directory, file), 'mine')
    assert.equal(existsSync(join(directory, file === '.env' ? 'bearer-sidecar.yaml' : '.env')), false)
  }
  const directory = tempDir(t)
  symlinkSync(join(directory, 'elsewhere'), join(directory, '.env'))
  const shown = terminal(directory)
  assert.equal(await init({ provider: 'xero', yes: true }, shown.io, noTerminal), 1)
  assert.equal(existsSync(join(directory, 'elsewhere')), false)
})

test('without a terminal and without --provider it is exit code 2 and names the presets', async (t) => {
  const shown = terminal(tempDir(t))
  assert.equal(await init({}, shown.io, noTerminal), 2)
  assert.match(shown.err(), /^give --provider: .*blackbaud-sky/)
})

test('a misspelt preset is exit code 2 with a suggestion', async (t) => {
  const shown = terminal(tempDir(t))
  assert.equal(await init({ provider: 'blackbaudsky' }, shown.io, noTerminal), 2)
  assert.match(shown.err(), /did you mean blackbaud-sky\?/)
})

test('a person who stops leaves nothing behind', async (t) => {
  for (const deps of [person(undefined, () => 'x'), person('xero', () => undefined)]) {
    const directory = tempDir(t)
    assert.equal(await init({}, terminal(directory).io, deps), 130)
    assert.equal(existsSync(join(directory, '.env')), false)
    assert.equal(existsSync(join(directory, 'bearer-sidecar.yaml')), false)
  }
})

test('a folder that cannot be written is exit code 1 with its name', async (t) => {
  const directory = tempDir(t)
  writeFileSync(join(directory, 'file'), '')
  const shown = terminal(directory)
  assert.equal(await init({ provider: 'xero', yes: true, dir: 'file/folder' }, shown.io, noTerminal), 1)
  assert.match(shown.err(), /cannot write into .*file\/folder \(ENOTDIR\); choose another folder with --dir/)
})
