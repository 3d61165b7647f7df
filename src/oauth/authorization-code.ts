import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi'
import type { CredentialConfig } from '../config/schema.ts'
import { LoginError } from '../tokens/credentials.ts'

/** What must be remembered between the authorization request and its callback. */
export interface AuthorizationRequest {
  /** To open in a browser. */
  readonly url: string
  /** One-shot value that ties the callback to this attempt (RFC 9700 section 4.7). */
  readonly state: string
  readonly codeVerifier: string | undefined
  readonly redirectUri: string
}

/** Begins an authorization code grant (RFC 6749 section 4.1.1) with PKCE S256 (RFC 7636) unless the preset says that the provider has none. */
export async function authorizationRequest(
  config: CredentialConfig,
  redirectUri: string,
): Promise<AuthorizationRequest> {
  if (config.authorizationUrl === null)
    throw new LoginError('This credential has no authorizationUrl: its tokens are imported, not logged in for.')
  const state = generateRandomState()
  const codeVerifier = config.pkce ? generateRandomCodeVerifier() : undefined
  const url = new URL(config.authorizationUrl)
  const params: Record<string, string> = {
    ...config.authorizationParams,
    response_type: 'code',
    client_id: config.clientId ?? '',
    redirect_uri: redirectUri,
    state,
  }
  if (config.scopes.length > 0) params['scope'] = config.scopes.join(config.scopeSeparator)
  if (codeVerifier !== undefined) {
    params['code_challenge'] = await calculatePKCECodeChallenge(codeVerifier)
    params['code_challenge_method'] = 'S256'
  }
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return { url: url.href, state, codeVerifier, redirectUri }
}

/** The words of RFC 6749 section 4.1.2.1; anything else in `error` is not repeated. */
const knownErrors = new Set(['access_denied', 'invalid_request', 'unauthorized_client', 'unsupported_response_type', 'invalid_scope', 'server_error', 'temporarily_unavailable']) // prettier-ignore

/**
 * Takes the code from a callback whose state was found. Throws LoginError when the provider refused, when the answer comes from another
 * issuer than the one asked (RFC 9207), or when a parameter is missing or doubled.
 */
export function authorizationCode(config: CredentialConfig, callback: URLSearchParams): string {
  const one = (name: string) => {
    const values = callback.getAll(name)
    if (values.length > 1) throw new LoginError(`The callback holds ${name} more than once.`)
    return values[0]
  }
  one('state')
  const issuer = one('iss')
  if (issuer !== undefined && !sameOrigin(issuer, config.authorizationUrl, config.tokenUrl)) {
    throw new LoginError(
      'The callback names another issuer than the one that was asked (RFC 9207); the code was not used.',
    )
  }
  const error = one('error')
  if (error === 'access_denied') throw new LoginError('The provider says that access was denied (access_denied).')
  if (error !== undefined)
    throw new LoginError(`The provider refused the login (${knownErrors.has(error) ? error : 'unknown error'}).`)
  const code = one('code')
  if (code === undefined || code === '') throw new LoginError('The callback holds no code.')
  return code
}

function sameOrigin(issuer: string, ...urls: (string | null)[]): boolean {
  if (!URL.canParse(issuer)) return false
  const { origin } = new URL(issuer)
  return urls.some((url) => url !== null && new URL(url).origin === origin)
}
