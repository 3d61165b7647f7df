import type { Provider } from './provider.ts'

export const quickbooks: Provider = {
  name: 'quickbooks',
  title: 'QuickBooks Online (Intuit)',
  documentation:
    'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0',
  status: 'untested against the live service',
  upstream: 'https://quickbooks.api.intuit.com',
  settings: {},
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'The value of the refresh token changes about once a day, and then the old value dies: keep one store per company.',
    'A refresh token dies after 100 days without use, and five years after the login whatever happens.',
    'The company (realm id) is part of the path of API calls.',
  ],
  credential: {
    authorizationUrl: 'https://appcenter.intuit.com/connect/oauth2',
    tokenUrl: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
    clientAuthentication: 'basic',
    scopes: ['com.intuit.quickbooks.accounting'],
    tokenResponse: { fields: { refreshExpiresIn: 'x_refresh_token_expires_in' } },
    refresh: { keepAlive: '7d', renewBefore: '30d', refreshTokenLifetime: '100d', on: [{ status: 401 }] },
    keyRejected: [],
  },
}

export const xero: Provider = {
  name: 'xero',
  title: 'Xero',
  documentation: 'https://developer.xero.com/documentation/guides/oauth2/auth-flow',
  status: 'untested against the live service',
  upstream: 'https://api.xero.com',
  settings: {},
  headers: { 'xero-tenant-id': 'the id of the organisation, from GET https://api.xero.com/connections' },
  neededScopes: ['offline_access'],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Access tokens live 30 minutes; a refresh token dies after 60 days without use, so the sidecar refreshes weekly.',
    'Refresh tokens rotate. An old one works for 30 minutes more, for answers that were lost on the way.',
    "Several installations with the same application and user end each other's tokens: keep one store for them.",
  ],
  credential: {
    authorizationUrl: 'https://login.xero.com/identity/connect/authorize',
    tokenUrl: 'https://identity.xero.com/connect/token',
    clientAuthentication: 'basic',
    scopes: ['offline_access', 'accounting.transactions'],
    refresh: { keepAlive: '7d', renewBefore: '30d', refreshTokenLifetime: '60d', on: [{ status: 401 }] },
    keyRejected: [],
  },
}
