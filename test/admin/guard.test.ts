import assert from 'node:assert/strict'
import test from 'node:test'
import { adminConfig, call, FakeCredentials, startAdmin, statusOf, working } from './fixture.ts'

for (const host of ['localhost', 'localhost:1', 'LOCALHOST:19090', '127.0.0.1:80', '[::1]', '[::1]:9090']) {
  test(`Host ${host} is ours, whatever its port`, async (t) => {
    const { url } = await startAdmin(t, new FakeCredentials(working()))
    assert.equal((await call(`${url}/status`, { headers: { host } })).status, 200)
  })
}

for (const path of [
  '/',
  '/status',
  '/livez',
  '/metrics',
  '/callback?state=s',
  '/credentials/sky/authorize',
  '/nothing',
]) {
  test(`a rebound name learns nothing from ${path}`, async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      'evil.example:9090',
      '127.0.0.1.evil.example',
      'localhost@evil.example',
    ]) {
      const answer = await call(url + path, { headers: { host, accept: 'application/json' } })
      assert.equal(answer.status, 403, host)
      assert.equal(answer.json().code, 'host_not_allowed')
      assert.equal(answer.headers['bearer-sidecar-error'], 'host_not_allowed')
      assert.equal(answer.headers['content-type'], 'application/problem+json')
    }
    assert.deepEqual(credentials.calls, [])
  })
}

test('two Host fields, an empty one and none at all are refused', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  assert.equal(await statusOf(url, ['GET /status HTTP/1.1', 'Host: localhost', 'Connection: close']), 200)
  assert.equal(await statusOf(url, ['GET /status HTTP/1.1', 'Host: localhost', 'Host: localhost']), 403)
  assert.equal(await statusOf(url, ['GET /status HTTP/1.1', 'Host:', 'Connection: close']), 403)
  assert.equal(await statusOf(url, ['GET /status HTTP/1.0']), 403)
})

test("publicUrl's host is accepted, and its origin may change things", async (t) => {
  const credentials = new FakeCredentials(working())
  const { url } = await startAdmin(t, credentials, { config: adminConfig({ publicUrl: 'https://sidecar.example/' }) })
  assert.equal((await call(`${url}/status`, { headers: { host: 'sidecar.example' } })).status, 200)
  const headers = { host: 'localhost', origin: 'https://sidecar.example' }
  assert.equal((await call(`${url}/credentials/sky/refresh`, { method: 'POST', headers })).status, 200)
})

const foreign: Record<string, string>[] = [
  { origin: 'https://evil.example' },
  { origin: 'null' },
  { origin: 'http://localhost:1' },
  { origin: 'file://localhost:9090' },
  { origin: 'http://localhost:9090.evil.example' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'http://localhost:9090', 'sec-fetch-site': 'cross-site' },
]
for (const headers of foreign) {
  test(`a page with ${JSON.stringify(headers)} cannot refresh, import or forget`, async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    for (const [method, path] of [
      ['POST', 'refresh'],
      ['PUT', 'token'],
      ['DELETE', 'token'],
    ] as const) {
      const answer = await call(`${url}/credentials/sky/${path}`, {
        method,
        headers: { host: 'localhost:9090', 'content-type': 'application/json', ...headers },
        body: method === 'PUT' ? '{"refresh_token":"stolen"}' : '',
      })
      assert.equal(answer.status, 403)
      assert.equal(answer.json().code, 'origin_not_allowed')
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
    }
    assert.deepEqual(credentials.calls, [])
  })
}

const own: Record<string, string>[] = [
  {},
  { origin: 'http://localhost:9090', 'sec-fetch-site': 'same-origin' },
  { origin: 'https://localhost:9090' },
  { 'sec-fetch-site': 'none' },
]
for (const headers of own) {
  test(`a call with ${JSON.stringify(headers)} is our own page or a program`, async (t) => {
    const { url } = await startAdmin(t, new FakeCredentials(working()))
    const answer = await call(`${url}/credentials/sky/refresh`, {
      method: 'POST',
      headers: { host: 'localhost:9090', ...headers },
    })
    assert.equal(answer.status, 200)
  })
}

test('a preflight is answered without a single CORS field', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  const answer = await call(`${url}/credentials/sky/token`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://evil.example',
      'access-control-request-method': 'PUT',
      'access-control-request-private-network': 'true',
    },
  })
  assert.equal(answer.status, 404)
  assert.deepEqual(
    Object.keys(answer.headers).filter((name) => name.startsWith('access-control')),
    [],
  )
})

test('nothing that the admin port answers may be stored, framed, sniffed or embedded elsewhere', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  for (const path of ['/', '/status', '/readyz', '/nothing', '/callback']) {
    const { headers } = await call(url + path)
    assert.equal(headers['cache-control'], 'no-store', path)
    assert.equal(headers['x-content-type-options'], 'nosniff', path)
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path)
    assert.match(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/, path)
  }
})
