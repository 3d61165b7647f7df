import type { AuthorizationCodes } from './authorization-codes.ts'
import type { Client } from './client-authentication.ts'
import { authenticateClient } from './client-authentication.ts'
import type { DeviceCodes } from './device-codes.ts'
import type { Grants, IssuedTokens } from './grants.ts'
import type { Provider } from './provider.ts'
import type { Settings } from './settings.ts'
import type { TokenRequest } from './token-request.ts'
import { OAuthError, required } from './token-request.ts'

export interface Issuer {
  provider: Provider
  settings: Settings
  grants: Grants
  codes: AuthorizationCodes
  devices: DeviceCodes
}

/** What a grant type may be called on the wire. */
const wireNames: Record<string, Provider['grantTypes'][number]> = {
  authorization_code: 'authorization_code',
  refresh_token: 'refresh_token',
  client_credentials: 'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code': 'device_code',
}

/** The ordinary token endpoint of RFC 6749 section 3.2; throws an OAuthError for every refusal. */
export function issueTokens(issuer: Issuer, request: TokenRequest): { issued: IssuedTokens; client: Client } {
  const { provider, settings } = issuer
  const named = required(request.params, 'grant_type')
  const client = authenticateClient(request, provider, settings)
  const grantType = wireNames[named]
  if (grantType === undefined || !provider.grantTypes.includes(grantType)) {
    throw new OAuthError('unsupported_grant_type', named)
  }
  return { issued: issue[grantType](issuer, request, client), client }
}

const issue: Record<
  Provider['grantTypes'][number],
  (issuer: Issuer, request: TokenRequest, client: Client) => IssuedTokens
> = {
  authorization_code({ provider, grants, codes }, { params }, client) {
    const login = codes.redeem(required(params, 'code'), {
      clientId: client.id,
      confidential: client.confidential,
      redirectUri: params.get('redirect_uri'),
      verifier: params.get('code_verifier'),
    })
    const withRefreshToken = provider.grantsRefreshToken({ scope: login.scope, confidential: client.confidential })
    const { id, issued } = grants.open({ clientId: client.id, scope: login.scope, withRefreshToken })
    login.grantId = id
    return issued
  },

  refresh_token({ provider, grants }, { params, spare }, client) {
    const preserve = provider.preserves && params.get('preserve_refresh_token') === 'true'
    const outcome = grants.refresh(required(params, 'refresh_token'), { clientId: client.id, preserve, spare })
    if (typeof outcome === 'string') throw new OAuthError('invalid_grant', outcome)
    return outcome
  },

  client_credentials({ grants, settings }, { params }, client) {
    if (!client.confidential) throw new OAuthError('unauthorized_client', 'client_credentials')
    const scope = params.get('scope') ?? settings.scope
    // RFC 6749 section 4.4.3: no refresh token, the client can always ask again.
    return grants.open({ clientId: client.id, scope, kind: 'client', withRefreshToken: false }).issued
  },

  device_code({ provider, grants, devices }, { params }, client) {
    const scope = devices.poll(required(params, 'device_code'), client.id)
    const withRefreshToken = provider.grantsRefreshToken({ scope, confidential: client.confidential })
    return grants.open({ clientId: client.id, scope, withRefreshToken }).issued
  },
}
