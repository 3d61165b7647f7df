import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { check } from '../../src/cli/check.ts'
import { printConfig, printSchema } from '../../src/cli/config.ts'
import type { Io } from '../../src/cli/io.ts'
import { providersCommand } from '../../src/cli/providers.ts'
import { presets } from '../../src/providers/presets.ts'
import { configFiles, minimal } from './config-file.ts'

function capture(cwd = '/', env: Readonly<Record<string, string>> = {}) {
  const output = { stdout: '', stderr: '' }
  const io: Io = {
    stdout: (text) => void (output.stdout += text),
    stderr: (text) => void (output.stderr += text),
    env,
    cwd,
    terminal: false,
  }
  return { io, output }
}

async function server(t: TestContext): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = []
  const http = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''} ${String(request.headers.authorization)}`)
    response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => http.close(resolve)))
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, requests }
}

void suite('check', () => {
  void test('says ok with warnings aside, and 78 with every problem', async (t) => {
    const good = configFiles(t, { files: minimal() })
    const { io, output } = capture(good.directory)
    assert.equal(await check({ config: 'c.yaml' }, io), 0)
    assert.match(output.stdout, /c\.yaml: ok \(1 credential, 1 route\)\n$/)
    assert.match(output.stderr, /^c\.yaml:1:1 store\.encryptionKey: warning: /)
    const bad = configFiles(t, { files: minimal({ top: 'lgo: {}\nstor: {}' }) })
    const second = capture(bad.directory)
    assert.equal(await check({ config: 'c.yaml' }, second.io), 78)
    assert.equal(second.output.stdout, '')
    assert.deepEqual(second.output.stderr.split('\n').slice(0, 2), [
      'c.yaml:14:1 lgo: unknown key; did you mean log?',
      'c.yaml:15:1 stor: unknown key; did you mean store?',
    ])
  })

  void test('--json gives { ok, problems } with places', async (t) => {
    const { directory } = configFiles(t, { files: minimal({ top: 'lgo: {}' }) })
    const { io, output } = capture(directory)
    assert.equal(await check({ config: 'c.yaml', json: true }, io), 78)
    const result = JSON.parse(output.stdout) as { ok: boolean; problems: unknown[] }
    assert.equal(result.ok, false)
    assert.deepEqual(result.problems, [
      { path: 'lgo', message: 'unknown key; did you mean log?', file: 'c.yaml', line: 14, column: 1 },
    ])
    assert.equal(output.stderr, '')
  })

  void test('--online asks each origin once, without a token', async (t) => {
    const { url, requests } = await server(t)
    const files = minimal({ route: 'headers: { X-Key: k }' })
      .replace('https://api.example.com', url)
      .replace('https://auth.example.com/token', `${url}/token`)
    const { directory } = configFiles(t, { files })
    const { io, output } = capture(directory)
    assert.equal(await check({ config: 'c.yaml', online: true }, io), 0, output.stderr)
    assert.deepEqual(requests, ['HEAD / undefined'])
    assert.match(output.stdout, /can be reached/)
  })

  void test('--online tells what cannot be reached and what is wrong with the store, and exits with 1', async (t) => {
    const { url } = await server(t)
    const files = minimal()
      .replace('https://api.example.com', url.replace('http:', 'https:'))
      .replace('https://auth.example.com/token', 'http://127.0.0.1:1/token')
    const { directory } = configFiles(t, { files })
    const { io, output } = capture(directory)
    const code = await check({ config: 'c.yaml', online: true }, io, () =>
      Promise.reject(new Error('the folder cannot be written')),
    )
    assert.equal(code, 1)
    assert.match(
      output.stderr,
      /^c\.yaml:11:15 routes\[0\]\.upstream: 127\.0\.0\.1:\d+ cannot be reached: it does not speak TLS on this port$/m,
    )
    assert.match(
      output.stderr,
      /^c\.yaml:4:15 credentials\.api\.tokenUrl: 127\.0\.0\.1:1 cannot be reached: the connection was refused$/m,
    )
    assert.match(output.stderr, /^c\.yaml:1:1 store: the folder cannot be written$/m)
  })
})

void suite('config', () => {
  void test('print gives YAML that holds what is in force, and where from', async (t) => {
    const { directory } = configFiles(t, { files: minimal({ credential: 'refresh: { early: 90s }' }) })
    const { io, output } = capture(directory, { BEARER_SIDECAR_LOG_LEVEL: 'warn' })
    assert.equal(await printConfig({ config: 'c.yaml' }, io), 0)
    assert.match(output.stdout, /^ {2}level: warn # \$BEARER_SIDECAR_LOG_LEVEL$/m)
    assert.match(output.stdout, /^ {6}early: 90s # c\.yaml:8$/m)
    assert.match(output.stdout, /^ {4}rateLimit: null # default$/m)
    const document = parse(output.stdout) as Record<string, Record<string, unknown>>
    assert.deepEqual(document['notify']?.['refreshTokenWarnings'], ['30d', '14d', '7d', '1d'])
    assert.equal(document['proxy']?.['shutdownGrace'], '25s')
  })

  void test('print --json gives the same for programs', async (t) => {
    const { directory } = configFiles(t, { files: minimal() })
    const { io, output } = capture(directory)
    await printConfig({ config: 'c.yaml', json: true }, io)
    const { sources } = JSON.parse(output.stdout) as { sources: Record<string, string> }
    assert.equal(sources['credentials.api.clientId'], 'c.yaml:6')
    assert.equal(sources['routes[0].replayBody'], 'default')
  })

  void test('schema prints a JSON Schema', () => {
    const { io, output } = capture()
    assert.equal(printSchema(io), 0)
    assert.equal((JSON.parse(output.stdout) as Record<string, unknown>)['title'], 'bearer-sidecar configuration')
  })
})

void suite('providers', () => {
  void test('lists every preset', () => {
    const { io, output } = capture()
    assert.equal(providersCommand(undefined, {}, io), 0)
    for (const { name, title } of presets)
      assert.match(output.stdout, new RegExp(`^${name} +${title.replace(/[()]/g, '\\$&')}`, 'm'))
  })

  void test('shows URLs, settings and every default of one', () => {
    const { io, output } = capture()
    assert.equal(providersCommand('highq', {}, io), 0)
    assert.match(output.stdout, /tokenUrl: https:\/\/\{host\}\/\{instance\}\/api\/oauth2\/token/)
    assert.match(output.stdout, /^ {2}host {2}.*required/m)
    assert.match(output.stdout, /when: expired-or-once/)
    assert.match(output.stdout, /^documentation {2}https:\/\//m)
  })

  void test('--json holds the same, and a wrong name is a usage error with a suggestion', () => {
    const { io, output } = capture()
    assert.equal(providersCommand('xero', { json: true }, io), 0)
    assert.equal((JSON.parse(output.stdout) as Record<string, unknown>)['name'], 'xero')
    assert.equal(providersCommand('blackbaud', {}, io), 2)
    assert.match(output.stderr, /did you mean blackbaud-sky\?/)
  })
})
