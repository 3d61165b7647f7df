import { echo } from '../echo.ts'
import type { Answer } from '../http.ts'
import { opaque } from '../mint.ts'
import type { Provider } from '../provider.ts'

const xml = (status: number, body: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/xml;charset=UTF-8', ...headers },
  body: `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>${body}`,
})
const refusal = (status: number, summary: string, headers: Record<string, string> = {}) =>
  xml(status, `<error><summary>${summary}</summary><statuscode>${status}</statuscode></error>`, headers)

const overLimit = (seconds: number, now: number) =>
  refusal(429, 'API rate limit exceeded', { 'x-ratelimit-reset': String(Math.ceil(now / 1_000) + seconds) })

const denied = refusal(403, 'Access denied')

const answers = {
  // One and the same answer for an expired token and for a missing permission: only the caller's clock can tell.
  expired: denied,
  forbidden: denied,
  quota: overLimit,
  tooMany: overLimit,
}

/** HighQ Collaborate; sections 3.1 to 3.4 of the provider notes. Everything lives below the instance. */
export const highq: Provider = {
  title: 'HighQ Collaborate',
  defaults: {
    clientId: '1012',
    clientSecret: 'simulatedHighQSecret',
    accessTokenTtl: 5 * 3_600_000,
    refreshTokenTtl: 365 * 86_400_000,
    codeTtl: 30 * 60_000,
    rotation: 'rotate',
    tokenFormat: 'xml',
    scope: '',
  },
  paths: {
    authorization: '/{instance}/authorize.action',
    token: '/{instance}/api/oauth2/token',
    api: '/{instance}',
  },
  clientMethods: ['body'],
  publicClients: false,
  grantTypes: ['authorization_code', 'refresh_token'],
  paramsInQuery: false,
  redirectUriAtExchange: false,
  pkce: false,
  sendsIssuer: false,
  preserves: false,
  mint: { accessToken: () => opaque(36), refreshToken: () => opaque(36) },
  grantsRefreshToken: () => true,
  // Numbers come as text, in JSON too.
  tokenFields: (issued) => ({
    access_token: issued.accessToken,
    expires_in: typeof issued.expiresIn === 'number' ? String(issued.expiresIn) : issued.expiresIn,
    refresh_token: issued.refreshToken,
    refresh_token_expires_in: issued.refreshExpiresIn === undefined ? undefined : String(issued.refreshExpiresIn),
    token_type: issued.tokenType?.toLowerCase(),
    useremail: 'zoe.simulated@example.org',
  }),
  answers,
  api:
    ({ settings, grants, limit }) =>
    (call) => {
      const { exchange } = call
      const prefix = `/${settings.instance}/api/`
      if (!exchange.path.startsWith(prefix)) return refusal(404, 'Not found')
      if (grants.access(exchange.bearer) === undefined) return answers.expired
      const over = limit(exchange.bearer ?? '')
      if (over !== undefined) return over
      const path = exchange.path.slice(prefix.length)
      if (/^\d+\/echo(\/|$)/.test(path)) return echo(call)
      if (/^\d+\/sites$/.test(path)) {
        return xml(200, '<sites totalrecordcount="1"><site><id>7</id><sitename>Zoë</sitename></site></sites>')
      }
      // A site that the person who logged in may not see.
      if (/^\d+\/sites\/9(\/|$)/.test(path)) return answers.forbidden
      return refusal(404, 'Not found')
    },
}
