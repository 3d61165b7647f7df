import type { IncomingMessage } from 'node:http'
import type { TokenSet } from '../tokens/token-set.ts'
import type { TokenSource } from '../tokens/token-source.ts'
import type { ServedRoute } from './routes.ts'
import type { RouteCredential } from './setup.ts'
import { readSubject } from './subject.ts'

/** What a request is sent with, each at the index of its credential. */
export interface Sent {
  readonly sources: readonly TokenSource[]
  /** Complete once `pending`, if any, has resolved. */
  readonly tokens: TokenSet[]
  /** Positions in the header lists of interchangeable keys. */
  readonly keys: number[]
  /** Set when a token is not at hand; rejects with the ProxyError of the first source that has none. */
  readonly pending: Promise<unknown> | undefined
}

/** Asks every credential of the route for a token. Without a promise when all are fresh, which is nearly always. */
export function collect(route: ServedRoute, rawHeaders: readonly string[], minLife: number): Sent {
  const { credentials, keyRings } = route
  const count = credentials.length
  // Of their final length at once: an array that grows begins with room for 17.
  const sources = new Array<TokenSource>(count)
  const tokens = new Array<TokenSet>(count)
  const keys = new Array<number>(count)
  let waiting: Promise<void>[] | undefined
  for (let index = 0; index < count; index++) {
    const credential = credentials[index] as RouteCredential
    const { subjectHeader } = credential.config
    const subject = subjectHeader === null ? undefined : readSubject(rawHeaders, subjectHeader)
    const source = credential.source(subject)
    const token = source.token(minLife)
    sources[index] = source
    keys[index] = keyRings[index]?.current ?? 0
    if (token instanceof Promise) {
      waiting ??= []
      waiting.push(token.then((set) => void (tokens[index] = set)))
    } else tokens[index] = token
  }
  return { sources, tokens, keys, pending: waiting && Promise.all(waiting) }
}

/** Whose turn it is among those who wait for the rate limit: the subject where there is one, else the machine that called. */
export function callerKey(route: ServedRoute, { rawHeaders, socket }: IncomingMessage): string {
  for (const { config } of route.credentials) {
    if (config.subjectHeader !== null) return readSubject(rawHeaders, config.subjectHeader)
  }
  return socket.remoteAddress ?? ''
}
