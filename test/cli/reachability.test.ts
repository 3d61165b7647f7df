import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import type { TlsOptions } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { check } from '../../src/cli/check.ts'
import type { Io } from '../../src/cli/io.ts'
import * as certs from '../helpers/certs.ts'
import { Command } from '../helpers/command.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { answering, ok, rawServer, type RawServer } from '../upstream/support.ts'

interface Setting {
  readonly env?: Record<string, string>
  readonly route?: object
  readonly credential?: object
  readonly connect?: string
}

/** A configuration whose only place to reach is `upstream`: a token endpoint of the same origin is not asked again. */
function written(t: TestContext, upstream: string, { route, credential, connect = '2s' }: Setting): string {
  const directory = tempDir(t)
  const config = {
    version: 1,
    proxy: { timeouts: { connect } },
    credentials: {
      api: {
        grant: 'client_credentials',
        clientId: 'id',
        clientSecret: 'hunter2',
        headers: { 'X-Key': 'hunter2' },
        tokenUrl: 'http://127.0.0.1:1/token',
        ...credential,
      },
    },
    routes: [{ path: '/', upstream, credential: 'api', allowInsecureUpstream: true, ...route }],
    store: { type: 'memory' },
  }
  writeFileSync(join(directory, 'c.yaml'), JSON.stringify(config))
  return directory
}

/** What check --online says about the upstream; undefined = nothing. */
async function verdict(t: TestContext, upstream: string, setting: Setting = {}): Promise<string | undefined> {
  let output = ''
  const cwd = written(t, upstream, setting)
  const io: Io = {
    stdout: (text) => void (output += text),
    stderr: () => undefined,
    env: setting.env ?? {},
    cwd,
    terminal: false,
  }
  await check({ config: 'c.yaml', online: true, json: true }, io)
  assert.doesNotMatch(output, /hunter2/)
  const { problems } = JSON.parse(output) as { problems: { path: string; message: string }[] }
  return problems.find(({ path }) => path === 'routes[0].upstream')?.message
}

const secure = (t: TestContext, options: TlsOptions): Promise<RawServer> =>
  rawServer(t, (socket) => socket.on('data', () => socket.write(ok)), options)

const ca = { route: { tls: { ca: certs.ca } } }

void suite('check --online tells why an upstream cannot be reached:', () => {
  void test('its name does not resolve', async (t) => {
    assert.equal(
      await verdict(t, 'https://nowhere.invalid'),
      'nowhere.invalid cannot be reached: the host name does not resolve',
    )
  })

  void test('it refuses', async (t) => {
    assert.equal(await verdict(t, 'https://localhost:1'), 'localhost:1 cannot be reached: the connection was refused')
  })

  for (const [story, server, options, reason] of [
    [
      'nobody known signed its certificate',
      certs.localhost,
      {},
      /not accepted: its authority is not known here, .*NODE_EXTRA_CA_CERTS$/,
    ],
    ['its certificate is self-signed', certs.selfSigned, ca, /not accepted: it is self-signed; give it in tls\.ca/],
    ['its certificate is for another name', certs.wrongName, ca, /not accepted: it is for another name$/],
    [
      'it wants a certificate from us',
      { ...certs.localhost, ca: certs.ca, requestCert: true, rejectUnauthorized: true },
      ca,
      /cannot be reached: it wants a client certificate; see tls\.cert and tls\.key$/,
    ],
    [
      'it speaks an old TLS only',
      { ...certs.localhost, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      ca,
      /cannot be reached: it speaks no TLS version from 1\.2 on$/,
    ],
  ] as const) {
    void test(story, async (t) => {
      const { port, received } = await secure(t, server)
      const found = await verdict(t, `https://localhost:${port}`, options)
      assert.match(found ?? 'nothing', reason)
      assert.ok(found?.includes(`localhost:${port}`))
      assert.ok(received.every((bytes) => bytes.length === 0))
    })
  }

  void test('it speaks no TLS', async (t) => {
    const { port } = await rawServer(t, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    assert.match((await verdict(t, `https://localhost:${port}`)) ?? '', /: it does not speak TLS on this port$/)
  })

  void test('it speaks no HTTP', async (t) => {
    const { port } = await rawServer(t, (socket) => socket.write('220 mail.test ESMTP\r\n'))
    assert.match((await verdict(t, `http://localhost:${port}`)) ?? '', /: what answers there does not speak HTTP$/)
  })

  void test('it hangs up', async (t) => {
    const { port } = await rawServer(t, (socket) => socket.end())
    assert.match((await verdict(t, `http://localhost:${port}`)) ?? '', /: the connection broke off$/)
  })

  void test('it takes connections and says nothing, so that TLS never begins', async (t) => {
    const { port } = await rawServer(t, () => undefined)
    const found = await verdict(t, `https://localhost:${port}`, { connect: '200ms' })
    assert.equal(found, `localhost:${port} cannot be reached: no connection within proxy.timeouts.connect`)
  })
})

void suite('check --online and an egress proxy', () => {
  void test('are told apart from the upstream when the proxy is not there', async (t) => {
    const env = { HTTPS_PROXY: 'http://us:hunter2@127.0.0.1:1' }
    assert.equal(
      await verdict(t, 'https://api.test', { env }),
      'api.test cannot be reached: of the proxy 127.0.0.1:1 (from HTTPS_PROXY), the connection was refused',
    )
    assert.equal(
      await verdict(t, 'https://api.test', { env: { all_proxy: 'nowhere.invalid:3128' } }),
      'api.test cannot be reached: of the proxy nowhere.invalid:3128 (from all_proxy), the host name does not resolve',
    )
  })

  for (const [status, user, reason] of [
    [407, '', 'wants a user name and password (status 407)'],
    [407, 'us:hunter2@', 'does not accept the user name and password given (status 407)'],
    [403, '', 'refuses to connect to it (status 403)'],
  ] as const) {
    void test(`tell that the proxy ${reason}`, async (t) => {
      const proxy = await answering(t, `HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
      const env = { ALL_PROXY: `http://${user}127.0.0.1:${proxy.port}` }
      const expected = `api.test cannot be reached: the proxy 127.0.0.1:${proxy.port} (from ALL_PROXY) ${reason}`
      assert.equal(await verdict(t, 'https://api.test', { env }), expected)
      assert.match(proxy.received[0]?.toString() ?? '', /^CONNECT api\.test:443 /)
    })
  }

  void test('tell that the proxy wants a password when it answers in the place of an origin without TLS', async (t) => {
    const proxy = await answering(t, 'HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n')
    const env = { http_proxy: `127.0.0.1:${proxy.port}` }
    assert.match((await verdict(t, 'http://api.test', { env })) ?? '', /^api\.test .* wants a user name and password/)
    assert.match(proxy.received[0]?.toString() ?? '', /^HEAD http:\/\/api\.test\/ /)
  })

  void test('tell that the proxy speaks no HTTP', async (t) => {
    const proxy = await rawServer(t, (socket) => socket.on('data', () => socket.write('\x05\xff')))
    const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` }
    assert.match(
      (await verdict(t, 'https://api.test', { env })) ?? '',
      /through the proxy .*: the proxy does not speak HTTP$/,
    )
  })

  void test('are content with a tunnel whose end is who it should be, and sends nothing that is secret', async (t) => {
    const server = await secure(t, certs.wrongName)
    const proxy = await rawServer(t, (socket) => {
      socket.once('data', () => {
        const origin = net.connect(server.port, '127.0.0.1')
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(origin).pipe(socket)
        origin.on('error', () => socket.destroy())
        socket.on('close', () => origin.destroy())
      })
    })
    const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` }
    assert.equal(await verdict(t, 'https://wrong.example', { env, ...ca }), undefined)
    assert.match(server.received[0]?.toString() ?? '', /^HEAD \/ HTTP\/1\.1\r\nHost: wrong\.example\r\n/)
    assert.match(
      (await verdict(t, 'https://other.example', { env, ...ca })) ?? '',
      /^the certificate of other\.example, or of the proxy .*, was not accepted: it is for another name$/,
    )
  })

  void test('a socks proxy is a fault of the configuration, with 78', async (t) => {
    const directory = written(t, 'https://api.test', {})
    const command = new Command(t, directory, ['check', '--config', 'c.yaml'], {
      env: { ALL_PROXY: 'socks5://us:hunter2@127.0.0.1:1080' },
    })
    assert.equal(await command.exit, 78)
    assert.match(
      command.stderr,
      /^\$ALL_PROXY: is not the address of a proxy: .*socks5:\/\/ among them, are not understood$/m,
    )
    assert.doesNotMatch(command.output, /hunter2/)
  })
})

void suite('check --online comes to the same end as start', () => {
  async function both(t: TestContext, upstream: string, route: object, env: Record<string, string>) {
    const token = createServer((_, response) => {
      response.setHeader('content-type', 'application/json').end('{"access_token":"a","expires_in":3600}')
    })
    await new Promise<void>((resolve) => token.listen(0, '127.0.0.1', resolve))
    t.after(() => token.close())
    const tokenUrl = `http://127.0.0.1:${(token.address() as net.AddressInfo).port}/token`
    const directory = written(t, upstream, { route, credential: { tokenUrl } })
    const flags = ['--config', 'c.yaml']
    const sidecar = new Command(
      t,
      directory,
      ['start', ...flags, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'],
      { env: { ...env, BEARER_SIDECAR_LOG_FORMAT: 'json' } },
    )
    const { status } = await fetch(await sidecar.url())
    sidecar.child.kill('SIGTERM')
    return {
      start: status === 200,
      check: (await new Command(t, directory, ['check', '--online', ...flags], { env }).exit) === 0,
    }
  }

  const extra = fileURLToPath(new URL('../helpers/certs/ca.cert.pem', import.meta.url))
  for (const [story, route, env, expected] of [
    ['NODE_TLS_REJECT_UNAUTHORIZED=0', {}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, false],
    ['NODE_EXTRA_CA_CERTS', {}, { NODE_EXTRA_CA_CERTS: extra }, true],
    [
      'NODE_EXTRA_CA_CERTS beside another tls.ca',
      { tls: { ca: certs.selfSigned.cert } },
      { NODE_EXTRA_CA_CERTS: extra },
      true,
    ],
    ['another tls.ca alone', { tls: { ca: certs.selfSigned.cert } }, {}, false],
    [
      'an ALL_PROXY that leads nowhere, on this machine',
      { tls: { ca: certs.ca } },
      { ALL_PROXY: 'http://127.0.0.1:1' },
      true,
    ],
  ] as const) {
    void test(`with ${story}`, async (t) => {
      const { port } = await secure(t, certs.localhost)
      assert.deepEqual(await both(t, `https://localhost:${port}`, route, env), { start: expected, check: expected })
    })
  }
})
