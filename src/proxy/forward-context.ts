import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import type { ProxyEvents } from './setup.ts'
import type { Watchdog } from './watchdog.ts'

/** What every forwarding shares. One object per setup, so that a request keeps the limits it began with. */
export interface ForwardContext {
  readonly clock: Clock
  readonly events: ProxyEvents
  readonly watchdog: Watchdog
  /** Ticks of the watchdog without progress of an upload, by whose turn it was. */
  readonly uploadLimits: { readonly caller: number; readonly upstream: number }
  /** Ticks that a caller may take nothing of an answer. */
  readonly drainLimit: number
  /** Answers should say Connection: close. */
  closing(): boolean
  /** The caller is a browser whose origin is listed. */
  crossOrigin(request: IncomingMessage): boolean
  /** Scheme and authority under which this caller reaches us: what rewritten links lead to. */
  proxyOrigin(request: IncomingMessage): string
}
