import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import test from 'node:test'
import { status } from '../../src/cli/status.ts'
import { listen } from '../../src/http/listen.ts'
import { adminConfig, empty, FakeCredentials, minutes, startAdmin, working } from '../admin/fixture.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { commandDeps, configFolder, terminal } from './fixture.ts'

const address = (url: string) => url.replace('http://', '')
/** Nothing listens on port 1. */
const nobody = '127.0.0.1:1'

test('status reads the running sidecar and leaves the store alone', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  const deps = commandDeps(new FakeCredentials())
  const shown = terminal(configFolder(t, address(url)))
  assert.equal(await status({}, shown.io, deps), 0)
  assert.equal(
    shown.out(),
    `CREDENTIAL  STATE   ACCESS TOKEN     REFRESH TOKEN  LAST REFRESH
sky         active  52 minutes left  212 days left  8 minutes ago

Running sidecar 1.2.3 at ${url}, up 60 minutes.
Store: file /var/lib/tokens, sealed
`,
  )
  assert.equal(deps.opened, 0)
})

test('status works over a unix socket', async (t) => {
  const listenOn = `unix:${join(tempDir(t), 'admin.sock')}`
  await startAdmin(t, new FakeCredentials(working()), { config: adminConfig({ listen: listenOn }) })
  const shown = terminal(configFolder(t, listenOn))
  assert.equal(await status({}, shown.io, commandDeps(new FakeCredentials())), 0)
  assert.match(shown.out(), new RegExp(`Running sidecar 1\\.2\\.3 at ${listenOn}`))
})

test('without a sidecar status reads the store', async (t) => {
  const deps = commandDeps(new FakeCredentials(working({ state: 'degraded', lastError: 'It answered 503.' })))
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await status({}, shown.io, deps), 0)
  assert.match(shown.out(), /sky +degraded/)
  assert.match(shown.out(), /^ {2}It answered 503\.$/m)
  assert.match(shown.out(), /No sidecar answers; read from the store\.\nStore: file \.\/tokens, plain/)
  assert.equal(deps.opened, 1)
})

for (const state of ['login_required', 'reauthorization_required'] as const) {
  test(`exit code 4 and the command when the state is ${state}`, async (t) => {
    const shown = terminal(configFolder(t, nobody))
    const store = new FakeCredentials(empty({ state, nextStep: 'Run: bearer-sidecar login sky' }))
    assert.equal(await status({}, shown.io, commandDeps(store)), 4)
    assert.match(shown.out(), /^ {2}Run: bearer-sidecar login sky$/m)
  })
}

test('--json prints the document of GET /status with the same exit code', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  const shown = terminal(configFolder(t, address(url)))
  assert.equal(await status({ json: true }, shown.io, commandDeps(new FakeCredentials())), 4)
  const document = JSON.parse(shown.out()) as { startedAt: string; credentials: { state: string }[] }
  assert.equal(document.startedAt, minutes(-60))
  assert.equal(document.credentials[0]?.state, 'login_required')
})

test('--json from the store has the same members and no start', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  const running = terminal(configFolder(t, address(url)))
  await status({ json: true }, running.io, commandDeps(new FakeCredentials()))
  const stored = terminal(configFolder(t, nobody))
  await status({ json: true }, stored.io, commandDeps(new FakeCredentials(working())))
  const [one, two] = [running, stored].map(
    ({ out }) => JSON.parse(out()) as { startedAt: null; credentials: object[]; routes: object[]; store: object },
  )
  assert.deepEqual(Object.keys(two!), Object.keys(one!))
  assert.deepEqual(two!.credentials, one!.credentials)
  assert.deepEqual(two!.routes, [
    { path: '/', name: 'all', credentials: ['sky'], upstreamOrigin: 'http://127.0.0.1:1' },
  ])
  assert.deepEqual(Object.keys(two!.store), Object.keys(one!.store))
  assert.equal(two!.startedAt, null)
})

test('subjects that need a login are shown but do not change the exit code', async (t) => {
  const subjects = Array.from({ length: 30 }, (_, index) => empty({ subject: `tenant-${index}` }))
  const { url } = await startAdmin(t, new FakeCredentials(working(), ...subjects, working({ subject: 'well' })))
  const shown = terminal(configFolder(t, address(url)))
  assert.equal(await status({}, shown.io, commandDeps(new FakeCredentials())), 0)
  assert.equal(shown.out().match(/tenant-\d+/g)?.length, 20)
  assert.doesNotMatch(shown.out(), /well/)
  assert.match(shown.out(), /31 subjects in memory/)
})

test('another program on the admin port is not taken for a sidecar', async (t) => {
  const other = createServer((_request, response) => response.end('{"status":"success"}'))
  t.after(() => other.close())
  const shown = terminal(configFolder(t, address((await listen(other, '127.0.0.1:0')).url)))
  assert.equal(await status({}, shown.io, commandDeps(new FakeCredentials(working()))), 0)
  assert.match(shown.out(), /No sidecar answers/)
})

test('colours are for terminals, and NO_COLOR is obeyed', async (t) => {
  const run = async (changes: Parameters<typeof terminal>[1]) => {
    const shown = terminal(configFolder(t, nobody), changes)
    await status({}, shown.io, commandDeps(new FakeCredentials(working())))
    return shown.out()
  }
  const plain = await run({})
  assert.doesNotMatch(plain, /\x1b/)
  assert.equal(await run({ terminal: true, env: { NO_COLOR: '1' } }), plain)
  const coloured = await run({ terminal: true })
  assert.match(coloured, /\x1b\[32mactive\x1b\[39m {2}52 minutes left/)
})

test('tokens in a memory store are out of reach without the sidecar, and the store is not opened', async (t) => {
  const deps = commandDeps(new FakeCredentials(working()))
  const shown = terminal(configFolder(t, nobody, '', 'store: { type: memory }'))
  assert.equal(await status({}, shown.io, deps), 1)
  assert.match(shown.err(), /store\.type is memory: the tokens are inside the running sidecar, and no sidecar answers/)
  assert.equal(deps.opened, 0)
})

test('a missing configuration is exit code 78', async (t) => {
  const shown = terminal(tempDir(t))
  assert.equal(await status({}, shown.io, commandDeps(new FakeCredentials())), 78)
  assert.notEqual(shown.err(), '')
})
