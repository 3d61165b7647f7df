import { z } from 'zod'
import { credentialSchema, type tls } from './credential-schema.ts'
import type { tokenRejectionRule } from './rejection-schema.ts'
import { routeSchema, type rateLimit } from './route-schema.ts'
import {
  duration,
  listenAddress,
  optionalListenAddress,
  optionalOrigin,
  originText,
  secret,
  traits,
} from './scalars.ts'

/**
 * Every setting once: type, default and a sentence. The types of the program, `config schema`, `config print` and
 * docs/configuration.md all come from here. A credential is parsed after its preset's fields were laid under it.
 */

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

const hostMessage = 'must be a host name without scheme, port or path'
const allowedHost = z.string({ error: hostMessage }).regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:/@?#*\\[\]]+)$/, hostMessage)

const proxy = z.strictObject({
  listen: listenAddress('127.0.0.1:8080').describe(
    'host:port (port 0 = any free one, printed), unix:/path (mode 0600), or a list of them.',
  ),
  allowedHosts: z
    .array(allowedHost)
    .default([])
    .describe('Host names accepted beside localhost, 127.0.0.1, [::1] and the bound address.'),
  allowedOrigins: z
    .array(originText)
    .default([])
    .describe('Browser origins (scheme://host[:port]) that may call; by default none.'),
  callerSecret: secret().describe('When set, a caller must send it in the Bearer-Sidecar-Secret header.'),
  publicUrl: optionalOrigin().describe('What rewritten links point to; default: the Host the caller used.'),
  shutdownGrace: duration('25s').describe('How long in-flight requests may take to finish after the first signal.'),
  timeouts: timeouts.prefault({}),
})

const admin = z.strictObject({
  listen: optionalListenAddress('127.0.0.1:9090').describe('host:port, unix:/path, or false for no admin port.'),
  probesListen: listenAddress(null).describe(
    'A second address that serves only the probes and /metrics, for kubelet and Prometheus.',
  ),
  publicUrl: optionalOrigin().describe('Base of the redirect URI; default http://localhost:<admin port>.'),
})

const store = z.strictObject({
  type: z.enum(['file', 'memory', 'redis', 'kubernetes']).default('file').describe('Where tokens are kept.'),
  directory: z
    .string()
    .min(1)
    .register(traits, { file: 'directory' })
    .default('./tokens')
    .describe('file: the folder, one document per credential and subject, mode 0600.'),
  encryptionKey: secret().describe(
    'file, redis: seals documents with AES-256-GCM. 32 bytes in base64 or hex, else a passphrase; default: $BEARER_SIDECAR_KEY.',
  ),
  previousEncryptionKeys: z
    .array(z.string().min(1))
    .register(traits, { secret: true })
    .default([])
    .describe('Still read; the next save uses encryptionKey.'),
  url: z
    .string()
    .min(1)
    .register(traits, { secret: true })
    .default('redis://127.0.0.1:6379')
    .describe('redis: Redis or Valkey, Sentinel and Cluster URLs too.'),
  secretName: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?$/, 'must be a Kubernetes name: lower-case letters, digits, - and .')
    .default('bearer-sidecar-tokens')
    .describe('kubernetes: name of the Secret; namespace from the pod.'),
  lease: duration('60s').describe('Must exceed every refresh.timeout; a crashed holder costs at most this long.'),
})

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severe level written.'),
  format: z.enum(['auto', 'pretty', 'json']).default('auto').describe('auto = pretty on a terminal, JSON otherwise.'),
})

const notify = z.strictObject({
  webhook: secret().describe('URL that gets a JSON POST when a credential needs a person.'),
  refreshTokenWarnings: z
    .array(duration('30d'))
    .default([30, 14, 7, 1].map((days) => days * 86_400_000))
    .describe('Warn when a refresh token has less than this left.'),
})

export const configSchema = z.strictObject({
  version: z.literal(1, { error: 'must be 1, the version of this format' }).describe('Version of this format: 1.'),
  proxy: proxy.prefault({}),
  admin: admin.prefault({}),
  credentials: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'the name of a credential must be 1 to 63 letters, digits, - or _'),
      credentialSchema,
    )
    .default({}),
  routes: z.array(routeSchema).default([]),
  store: store.prefault({}),
  log: log.prefault({}),
  notify: notify.prefault({}),
})

export { credentialSchema }

/** The whole configuration: presets applied, durations in milliseconds, sizes in bytes, paths absolute, secrets read. */
export type Config = z.output<typeof configSchema>
/** A credential as it may stand in the file, and as presets hold it. */
export type CredentialInput = z.input<typeof credentialSchema>
export type CredentialConfig = Config['credentials'][string]
export type RouteConfig = Config['routes'][number]
export type StoreConfig = Config['store']
export type ProxyConfig = Config['proxy']
export type AdminConfig = Config['admin']
export type TlsConfig = z.output<typeof tls>
export type TokenRejectionRule = z.output<typeof tokenRejectionRule>
export type RateLimitConfig = z.output<typeof rateLimit>
