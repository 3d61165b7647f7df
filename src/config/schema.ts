import { z } from 'zod'
import { duration, listenAddress, scalarBoolean, scalarNumber, secret, size } from './scalars.ts'

/**
 * Every setting once: type, default and a sentence. The types of the program, `config schema`, `config print` and
 * docs/configuration.md all come from here. A credential is parsed after its preset's fields were laid under it.
 */

const methodName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be an HTTP method name')
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be an HTTP field name')
const url = z.string().min(1)

const timeouts = z.strictObject({
  connect: duration('5s').describe('Longest wait for a connection to the upstream, TLS handshake included.'),
  responseHeaders: duration('120s').describe(
    'Longest wait for the head of the upstream answer once the request was sent.',
  ),
  idleBody: duration('120s').describe(
    'Longest pause between two pieces of an answer, from the upstream or to a caller that reads slowly.',
  ),
  requestHeaders: duration('30s').describe('Longest time a caller may take to send the head of a request.'),
  requestBodyIdle: duration('120s').describe('Longest pause between two pieces of a request body.'),
})

const proxy = z.strictObject({
  listen: listenAddress('127.0.0.1:8080').describe(
    'host:port (port 0 = any free one, printed), unix:/path (mode 0600), or a list of them.',
  ),
  allowedHosts: z
    .array(z.string())
    .default([])
    .describe('Host names accepted beside localhost, 127.0.0.1, [::1] and the bound address.'),
  allowedOrigins: z
    .array(z.string())
    .default([])
    .describe('Browser origins (scheme://host[:port]) that may call; by default none.'),
  callerSecret: secret().describe('When set, a caller must send it in the Bearer-Sidecar-Secret header.'),
  publicUrl: url.nullable().default(null).describe('What rewritten links point to; default: the Host the caller used.'),
  shutdownGrace: duration('25s').describe('How long in-flight requests may take to finish after the first signal.'),
  timeouts: timeouts.prefault({}),
})

const admin = z.strictObject({
  listen: z
    .union([z.literal(false), listenAddress('127.0.0.1:9090')])
    .default(['127.0.0.1:9090'])
    .describe('host:port, unix:/path, or false for no admin port.'),
  probesListen: listenAddress(null).describe(
    'A second address that serves only the probes and /metrics, for kubelet and Prometheus.',
  ),
  publicUrl: url.nullable().default(null).describe('Base of the redirect URI; default http://localhost:<admin port>.'),
})

const tls = z.strictObject({
  ca: z
    .string()
    .nullable()
    .default(null)
    .describe('CA certificates trusted beside the system ones: a file path or PEM text.'),
  cert: z.string().nullable().default(null).describe('Client certificate: a file path or PEM text.'),
  key: z.string().nullable().default(null).describe('Private key of the client certificate: a file path or PEM text.'),
})

/** One rule that tells from an upstream answer that a token (or a key) is no good. */
const rejectionRule = z.strictObject({
  status: scalarNumber().describe('The status of the answer.'),
  onlyBody: z
    .array(z.string())
    .optional()
    .describe('Applies only when the first 64 KiB of the decoded body hold one of these.'),
  unlessBody: z
    .array(z.string())
    .optional()
    .describe('Does not apply when the first 64 KiB of the decoded body hold one of these.'),
})
const tokenRejectionRule = rejectionRule.extend({
  when: z
    .enum(['always', 'expired-or-once'])
    .default('always')
    .describe('expired-or-once: only past the recorded expiry, else once per token.'),
})

const headerValues = z.record(headerName, z.union([z.string(), z.array(z.string()).min(1)]))

const tokenRequest = z.strictObject({
  format: z.enum(['form', 'json']).default('form').describe('How the request body is written.'),
  params: z.record(z.string(), z.string()).default({}).describe('Further parameters of every token request.'),
  refreshParams: z.record(z.string(), z.string()).default({}).describe('Further parameters of refresh requests.'),
  headers: z
    .record(headerName, z.string())
    .default({})
    .describe('Further header fields; {uuid} is fresh for each request.'),
  fields: z
    .strictObject({
      grantType: z
        .string()
        .nullable()
        .default('grant_type')
        .describe('Name of the grant type parameter; null leaves it out.'),
      refreshToken: z
        .string()
        .nullable()
        .default('refresh_token')
        .describe('Name of the refresh token parameter; null leaves it out.'),
    })
    .prefault({}),
})

const tokenResponse = z.strictObject({
  format: z
    .enum(['auto', 'json', 'xml', 'form'])
    .default('auto')
    .describe('auto goes by Content-Type, then by the first character.'),
  fields: z
    .strictObject({
      accessToken: z.string().default('access_token').describe('Field that holds the access token.'),
      refreshToken: z.string().nullable().default('refresh_token').describe('Field that holds the refresh token.'),
      expiresIn: z
        .string()
        .nullable()
        .default('expires_in')
        .describe('Field that holds the life of the access token in seconds.'),
      expiresAt: z
        .string()
        .nullable()
        .default(null)
        .describe('Field that holds the expiry as seconds since 1970 (or an ISO 8601 time).'),
      refreshExpiresIn: z
        .string()
        .nullable()
        .default('refresh_token_expires_in')
        .describe('Field that holds the life of the refresh token in seconds.'),
    })
    .prefault({}),
})

const refresh = z.strictObject({
  early: duration('5m').describe("Refresh this long before expiry, but never more than 10 % of the token's life."),
  keepAlive: duration(null).describe('Refresh at least this often even with no traffic; null = only when used.'),
  preserveRefreshToken: scalarBoolean(false).describe(
    'Ask the provider not to rotate on ordinary refreshes (preserve_refresh_token=true).',
  ),
  renewBefore: duration('60d').describe('Rotate deliberately when the refresh token has less than this left.'),
  refreshTokenLifetime: duration(null).describe(
    'Life of a refresh token, counted from its last use, where the token answer does not tell; null = unknown.',
  ),
  on: z
    .array(tokenRejectionRule)
    .default([{ status: 401, unlessBody: ['subscription key', '"errors":'], when: 'always' }])
    .describe('Which upstream answers mean that the token is no good.'),
  cooldown: duration('60s').describe(
    'After a fresh token was rejected too, no further rejection-driven refresh for this long.',
  ),
  timeout: duration('15s').describe('Longest wait for the token endpoint.'),
})

export const credentialSchema = z.strictObject({
  provider: z.string().default('generic').describe('The preset: its fields are the defaults of this credential.'),
  clientId: z.string().nullable().default(null).describe('client_id of the registered application.'),
  clientSecret: secret().describe('client_secret of the registered application.'),
  headers: headerValues
    .default({})
    .describe(
      'Sent with every request that uses this credential; a list = interchangeable keys, failed over in order.',
    ),
  refreshToken: secret().describe('Optional seed: used when the store holds nothing or a dead grant, and never twice.'),
  settings: z
    .record(z.string(), z.string())
    .default({})
    .describe("Values that the preset's URLs need, such as host and instance for highq."),
  subjectHeader: headerName
    .nullable()
    .default(null)
    .describe('When set, one token set per value of this request header.'),
  grant: z
    .enum(['authorization_code', 'client_credentials', 'refresh_token', 'device_code'])
    .default('authorization_code')
    .describe('How the first token is obtained.'),
  authorizationUrl: url.nullable().default(null).describe('Authorization endpoint.'),
  deviceAuthorizationUrl: url.nullable().default(null).describe('Device authorization endpoint (RFC 8628).'),
  tokenUrl: url.nullable().default(null).describe('Token endpoint.'),
  redirectUri: url
    .nullable()
    .default(null)
    .describe('Redirect URI as registered; default: <admin publicUrl>/callback.'),
  clientAuthentication: z
    .union([z.enum(['basic', 'basic-raw', 'body', 'none']), z.templateLiteral(['credential:', z.string()])])
    .default('basic')
    .describe(
      'basic (form-encoded, RFC 6749 section 2.3.1), basic-raw, body, none, or credential:<name> (bearer of another credential).',
    ),
  scopes: z.array(z.string()).default([]).describe('Scopes asked for at login.'),
  authorizationParams: z
    .record(z.string(), z.string())
    .default({})
    .describe('Further parameters of the authorization request.'),
  pkce: scalarBoolean(true).describe('Use PKCE with S256 (RFC 7636).'),
  tokenRequest: tokenRequest.prefault({}),
  tokenResponse: tokenResponse.prefault({}),
  inject: z
    .strictObject({
      header: headerName.default('Authorization').describe('Field that carries the token.'),
      value: z
        .string()
        .regex(/\{token\}/, 'must contain {token}')
        .default('Bearer {token}')
        .describe('Its value.'),
    })
    .prefault({}),
  refresh: refresh.prefault({}),
  keyRejected: z
    .array(rejectionRule)
    .default([{ status: 401, onlyBody: ['subscription key'] }])
    .describe('Which answers mean that a key of a header list is no good.'),
  tls: tls.prefault({}),
})

const rateLimit = z.strictObject({
  perSecond: scalarNumber().optional().describe('Requests in any sliding second.'),
  perDay: scalarNumber().optional().describe('Requests per day from 00:00 UTC.'),
  queue: scalarNumber(100).describe('Requests that may wait.'),
  maxWait: duration('10s').describe('Longest wait in the queue.'),
})

export const routeSchema = z.strictObject({
  path: z.string().regex(/^\//, 'must begin with /').describe('Path prefix; the longest one that fits wins.'),
  name: z.string().nullable().default(null).describe('Metric and log label; default: the path.'),
  upstream: url.describe('Where requests go; the path after the prefix is appended.'),
  credential: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe('The credential whose token is sent, or several.'),
  headers: z
    .record(headerName, z.string())
    .default({})
    .describe("Sent with every request of this route; wins over the credential's. {uuid} is fresh for each attempt."),
  allowMethods: z
    .array(methodName)
    .default([])
    .describe('Methods that are forwarded; empty = all but CONNECT and TRACE.'),
  allowPaths: z.array(z.string()).default([]).describe('Globs of paths that are forwarded; empty = all.'),
  replayBody: size('1MiB').describe('Largest request body kept for the one replay after a rejected token.'),
  rewriteLinks: scalarBoolean(null).describe(
    "Rewrite the upstream's own origin in Location and JSON strings; null = the preset's default.",
  ),
  websocket: scalarBoolean(false).describe('Carry WebSocket connections.'),
  allowH2: scalarBoolean(true).describe('Speak HTTP/2 to an upstream that chooses it.'),
  rateLimit: rateLimit.nullable().default(null).describe('Limits shared by all callers of this route.'),
  tls: tls.prefault({}),
  allowInsecureUpstream: scalarBoolean(false).describe('Allow http:// to a host that is not loopback.'),
})

const store = z.strictObject({
  type: z.enum(['file', 'memory', 'redis', 'kubernetes']).default('file').describe('Where tokens are kept.'),
  directory: z
    .string()
    .default('./tokens')
    .describe('file: the folder, one document per credential and subject, mode 0600.'),
  encryptionKey: secret().describe(
    'file, redis: seals documents with AES-256-GCM. 32 bytes in base64 or hex, else a passphrase.',
  ),
  previousEncryptionKeys: z.array(z.string()).default([]).describe('Still read; the next save uses encryptionKey.'),
  url: url.default('redis://127.0.0.1:6379').describe('redis: Redis or Valkey, Sentinel and Cluster URLs too.'),
  secretName: z
    .string()
    .default('bearer-sidecar-tokens')
    .describe('kubernetes: name of the Secret; namespace from the pod.'),
  lease: duration('60s').describe('Must exceed every refresh.timeout; a crashed holder costs at most this long.'),
})

export const configSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format.'),
  proxy: proxy.prefault({}),
  admin: admin.prefault({}),
  credentials: z
    .record(
      z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'must be 1 to 63 letters, digits, - or _'),
      credentialSchema,
    )
    .default({}),
  routes: z.array(routeSchema).default([]),
  store: store.prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info')
        .describe('Least severe level written.'),
      format: z
        .enum(['auto', 'pretty', 'json'])
        .default('auto')
        .describe('auto = pretty on a terminal, JSON otherwise.'),
    })
    .prefault({}),
  notify: z
    .strictObject({
      webhook: secret().describe('URL that gets a JSON POST when a credential needs a person.'),
      refreshTokenWarnings: z
        .array(duration('30d'))
        .default([30, 14, 7, 1].map((days) => days * 86_400_000))
        .describe('Warn when a refresh token has less than this left.'),
    })
    .prefault({}),
})

/** The whole configuration: presets applied, durations in milliseconds, sizes in bytes, paths absolute, secrets read. */
export type Config = z.output<typeof configSchema>
export type CredentialConfig = Config['credentials'][string]
export type RouteConfig = Config['routes'][number]
export type StoreConfig = Config['store']
export type ProxyConfig = Config['proxy']
export type AdminConfig = Config['admin']
export type TlsConfig = CredentialConfig['tls']
export type RejectionRule = z.output<typeof rejectionRule>
export type TokenRejectionRule = z.output<typeof tokenRejectionRule>
export type RateLimitConfig = z.output<typeof rateLimit>
