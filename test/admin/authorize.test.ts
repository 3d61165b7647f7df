import assert from 'node:assert/strict'
import test from 'node:test'
import { ProxyError } from '../../src/errors.ts'
import { call, empty, FakeCredentials, perSubject, startAdmin } from './fixture.ts'

const page = { accept: 'text/html' }

test('authorize sends the browser to the provider', async (t) => {
  const credentials = new FakeCredentials(empty())
  const { url } = await startAdmin(t, credentials, { info: () => perSubject })
  const answer = await call(`${url}/credentials/sky/authorize?subject=t7`, { headers: page })
  assert.equal(answer.status, 302)
  assert.equal(answer.headers.location, credentials.loginUrl)
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.deepEqual(credentials.calls, [['beginLogin', 'sky', 't7']])
})

test('a link on a foreign page begins no login but shows the status page', async (t) => {
  const credentials = new FakeCredentials(empty())
  const { url } = await startAdmin(t, credentials)
  for (const site of ['cross-site', 'same-site']) {
    const answer = await call(`${url}/credentials/sky/authorize`, { headers: { ...page, 'sec-fetch-site': site } })
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.location, '/#credential-sky')
  }
  assert.deepEqual(credentials.calls, [])
})

test('a name in the path cannot become a redirect to another site', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  const headers = { 'sec-fetch-site': 'cross-site' }
  const answer = await call(`${url}/credentials/%2F%2Fevil.example/authorize`, { headers })
  assert.equal(answer.status, 404)
  assert.equal(answer.headers.location, undefined)
})

test('the callback ends the login on a fixed page that leads back', async (t) => {
  const credentials = new FakeCredentials(empty())
  const { url, logged } = await startAdmin(t, credentials)
  await call(`${url}/credentials/sky/authorize`)
  const answer = await call(`${url}/callback?code=the-code&state=s1&iss=https%3A%2F%2Fp`, {
    headers: { ...page, 'sec-fetch-site': 'cross-site' },
  })
  assert.equal(answer.status, 200)
  assert.match(String(answer.headers['content-type']), /^text\/html/)
  assert.match(answer.body, /<h1>Connected<\/h1>/)
  assert.match(answer.body, /href="\/#credential-sky"/)
  assert.equal(answer.headers['referrer-policy'], 'no-referrer')
  assert.deepEqual(credentials.calls.at(-1), ['finishLogin', 'code=the-code&state=s1&iss=https%3A%2F%2Fp'])
  assert.doesNotMatch(logged.join(), /the-code|s1/)
  assert.match(logged.join(), /"credential":"sky"/)
})

test('the same callback twice is refused the second time', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  await call(`${url}/credentials/sky/authorize`)
  assert.equal((await call(`${url}/callback?code=c&state=s1`)).status, 200)
  const again = await call(`${url}/callback?code=c&state=s1`)
  assert.equal(again.status, 400)
  assert.equal(again.headers['bearer-sidecar-error'], 'login_failed')
  assert.match(again.body, /<h1>Login failed<\/h1>/)
})

test('a page repeats nothing of the query, however it looks', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  await call(`${url}/credentials/sky/authorize`)
  const evil = encodeURIComponent('<script>alert("marker")</script>')
  for (const query of [
    `error=access_denied&error_description=${evil}&state=s1`,
    `error=${evil}&state=s1`,
    `code=${evil}&state=${evil}`,
    `code=c&state=s1&redirect_to=https://marker.example/`,
  ]) {
    const answer = await call(`${url}/callback?${query}`, { headers: page })
    assert.equal(answer.status, 400)
    assert.doesNotMatch(answer.body, /marker|alert/)
    assert.equal(answer.headers.location, undefined)
  }
})

test('a token endpoint that is down is told on a page with its own status', async (t) => {
  const credentials = new FakeCredentials(empty())
  const { url, logged } = await startAdmin(t, credentials)
  credentials.failure = new ProxyError('token_endpoint_unavailable', {
    cause: new Error('connect ECONNREFUSED 10.0.0.1'),
  })
  const answer = await call(`${url}/callback?code=the-code&state=s1`, { headers: page })
  assert.equal(answer.status, 503)
  assert.match(answer.body, /<h1>Token endpoint unavailable<\/h1>/)
  assert.doesNotMatch(answer.body, /ECONNREFUSED/)
  assert.match(logged.join(), /ECONNREFUSED/)
  assert.doesNotMatch(logged.join(), /the-code/)
})

test('a program that asks for JSON gets JSON from the callback', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  await call(`${url}/credentials/sky/authorize`)
  const headers = { accept: 'application/json' }
  const done = await call(`${url}/callback?code=c&state=s1`, { headers })
  assert.deepEqual(done.json(), { name: 'sky' })
  const failed = await call(`${url}/callback?code=c&state=s1`, { headers })
  assert.equal(failed.json().code, 'login_failed')
})

test('an unknown credential is a page for a browser', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()))
  const answer = await call(`${url}/credentials/%3Cb%3E/authorize`, { headers: page })
  assert.equal(answer.status, 404)
  assert.match(answer.body, /<h1>Unknown credential<\/h1>/)
  assert.doesNotMatch(answer.body, /<b>/)
})
