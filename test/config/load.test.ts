import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError, formatProblem } from '../../src/config/problems.ts'
import { configFiles, load, minimal, refusal } from './config-file.ts'

void test('a minimal file gives every default in the units of the program', async (t) => {
  const { load, directory } = configFiles(t, { files: minimal() })
  const { config, file, files } = await load()
  assert.deepEqual(config.proxy.listen, ['127.0.0.1:8080'])
  assert.deepEqual(config.admin.listen, ['127.0.0.1:9090'])
  assert.equal(config.proxy.timeouts.responseHeaders, 120_000)
  assert.equal(config.routes[0]?.replayBody, 1024 * 1024)
  assert.equal(config.routes[0].rewriteLinks, false)
  assert.equal(config.credentials['api']?.refresh.renewBefore, 60 * 86_400_000)
  assert.equal(config.store.directory, join(directory, 'tokens'), 'relative to the config file')
  assert.deepEqual(
    config.notify.refreshTokenWarnings,
    [30, 14, 7, 1].map((days) => days * 86_400_000),
  )
  assert.equal(file, join(directory, 'c.yaml'))
  assert.deepEqual(files, [file])
})

void test('JSON is read as well, with the places of its problems', async (t) => {
  const { config } = await load(t, {
    files:
      '{"version":1,"credentials":{"a":{"provider":"blackbaud-sky","clientId":"i","clientSecret":"s"}},"routes":[{"path":"/","upstream":"https://x.example","credential":"a"}]}',
  })
  assert.equal(config.credentials['a']?.clientAuthentication, 'basic-raw')
  const { lines } = await refusal(t, { files: '{\n  "version": 1,\n  "rutes": []\n}' })
  assert.deepEqual(lines, [
    'c.yaml:1:1 routes: at least one route is required',
    'c.yaml:3:3 rutes: unknown key; did you mean routes?',
  ])
})

void test('the file is searched for: flag, then variable, then the working directory', async (t) => {
  const files = {
    'bearer-sidecar.yaml': minimal({ top: 'log: { level: error }' }),
    'from-env.yaml': minimal({ top: 'log: { level: warn }' }),
    'from-flag.yaml': minimal({ top: 'log: { level: debug }' }),
  }
  const env = { BEARER_SIDECAR_CONFIG: 'from-env.yaml' }
  assert.equal((await load(t, { files, name: null })).config.log.level, 'error')
  assert.equal((await load(t, { files, name: null, env })).config.log.level, 'warn')
  assert.equal((await load(t, { files, name: 'from-flag.yaml', env })).config.log.level, 'debug')
})

void test('a missing file is told with the next step', async (t) => {
  const none = await refusal(t, { files: {}, name: null })
  assert.match(
    none.lines[0] ?? '',
    /^bearer-sidecar\.yaml: no configuration here, nor \/etc\/bearer-sidecar\/config\.yaml; run: bearer-sidecar init/,
  )
  const named = await refusal(t, { files: {}, name: 'other.yaml' })
  assert.deepEqual(named.lines, ['other.yaml: cannot read the configuration: there is no such file'])
})

void test('flag wins over environment, environment over file, file over preset, preset over default', async (t) => {
  const files = `version: 1
proxy: { listen: 127.0.0.1:1 }
log: { level: warn }
credentials:
  sky:
    provider: blackbaud-sky
    clientId: i
    clientSecret: s
    headers: { Bb-Api-Subscription-Key: k }
    refresh: { renewBefore: 90d }
routes: [{ path: /, upstream: 'https://x.example', credential: sky }]
`
  const env = { BEARER_SIDECAR_PROXY_LISTEN: '127.0.0.1:2', BEARER_SIDECAR_LOG_LEVEL: 'debug' }
  const { config, sources } = await load(t, { files, env, overrides: { listen: '127.0.0.1:3' } })
  assert.deepEqual(config.proxy.listen, ['127.0.0.1:3'])
  assert.equal(config.log.level, 'debug')
  assert.equal(config.credentials['sky']?.refresh.renewBefore, 90 * 86_400_000)
  assert.equal(config.credentials['sky'].refresh.preserveRefreshToken, true)
  assert.equal(config.credentials['sky'].refresh.timeout, 15_000)
  assert.equal(sources.describe(['proxy', 'listen']), '--listen')
  assert.equal(sources.describe(['log', 'level']), '$BEARER_SIDECAR_LOG_LEVEL')
  assert.equal(sources.describe(['credentials', 'sky', 'refresh', 'renewBefore']), 'c.yaml:10')
  assert.equal(sources.describe(['credentials', 'sky', 'tokenUrl']), 'preset blackbaud-sky')
  assert.equal(sources.describe(['store', 'lease']), 'default')
  assert.equal(config.routes[0]?.rewriteLinks, true)
  assert.equal(sources.describe(['routes', 0, 'rewriteLinks']), 'preset blackbaud-sky')
})

void test('every scalar setting of the shared sections can come from the environment', async (t) => {
  const env = {
    BEARER_SIDECAR_PROXY_LISTEN: '127.0.0.1:0, unix:/tmp/s.sock',
    BEARER_SIDECAR_PROXY_TIMEOUTS_CONNECT: '7s',
    BEARER_SIDECAR_PROXY_ALLOWED_HOSTS: 'one.local,two.local',
    BEARER_SIDECAR_PROXY_ALLOWED_ORIGINS: 'https://App.example.com:443/',
    BEARER_SIDECAR_ADMIN_LISTEN: 'false',
    BEARER_SIDECAR_STORE_TYPE: 'memory',
    BEARER_SIDECAR_STORE_DIRECTORY: 'kept',
    BEARER_SIDECAR_NOTIFY_REFRESH_TOKEN_WARNINGS: '2d,1d',
    BEARER_SIDECAR_STORE_LEASE: '',
  }
  const { load, directory } = configFiles(t, { files: minimal(), env })
  const { config } = await load()
  assert.deepEqual(config.proxy.listen, ['127.0.0.1:0', 'unix:/tmp/s.sock'])
  assert.equal(config.proxy.timeouts.connect, 7_000)
  assert.deepEqual(config.proxy.allowedHosts, ['one.local', 'two.local'])
  assert.deepEqual(config.proxy.allowedOrigins, ['https://app.example.com'], 'as a browser writes it')
  assert.equal(config.admin.listen, false)
  assert.equal(config.store.type, 'memory')
  assert.equal(config.store.directory, join(directory, 'kept'))
  assert.deepEqual(config.notify.refreshTokenWarnings, [172_800_000, 86_400_000])
  assert.equal(config.store.lease, 60_000, 'an empty variable counts as not set')
})

void test('a misspelt variable is a warning, those that Kubernetes sets are none', async (t) => {
  const env = {
    BEARER_SIDECAR_LOG_LEVL: 'debug',
    BEARER_SIDECAR_ADMIN_PORT: 'tcp://10.0.0.1:9090',
    BEARER_SIDECAR_PROXY_SERVICE_HOST: '10.0.0.1',
  }
  const { warnings } = await load(t, { files: minimal(), env: { ...env, BEARER_SIDECAR_KEY: 'a'.repeat(64) } })
  assert.deepEqual(warnings.map(formatProblem), [
    '$BEARER_SIDECAR_LOG_LEVL: is no setting and is ignored; did you mean BEARER_SIDECAR_LOG_LEVEL?',
  ])
})

void test('BEARER_SIDECAR_KEY is the encryption key where none is set', async (t) => {
  const env = { BEARER_SIDECAR_KEY: 'k'.repeat(20) }
  const unset = await load(t, { files: minimal(), env })
  assert.equal(unset.config.store.encryptionKey, 'k'.repeat(20))
  assert.equal(unset.sources.describe(['store', 'encryptionKey']), '$BEARER_SIDECAR_KEY')
  const set = await load(t, { files: minimal({ top: `store: { encryptionKey: ${'f'.repeat(20)} }` }), env })
  assert.equal(set.config.store.encryptionKey, 'f'.repeat(20))
})

void test('.env beside the config file fills in what the environment lacks, and is not read in production', async (t) => {
  const files = {
    'sub/c.yaml': minimal()
      .replace('clientId: id', 'clientId: ${CLIENT}')
      .replace('clientSecret: secret', 'clientSecret: ${SECRET}'),
    'sub/.env': 'CLIENT=from-dotenv\nSECRET="dotenv # secret"\n',
  }
  const name = 'sub/c.yaml'
  const mixed = configFiles(t, { files, name, env: { CLIENT: 'from-environment' } })
  const { config, files: watched } = await mixed.load()
  assert.equal(config.credentials['api']?.clientId, 'from-environment')
  assert.equal(config.credentials['api'].clientSecret, 'dotenv # secret')
  assert.deepEqual(watched, [join(mixed.directory, name), join(mixed.directory, 'sub/.env')])
  assert.equal(process.env['SECRET'], undefined, 'the real environment is left alone')
  const { problems } = await refusal(t, { files, name, env: { NODE_ENV: 'production' } })
  assert.deepEqual(
    problems.map(({ path }) => path),
    ['credentials.api.clientId', 'credentials.api.clientSecret'],
  )
})

void test('secrets come from files, which are named for watching and read anew at each load', async (t) => {
  const given = configFiles(t, {
    files: {
      'c.yaml': minimal({
        credential: 'refreshTokenFile: secrets/refresh\nheaders: { X-Key: "a-${file:secrets/key}-z" }',
      }),
      'secrets/refresh': 'first\n',
      'secrets/key': '\uFEFFkey\r\n',
    },
  })
  const { config, files, sources } = await given.load()
  assert.equal(config.credentials['api']?.refreshToken, 'first')
  assert.deepEqual(config.credentials['api'].headers, { 'X-Key': 'a-key-z' })
  assert.deepEqual(
    [...files].sort(),
    ['c.yaml', 'secrets/key', 'secrets/refresh'].map((path) => join(given.directory, path)),
  )
  assert.equal(sources.describe(['credentials', 'api', 'refreshToken']), 'c.yaml:8 from a file')
  writeFileSync(join(given.directory, 'secrets/refresh'), 'second\n')
  assert.equal((await given.load()).config.credentials['api']?.refreshToken, 'second')
})

void test('a refused configuration still names its files, so that a mended one is noticed', async (t) => {
  const { error } = await refusal(t, { files: minimal({ credential: 'refreshTokenFile: /nonexistent/refresh.txt' }) })
  assert.ok(error instanceof ConfigError)
  assert.ok(error.files.includes('/nonexistent/refresh.txt'))
})

void test('a file in the environment takes the place of a secret in the config file', async (t) => {
  const given = configFiles(t, {
    files: { 'c.yaml': minimal({ top: 'proxy: { callerSecret: from-config }' }), caller: 'from-file' },
    env: { BEARER_SIDECAR_PROXY_CALLER_SECRET_FILE: 'caller' },
  })
  const { config, sources } = await given.load()
  assert.equal(config.proxy.callerSecret, 'from-file')
  assert.equal(sources.describe(['proxy', 'callerSecret']), '$BEARER_SIDECAR_PROXY_CALLER_SECRET_FILE')
})

void test('texts that look like numbers stay as they are written', async (t) => {
  const { config } = await load(t, {
    files: minimal({
      credential: 'headers: { X-Version: 1.10, X-Octal: 0123, X-Flag: true }',
      route: 'rateLimit: { perSecond: "${PER_SECOND:-5}" }',
    }).replace('clientId: id', 'clientId: 1012'),
  })
  assert.equal(config.credentials['api']?.clientId, '1012')
  assert.deepEqual(config.credentials['api'].headers, { 'X-Version': '1.10', 'X-Octal': '0123', 'X-Flag': 'true' })
  assert.equal(config.routes[0]?.rateLimit?.perSecond, 5)
})

void test('an empty section, an empty text and an empty key of a list count as not set', async (t) => {
  const { config } = await load(t, {
    files: minimal({
      credential: 'headers: { X-Key: [one, "${NONE:-}"] }\nredirectUri: ${NONE:-}\nrefresh: { keepAlive: "${NONE:-}" }',
      top: 'proxy:\nadmin:\n  # listen: 1\nlog:',
    }),
  })
  assert.deepEqual(config.credentials['api']?.headers, { 'X-Key': ['one'] })
  assert.equal(config.credentials['api'].redirectUri, null)
  assert.equal(config.credentials['api'].refresh.keepAlive, null)
  assert.equal(config.log.level, 'info')
})

void test('anchors and merge keys of YAML work', async (t) => {
  const { config } = await load(t, {
    files: `version: 1
credentials:
  one: &one { tokenUrl: 'https://a.example/t', authorizationUrl: 'https://a.example/a', clientId: i, clientSecret: s }
  two: { <<: *one, clientId: other }
routes:
  - { path: /1, upstream: 'https://x.example', credential: one }
  - { path: /2, upstream: 'https://x.example', credential: two }
`,
  })
  assert.equal(config.credentials['two']?.tokenUrl, 'https://a.example/t')
  assert.equal(config.credentials['two'].clientId, 'other')
})
