import type { Clock } from '../clock.ts'
import type { CredentialConfig, ProxyConfig, RouteConfig } from '../config/schema.ts'
import type { ProxyError } from '../errors.ts'
import type { ReplayOutcome, TokenSource } from '../tokens/token-source.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { RequestRecord } from './request-record.ts'

/** What the proxy serves; given anew on every reload of the config. Upstreams are opened and closed by whoever makes it. */
export interface ProxySetup {
  readonly proxy: ProxyConfig
  readonly routes: readonly ProxyRoute[]
}

export interface ProxyDeps {
  readonly clock: Clock
  /** Gives short random request ids. */
  readonly ids: () => string
  readonly events: ProxyEvents
  readonly setup: ProxySetup
}

export interface ProxyRoute {
  readonly config: RouteConfig
  /** Metric and log label. */
  readonly label: string
  readonly upstream: Upstream
  /** Scheme, host, port and base path of the upstream. */
  readonly upstreamUrl: URL
  /** In the order of the config; later ones win where two inject the same header. */
  readonly credentials: readonly RouteCredential[]
  /** RouteConfig.rewriteLinks with the preset's default applied. */
  readonly rewriteLinks: boolean
  /** Sends WebSocket handshakes; set when the route carries WebSockets. */
  readonly webSocketUpstream: Upstream | undefined
}

export interface RouteCredential {
  readonly name: string
  readonly config: CredentialConfig
  /** `subject` is given exactly when the credential has a subjectHeader. */
  readonly source: (subject: string | undefined) => TokenSource
}

/** Why a rejected answer passes without a replay: the value of Bearer-Sidecar-Replay. */
export type ReplayObstacle = 'body-too-large' | 'refresh-failed' | 'cooldown'

/** Plain callbacks for metrics and the access log. They must not throw and must not wait. */
export interface ProxyEvents {
  /** A request was taken in; onFinish follows exactly once. */
  readonly onStart?: (record: RequestRecord) => void
  /** The answer is out, or the caller left, or the request was refused. */
  readonly onFinish?: (record: RequestRecord) => void
  /** An upstream rejected a token; once per request. */
  readonly onReplay?: (route: string, outcome: ReplayOutcome) => void
  /** A key of a header list was rejected and the next one worked; `position` counts from 1. */
  readonly onKeyChange?: (credential: string, position: number) => void
  /** A request head that never became a request: the code that it was answered with. */
  readonly onMalformed?: (error: ProxyError) => void
}
