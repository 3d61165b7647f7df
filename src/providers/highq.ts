import type { Provider } from './provider.ts'

export const highq: Provider = {
  name: 'highq',
  title: 'HighQ Collaborate (Thomson Reuters)',
  documentation:
    'https://developerportal.thomsonreuters.com/authentication/documents/api-access-mechanism-using-oauth2',
  status: 'tested against the simulator',
  settings: {
    host: { description: 'the host of your HighQ site', example: 'acme.highq.com' },
    instance: { description: 'the first path segment of your HighQ site', example: 'acme' },
  },
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Credentials and tokens are valid for one instance only; the upstream is https://<host>/<instance>/.',
    'An expired access token is answered 403, as is a missing permission: a 403 renews past the recorded expiry, else once per token.',
    'Access tokens live from 30 minutes to a month, as set at registration (5 hours by default). A changed setting holds for new tokens only.',
    'Refresh tokens live one year and are replaced with each access token.',
    'Token answers come as XML or as JSON, and numbers in them may be texts; both are understood.',
    'The rate limit is counted per token and address, so all callers of this sidecar share one.',
  ],
  credential: {
    authorizationUrl: 'https://{host}/{instance}/authorize.action',
    tokenUrl: 'https://{host}/{instance}/api/oauth2/token',
    clientAuthentication: 'body',
    pkce: false,
    tokenResponse: { format: 'auto' },
    refresh: {
      refreshTokenLifetime: '365d',
      on: [{ status: 401 }, { status: 403, when: 'expired-or-once' }],
    },
    keyRejected: [],
  },
}
