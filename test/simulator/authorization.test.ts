import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { answerOf, basic, refresh, refusal, simulated, tokenCall } from './client.ts'

const redirectUri = 'http://localhost:9090/callback'
const verifier = 'a-verifier-of-at-least-forty-three-characters-0123456789'
const challenge = createHash('sha256').update(verifier).digest('base64url')
const pkce = { code_challenge: challenge, code_challenge_method: 'S256' }

function authorize(simulator: Simulator, params: Record<string, string> = {}, init: RequestInit = {}) {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: simulator.settings.clientId,
    redirect_uri: redirectUri,
    state: 'state-1',
    ...params,
  })
  return fetch(`${simulator.authorizationUrl ?? ''}?${query.toString()}`, { redirect: 'manual', ...init })
}

async function arrivedWith(response: Response | Promise<Response>): Promise<Record<string, string>> {
  const awaited = await response
  assert.equal(awaited.status, 302)
  const url = new URL(awaited.headers.get('location') ?? '')
  assert.equal(`${url.origin}${url.pathname}`, redirectUri)
  return Object.fromEntries(url.searchParams)
}

async function login(simulator: Simulator, params: Record<string, string> = {}): Promise<string> {
  return (await arrivedWith(authorize(simulator, { auto: '1', ...params }))).code ?? ''
}

const exchange = (simulator: Simulator, code: string, params: Record<string, string> = {}) =>
  tokenCall(simulator, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...params })

const dead = [400, 'invalid_grant']

test('a person says yes on the page, and the code buys tokens once', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const page = await authorize(simulator, { state: '"><script>' })
  assert.equal(page.status, 200)
  const html = await page.text()
  assert.match(html, /<form method="post">/)
  assert.equal(html.includes('<script'), false)
  const answer = await arrivedWith(
    authorize(simulator, pkce, { method: 'POST', body: new URLSearchParams({ decision: 'allow' }) }),
  )
  assert.deepEqual(Object.keys(answer).sort(), ['code', 'state'])
  assert.equal(answer.state, 'state-1')
  const tokens = await answerOf(exchange(simulator, answer.code ?? '', { code_verifier: verifier }))
  assert.equal((await refresh(simulator, tokens.refresh_token)).status, 200)
})

test('a code that comes twice ends what it bought', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const code = await login(simulator)
  const { refresh_token } = await answerOf(exchange(simulator, code))
  assert.deepEqual(await refusal(exchange(simulator, code)), dead)
  assert.deepEqual(await refusal(refresh(simulator, refresh_token)), dead)
})

test('a code lives five minutes, at HighQ thirty', async (t) => {
  for (const [provider, life] of [
    ['generic', 300_000],
    ['highq', 1_800_000],
  ] as const) {
    const { simulator, pass } = await simulated(t, { provider, tokenFormat: 'json' })
    const client = { client_id: simulator.settings.clientId, client_secret: simulator.settings.clientSecret }
    const buy = (code: string) =>
      tokenCall(
        simulator,
        {
          grant_type: 'authorization_code',
          code,
          ...client,
          ...(provider === 'generic' && { redirect_uri: redirectUri }),
        },
        {},
      )
    const [early, late] = [await login(simulator), await login(simulator)]
    pass(life - 1)
    assert.equal((await buy(early)).status, 200)
    pass(1)
    assert.deepEqual(await refusal(buy(late)), dead)
  }
})

test('the redirect URI must be the registered one, and the same again at the exchange', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', redirectUris: [redirectUri] })
  for (const wrong of [`${redirectUri}/`, 'http://localhost:9090/CALLBACK', 'https://attacker.example/', '']) {
    const response = await authorize(simulator, { auto: '1', redirect_uri: wrong })
    assert.equal(response.status, 400, wrong)
    assert.equal(response.headers.has('location'), false)
  }
  const code = await login(simulator)
  assert.deepEqual(await refusal(exchange(simulator, code, { redirect_uri: `${redirectUri}/` })), dead)
})

test('without a list of registered URIs only loopback ones are taken', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const status = async (uri: string) => (await authorize(simulator, { auto: '1', redirect_uri: uri })).status
  for (const good of ['http://127.0.0.1:1/x', 'http://localhost/', 'https://localhost/', 'http://[::1]:5/cb']) {
    assert.equal(await status(good), 302, good)
  }
  for (const bad of [
    'https://example.org/',
    'http://localhost.example.org/',
    'javascript:alert(1)',
    'http://localhost@a.b/',
  ]) {
    assert.equal(await status(bad), 400, bad)
  }
})

test('an unknown client ends on a page', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const response = await authorize(simulator, { auto: '1', client_id: 'someone' })
  assert.equal(response.status, 400)
})

test('PKCE: the verifier must fit, must come, and must not come without a challenge', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  assert.deepEqual(await refusal(exchange(simulator, await login(simulator, pkce))), dead)
  const other = { code_verifier: `${verifier}x` }
  assert.deepEqual(await refusal(exchange(simulator, await login(simulator, pkce), other)), dead)
  const unasked = { code_verifier: verifier }
  assert.deepEqual(await refusal(exchange(simulator, await login(simulator), unasked)), dead)
  const plain = { code_challenge: verifier, code_challenge_method: 'plain' }
  assert.equal((await arrivedWith(authorize(simulator, { auto: '1', ...plain }))).error, 'invalid_request')
  assert.equal((await exchange(simulator, await login(simulator, pkce), unasked)).status, 200)
})

test('PKCE can be demanded', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', requirePkce: true, autoConsent: true })
  assert.equal((await arrivedWith(authorize(simulator))).error, 'invalid_request')
  assert.ok((await arrivedWith(authorize(simulator, pkce))).code)
})

test('a client without a secret needs PKCE and, at SKY, gets no refresh token', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const buy = (code: string, params: Record<string, string>) =>
    tokenCall(
      simulator,
      {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        client_id: simulator.settings.clientId,
        ...params,
      },
      {},
    )
  assert.deepEqual(await refusal(buy(await login(simulator), {})), dead)
  const response = await buy(await login(simulator, pkce), { code_verifier: verifier })
  assert.equal(response.status, 200)
  assert.equal('refresh_token' in (await answerOf(response)), false)
})

test('without offline_access Constant Contact gives no refresh token and no error', async (t) => {
  const { simulator } = await simulated(t, { provider: 'constant-contact' })
  const tokensFor = async (scope: string) => answerOf(exchange(simulator, await login(simulator, { scope })))
  assert.equal('refresh_token' in (await tokensFor('contact_data')), false)
  assert.equal('refresh_token' in (await tokensFor('contact_data offline_access')), true)
})

test('generic names itself in the answer, and the faults spoil state, iss and consent', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', autoConsent: true })
  assert.equal((await arrivedWith(authorize(simulator))).iss, simulator.url)
  simulator.inject('authorize-wrong-iss@1')
  assert.equal((await arrivedWith(authorize(simulator))).iss, 'https://attacker.example')
  simulator.inject('authorize-wrong-state@1')
  assert.notEqual((await arrivedWith(authorize(simulator))).state, 'state-1')
  simulator.inject('authorize-denied@1')
  assert.deepEqual(await arrivedWith(authorize(simulator)), {
    error: 'access_denied',
    state: 'state-1',
    iss: simulator.url,
  })
  simulator.inject('authorize-error=temporarily_unavailable@1')
  assert.equal((await arrivedWith(authorize(simulator))).error, 'temporarily_unavailable')
  assert.equal((await arrivedWith(authorize(simulator, { deny: '1', auto: '1' }))).error, 'access_denied')
  assert.ok((await arrivedWith(authorize(simulator))).code)
})

test('a Basic client and a code of its own are needed', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  assert.deepEqual(await refusal(exchange(simulator, 'made-up')), dead)
  const headers = { authorization: basic(simulator, false) }
  const params = { grant_type: 'authorization_code', code: await login(simulator), redirect_uri: redirectUri }
  assert.deepEqual(await refusal(tokenCall(simulator, params, headers)), [401, 'invalid_client'])
})
