import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { authorizationCode, authorizationRequest } from '../../src/oauth/authorization-code.ts'
import { LoginError } from '../../src/tokens/credentials.ts'
import { credentialConfig } from '../helpers/credential-config.ts'

const redirectUri = 'http://localhost:9090/callback'
const fields = { authorizationUrl: 'https://provider.example/authorize?tenant=7', tokenUrl: 'https://tokens.example/t' }

async function begin(more: Record<string, unknown> = {}) {
  const request = await authorizationRequest(credentialConfig({ ...fields, ...more }), redirectUri)
  return { ...request, params: Object.fromEntries(new URL(request.url).searchParams) }
}

describe('an authorization request', () => {
  it('asks for a code with state and an S256 challenge of the verifier (RFC 7636)', async () => {
    const { params, state, codeVerifier, url } = await begin({ scopes: ['read', 'offline_access'] })
    const challenge = createHash('sha256')
      .update(codeVerifier ?? '')
      .digest('base64url')
    assert.ok(url.startsWith('https://provider.example/authorize?'))
    assert.deepEqual(params, {
      tenant: '7',
      response_type: 'code',
      client_id: 'client-1',
      redirect_uri: redirectUri,
      state,
      scope: 'read offline_access',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    assert.doesNotMatch(url, /client-secret/)
    assert.ok(state.length >= 32 && (codeVerifier ?? '').length >= 43)
  })

  it('is never like another one', async () => {
    const [first, second] = [await begin(), await begin()]
    assert.notEqual(first.state, second.state)
    assert.notEqual(first.codeVerifier, second.codeVerifier)
  })

  it('has no challenge where the provider knows no PKCE, and scopes as the provider separates them', async () => {
    const { params, codeVerifier } = await begin({ pkce: false, scopes: ['a', 'b'], scopeSeparator: ',' })
    assert.equal(codeVerifier, undefined)
    assert.equal('code_challenge' in params, false)
    assert.equal(params['scope'], 'a,b')
  })

  it('carries configured parameters, which replace none of its own', async () => {
    const { params, state } = await begin({ authorizationParams: { access_type: 'offline', state: 'mine' } })
    assert.equal(params['access_type'], 'offline')
    assert.equal(params['state'], state)
  })

  it('is refused for a credential without an authorization endpoint', async () => {
    await assert.rejects(authorizationRequest(credentialConfig(), redirectUri), LoginError)
  })
})

describe('a callback', () => {
  const config = credentialConfig(fields)
  const code = (query: string) => authorizationCode(config, new URLSearchParams(query))
  const refusal = (query: string) => {
    try {
      return `code ${code(query)}`
    } catch (error) {
      assert.ok(error instanceof LoginError)
      return error.message
    }
  }

  it('gives its code', () => {
    assert.equal(code('state=s&code=c%2F1'), 'c/1')
    assert.equal(code('state=s&code=c&session_state=x'), 'c', 'unknown parameters are passed over')
  })

  it('is refused without a code, or with an empty one', () => {
    assert.match(refusal('state=s'), /no code/)
    assert.match(refusal('state=s&code='), /no code/)
  })

  for (const name of ['code', 'state', 'iss', 'error']) {
    it(`is refused when ${name} comes twice`, () => {
      const twice = `${name}=https%3A%2F%2Fprovider.example&${name}=b`
      assert.match(refusal(`code=c&state=s&${twice}`), new RegExp(`${name} more than once`))
    })
  }

  it('is refused when it names an issuer that was not asked (RFC 9207)', () => {
    assert.match(refusal('code=c&state=s&iss=https%3A%2F%2Fevil.example'), /another issuer/)
    assert.match(refusal('code=c&state=s&iss=evil'), /another issuer/)
    assert.match(refusal('code=c&state=s&iss=https%3A%2F%2Fprovider.example.evil.example'), /another issuer/)
    assert.match(refusal('code=c&state=s&iss='), /another issuer/)
    assert.equal(code('code=c&state=s&iss=https%3A%2F%2Fprovider.example%2Ftenant'), 'c')
    assert.equal(code('code=c&state=s&iss=https%3A%2F%2Ftokens.example'), 'c')
  })

  it('tells that access was denied', () => {
    assert.match(refusal('state=s&error=access_denied&error_description=%3Cscript%3E'), /access_denied/)
  })

  it('repeats no word of the provider that RFC 6749 does not know', () => {
    const message = refusal(
      `state=s&code=c&error=${encodeURIComponent('<script>alert(1)</script>')}&error_description=x`,
    )
    assert.equal(message, 'The provider refused the login (unknown error).')
    assert.match(refusal('state=s&error=invalid_scope&error_description=secret'), /\(invalid_scope\)\.$/)
  })

  it('is refused with an error even when it has a code too', () => {
    assert.match(refusal('state=s&code=c&error=server_error'), /server_error/)
  })
})
