import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '../../src/clock.ts'
import { ProxyError } from '../../src/errors.ts'
import type { TokenOutcome } from '../../src/oauth/token-answer.ts'
import { TokenEndpoint } from '../../src/oauth/token-endpoint.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { RenewalDeclined, type TokenSource } from '../../src/tokens/token-source.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { ca, localhost, selfSigned } from '../helpers/certs.ts'
import { TokenServer } from '../helpers/token-server.ts'

const refresh = { type: 'refresh_token', refreshToken: 'refresh-of-the-test', preserve: false } as const

function ask(fields: Record<string, unknown>, authorizer?: TokenSource): Promise<TokenOutcome> {
  return new TokenEndpoint(credentialConfig(fields), systemClock, authorizer).request(refresh)
}

async function listen(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
}

function transient(outcome: TokenOutcome) {
  assert.equal(outcome.kind, 'transient')
  return outcome
}

describe('the token endpoint', () => {
  it('gets exactly one POST per request, on a connection of its own', async (t) => {
    const sockets = new Set<unknown>()
    let requests = 0
    const url = await listen(t, (request, response) => {
      requests++
      sockets.add(request.socket)
      assert.equal(request.method, 'POST')
      response.end('{"access_token":"access-1"}')
    })
    for (let turn = 0; turn < 3; turn++) assert.equal((await ask({ tokenUrl: url })).kind, 'success')
    assert.equal(requests, 3)
    assert.equal(sockets.size, 3)
  })

  for (const [coding, encode] of [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const) {
    it(`reads an answer in ${coding}, although it asked for none: a rotated token may be in it`, async (t) => {
      const url = await listen(t, (_request, response) => {
        response.setHeader('content-encoding', coding)
        response.end(encode('{"access_token":"access-1"}'))
      })
      assert.equal((await ask({ tokenUrl: url })).kind, 'success')
    })
  }

  for (const [what, answer] of [
    ['401', { status: 401, body: '{"error":"invalid_client"}' }],
    ['500', { status: 500 }],
    ['503 with Retry-After: 0', { status: 503, headers: { 'retry-after': '0' } }],
    ['a reset', { reset: true }],
    ['HTML', { body: '<html>' }],
  ] as const) {
    it(`is not asked again after ${what}: a second try would present the token twice`, async (t) => {
      const server = await TokenServer.start(t)
      server.failNext(answer)
      assert.notEqual((await ask({ tokenUrl: server.url })).kind, 'success')
      assert.equal(server.calls, 1)
    })
  }

  it('is not followed to another address', async (t) => {
    let elsewhere = 0
    const other = await listen(t, (_, response) => {
      elsewhere++
      response.end('{"access_token":"access-of-a-thief"}')
    })
    for (const status of [301, 302, 303, 307, 308]) {
      const url = await listen(t, (_, response) => response.writeHead(status, { location: other }).end())
      assert.match(transient(await ask({ tokenUrl: url })).message, /redirect/)
    }
    assert.equal(elsewhere, 0)
  })

  it('may answer at most 64 KiB: the rest is not even read', async (t) => {
    let written = 0
    let closed: () => void = () => undefined
    const gone = new Promise<void>((resolve) => (closed = resolve))
    const url = await listen(t, (_, response) => {
      const chunk = Buffer.alloc(16 * 1024, 'x')
      const write = () => {
        while (written < 50 * 2 ** 20) {
          written += chunk.length
          if (!response.write(chunk)) {
            response.once('drain', write)
            return
          }
        }
      }
      response.on('close', () => closed())
      write()
    })
    assert.match(transient(await ask({ tokenUrl: url })).message, /64 KiB/)
    await gone
    assert.ok(written < 20 * 2 ** 20, `${written} bytes were taken`)
  })

  it('has refresh.timeout to answer, head and body', async (t) => {
    const silent = await listen(t, () => undefined)
    const slow = await listen(t, (_, response) => void response.write('{"access_token":'))
    for (const tokenUrl of [silent, slow]) {
      const outcome = transient(await ask({ tokenUrl, refresh: { timeout: '80ms' } }))
      assert.equal(outcome.sent, true, 'it may have been spent')
      assert.match(outcome.message, /did not answer within 0\.08 s/)
    }
  })

  it('has surely not spent a token when nothing listens there, or no name resolves', async (t) => {
    const server = await TokenServer.start(t)
    const { url } = server
    await server.close()
    for (const tokenUrl of [url, 'http://no-such-host.invalid/token']) {
      assert.equal(transient(await ask({ tokenUrl })).sent, false)
    }
  })

  it('may have spent it when the connection broke', async (t) => {
    const server = await TokenServer.start(t)
    server.failNext({ reset: true })
    assert.equal(transient(await ask({ tokenUrl: server.url })).sent, true)
    const cut = await listen(t, (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"access_token":"acc')
      setImmediate(() => response.destroy())
    })
    assert.equal(transient(await ask({ tokenUrl: cut })).sent, true)
  })

  it('is only spoken to behind a certificate that holds', async (t) => {
    const server = createTlsServer(localhost, (_, response) => void response.end('{"access_token":"access-1"}'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const tokenUrl = `https://localhost:${(server.address() as AddressInfo).port}/token`
    const refused = transient(await ask({ tokenUrl }))
    assert.equal(refused.sent, false)
    assert.match(refused.message, /certificate/)
    assert.equal((await ask({ tokenUrl, tls: { ca } })).kind, 'success')
  })

  it('may also show one of an authority that NODE_EXTRA_CA_CERTS names, beside tls.ca', async (t) => {
    const server = createTlsServer(localhost, (_, response) => void response.end('{"access_token":"access-1"}'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const tokenUrl = `https://localhost:${(server.address() as AddressInfo).port}/token`
    const load = (path: string) => `await import(${JSON.stringify(new URL(path, import.meta.url).href)})`
    // Node reads the variable once, at its start.
    const script = `
      const { TokenEndpoint } = ${load('../../src/oauth/token-endpoint.ts')}
      const { systemClock } = ${load('../../src/clock.ts')}
      const { credentialConfig } = ${load('../helpers/credential-config.ts')}
      const config = credentialConfig(${JSON.stringify({ tokenUrl, tls: { ca: selfSigned.cert } })})
      const outcome = await new TokenEndpoint(config, systemClock).request({ type: 'client_credentials' })
      process.stdout.write(outcome.kind)`
    const env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: fileURLToPath(new URL('../helpers/certs/ca.cert.pem', import.meta.url)),
    }
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
    assert.equal(stdout, 'success')
  })

  it('repeats no secret in what it says of a refusal', async (t) => {
    const url = await listen(t, (request, response) => {
      request.setEncoding('utf8').on('data', (body: string) => {
        const words = `${body} ${request.headers.authorization ?? ''} client-secret-1 refresh-of-the-test`
        response.writeHead(400).end(JSON.stringify({ error: 'invalid_grant', error_description: words }))
      })
    })
    const outcome = await ask({ tokenUrl: url })
    assert.equal(outcome.kind, 'fatal')
    const basic = Buffer.from('client-1:client-secret-1').toString('base64')
    for (const secret of ['refresh-of-the-test', 'client-secret-1', basic]) assert.ok(!outcome.message.includes(secret))
  })
})

describe("a token endpoint that another credential's token authorises", () => {
  const set = (accessToken: string) =>
    new TokenSet({
      accessToken,
      refreshToken: undefined,
      issuedAt: 0,
      expiresAt: undefined,
      refreshIssuedAt: undefined,
      refreshExpiresAt: undefined,
      scope: undefined,
    })

  /** A partner that gives these tokens one after the other. */
  function partner(...tokens: string[]) {
    const calls: string[] = []
    const source: TokenSource = {
      credential: 'partner',
      token: () => {
        const token = tokens[0]
        if (token === undefined)
          throw new ProxyError('login_required', { detail: 'No token for credential partner yet.' })
        return set(token)
      },
      renew: (rejected) => {
        calls.push(`renew ${rejected.accessToken}`)
        const next = tokens[tokens.indexOf(rejected.accessToken) + 1]
        if (next === undefined) throw new RenewalDeclined('cooldown')
        return set(next)
      },
      distrust: (renewed) => void calls.push(`distrust ${renewed.accessToken}`),
    }
    return { source, calls }
  }

  async function start(t: TestContext, accepted: string) {
    const bearers: string[] = []
    const tokenUrl = await listen(t, (request, response) => {
      const { authorization = '' } = request.headers
      bearers.push(authorization)
      if (authorization === `Bearer ${accepted}`) response.end('{"access_token":"access-1"}')
      else response.writeHead(401).end('{"error":"invalid_token"}')
    })
    return { bearers, config: { tokenUrl, clientAuthentication: 'credential:partner' } }
  }

  it('gets that token', async (t) => {
    const { bearers, config } = await start(t, 'p-1')
    assert.equal((await ask(config, partner('p-1').source)).kind, 'success')
    assert.deepEqual(bearers, ['Bearer p-1'])
  })

  it('is asked once more with a renewed one when it refused that token', async (t) => {
    const { bearers, config } = await start(t, 'p-2')
    const { source, calls } = partner('p-1', 'p-2')
    assert.equal((await ask(config, source)).kind, 'success')
    assert.deepEqual(bearers, ['Bearer p-1', 'Bearer p-2'])
    assert.deepEqual(calls, ['renew p-1'])
  })

  it('is not asked a third time: the renewed token is distrusted, and ours counts as not spent', async (t) => {
    const { bearers, config } = await start(t, 'p-3')
    const { source, calls } = partner('p-1', 'p-2', 'p-3')
    const outcome = transient(await ask(config, source))
    assert.equal(outcome.sent, false)
    assert.match(outcome.message, /token of partner/)
    assert.equal(bearers.length, 2)
    assert.deepEqual(calls, ['renew p-1', 'distrust p-2'])
  })

  it('is not asked again when the other token cannot be renewed', async (t) => {
    const { bearers, config } = await start(t, 'p-2')
    assert.equal(transient(await ask(config, partner('p-1').source)).sent, false)
    assert.equal(bearers.length, 1)
  })

  it('is not asked at all while there is no such token, and says whose it is', async (t) => {
    const { bearers, config } = await start(t, 'p-1')
    const outcome = transient(await ask(config, partner().source))
    assert.equal(outcome.sent, false)
    assert.equal(outcome.blockedBy?.code, 'login_required')
    assert.match(outcome.message, /partner/)
    assert.deepEqual(bearers, [])
  })
})
