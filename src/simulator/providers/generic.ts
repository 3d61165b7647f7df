import { echo } from '../echo.ts'
import { json } from '../http.ts'
import { jwt, opaque } from '../mint.ts'
import type { Provider } from '../provider.ts'

const bearerError = (status: number, error: string, description: string) =>
  json(
    status,
    { error, error_description: description },
    { 'www-authenticate': `Bearer realm="simulator", error="${error}", error_description="${description}"` },
  )

const answers = {
  expired: bearerError(401, 'invalid_token', 'The access token is expired, revoked or unknown'),
  forbidden: bearerError(403, 'insufficient_scope', 'The access token does not cover this'),
  quota: (seconds: number) => json(429, { error: 'quota_exceeded' }, { 'retry-after': String(seconds) }),
  tooMany: (seconds: number) => json(429, { error: 'too_many_requests' }, { 'retry-after': String(seconds) }),
}

/** Nothing but the RFCs: 6749, 6750, 7636, 8628, 9207, 9700. */
export const generic: Provider = {
  title: 'OAuth 2.0 by the book',
  defaults: {
    clientId: 'generic-client',
    // Wrong unless form-encoded before it goes into a Basic field (RFC 6749 section 2.3.1).
    clientSecret: 'generic secret:100%+not=real',
    accessTokenTtl: 3_600_000,
    refreshTokenTtl: 30 * 86_400_000,
    codeTtl: 300_000,
    rotation: 'rotate',
    tokenFormat: 'json',
    scope: 'all',
  },
  paths: { authorization: '/authorize', token: '/token', device: '/device/authorize', api: '' },
  clientMethods: ['basic', 'body'],
  publicClients: true,
  grantTypes: ['authorization_code', 'refresh_token', 'client_credentials', 'device_code'],
  paramsInQuery: false,
  redirectUriAtExchange: true,
  pkce: true,
  sendsIssuer: true,
  preserves: false,
  mint: { accessToken: (claims) => jwt(claims), refreshToken: () => opaque() },
  grantsRefreshToken: () => true,
  tokenFields: (issued) => ({
    access_token: issued.accessToken,
    token_type: issued.tokenType,
    expires_in: issued.expiresIn,
    refresh_token: issued.refreshToken,
    scope: issued.scope,
  }),
  answers,
  api:
    ({ grants, limit }) =>
    (call) => {
      const { exchange } = call
      if (grants.access(exchange.bearer) === undefined) return answers.expired
      const over = limit(exchange.bearer ?? '')
      if (over !== undefined) return over
      return echo(call)
    },
}
