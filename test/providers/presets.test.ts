import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { CredentialConfig } from '../../src/config/schema.ts'
import { credentialSchema } from '../../src/config/schema.ts'
import { presets } from '../../src/providers/presets.ts'
import { resolvePreset } from '../../src/providers/provider.ts'
import { load, refusal } from '../config/config-file.ts'

const day = 86_400_000

/** A credential of a preset with the least that a user has to give. */
async function credential(t: Parameters<typeof load>[0], name: string, more = ''): Promise<CredentialConfig> {
  const settings = presets.find((preset) => preset.name === name)?.settings ?? {}
  const given = Object.entries(settings).map(([key, { example }]) => `${key}: ${example}`)
  const files = `version: 1
credentials:
  it:
    provider: ${name}
    clientId: i
    clientSecret: s
    settings: { ${given.join(', ')} }
${more.replace(/^(?=.)/gm, '    ')}
  partner: { provider: maya-partner, tokenUrl: 'https://maya.example/token', clientId: i, clientSecret: s }
routes: [{ path: /, upstream: 'https://api.example.com', credential: it }]
`
  const { config } = await load(t, { files })
  const found = config.credentials['it']
  assert.ok(found !== undefined)
  return found
}

void suite('presets', () => {
  for (const preset of presets) {
    const { name, title, documentation, notes, settings, limits } = preset
    void test(`${name} is valid by the schema and has a title, a documentation link and notes`, () => {
      assert.match(name, /^[a-z][a-z-]+$/)
      assert.ok(title.length > 3)
      assert.equal(new URL(documentation).protocol, 'https:')
      assert.ok(notes.length > 0)
      const examples = Object.fromEntries(Object.entries(settings).map(([key, { example }]) => [key, example]))
      const { fields, missing } = resolvePreset(preset, examples)
      assert.deepEqual(missing, [])
      assert.deepEqual(credentialSchema.safeParse(fields).error?.issues, undefined)
      for (const [, placeholder] of JSON.stringify(fields).matchAll(/\{(\w+)\}/g)) {
        assert.ok(['token', 'uuid'].includes(placeholder ?? ''), `{${placeholder ?? ''}}`)
      }
      for (const { perSecond, perDay } of limits) assert.ok((perSecond ?? perDay ?? 0) > 0)
    })

    void test(`${name} makes a configuration that needs nothing but what it asks for`, async (t) => {
      const needs: Readonly<Record<string, string>> = {
        generic: 'tokenUrl: https://x.example/t\nauthorizationUrl: https://x.example/a',
        'maya-partner': 'tokenUrl: https://x.example/t',
      }
      const { tokenUrl, authorizationUrl } = await credential(t, name, needs[name])
      assert.equal(new URL(tokenUrl ?? '').protocol, 'https:')
      assert.doesNotMatch(`${tokenUrl ?? ''} ${authorizationUrl ?? ''}`, /[{}]/)
    })
  }

  void test('blackbaud-sky keeps refresh tokens, judges a 401 by its body and fails over keys', async (t) => {
    const sky = await credential(t, 'blackbaud-sky')
    assert.equal(sky.authorizationUrl, 'https://oauth2.sky.blackbaud.com/authorization')
    assert.equal(sky.tokenUrl, 'https://oauth2.sky.blackbaud.com/token')
    assert.equal(sky.clientAuthentication, 'basic-raw')
    assert.equal(sky.pkce, true)
    assert.equal(sky.refresh.preserveRefreshToken, true)
    assert.equal(sky.refresh.renewBefore, 60 * day)
    assert.deepEqual(sky.refresh.on, [{ status: 401, unlessBody: ['subscription key', '"errors":'], when: 'always' }])
    assert.deepEqual(sky.keyRejected, [{ status: 401, onlyBody: ['subscription key'] }])
  })

  void test('constant-contact asks for offline_access and keeps the refresh token alive', async (t) => {
    const cc = await credential(t, 'constant-contact')
    assert.ok(cc.scopes.includes('offline_access'))
    assert.equal(cc.refresh.keepAlive, day)
    assert.equal(cc.refresh.refreshTokenLifetime, 180 * day)
    assert.equal(cc.clientAuthentication, 'basic')
    assert.match(cc.deviceAuthorizationUrl ?? '', /\/v1\/device\/authorize$/)
    assert.deepEqual(cc.refresh.on, [{ status: 401, when: 'always' }], 'a 403 or 429 never refreshes')
  })

  void test('highq has its URLs from host and instance and takes a 403 as expiry only with reason', async (t) => {
    const hq = await credential(t, 'highq')
    assert.equal(hq.authorizationUrl, 'https://acme.highq.com/acme/authorize.action')
    assert.equal(hq.tokenUrl, 'https://acme.highq.com/acme/api/oauth2/token')
    assert.equal(hq.clientAuthentication, 'body')
    assert.equal(hq.pkce, false)
    assert.deepEqual(hq.refresh.on, [
      { status: 401, when: 'always' },
      { status: 403, when: 'expired-or-once' },
    ])
  })

  void test('the two tokens of maya go side by side, the refresh of one authorised by the other', async (t) => {
    const files = `version: 1
credentials:
  partner: { provider: maya-partner, tokenUrl: 'https://maya.example/token', clientId: i, clientSecret: s }
  customer: { provider: maya-customer, subjectHeader: X-Customer }
routes: [{ path: /, upstream: 'https://maya.example', credential: [partner, customer] }]
`
    const { config } = await load(t, { files })
    const { partner, customer } = config.credentials
    assert.equal(partner?.grant, 'client_credentials')
    assert.deepEqual(partner.inject, { header: 'Authorization', value: 'Bearer {token}' })
    assert.deepEqual(partner.headers, { 'Request-Reference-No': '{uuid}' })
    assert.equal(customer?.clientAuthentication, 'credential:partner')
    assert.equal(customer.tokenUrl, 'https://op-sandbox.paymaya.com/tokens')
    assert.deepEqual(customer.inject, { header: 'X-Authorization', value: '{token}' })
    assert.deepEqual(customer.tokenRequest, {
      format: 'json',
      params: {},
      refreshParams: {},
      headers: { 'Request-Reference-No': '{uuid}' },
      fields: { grantType: null, refreshToken: 'refreshToken' },
    })
    assert.equal(customer.tokenResponse.fields.expiresAt, 'expiresAt')
    assert.deepEqual(customer.refresh.on, [{ status: 401, unlessBody: ['"K00', '"PY'], when: 'always' }])
  })

  void test('maya-customer can be told another partner, and a missing one is found', async (t) => {
    const files = (more: string) => `version: 1
credentials:
  bank: { provider: maya-partner, tokenUrl: 'https://maya.example/token', clientId: i, clientSecret: s }
  customer: { provider: maya-customer${more} }
routes: [{ path: /, upstream: 'https://maya.example', credential: [bank, customer] }]
`
    const { config } = await load(t, { files: files(', settings: { partner: bank }') })
    assert.equal(config.credentials['customer']?.clientAuthentication, 'credential:bank')
    const { problems } = await refusal(t, { files: files('') })
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['credentials.customer.clientAuthentication'],
    )
  })

  void test('fields of the user win: maps are merged in any case of their keys, lists and texts replaced', async (t) => {
    const hq = await credential(
      t,
      'highq',
      'tokenUrl: http://127.0.0.1:1/t\npkce: true\nrefresh: { on: [{ status: 419 }] }',
    )
    assert.equal(hq.tokenUrl, 'http://127.0.0.1:1/t')
    assert.equal(hq.pkce, true)
    assert.deepEqual(hq.refresh.on, [{ status: 419, when: 'always' }])
    assert.equal(hq.refresh.refreshTokenLifetime, 365 * day)
    const maya = await credential(
      t,
      'maya-partner',
      'tokenUrl: https://x.example/t\nheaders: { request-reference-no: mine, X-More: more }',
    )
    assert.deepEqual(maya.headers, { 'request-reference-no': 'mine', 'X-More': 'more' })
  })

  void test('a setting is not asked for when the URLs that need it are given', async (t) => {
    const files = `version: 1
credentials:
  hq: { provider: highq, clientId: i, clientSecret: s, tokenUrl: 'http://localhost:1/t', authorizationUrl: 'http://localhost:1/a' }
routes: [{ path: /, upstream: 'http://localhost:1', credential: hq }]
`
    assert.equal((await load(t, { files })).config.credentials['hq']?.tokenUrl, 'http://localhost:1/t')
  })

  void test('links are rewritten by default for blackbaud-sky alone', () => {
    assert.deepEqual(
      presets.filter(({ rewriteLinks }) => rewriteLinks).map(({ name }) => name),
      ['blackbaud-sky'],
    )
  })
})
