import { echo } from '../echo.ts'
import type { Answer } from '../http.ts'
import { json } from '../http.ts'
import { jwt, opaque } from '../mint.ts'
import type { ApiCall, Provider } from '../provider.ts'

const cors = { 'access-control-allow-origin': '*' }
const keyed = (status: number, key: string, message: string, headers: Record<string, string> = {}) =>
  json(status, { error_key: key, error_message: message }, { ...cors, ...headers })

const answers = {
  expired: keyed(401, 'unauthorized', 'Unauthorized', {
    'www-authenticate': 'Bearer realm=api.cc.email',
    'x-amzn-errortype': 'UnauthorizedException',
  }),
  forbidden: keyed(403, 'forbidden', 'Forbidden'),
  // Neither of the two carries Retry-After or any other hint of when to come back.
  quota: () => keyed(429, 'quota_exceeded', 'Limit Exceeded'),
  tooMany: () => keyed(429, 'throttled', 'Too Many Requests'),
}

const contacts = Array.from({ length: 12 }, (_, index) => ({
  contact_id: `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`,
  first_name: index === 0 ? 'Zoë' : `Contact ${index + 1}`,
}))

/** Constant Contact V3; sections 2.1 to 2.5 of the provider notes. */
export const constantContact: Provider = {
  title: 'Constant Contact V3',
  defaults: {
    clientId: '1b7f2c4e-8a3d-4c1f-9d2e-7e5a0c0ffee0',
    clientSecret: 'simulatedConstantContactSecret',
    accessTokenTtl: 86_400_000,
    refreshTokenTtl: 180 * 86_400_000,
    codeTtl: 300_000,
    rotation: 'rotate',
    tokenFormat: 'json',
    scope: 'contact_data offline_access',
  },
  paths: {
    authorization: '/oauth2/default/v1/authorize',
    token: '/oauth2/default/v1/token',
    device: '/oauth2/default/v1/device/authorize',
    api: '/v3',
  },
  clientMethods: ['basic-raw', 'body'],
  publicClients: true,
  grantTypes: ['authorization_code', 'refresh_token', 'device_code'],
  paramsInQuery: true,
  redirectUriAtExchange: true,
  pkce: true,
  sendsIssuer: false,
  preserves: false,
  mint: { accessToken: (claims) => jwt(claims, 1_100), refreshToken: () => opaque(32) },
  // Leaving offline_access out raises no error: there is just no refresh token.
  grantsRefreshToken: ({ scope }) => scope.split(' ').includes('offline_access'),
  tokenFields: (issued) => ({
    access_token: issued.accessToken,
    refresh_token: issued.refreshToken,
    expires_in: issued.expiresIn,
    token_type: issued.tokenType,
    scope: issued.scope,
  }),
  tokenError: ({ error }) =>
    error === 'invalid_grant' ? { description: 'The refresh token is invalid or expired.' } : {},
  answers,
  api:
    ({ settings, grants, limit }) =>
    (call) => {
      const { exchange } = call
      if (!/^\/v3(\/|$)/.test(exchange.path)) return json(403, { message: 'Forbidden' }, cors)
      if (grants.access(exchange.bearer) === undefined) return answers.expired
      // Counted per application, whoever calls.
      const over = limit(settings.clientId)
      if (over !== undefined) return over
      if (/^\/v3\/echo(\/|$)/.test(exchange.path)) return echo(call)
      if (exchange.path === '/v3/contacts') return listContacts(call)
      return json(404, [{ error_key: 'api.resource.not_found', error_message: 'Not found' }], cors)
    },
}

function listContacts({ exchange }: ApiCall): Answer {
  const limit = Math.min(Number(exchange.query.get('limit') ?? 5) || 5, 500)
  const offset = Number(exchange.query.get('cursor') ?? 0) || 0
  const next = offset + limit
  const links = next < contacts.length ? { next: { href: `/v3/contacts?limit=${limit}&cursor=${next}` } } : {}
  return json(200, { contacts: contacts.slice(offset, next), _links: links }, cors)
}
