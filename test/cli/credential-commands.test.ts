import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { exportTokens } from '../../src/cli/export.ts'
import { importTokens } from '../../src/cli/import.ts'
import { refresh } from '../../src/cli/refresh.ts'
import type { CommandDeps } from '../../src/cli/session.ts'
import { processDeps } from '../../src/cli/session.ts'
import { status } from '../../src/cli/status.ts'
import { token } from '../../src/cli/token.ts'
import { ProxyError } from '../../src/errors.ts'
import { StoreError } from '../../src/stores/token-store.ts'
import { empty, FakeCredentials, minutes, perSubject, startAdmin, working } from '../admin/fixture.ts'
import { commandDeps, configFolder, input, silentTerminal, terminal } from './fixture.ts'

const nobody = '127.0.0.1:1'

/** A running sidecar and the folder of its configuration. */
async function sidecar(
  t: TestContext,
  credentials: FakeCredentials,
  changes: Parameters<typeof startAdmin>[2] = {},
  credential = '',
) {
  const { url } = await startAdmin(t, credentials, changes)
  return configFolder(t, url.replace('http://', ''), credential)
}

const dead = new ProxyError('reauthorization_required', { detail: 'Run: bearer-sidecar login sky' })

test('token prints the access token alone', async (t) => {
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await token('sky', {}, shown.io, commandDeps(new FakeCredentials(working()))), 0)
  assert.equal(shown.out(), 'access-token-of-sky\n')
  assert.equal(shown.err(), '')
})

test('token is exit code 4 with the next step when a login is needed', async (t) => {
  const store = new FakeCredentials(empty())
  store.failure = dead
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await token('sky', {}, shown.io, commandDeps(store)), 4)
  assert.equal(shown.out(), '')
  assert.equal(shown.err(), 'Run: bearer-sidecar login sky\n')
})

test('an expired token is refreshed by the running sidecar, a live one is not', async (t) => {
  const running = new FakeCredentials(working())
  const folder = await sidecar(t, running)
  const stored = new FakeCredentials(working())
  assert.equal(await token('sky', {}, terminal(folder).io, commandDeps(stored)), 0)
  assert.deepEqual(running.calls, [])
  stored.statuses = [working({ accessTokenExpiresAt: minutes(-1) })]
  assert.equal(await token('sky', {}, terminal(folder).io, commandDeps(stored)), 0)
  assert.deepEqual(running.calls, [['refresh', 'sky', undefined]])
})

test('refresh goes through the running sidecar', async (t) => {
  const running = new FakeCredentials(working())
  const deps = commandDeps(new FakeCredentials())
  const shown = terminal(await sidecar(t, running))
  assert.equal(await refresh('sky', {}, shown.io, deps), 0)
  assert.equal(shown.out(), 'sky is active: access token 52 minutes left, refresh token 212 days left.\n')
  assert.deepEqual(running.calls, [['refresh', 'sky', undefined]])
  assert.equal(deps.opened, 0)
})

test("a sidecar's refusal ends as the store's own would: 4 for a login, 1 for a passing fault", async (t) => {
  for (const [failure, code] of [
    [dead, 4],
    [new ProxyError('token_endpoint_unavailable', { detail: 'It is down.' }), 1],
  ] as const) {
    const running = new FakeCredentials(working())
    running.failure = failure
    const through = terminal(await sidecar(t, running))
    assert.equal(await refresh('sky', {}, through.io, commandDeps(new FakeCredentials())), code)
    const direct = terminal(configFolder(t, nobody))
    assert.equal(await refresh('sky', {}, direct.io, commandDeps(running)), code)
    assert.equal(through.err(), `${failure.detail}\n`)
    assert.equal(direct.err(), through.err())
  }
})

test('tokens that could not be saved are told as lost', async (t) => {
  const deps = commandDeps(new FakeCredentials(working()))
  deps.unsaved = ['sky']
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await refresh('sky', {}, shown.io, deps), 1)
  assert.match(shown.err(), /the new tokens of sky could not be saved and are lost/)
})

test('a store that cannot be used is exit code 1 with its own words', async (t) => {
  const openStore = () =>
    Promise.reject(new StoreError('wrong-key', 'tokens/sky.json was sealed with another key; set store.encryptionKey.'))
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await refresh('sky', {}, shown.io, commandDeps(new FakeCredentials(), { openStore })), 1)
  assert.equal(shown.err(), 'tokens/sky.json was sealed with another key; set store.encryptionKey.\n')
})

test('a misspelt credential is exit code 2 with a suggestion', async (t) => {
  for (const command of [token, refresh, exportTokens]) {
    const shown = terminal(configFolder(t, nobody))
    assert.equal(await command('skyy', {}, shown.io, commandDeps(new FakeCredentials())), 2)
    assert.equal(shown.err(), 'no such credential; did you mean sky? (configured: sky)\n')
  }
})

test('--subject is demanded exactly where a credential has subjects', async (t) => {
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await token('sky', { subject: 't7' }, shown.io, commandDeps(new FakeCredentials())), 2)
  assert.equal(shown.err(), 'sky has no subjectHeader: leave --subject out\n')
  const running = new FakeCredentials(working())
  const folder = await sidecar(t, running, { info: () => perSubject }, '    subjectHeader: X-Customer')
  const without = terminal(folder)
  assert.equal(await refresh('sky', {}, without.io, commandDeps(running)), 2)
  assert.equal(without.err(), 'sky has tokens per value of X-Customer: add --subject ID\n')
  assert.equal(await refresh('sky', { subject: 't 7/ü' }, terminal(folder).io, commandDeps(running)), 0)
  assert.deepEqual(running.calls, [['refresh', 'sky', 't 7/ü']])
})

const imports: [name: string, text: string, document: unknown][] = [
  ['a bare refresh token, trimmed', '\uFEFF  r-1 \n', { refresh_token: 'r-1' }],
  ['a token response', '{"access_token":"a","refresh_token":"r"}\n', { access_token: 'a', refresh_token: 'r' }],
]
for (const [name, text, document] of imports) {
  test(`import hands the running sidecar ${name}`, async (t) => {
    const running = new FakeCredentials(working())
    const shown = terminal(await sidecar(t, running))
    assert.equal(await importTokens('sky', {}, shown.io, commandDeps(new FakeCredentials(), { stdin: input(text) })), 0)
    assert.deepEqual(running.calls, [['adopt', 'sky', undefined, document]])
    assert.match(shown.out(), /^sky is active: /)
  })
}

test('import without a sidecar hands the text to the store', async (t) => {
  const store = new FakeCredentials(working())
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await importTokens('sky', {}, shown.io, commandDeps(store, { stdin: input('r-', '1\n') })), 0)
  assert.deepEqual(store.calls, [['adopt', 'sky', undefined, 'r-1']])
})

test('an XML answer goes to the store even while a sidecar runs', async (t) => {
  const running = new FakeCredentials(working())
  const store = new FakeCredentials(working())
  const stdin = input('<token><access_token>a</access_token></token>')
  assert.equal(await importTokens('sky', {}, terminal(await sidecar(t, running)).io, commandDeps(store, { stdin })), 0)
  assert.deepEqual(running.calls, [])
  assert.equal(store.calls[0]?.[0], 'adopt')
})

const refused: [name: string, stdin: CommandDeps['stdin'], message: RegExp][] = [
  [
    'a terminal',
    silentTerminal(),
    /^give the token on standard input, such as: bearer-sidecar import sky < token\.json$/m,
  ],
  ['an empty input', input('  \n'), /nothing came on standard input/],
  ['half a document', input('{"refresh_token": "secret-text'), /cannot be parsed; is it complete\?/],
  ['a flood', input('x'.repeat(40_000), 'x'.repeat(40_000)), /more than 64 KiB/],
]
for (const [name, stdin, message] of refused) {
  test(`import refuses ${name} with exit code 2 and repeats nothing of it`, async (t) => {
    const running = new FakeCredentials(working())
    const shown = terminal(await sidecar(t, running))
    assert.equal(await importTokens('sky', {}, shown.io, commandDeps(running, { stdin })), 2)
    assert.match(shown.err(), message)
    assert.doesNotMatch(shown.err(), /secret-text|xxx/)
    assert.deepEqual(running.calls, [])
  })
}

test('an import that could not be saved is exit code 1', async (t) => {
  const running = new FakeCredentials(working({ unsaved: true }))
  const shown = terminal(await sidecar(t, running))
  assert.equal(await importTokens('sky', {}, shown.io, commandDeps(running, { stdin: input('r') })), 1)
  assert.match(shown.err(), /in effect but could not be saved/)
})

test('export prints the grant as JSON, and warns a terminal', async (t) => {
  for (const isTerminal of [false, true]) {
    const shown = terminal(configFolder(t, nobody), { terminal: isTerminal })
    assert.equal(await exportTokens('sky', {}, shown.io, commandDeps(new FakeCredentials(working()))), 0)
    assert.deepEqual(JSON.parse(shown.out()), {
      access_token: 'access-token-of-sky',
      refresh_token: 'refresh-token-of-sky',
    })
    assert.equal(/live secrets/.test(shown.err()), isTerminal)
  }
})

test('export says when the running sidecar holds newer tokens than the store', async (t) => {
  const shown = terminal(await sidecar(t, new FakeCredentials(working({ unsaved: true }))))
  assert.equal(await exportTokens('sky', {}, shown.io, commandDeps(new FakeCredentials(working()))), 0)
  assert.match(shown.err(), /could not save yet/)
})

test('with a real file store: import, status, token and export agree, and a second folder takes the export', async (t) => {
  const folder = configFolder(t, nobody)
  const clock = processDeps.clock
  const document = JSON.stringify({ access_token: 'a-1', refresh_token: 'r-1', expires_in: 3600 })
  assert.equal(await importTokens('sky', {}, terminal(folder).io, { ...processDeps, clock, stdin: input(document) }), 0)
  const shown = terminal(folder)
  assert.equal(await status({}, shown.io, processDeps), 0)
  assert.match(shown.out(), /sky +active +(59|60) minutes left +no known expiry/)
  const printed = terminal(folder)
  assert.equal(await token('sky', {}, printed.io, processDeps), 0)
  assert.equal(printed.out(), 'a-1\n')
  const exported = terminal(folder)
  assert.equal(await exportTokens('sky', {}, exported.io, processDeps), 0)
  const second = configFolder(t, nobody)
  assert.equal(await importTokens('sky', {}, terminal(second).io, { ...processDeps, stdin: input(exported.out()) }), 0)
  const moved = terminal(second)
  assert.equal(await token('sky', {}, moved.io, processDeps), 0)
  assert.equal(moved.out(), 'a-1\n')
})

test('with a real, empty store: token is exit code 4 and names the login', async (t) => {
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await token('sky', {}, shown.io, processDeps), 4)
  assert.match(shown.err(), /bearer-sidecar login sky/)
})
