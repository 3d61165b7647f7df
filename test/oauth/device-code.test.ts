import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { deviceAuthorization, pollDeviceCode, type DeviceAuthorization } from '../../src/oauth/device-code.ts'
import type { TokenOutcome } from '../../src/oauth/token-answer.ts'
import { LoginError } from '../../src/tokens/credentials.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { settle, TestClock } from '../helpers/clock.ts'
import { credentialConfig } from '../helpers/credential-config.ts'

const device: DeviceAuthorization = {
  deviceCode: 'device-1',
  userCode: 'ABCD',
  verificationUri: 'https://provider.example/device',
  verificationUriComplete: undefined,
  expiresIn: 600_000,
  interval: 5_000,
}

const tokens = new TokenSet({
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  issuedAt: 0,
  expiresAt: undefined,
  refreshIssuedAt: 0,
  refreshExpiresAt: undefined,
  scope: undefined,
})

const passing = (error?: string, retryAfter?: number): TokenOutcome => ({
  kind: 'transient',
  sent: true,
  message: 'no',
  ...(error !== undefined && { error }),
  ...(retryAfter !== undefined && { retryAfter }),
})
const pending = passing('authorization_pending')

/** Polls against answers in turn, the last one for good; gives the times of the polls in seconds and what came of it. */
async function poll(answers: readonly TokenOutcome[], signal?: AbortSignal) {
  const clock = new TestClock()
  const began = clock.monotonic()
  const times: number[] = []
  const progress = { over: false }
  const result = pollDeviceCode(
    device,
    (grant) => {
      assert.deepEqual(grant, { type: 'device_code', deviceCode: 'device-1' })
      times.push((clock.monotonic() - began) / 1000)
      return Promise.resolve(answers[Math.min(times.length, answers.length) - 1] ?? pending)
    },
    clock,
    signal,
  )
    .catch((error: unknown) => error)
    .finally(() => (progress.over = true))
  for (let second = 0; second < 700 && !progress.over; second++) {
    await clock.advance(1000)
    await settle(1)
  }
  return { times, result: await result }
}

describe('polling for a device login (RFC 8628 section 3.5)', () => {
  it('asks in the given interval until the person has decided', async () => {
    const { times, result } = await poll([pending, pending, { kind: 'success', tokens }])
    assert.deepEqual(times, [5, 10, 15])
    assert.equal(result, tokens)
  })

  it('asks five seconds slower, for good, after slow_down', async () => {
    const { times } = await poll([passing('slow_down'), pending, passing('slow_down'), { kind: 'success', tokens }])
    assert.deepEqual(times, [5, 15, 25, 40])
  })

  it('doubles the interval while the connection fails, up to a minute', async () => {
    const { times } = await poll([passing(), passing(), passing(), passing(), passing(), { kind: 'success', tokens }])
    assert.deepEqual(times, [5, 15, 35, 75, 135, 195])
  })

  it('honours Retry-After once', async () => {
    const { times } = await poll([passing('authorization_pending', 30_000), pending, { kind: 'success', tokens }])
    assert.deepEqual(times, [5, 35, 40])
  })

  it('keeps a refresh token that came alone', async () => {
    const { result } = await poll([{ kind: 'refresh-token-only', refreshToken: 'refresh-2', message: '' }])
    assert.ok(result instanceof TokenSet)
    assert.equal(result.refreshToken, 'refresh-2')
  })

  for (const [outcome, words] of [
    [passing('access_denied'), /access was denied/],
    [passing('expired_token'), /before the device code expired/],
    [{ kind: 'fatal', error: 'invalid_client', message: 'no' }, /invalid_client/],
  ] as const) {
    it(`ends with a LoginError that says ${words.source}`, async () => {
      const { result, times } = await poll([pending, outcome])
      assert.ok(result instanceof LoginError)
      assert.match(result.message, words)
      assert.equal(times.length, 2)
    })
  }

  it('ends when the device code has expired, and asks no more after that', async () => {
    const { result, times } = await poll([pending])
    assert.ok(result instanceof LoginError)
    assert.ok((times.at(-1) ?? 0) < 600)
  })

  it('ends at once when the person gives up', async () => {
    const controller = new AbortController()
    const polling = poll([pending], controller.signal)
    controller.abort(new Error('interrupted'))
    const { result, times } = await polling
    assert.ok(result instanceof Error)
    assert.equal(result.message, 'interrupted')
    assert.deepEqual(times, [])
  })
})

describe('asking for a device code', () => {
  async function ask(t: TestContext, answer: string) {
    const bodies: string[] = []
    const server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => bodies.push(text))
      request.on('end', () => response.end(answer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const deviceAuthorizationUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/device`
    const config = credentialConfig({ deviceAuthorizationUrl, clientAuthentication: 'none', scopes: ['a', 'b'] })
    const result = await deviceAuthorization(config).catch((error: unknown) => error)
    return { result, form: Object.fromEntries(new URLSearchParams(bodies.join(''))) }
  }

  it('sends client and scopes, and reads what the person needs', async (t) => {
    const { result, form } = await ask(
      t,
      '{"device_code":"d","user_code":"U-1","verification_uri":"https://x.example/d","expires_in":900,"interval":"10"}',
    )
    assert.deepEqual(form, { client_id: 'client-1', scope: 'a b' })
    assert.deepEqual(result, {
      deviceCode: 'd',
      userCode: 'U-1',
      verificationUri: 'https://x.example/d',
      verificationUriComplete: undefined,
      expiresIn: 900_000,
      interval: 10_000,
    })
  })

  it('fills in what the answer leaves out, and bounds what it says', async (t) => {
    const short = await ask(t, '{"device_code":"d","user_code":"U","verification_url":"https://x.example/d"}')
    assert.deepEqual(short.result, {
      deviceCode: 'd',
      userCode: 'U',
      verificationUri: 'https://x.example/d',
      verificationUriComplete: undefined,
      expiresIn: 600_000,
      interval: 5_000,
    })
    const long = await ask(t, '{"device_code":"d","user_code":"U","verification_uri":"u","interval":1e9}')
    assert.equal((long.result as DeviceAuthorization).interval, 60_000)
  })

  it('tells what to check when there is none', async (t) => {
    for (const answer of ['', '<html>', '{"error":"invalid_client"}', '{"device_code":1}']) {
      const { result } = await ask(t, answer)
      assert.ok(result instanceof LoginError)
      assert.match(result.message, /check clientId and deviceAuthorizationUrl/)
    }
  })

  it('names no address when nothing answers', async () => {
    const config = credentialConfig({ deviceAuthorizationUrl: 'http://127.0.0.1:1/device' })
    await assert.rejects(deviceAuthorization(config), (error) => {
      assert.ok(error instanceof LoginError)
      assert.doesNotMatch(error.message, /127\.0\.0\.1/)
      return true
    })
    await assert.rejects(deviceAuthorization(credentialConfig()), LoginError)
  })
})
