import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { skyStage, startSidecar } from './helpers/start-app.ts'

const headerOf = (rawHeaders: readonly string[], name: string) =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)

test('an unauthenticated request leaves with one bearer token and the subscription key', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  const response = await fetch(`${sidecar.url}/echo?x=%zz`, {
    headers: { authorization: 'Bearer mine', 'bb-api-subscription-key': 'mine' },
  })
  assert.equal(response.status, 200)
  const [seen] = simulator.requests
  assert.equal(seen?.target, '/echo?x=%zz')
  const [bearer, ...more] = headerOf(seen.rawHeaders, 'authorization')
  assert.match(bearer ?? '', /^Bearer ey/)
  assert.deepEqual(more, [])
  assert.deepEqual(headerOf(seen.rawHeaders, 'bb-api-subscription-key'), [simulator.settings.subscriptionKeys[0]])
})

test('500 requests at a cold start make one token call and none fails', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  const answers = await Promise.all(
    Array.from({ length: 500 }, () => fetch(`${sidecar.url}/echo`).then((response) => response.status)),
  )
  assert.deepEqual(new Set(answers), new Set([200]))
  assert.equal(simulator.tokenRequests.length, 1)
})

test('60 parallel requests with a revoked token make one refresh and none fails', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  await fetch(`${sidecar.url}/echo`)
  simulator.revokeAccessTokens()
  const body = randomBytes(100_000)
  const sha256 = createHash('sha256').update(body).digest('hex')
  const answers = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const response = await fetch(`${sidecar.url}/echo`, { method: 'POST', body, headers: { 'content-type': 'foo' } })
      const seen = (await response.json()) as { body: { sha256: string } }
      return `${response.status} ${seen.body.sha256}`
    }),
  )
  assert.deepEqual(new Set(answers), new Set([`200 ${sha256}`]))
  assert.equal(simulator.tokenRequests.length, 2)
})

test('a restart asks for no token and presents no refresh token twice', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const first = await startSidecar(t, config, { directory })
  await fetch(`${first.url}/echo`)
  await first.stop()
  const second = await startSidecar(t, config, { directory })
  assert.equal((await fetch(`${second.url}/echo`)).status, 200)
  assert.equal(simulator.tokenRequests.length, 1)
  assert.equal(simulator.reuseEvents, 0)
})

test('the token document is private, and sealed when a key is given', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sealed = { ...config, store: { directory: './tokens', encryptionKey: 'correct horse battery staple' } }
  const sidecar = await startSidecar(t, sealed, { directory })
  await fetch(`${sidecar.url}/echo`)
  const file = join(directory, 'tokens', 'sky.json')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const token = headerOf(simulator.requests[0]?.rawHeaders ?? [], 'authorization')[0]?.slice('Bearer '.length) ?? 'none'
  assert.ok(!readFileSync(file, 'utf8').includes(token))
  assert.deepEqual(
    readdirSync(join(directory, 'tokens')).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('a role 401 and a bad-key 401 pass unchanged and cost no refresh', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  await fetch(`${sidecar.url}/echo`)
  simulator.inject('api-401-role@1')
  const role = await fetch(`${sidecar.url}/echo`)
  assert.equal(role.status, 401)
  assert.match(await role.text(), /"errors":\[/)
  assert.equal(simulator.tokenRequests.length, 1)
})

test('status, probes and metrics tell the truth, and no secret', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  await fetch(`${sidecar.url}/echo`)
  const texts = await Promise.all(
    ['/status', '/metrics', '/readyz', '/livez', '/startupz', '/'].map(async (path) => {
      const response = await fetch(sidecar.adminUrl + path)
      assert.equal(response.status, 200, path)
      return response.text()
    }),
  )
  const status = JSON.parse(texts[0] ?? '') as { credentials: { name: string; state: string }[] }
  assert.deepEqual(
    status.credentials.map(({ name, state }) => ({ name, state })),
    [{ name: 'sky', state: 'active' }],
  )
  const token = headerOf(simulator.requests[0]?.rawHeaders ?? [], 'authorization')[0]?.slice('Bearer '.length) ?? 'none'
  const secrets = [token, simulator.settings.clientSecret, ...simulator.settings.subscriptionKeys]
  for (const text of [...texts, ...sidecar.log]) for (const secret of secrets) assert.ok(!text.includes(secret))
})

test('without a login a request is answered with the command to run, and nothing is sent', async (t) => {
  const { simulator, directory, config } = await skyStage(t, {}, { refreshToken: '' })
  const sidecar = await startSidecar(t, config, { directory })
  const response = await fetch(`${sidecar.url}/echo`)
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  assert.equal(response.headers.get('bearer-sidecar-error'), 'login_required')
  const problem = (await response.json()) as { code: string; detail: string }
  assert.match(problem.detail, /bearer-sidecar login sky.*\/credentials\/sky\/authorize/)
  assert.equal(simulator.requests.length, 0)
})

test('a login through the admin port is in effect at once', async (t) => {
  const { directory, config } = await skyStage(t, { autoConsent: true }, { refreshToken: '' })
  const sidecar = await startSidecar(t, config, { directory })
  // Follows the redirects as a browser does: admin port, provider, callback.
  const page = await fetch(`${sidecar.adminUrl}/credentials/sky/authorize`)
  assert.equal(page.status, 200)
  assert.ok(new URL(page.url).pathname === '/callback')
  assert.equal((await fetch(`${sidecar.url}/echo`)).status, 200)
})

test('a reload takes new settings over without losing a token', async (t) => {
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  await fetch(`${sidecar.url}/echo`)
  const { loadConfig } = await import('../src/config/load.ts')
  const { writeFileSync } = await import('node:fs')
  const file = join(directory, 'bearer-sidecar.yaml')
  const route = { path: '/', upstream: simulator.url, credential: 'sky', headers: { 'x-new': 'yes' } }
  writeFileSync(file, JSON.stringify({ ...config, routes: [route] }))
  assert.deepEqual(await sidecar.app.reload((await loadConfig({ file, env: {}, cwd: directory })).config), [])
  assert.equal((await fetch(`${sidecar.url}/echo`)).status, 200)
  assert.deepEqual(headerOf(simulator.requests.at(-1)?.rawHeaders ?? [], 'x-new'), ['yes'])
  assert.equal(simulator.tokenRequests.length, 1)
})
