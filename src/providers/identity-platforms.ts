import type { Provider } from './provider.ts'

export const microsoftEntra: Provider = {
  name: 'microsoft-entra',
  title: 'Microsoft Entra ID and Graph',
  documentation: 'https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow',
  status: 'untested against the live service',
  upstream: 'https://graph.microsoft.com',
  settings: {
    tenant: {
      description: 'the tenant: its id, its domain, or organizations, consumers, common',
      example: 'contoso.onmicrosoft.com',
      default: 'organizations',
    },
  },
  headers: {},
  neededScopes: ['offline_access'],
  rewriteLinks: false,
  limits: [],
  notes: [
    'A refresh token lives 90 days (24 hours for single page applications) and is replaced at every use; the old one stays valid.',
    'invalid_grant carries an AADSTS number: 700082 too long unused, 50173 revoked, 50076 a second factor is wanted; a person must log in.',
    'Next links of Graph are absolute: set rewriteLinks: true on the route to have them point to the sidecar.',
  ],
  credential: {
    authorizationUrl: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize',
    deviceAuthorizationUrl: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode',
    tokenUrl: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
    clientAuthentication: 'body',
    scopes: ['offline_access', 'https://graph.microsoft.com/.default'],
    refresh: { keepAlive: '7d', renewBefore: '30d', refreshTokenLifetime: '90d', on: [{ status: 401 }] },
    keyRejected: [],
  },
}

export const google: Provider = {
  name: 'google',
  title: 'Google APIs',
  documentation: 'https://developers.google.com/identity/protocols/oauth2/web-server',
  status: 'untested against the live service',
  upstream: 'https://www.googleapis.com',
  settings: {},
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'The refresh token comes with the login only (access_type=offline, prompt=consent) and is kept.',
    'While the application is in testing, refresh tokens live seven days; later they die after six months without use.',
    'An account has a limited number of refresh tokens per application; a further login silently ends the oldest.',
    'Set scopes to those of the API that you call.',
  ],
  credential: {
    authorizationUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
    deviceAuthorizationUrl: 'https://oauth2.googleapis.com/device/code',
    tokenUrl: 'https://oauth2.googleapis.com/token',
    authorizationParams: { access_type: 'offline', prompt: 'consent' },
    clientAuthentication: 'body',
    refresh: { keepAlive: '7d', on: [{ status: 401 }] },
    keyRejected: [],
  },
}
