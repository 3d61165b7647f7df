import type { Provider } from './provider.ts'

/** Business errors that Maya answers with 401: a bad API key (K001 to K006) and refusals such as PY0047. No token mends them. */
const businessErrors = ['"K00', '"PY']

export const mayaPartner: Provider = {
  name: 'maya-partner',
  title: 'Maya Mini App, the token of the partner',
  documentation: 'https://developers.maya.ph/reference/oauth-authentication',
  status: 'tested against the simulator',
  settings: {},
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Maya sends the Create Access Token URL (tokenUrl) and the client credentials when you are taken on as a partner; neither is public.',
    'How the token request is authenticated is not public either: if Basic is refused, try clientAuthentication: body.',
    'Each request needs the token of the customer beside this one: give the route both credentials.',
    'Request-Reference-No is a fresh UUID in every attempt.',
  ],
  credential: {
    grant: 'client_credentials',
    clientAuthentication: 'basic',
    pkce: false,
    headers: { 'Request-Reference-No': '{uuid}' },
    refresh: {
      accessTokenLifetime: '1h',
      on: [{ status: 401, unlessBody: businessErrors }],
    },
    keyRejected: [],
  },
}

export const mayaCustomer: Provider = {
  name: 'maya-customer',
  title: 'Maya Mini App, the token of a customer',
  documentation: 'https://developers.maya.ph/reference/refresh-maya-mini-app-token',
  status: 'tested against the simulator',
  settings: {
    host: {
      description: 'the host of the token endpoint; Maya names the one for production after the coordinated tests',
      example: 'op-sandbox.paymaya.com',
      default: 'op-sandbox.paymaya.com',
    },
    partner: {
      description: 'the credential with the preset maya-partner, whose token authorises refreshes',
      example: 'partner',
      default: 'partner',
    },
  },
  headers: {},
  neededScopes: [],
  rewriteLinks: false,
  limits: [],
  notes: [
    'Maya posts the first tokens of a customer to your Session URL; hand them to PUT /credentials/<name>/token?subject=<customer> on the admin port.',
    'Set subjectHeader to the request header that names the customer: one token set is kept for each.',
    'Every refresh brings a new refresh token; how long tokens live is not public, expiresAt in the answer tells.',
    'Errors K001 to K006 and PY.... come as 401, but no token mends them, so they are not refreshed.',
  ],
  credential: {
    grant: 'refresh_token',
    tokenUrl: 'https://{host}/tokens',
    clientAuthentication: 'credential:{partner}',
    pkce: false,
    tokenRequest: {
      format: 'json',
      headers: { 'Request-Reference-No': '{uuid}' },
      fields: { grantType: null, refreshToken: 'refreshToken' },
    },
    tokenResponse: {
      format: 'json',
      fields: {
        accessToken: 'accessToken',
        refreshToken: 'refreshToken',
        expiresIn: null,
        expiresAt: 'expiresAt',
        refreshExpiresIn: null,
      },
    },
    inject: { header: 'X-Authorization', value: '{token}' },
    refresh: { on: [{ status: 401, unlessBody: businessErrors }] },
    keyRejected: [],
  },
}
