import assert from 'node:assert/strict'
import test from 'node:test'
import { ProxyError } from '../../src/errors.ts'
import { LoginError } from '../../src/tokens/credentials.ts'
import { StoreError } from '../../src/stores/token-store.ts'
import { call, FakeCredentials, minutes, perSubject, startAdmin, working, type Answer } from './fixture.ts'

const json = { 'content-type': 'application/json' }

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.body)
  assert.equal(answer.headers['content-type'], 'application/problem+json')
  assert.equal(answer.headers['bearer-sidecar-error'], code)
  const { requestId, ...problem } = answer.json()
  assert.match(String(requestId), /^[0-9a-f-]{36}$/)
  assert.equal(problem.type, `urn:bearer-sidecar:error:${code}`)
  assert.equal(problem.status, status)
  assert.equal(problem.code, code)
  assert.ok(problem.title && problem.detail)
}

test("refresh answers with the credential's status", async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials, { info: () => perSubject })
  const answer = await call(`${url}/credentials/sky/refresh?subject=tenant%207`, { method: 'POST' })
  assert.equal(answer.status, 200)
  assert.equal(answer.json().state, 'active')
  assert.equal(answer.json().subject, 'tenant 7')
  assert.deepEqual(answer.json().history, [{ at: minutes(-8), reason: 'expiry', outcome: 'success' }])
  assert.deepEqual(credentials.calls, [['refresh', 'sky', 'tenant 7']])
})

test('refresh takes an empty body of any announced type that clients send with every POST', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials)
  const answer = await call(`${url}/credentials/sky/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(answer.status, 200)
  const put = { method: 'PUT', headers: { 'content-type': 'application/json' } }
  assert.equal((await call(`${url}/credentials/sky/token`, put)).status, 400)
})

for (const code of [
  'reauthorization_required',
  'login_required',
  'token_endpoint_unavailable',
  'store_unavailable',
] as const) {
  test(`refresh answers 502 with the reason when no usable token came: ${code}`, async (t) => {
    const credentials = new FakeCredentials(working())
    credentials.failure = new ProxyError(code, { detail: 'Run: bearer-sidecar login sky', retryAfter: 30 })
    const { url } = await startAdmin(t, credentials)
    const answer = await call(`${url}/credentials/sky/refresh`, { method: 'POST' })
    assertProblem(answer, 502, code)
    assert.equal(answer.json().detail, 'Run: bearer-sidecar login sky')
    assert.equal(answer.headers['retry-after'], '30')
  })
}

test('a form without JavaScript goes back to the credential on the page, success or not', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials)
  const form = {
    method: 'POST',
    headers: { accept: 'text/html,*/*;q=0.8', 'content-type': 'application/x-www-form-urlencoded' },
    body: '',
  }
  for (const failure of [undefined, new ProxyError('token_endpoint_unavailable')]) {
    credentials.failure = failure
    const answer = await call(`${url}/credentials/sky/refresh`, form)
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.location, '/#credential-sky')
  }
})

test('a token response is imported as it came', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials, { info: () => perSubject })
  const document = { accessToken: 'a', refreshToken: 'r', expiresAt: 1767229200 }
  const answer = await call(`${url}/credentials/sky/token?subject=t7`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(document),
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.json().name, 'sky')
  assert.deepEqual(credentials.calls, [['adopt', 'sky', 't7', document]])
})

test('no answer repeats a token', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url, logged } = await startAdmin(t, credentials)
  const body = '{"refresh_token":"very-secret-refresh-token"'
  for (const sent of [`${body}}`, body, `[${body}}]`]) {
    const answer = await call(`${url}/credentials/sky/token`, { method: 'PUT', headers: json, body: sent })
    assert.doesNotMatch(answer.body + JSON.stringify(answer.headers) + logged.join(), /very-secret/)
  }
})

for (const body of ['', 'refresh', '{"a":', '[]', '"bare"', 'null', '7']) {
  test(`the document ${JSON.stringify(body)} is refused`, async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const answer = await call(`${url}/credentials/sky/token`, { method: 'PUT', headers: json, body })
    assertProblem(answer, 400, 'bad_document')
    assert.deepEqual(credentials.calls, [])
  })
}

test('a document without a token in it is what adopt says it is', async (t) => {
  const credentials = new FakeCredentials(working())
  credentials.failure = new LoginError('The document holds no usable token.')
  const { url } = await startAdmin(t, credentials)
  assertProblem(
    await call(`${url}/credentials/sky/token`, { method: 'PUT', headers: json, body: '{}' }),
    400,
    'bad_document',
  )
})

for (const type of [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/jsonp',
  'multipart/form-data; boundary=x',
  undefined,
]) {
  test(`a document sent as ${type ?? 'nothing'} is refused`, async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const answer = await call(`${url}/credentials/sky/token`, {
      method: 'PUT',
      headers: type === undefined ? {} : { 'content-type': type },
      body: '{"refresh_token":"r"}',
    })
    assertProblem(answer, 415, 'unsupported_media_type')
    assert.deepEqual(credentials.calls, [])
  })
}

test('a document over 64 KiB is refused', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials)
  const put = (length: number) =>
    call(`${url}/credentials/sky/token`, {
      method: 'PUT',
      headers: json,
      body: JSON.stringify({ refresh_token: 'r'.repeat(length) }),
    })
  assert.equal((await put(64 * 1024 - 30)).status, 200)
  assertProblem(await put(64 * 1024), 413, 'body_too_large')
  assert.equal(credentials.calls.length, 1)
})

test('forget answers 204 without a body', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials)
  const answer = await call(`${url}/credentials/sky/token?subject=`, { method: 'DELETE' })
  assert.equal(answer.status, 204)
  assert.equal(answer.body, '')
  assert.deepEqual(credentials.calls, [['forget', 'sky', undefined]])
})

test('a name that is not configured is 404 everywhere', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  assertProblem(await call(`${url}/credentials/nope/refresh`, { method: 'POST' }), 404, 'unknown_credential')
  assertProblem(await call(`${url}/credentials/nope/token`, { method: 'DELETE' }), 404, 'unknown_credential')
  assertProblem(
    await call(`${url}/credentials/nope/token`, { method: 'PUT', headers: json, body: '{"a":"b"}' }),
    404,
    'unknown_credential',
  )
  assertProblem(await call(`${url}/credentials/nope/authorize`), 404, 'unknown_credential')
  assertProblem(await call(`${url}/nope`), 404, 'not_found')
})

test('two subjects are refused rather than one of them chosen', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials)
  assertProblem(
    await call(`${url}/credentials/sky/refresh?subject=a&subject=b`, { method: 'POST' }),
    400,
    'bad_request',
  )
  assert.deepEqual(credentials.calls, [])
})

test('a store that fails and a fault of our own are told apart, logged, and say nothing of their inside', async (t) => {
  const credentials = new FakeCredentials(working())
  const { url, logged } = await startAdmin(t, credentials)
  credentials.failure = new StoreError('unavailable', 'The folder /var/lib/tokens cannot be written; free some space.')
  assertProblem(await call(`${url}/credentials/sky/token`, { method: 'DELETE' }), 503, 'store_unavailable')
  credentials.failure = new TypeError('undefined is not a token')
  const answer = await call(`${url}/credentials/sky/token`, { method: 'DELETE' })
  assertProblem(answer, 500, 'internal_error')
  assert.doesNotMatch(answer.body, /undefined is not/)
  assert.equal(logged.length, 2)
  assert.match(logged[1]!, /undefined is not a token/)
  assert.match(logged[1]!, new RegExp(String(answer.json().requestId)))
})

test('tokens are never kept where no request would find them', async (t) => {
  const credentials = new FakeCredentials(working())
  const one = await startAdmin(t, credentials)
  const many = await startAdmin(t, credentials, { info: () => perSubject })
  for (const [method, path] of [
    ['POST', 'refresh'],
    ['PUT', 'token'],
    ['DELETE', 'token'],
    ['GET', 'authorize'],
  ] as const) {
    const options = method === 'PUT' ? { method, headers: json, body: '{"refresh_token":"r"}' } : { method }
    assertProblem(await call(`${one.url}/credentials/sky/${path}?subject=t7`, options), 400, 'bad_request')
    assertProblem(await call(`${many.url}/credentials/sky/${path}`, options), 400, 'subject_required')
  }
  assert.deepEqual(credentials.calls, [])
})
