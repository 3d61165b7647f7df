import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createServer as createPlainServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts'
import { selfSigned } from '../helpers/certs.ts'
import { Command } from '../helpers/command.ts'
import { leaksIn } from '../helpers/leaks.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Wiretap } from '../helpers/wiretap.ts'

/** Every secret that a person configures or a caller sends; those that a provider issues are read off the wire. */
const given = {
  clientSecret: 'canary/client+secret=Zq81-with/odd+letters',
  badKey: 'canary-key-that-is-refused-4471',
  goodKey: 'canary-key-that-works-9910',
  callerSecret: 'canary-caller-secret-5523',
  guessedCallerSecret: 'canary-guess-of-caller-secret-77',
  encryptionKey: 'canary passphrase of the token store 31',
  webhook: 'canary-webhook-path-8812',
  callersOwnToken: 'canary-token-of-the-caller-6060',
  query: 'canary-in-a-query-1717',
  body: 'canary-in-a-body-2929',
  strayCode: 'canary-code-nobody-asked-for-313',
  strayState: 'canary-state-nobody-gave-414',
  importedAccess: 'canary-imported-access-token-515',
  importedRefresh: 'canary-imported-refresh-token-616',
  misplacedInConfig: 'canary-secret-in-the-wrong-setting-7',
} as const

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface Stage {
  readonly simulator: Simulator
  readonly wire: Wiretap
  readonly directory: string
  readonly write: (over?: object) => void
}

async function stage(t: TestContext): Promise<Stage> {
  const simulator = await startSimulator({
    provider: 'blackbaud-sky',
    clientSecret: given.clientSecret,
    subscriptionKeys: [given.goodKey],
    autoConsent: true,
  })
  t.after(() => simulator.close())
  const wire = await Wiretap.start(t, simulator.url)
  const webhook = await listening(
    t,
    createPlainServer((_request, response) => response.writeHead(500).end()),
  )
  const untrusted = await listening(
    t,
    createServer(selfSigned, (_request, response) => response.end('hello')),
  )
  const directory = tempDir(t)
  const config = {
    version: 1,
    proxy: { listen: '127.0.0.1:0', callerSecret: given.callerSecret },
    admin: { listen: '127.0.0.1:0' },
    credentials: {
      sky: {
        provider: 'blackbaud-sky',
        clientId: simulator.settings.clientId,
        clientSecret: '${CLIENT_SECRET}',
        authorizationUrl: `${wire.url}/authorization`,
        tokenUrl: `${wire.url}/token`,
        headers: { 'Bb-Api-Subscription-Key': [given.badKey, given.goodKey] },
        refreshToken: simulator.seedRefreshToken(),
        refresh: { preserveRefreshToken: false, timeout: '800ms' },
      },
    },
    routes: [
      { path: '/', upstream: wire.url, credential: 'sky' },
      { path: '/tls/', upstream: `https://localhost:${untrusted}`, credential: 'sky' },
      { path: '/gone/', upstream: 'http://127.0.0.1:1', credential: 'sky' },
    ],
    store: { directory: './tokens', encryptionKey: given.encryptionKey },
    log: { level: 'trace', format: 'json' },
    notify: { webhook: `http://127.0.0.1:${webhook}/${given.webhook}` },
  }
  writeFileSync(join(directory, '.env'), `CLIENT_SECRET='${given.clientSecret}'\n`)
  const write = (over = {}) =>
    writeFileSync(join(directory, 'bearer-sidecar.yaml'), JSON.stringify({ ...config, ...over }, null, 2))
  write()
  return { simulator, wire, directory, write }
}

/** All that could be heard of one sidecar: its answers here, its output in the command. */
class Listener {
  readonly heard: string[] = []

  async ask(url: string, init: RequestInit = {}): Promise<number> {
    try {
      const response = await fetch(url, init)
      const own = response.headers.has('bearer-sidecar-error') || new URL(url).pathname !== '/echo'
      // The upstream's own echo gives back what it received; everything else is ours.
      const body = await response.text()
      this.heard.push(`${init.method ?? 'GET'} ${JSON.stringify([...response.headers])} ${own ? body : ''}`)
      return response.status
    } catch (error) {
      this.heard.push(String(error))
      return 0
    }
  }

  async pages(admin: string): Promise<void> {
    for (const path of ['/', '/status', '/metrics', '/readyz', '/livez', '/startupz', '/nothing-here']) {
      await this.ask(admin + path)
      await this.ask(admin + path, { headers: { accept: 'text/html' } })
    }
  }
}

const tokenFaults = [
  ...[
    '400',
    '429=1',
    '500',
    '503=1',
    'timeout',
    'reset',
    'cut',
    'truncated',
    'garbage',
    'html',
    'empty',
    'array',
    'huge=1',
  ],
  ...['error-200', 'redirect', 'no-access', 'control-chars', 'space', '201', 'no-type', 'null-refresh', 'no-refresh'],
  ...['same-refresh', 'expires-in="soon"', 'invalid-client', 'invalid-grant', 'lost-answer'],
].map((name) => `token-${name}@1`)

test('no secret that took part is in any output, answer, page, metric or argument', { timeout: 110_000 }, async (t) => {
  const { simulator, wire, directory, write } = await stage(t)
  const sidecar = new Command(t, directory, ['start'])
  const [proxy, admin] = [await sidecar.url(), await sidecar.url('admin')]
  const listener = new Listener()
  const { callerSecret } = given
  const call = (
    path: string,
    init: { method?: string; body?: string; headers?: Readonly<Record<string, string>> } = {},
  ) =>
    listener.ask(proxy + path, {
      ...init,
      headers: {
        'bearer-sidecar-secret': callerSecret,
        authorization: `Bearer ${given.callersOwnToken}`,
        ...init.headers,
      },
    })
  const post = (path: string, body: string, method = 'POST', type = 'application/json') =>
    listener.ask(admin + path, { method, body, headers: { 'content-type': type } })
  const refresh = () => listener.ask(`${admin}/credentials/sky/refresh`, { method: 'POST' })
  const relogin = () => listener.ask(`${admin}/credentials/sky/authorize`)

  // Success, the refused key, a rejected token with its replay, answers of the API.
  assert.equal(await call(`/echo?secret=${given.query}`, { method: 'POST', body: given.body }), 200)
  simulator.revokeAccessTokens()
  assert.equal(await call('/echo', { method: 'POST', body: given.body }), 200)
  simulator.inject('api-401@2')
  assert.equal(await call('/echo'), 401)
  for (const fault of ['api-reset', 'api-cut', 'api-500', 'api-401-key', 'api-401-role', 'api-403']) {
    simulator.inject(`${fault}@2`)
    await call('/echo')
    simulator.clearFaults()
  }
  assert.equal(await call('/tls/x'), 502)
  assert.equal(await call('/gone/x'), 502)

  // What callers do wrong.
  const guess = { headers: { 'bearer-sidecar-secret': given.guessedCallerSecret } }
  assert.equal(await listener.ask(`${proxy}/echo`, guess), 403)
  assert.equal(await call('/echo', { headers: { origin: `https://${given.query}.example` } }), 403)
  await call(`/a/..%2f?secret=${given.query}`)

  // Every fault of the token endpoint, each followed by a look at everything; a login mends what it killed.
  for (const fault of tokenFaults) {
    simulator.inject(fault)
    const before = simulator.tokenRequests.length
    await refresh()
    assert.equal(simulator.tokenRequests.length, before + 1, fault)
    await call('/echo')
    simulator.clearFaults()
    if (/invalid|lost|error-200/.test(fault)) {
      await refresh()
      await listener.pages(admin)
      assert.equal(await relogin(), 200, fault)
    }
  }
  assert.equal(await call('/echo'), 200)

  // Logins that fail.
  await listener.ask(`${admin}/callback?code=${given.strayCode}&state=${given.strayState}`)
  await listener.ask(`${admin}/callback?error=access_denied&error_description=${given.query}&state=${given.strayState}`)
  for (const fault of ['authorize-denied', 'authorize-error', 'authorize-wrong-state', 'authorize-wrong-iss']) {
    simulator.inject(`${fault}@1`)
    await relogin()
  }
  simulator.inject('token-invalid-grant@1')
  assert.notEqual(await relogin(), 200)

  // Imports that are damaged, and one that is good but unknown to the provider.
  const { importedAccess, importedRefresh } = given
  const documents = [
    `{"access_token":"${importedAccess}`,
    JSON.stringify({ access_token: [importedAccess], refresh_token: { a: importedRefresh } }),
    JSON.stringify({ access_token: `${importedAccess}\r\nX: y`, refresh_token: importedRefresh }),
    JSON.stringify({ [importedRefresh]: importedAccess }),
    JSON.stringify([importedRefresh]),
    JSON.stringify({ refresh_token: importedRefresh, expires_in: importedAccess }),
  ]
  for (const document of documents) await post('/credentials/sky/token', document, 'PUT')
  await post('/credentials/sky/token', importedRefresh, 'PUT', 'text/plain')
  await post(`/credentials/${given.query}/token`, '{}', 'PUT')
  const good = JSON.stringify({ access_token: importedAccess, refresh_token: importedRefresh, expires_in: 3600 })
  assert.equal(await post('/credentials/sky/token', good, 'PUT'), 200)
  await call('/echo')
  await refresh()
  await listener.pages(admin)
  assert.equal(await relogin(), 200)

  // A new configuration with a secret in each wrong place.
  const { misplacedInConfig } = given
  write({
    credentials: {
      sky: {
        provider: misplacedInConfig,
        clientSecret: { a: misplacedInConfig },
        refresh: { early: misplacedInConfig },
      },
    },
    store: {
      type: misplacedInConfig,
      encryptionKey: given.encryptionKey,
      url: `http://user:${misplacedInConfig}@host`,
    },
    notify: { webhook: `ftp://${misplacedInConfig}` },
  })
  await sidecar.seen(/the new configuration is not valid/)
  const wrong = new Command(t, directory, ['check', '--json'])
  assert.equal(await wrong.exit, 78)
  write()
  await sidecar.seen(/configuration reloaded/)
  await listener.pages(admin)
  const argv = readFileSync(`/proc/${sidecar.child.pid ?? 0}/cmdline`, 'utf8')

  const beside = ['status', 'status --json', 'refresh sky', 'check --online', 'config print', 'import sky'].map(
    (line) =>
      new Command(t, directory, line.split(' '), { input: line === 'import sky' ? `{"x": "${importedAccess}"` : '' }),
  )
  for (const command of beside) await command.exit
  sidecar.child.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0)

  const issued = [...wire.secrets()].map((secret, index): [string, string] => [`secret ${index} off the wire`, secret])
  assert.ok(issued.length > 20, `${issued.length} secrets were heard on the wire`)
  const secrets = new Map<string, string>([...Object.entries(given), ...issued])
  const outputs = [sidecar, wrong, ...beside].map((command) => command.output)
  const text = [...outputs, ...listener.heard, argv].join('\n')
  const lines = sidecar.stdout.split('\n').length
  assert.ok(lines > 80, `${lines} lines were logged`)
  assert.deepEqual(leaksIn(text, secrets), [])
})

test('the search would find a secret in any of its spellings', () => {
  const secrets = new Map([['it', given.clientSecret]])
  const { clientSecret } = given
  for (const text of [
    `a ${clientSecret} b`,
    `x=${encodeURIComponent(clientSecret)}&y`,
    Buffer.from(`id:${clientSecret}`).toString('base64'),
    Buffer.from(`${clientSecret}, and more`).toString('base64url'),
    Buffer.from(clientSecret).toString('hex'),
    JSON.stringify(Buffer.from(clientSecret)),
  ]) {
    assert.notDeepEqual(leaksIn(text, secrets), [], text)
  }
  assert.deepEqual(leaksIn('nothing to see', secrets), [])
})
