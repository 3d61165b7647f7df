import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { authenticatedForm, tokenHttpRequest, type TokenGrant } from '../../src/oauth/token-request.ts'
import { credentialConfig } from '../helpers/credential-config.ts'

const refresh: TokenGrant = { type: 'refresh_token', refreshToken: 'r/e+f=1 &é', preserve: false }

function request(config: Record<string, unknown> = {}, grant: TokenGrant = refresh, bearer?: string) {
  const { url, headers, body } = tokenHttpRequest(credentialConfig(config), grant, bearer)
  return { url, headers, body, form: Object.fromEntries(new URLSearchParams(body)) }
}

const decoded = (authorization = '') => Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8')

describe('client authentication', () => {
  const strange = { clientId: 'id:1/é', clientSecret: 'a/b+c= d%é' }

  it('basic form-encodes both parts before they are joined (RFC 6749 section 2.3.1)', () => {
    const { headers, form } = request({ ...strange, clientAuthentication: 'basic' })
    assert.equal(decoded(headers['authorization']), 'id%3A1%2F%C3%A9:a%2Fb%2Bc%3D+d%25%C3%A9')
    assert.equal('client_id' in form || 'client_secret' in form, false)
  })

  it('basic-raw encodes nothing', () => {
    const { headers } = request({ ...strange, clientAuthentication: 'basic-raw' })
    assert.equal(decoded(headers['authorization']), 'id:1/é:a/b+c= d%é')
  })

  it('body sends both as parameters, and no header', () => {
    const { headers, form, body } = request({ ...strange, clientAuthentication: 'body' })
    assert.equal(headers['authorization'], undefined)
    assert.equal(form['client_id'], 'id:1/é')
    assert.equal(form['client_secret'], 'a/b+c= d%é')
    assert.match(body, /client_secret=a%2Fb%2Bc%3D\+d%25%C3%A9/)
  })

  it('none names the client and proves nothing', () => {
    const { headers, form } = request({ ...strange, clientAuthentication: 'none' })
    assert.equal(headers['authorization'], undefined)
    assert.equal(form['client_id'], 'id:1/é')
    assert.equal(form['client_secret'], undefined)
  })

  it("credential:<name> sends that credential's token, and nothing of the client", () => {
    const { headers, form } = request({ clientAuthentication: 'credential:partner' }, refresh, 'access-of-partner')
    assert.equal(headers['authorization'], 'Bearer access-of-partner')
    assert.deepEqual(Object.keys(form), ['grant_type', 'refresh_token'])
  })
})

describe('the body of a token request', () => {
  it('is a form that carries the refresh token whatever it is made of', () => {
    const { headers, form, url } = request({ tokenUrl: 'https://provider.example/token?x=1' })
    assert.equal(url, 'https://provider.example/token?x=1')
    assert.equal(headers['content-type'], 'application/x-www-form-urlencoded')
    assert.deepEqual(form, { grant_type: 'refresh_token', refresh_token: 'r/e+f=1 &é' })
  })

  it('asks for an answer that needs no decoding', () => {
    assert.equal(request().headers['accept-encoding'], 'identity')
    assert.equal(request().headers['accept'], 'application/json')
  })

  it('is JSON where the provider wants it, without the fields that are null', () => {
    const { headers, body } = request({
      clientAuthentication: 'none',
      clientId: null,
      tokenRequest: { format: 'json', fields: { grantType: null, refreshToken: 'refreshToken' } },
    })
    assert.equal(headers['content-type'], 'application/json')
    assert.deepEqual(JSON.parse(body), { refreshToken: 'r/e+f=1 &é' })
  })

  it('asks to keep the refresh token when it should be preserved', () => {
    assert.equal(request({}, { ...refresh, preserve: true }).form['preserve_refresh_token'], 'true')
    assert.equal('preserve_refresh_token' in request().form, false)
  })

  it('adds configured parameters to every request, and those of a refresh only to a refresh', () => {
    const config = { tokenRequest: { params: { audience: 'api' }, refreshParams: { only: 'refresh' } } }
    assert.deepEqual(request(config).form, {
      grant_type: 'refresh_token',
      refresh_token: 'r/e+f=1 &é',
      audience: 'api',
      only: 'refresh',
    })
    const first = request(config, { type: 'client_credentials' }).form
    assert.deepEqual(first, { grant_type: 'client_credentials', audience: 'api' })
  })

  it('writes {uuid} in a header anew for each request', () => {
    const config = { tokenRequest: { headers: { 'Request-Reference-No': '{uuid}', 'X-Fixed': 'a {uuid} b' } } }
    const [first, second] = [request(config).headers, request(config).headers]
    const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
    assert.match(first['request-reference-no'] ?? '', uuid)
    assert.match(first['x-fixed'] ?? '', /^a [0-9a-f-]{36} b$/)
    assert.notEqual(first['request-reference-no'], second['request-reference-no'])
  })

  it('lets no configured header stand in for the client authentication', () => {
    const { headers } = request({ tokenRequest: { headers: { Authorization: 'Bearer mine' } } })
    assert.match(headers['authorization'] ?? '', /^Basic /)
  })

  it('asks for scopes with client credentials, joined as the provider wants them', () => {
    const grant: TokenGrant = { type: 'client_credentials' }
    assert.equal(request({ scopes: ['a', 'b'] }, grant).form['scope'], 'a b')
    assert.equal(request({ scopes: ['a', 'b'], scopeSeparator: ',' }, grant).form['scope'], 'a,b')
    assert.equal('scope' in request({}, grant).form, false)
  })

  it('repeats the redirect URI and proves the PKCE challenge with a code', () => {
    const grant: TokenGrant = {
      type: 'authorization_code',
      code: 'c/1+',
      codeVerifier: 'verifier',
      redirectUri: 'http://localhost:9090/callback',
    }
    assert.deepEqual(request({}, grant).form, {
      grant_type: 'authorization_code',
      code: 'c/1+',
      redirect_uri: 'http://localhost:9090/callback',
      code_verifier: 'verifier',
    })
    assert.equal('code_verifier' in request({}, { ...grant, codeVerifier: undefined }).form, false)
  })

  it('names the device code grant as RFC 8628 does', () => {
    assert.deepEqual(request({}, { type: 'device_code', deviceCode: 'd-1' }).form, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'd-1',
    })
  })
})

describe('a form for another endpoint of the provider', () => {
  it('names the client and authenticates it in the same way', () => {
    const config = credentialConfig({ clientAuthentication: 'body' })
    const { url, body } = authenticatedForm(config, 'https://provider.example/device', { scope: 'a' })
    assert.equal(url, 'https://provider.example/device')
    assert.deepEqual(Object.fromEntries(new URLSearchParams(body)), {
      client_id: 'client-1',
      scope: 'a',
      client_secret: 'client-secret-1',
    })
  })
})
