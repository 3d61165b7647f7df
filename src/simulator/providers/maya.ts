import { echo } from '../echo.ts'
import type { Exchange } from '../http.ts'
import { json } from '../http.ts'
import { jwe, jwt } from '../mint.ts'
import type { Provider } from '../provider.ts'
import { OAuthError, required } from '../token-request.ts'

const coded = (status: number, code: string, message: string) => json(status, { code, message })

const answers = {
  // What an expired mini-app token gets is documented nowhere; this is RFC 6750 section 3.1.
  expired: json(
    401,
    { error: 'invalid_token', error_description: 'The access token is expired or invalid' },
    { 'www-authenticate': 'Bearer error="invalid_token"' },
  ),
  key: coded(401, 'K003', 'Invalid key.'),
  // A business error under a status that looks like an authentication error.
  role: coded(401, 'PY0047', 'Payment is ineligible for refund.'),
  forbidden: coded(403, 'PY0019', 'Forbidden'),
  quota: () => coded(429, 'PY0429', 'Quota exceeded.'),
  tooMany: () => coded(429, 'PY0429', 'Too many requests.'),
}

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
const remembered = 100_000

/** Maya mini app; section 4.1 of the provider notes. Two tokens on one request, one needed to renew the other. */
export const maya: Provider = {
  title: 'Maya mini app',
  defaults: {
    clientId: 'simulated-maya-partner',
    clientSecret: 'simulatedMayaSecret',
    accessTokenTtl: 3_600_000,
    refreshTokenTtl: 30 * 86_400_000,
    codeTtl: 300_000,
    rotation: 'rotate',
    tokenFormat: 'json',
    scope: 'mini-app',
  },
  paths: { token: '/oauth2/token', api: '' },
  clientMethods: ['basic', 'body'],
  publicClients: false,
  grantTypes: ['client_credentials'],
  paramsInQuery: false,
  redirectUriAtExchange: false,
  pkce: false,
  sendsIssuer: false,
  preserves: false,
  mint: {
    accessToken: (claims) => ('kind' in claims && claims.kind === 'customer' ? jwe() : jwt(claims)),
    refreshToken: (claims) => jwt(claims),
  },
  grantsRefreshToken: () => false,
  tokenFields: (issued) => ({
    access_token: issued.accessToken,
    token_type: issued.tokenType,
    expires_in: issued.expiresIn,
    scope: issued.scope,
  }),
  extraTokenEndpoint: {
    path: '/tokens',
    issue({ exchange, params, spare }, grants, settings) {
      if (grants.access(exchange.bearer)?.kind !== 'client') throw new OAuthError('invalid_token', 'partner', 401)
      if (!uuid4.test(exchange.header('request-reference-no') ?? '')) {
        throw new OAuthError('invalid_request', 'Request-Reference-No is not a UUIDv4.')
      }
      const outcome = grants.refresh(required(params, 'refreshToken'), { clientId: settings.clientId, spare })
      if (typeof outcome === 'string') throw new OAuthError('invalid_grant', outcome)
      return outcome
    },
    tokenFields: ({ accessToken, refreshToken, issuedAt, expiresIn }) => ({
      accessToken,
      refreshToken,
      // Absolute seconds; a fault may have put another lifetime, or nonsense, in.
      expiresAt: typeof expiresIn === 'number' ? Math.floor(issuedAt / 1_000 + expiresIn) : expiresIn,
    }),
  },
  answers,
  api: ({ grants, limit }) => {
    const references = new Set<string>()
    return (call) => {
      const { exchange } = call
      const authorization = exchange.header('authorization')
      if (authorization === undefined) return coded(401, 'K001', 'Authentication header is missing.')
      if (!/^bearer /i.test(authorization)) return coded(401, 'K004', 'Invalid key type for endpoint.')
      if (grants.access(exchange.bearer)?.kind !== 'client') return answers.expired
      if (grants.access(exchange.header('x-authorization'))?.kind !== 'customer') return answers.expired
      if (!isFresh(exchange, references)) {
        return json(400, {
          code: '2553',
          message: 'Missing/invalid parameters.',
          parameters: [{ field: 'Request-Reference-No', description: 'must be a UUIDv4 that was not used before' }],
        })
      }
      const over = limit(exchange.bearer ?? '')
      if (over !== undefined) return over
      if (/^\/payments\/[^/]+\/refunds$/.test(exchange.path)) return answers.role
      return echo(call)
    }
  },
}

/** Each attempt needs a reference of its own; a repeated one is refused. */
function isFresh(exchange: Exchange, references: Set<string>): boolean {
  const reference = exchange.header('request-reference-no')?.toLowerCase() ?? ''
  if (!uuid4.test(reference) || references.has(reference)) return false
  references.add(reference)
  for (const oldest of references) {
    if (references.size <= remembered) break
    references.delete(oldest)
  }
  return true
}
