import type { Provider } from './provider.ts'

export const constantContact: Provider = {
  name: 'constant-contact',
  title: 'Constant Contact V3',
  documentation: 'https://developer.constantcontact.com/api_guide/auth_overview.html',
  status: 'tested against the simulator',
  upstream: 'https://api.cc.email',
  settings: {},
  headers: {},
  neededScopes: ['offline_access'],
  rewriteLinks: false,
  limits: [{ plan: 'Every API key', perSecond: 4, perDay: 10_000 }],
  notes: [
    'Without the scope offline_access no refresh token comes, and nothing says so.',
    'An application has rotating or long-lived refresh tokens; both die after 180 days without use, so the sidecar refreshes daily.',
    'With rotating refresh tokens a new pair ends all earlier ones: keep one store per application and account.',
    'Paths begin with /v3. Links in answers are relative to the host, so mount the route at / or resolve them yourself.',
    'A 403 means a missing scope, a missing privilege or a deactivated application; a 429 means 4 calls per second or 10,000 per day. Neither is refreshed.',
    'A public client has clientAuthentication: none and pkce: true. For a machine without a browser: grant: device_code.',
  ],
  credential: {
    authorizationUrl: 'https://authz.constantcontact.com/oauth2/default/v1/authorize',
    deviceAuthorizationUrl: 'https://authz.constantcontact.com/oauth2/default/v1/device/authorize',
    tokenUrl: 'https://authz.constantcontact.com/oauth2/default/v1/token',
    clientAuthentication: 'basic',
    scopes: ['account_read', 'account_update', 'contact_data', 'campaign_data', 'offline_access'],
    pkce: false,
    refresh: {
      keepAlive: '24h',
      refreshTokenLifetime: '180d',
      on: [{ status: 401 }],
    },
    keyRejected: [],
  },
}
