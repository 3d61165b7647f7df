import { echo } from '../echo.ts'
import type { Answer } from '../http.ts'
import { json } from '../http.ts'
import { jwt, opaque } from '../mint.ts'
import type { ApiCall, ApiContext, Provider } from '../provider.ts'

/** The shape of Blackbaud's gateway: every text twice, once under its older and once under its newer names. */
function gateway(status: number, message: string, headers: Record<string, string> = {}): Answer {
  return json(status, { statusCode: status, message, status, title: message }, headers)
}

const noRoute = 'You do not have access to this route.'
const serviceError = (status: number) =>
  json(status, {
    errors: [{ message: noRoute, error_code: status, error_name: 'ServiceClientException', raw_message: noRoute }],
  })

const answers = {
  expired: gateway(401, 'The required Authorization header was missing or invalid, or the token has expired'),
  key: gateway(
    401,
    'Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.',
  ),
  role: serviceError(401),
  forbidden: serviceError(403),
  quota: (seconds: number) =>
    json(
      403,
      { statusCode: 403, message: `Out of call volume quota. Quota will be replenished in ${timeSpan(seconds)}.` },
      { 'retry-after': String(seconds) },
    ),
  tooMany: (seconds: number) =>
    gateway(429, `Rate limit is exceeded. Try again in ${seconds} seconds.`, {
      'retry-after': String(seconds),
      'content-type': 'application/problem+json',
    }),
}

const notFound = gateway(404, 'Resource not found')

/** Hours, minutes and seconds as the gateway writes them. */
function timeSpan(seconds: number): string {
  return [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

const descriptions: Record<string, string> = {
  'no-credentials': 'The required credentials were not supplied.',
  'no-client-id': 'The required client_id parameter was not provided.',
  'wrong-secret': 'The specified credentials were not valid.',
  unknown: 'The specified refresh_token was not valid.',
  expired: 'The specified refresh_token has expired.',
  revoked: 'The specified refresh_token was revoked.',
  reused: 'The specified refresh_token was already used.',
}

/** Blackbaud SKY API; sections 1.1 to 1.8 of the provider notes. */
export const blackbaudSky: Provider = {
  title: 'Blackbaud SKY API',
  defaults: {
    clientId: '6f9c2b1e-5d0a-4a57-9b0e-51a7b0a1c0de',
    // Blackbaud's secrets hold characters that mean something in a form, so this one does too.
    clientSecret: 'sim/sky+client/secret+not/for+real=',
    accessTokenTtl: 3_600_000,
    refreshTokenTtl: 365 * 86_400_000,
    codeTtl: 300_000,
    rotation: 'rotate',
    tokenFormat: 'json',
    scope: 'rnxt.w rnxt.r',
    subscriptionKeys: ['sim-sky-primary-key', 'sim-sky-secondary-key'],
    paymentsKey: 'sim-sky-payments-key',
  },
  paths: { authorization: '/authorization', token: '/token', api: '' },
  clientMethods: ['basic-raw', 'body'],
  publicClients: true,
  grantTypes: ['authorization_code', 'refresh_token'],
  paramsInQuery: false,
  redirectUriAtExchange: true,
  pkce: true,
  sendsIssuer: false,
  preserves: true,
  mint: { accessToken: (claims) => jwt(claims, 600), refreshToken: () => opaque(30) },
  grantsRefreshToken: ({ confidential }) => confidential,
  tokenFields: (issued) => ({
    access_token: issued.accessToken,
    token_type: issued.tokenType,
    expires_in: issued.expiresIn,
    refresh_token: issued.refreshToken,
    refresh_token_expires_in: issued.refreshExpiresIn,
    environment_id: 'p-SiMuLaToRuEWxqCAxLXRkQ',
    environment_name: 'Simulator Environment 1',
    legal_entity_id: 'p-SiMuLaToRk6Pn0vMOYnYHQ',
    legal_entity_name: 'Simulator Foundation',
    user_id: '00000000-0000-4000-8000-000000000001',
    email: 'zoe.simulated@example.org',
    family_name: 'Simulated',
    given_name: 'Zoë',
    mode: 'Full',
    scope: issued.scope,
  }),
  tokenError({ reason }) {
    const [cause = '', id] = reason.split(' ')
    // The status of invalid_client is documented nowhere; 400 is what the rest of the service answers.
    if (cause === 'unknown-client') {
      return {
        status: 400,
        description: `The value specified for the client_id parameter '${id ?? ''}' was not valid.`,
      }
    }
    return { status: 400, ...(descriptions[cause] !== undefined && { description: descriptions[cause] }) }
  },
  answers,
  api:
    ({ settings, grants, limit }: ApiContext) =>
    (call: ApiCall) => {
      const { exchange } = call
      const payments = exchange.path.startsWith('/payments/')
      const keys = payments ? [settings.paymentsKey] : settings.subscriptionKeys
      const key = exchange.header('bb-api-subscription-key')
      if (key === undefined) return missingKey(exchange.origin)
      if (!keys.includes(key)) return answers.key
      if (grants.access(exchange.bearer) === undefined) return answers.expired
      const over = limit(key)
      if (over !== undefined) return over
      const route = routes.find(([pattern]) => pattern.test(exchange.path))
      if (route === undefined) return notFound
      return route[1](call)
    },
}

/** What Azure API Management says in general; not seen on SKY itself. */
function missingKey(origin: string): Answer {
  const message =
    'Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.'
  const realm = `AzureApiManagementKey realm="${origin}",name="Bb-Api-Subscription-Key",type="header"`
  return json(401, { statusCode: 401, message }, { 'www-authenticate': realm })
}

const everyone = Array.from({ length: 30 }, (_, index) => ({
  id: String(280 + index),
  type: 'Individual',
  first: index === 0 ? 'Zoë' : `Person ${index + 1}`,
  last: 'Simulated',
}))

const routes: [RegExp, (call: ApiCall) => Answer][] = [
  [/^(\/payments)?\/echo(\/|$)/, echo],
  // The consenting user of this environment has no role in the school products.
  [/^\/school\/v1\//, () => answers.role],
  [
    /^\/constituent\/v1\/constituents$/,
    (call) => (call.exchange.method === 'POST' ? create(call) : listConstituents(call)),
  ],
  [
    /^\/constituent\/v1\/constituents\/\d+$/,
    ({ exchange }) => {
      const found = everyone.find(({ id }) => exchange.path.endsWith(`/${id}`))
      return found === undefined ? notFound : json(200, found)
    },
  ],
  [/^\/(constituent|gift)\/v1\/documents$/, createDocument],
  [/^\/gift\/v1\/gifts$/, create],
  [/^\/payments\/v1\/checkout\/transaction$/, create],
  [
    /^\/payments\/v1\/paymentconfigurations$/,
    () => json(200, { count: 1, value: [{ id: 'sim-configuration', name: 'Simulator' }] }),
  ],
]

function listConstituents({ exchange }: ApiCall): Answer {
  const { query } = exchange
  const limit = Math.min(Number(query.get('limit') ?? 10) || 10, 500)
  const offset = Number(query.get('offset') ?? 0) || 0
  const next = offset + limit
  return json(200, {
    count: everyone.length,
    ...(next < everyone.length && {
      next_link: `${exchange.origin}/constituent/v1/constituents?limit=${limit}&offset=${next}`,
    }),
    value: everyone.slice(offset, next),
  })
}

function create({ exchange, body }: ApiCall): Answer {
  if (exchange.method !== 'POST') return notFound
  if (!/^application\/json\b/i.test(exchange.header('content-type') ?? '')) {
    return gateway(415, 'Unsupported Media Type')
  }
  return json(200, { id: body.sha256.slice(0, 8) })
}

/** A pre-signed address at another host, to which the caller sends the file itself, without any token. */
function createDocument({ exchange }: ApiCall): Answer {
  if (exchange.method !== 'POST') return notFound
  const id = opaque(12)
  return json(200, {
    file_id: id,
    file_upload_request: {
      method: 'PUT',
      url: `https://simulator.blob.core.windows.net/files/${id}?sv=2026-02-06&sr=b&sp=w&sig=${encodeURIComponent(`${opaque(32)}=`)}`,
      headers: [{ name: 'x-ms-blob-type', value: 'BlockBlob' }],
    },
  })
}
