import type { Provider } from './provider.ts'

export const hubspot: Provider = {
  name: 'hubspot',
  title: 'HubSpot',
  documentation: 'https://developers.hubspot.com/docs/api/oauth-quickstart-guide',
  status: 'untested against the live service',
  upstream: 'https://api.hubapi.com',
  settings: {},
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Access tokens live 30 minutes (six hours in earlier years); a 401 of the category EXPIRED_AUTHENTICATION tells of the end.',
    'A dead refresh token is answered with the status BAD_REFRESH_TOKEN instead of invalid_grant; it is understood.',
    'The scopes must be those of the application; set them in scopes.',
  ],
  credential: {
    authorizationUrl: 'https://app.hubspot.com/oauth/authorize',
    tokenUrl: 'https://api.hubapi.com/oauth/v1/token',
    clientAuthentication: 'body',
    scopes: ['oauth'],
    refresh: { on: [{ status: 401 }] },
    keyRejected: [],
  },
}

export const zoho: Provider = {
  name: 'zoho',
  title: 'Zoho',
  documentation: 'https://www.zoho.com/accounts/protocol/oauth.html',
  status: 'untested against the live service',
  settings: {
    region: { description: "the ending of your data centre's domain", example: 'eu', default: 'com' },
  },
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Tokens travel as "Zoho-oauthtoken <token>", not as Bearer.',
    'The API host depends on the data centre of the account: it is the api_domain of the token answer.',
    'A refresh token gives at most 10 access tokens in 10 minutes and is then blocked for a while; 30 access tokens live at a time.',
    'A user has 20 refresh tokens per application; the 21st login silently ends the oldest.',
    'The refresh token comes with the first login only and is kept.',
  ],
  credential: {
    authorizationUrl: 'https://accounts.zoho.{region}/oauth/v2/auth',
    tokenUrl: 'https://accounts.zoho.{region}/oauth/v2/token',
    authorizationParams: { access_type: 'offline', prompt: 'consent' },
    clientAuthentication: 'body',
    scopeSeparator: ',',
    inject: { header: 'Authorization', value: 'Zoho-oauthtoken {token}' },
    refresh: { cooldown: '2m', on: [{ status: 401 }] },
    keyRejected: [],
  },
}

export const salesforce: Provider = {
  name: 'salesforce',
  title: 'Salesforce',
  documentation: 'https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_web_server_flow.htm',
  status: 'untested against the live service',
  settings: {
    domain: {
      description: 'the login host: login.salesforce.com, test.salesforce.com or your own domain',
      example: 'acme.my.salesforce.com',
      default: 'login.salesforce.com',
    },
  },
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'The upstream is the instance_url of the token answer, such as https://acme.my.salesforce.com.',
    'Token answers tell no life: how long a session lasts is a setting of the organisation. Set refresh.accessTokenLifetime a little below it to spare the rejected calls.',
    'The scope refresh_token (or offline_access) is needed for a refresh token.',
    'Five logins per user and application live at a time; the sixth ends the oldest.',
    'With Refresh Token Rotation switched on, the reuse of an old token ends the current one: keep one store.',
  ],
  credential: {
    authorizationUrl: 'https://{domain}/services/oauth2/authorize',
    tokenUrl: 'https://{domain}/services/oauth2/token',
    clientAuthentication: 'body',
    scopes: ['api', 'refresh_token'],
    refresh: { on: [{ status: 401 }, { status: 403, onlyBody: ['INVALID_SESSION_ID'] }] },
    keyRejected: [],
  },
}
