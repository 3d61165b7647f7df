import { isHopByHop, namedByConnection } from './field-names.ts'
import { withoutNamed } from './request-headers.ts'

const keep = 0
const drop = 1
const connection = 2
const crossOrigin = 3
const link = 4
const length = 5
const bytes = 6
const tag = 7
type Fate =
  | typeof keep
  | typeof drop
  | typeof connection
  | typeof crossOrigin
  | typeof link
  | typeof length
  | typeof bytes
  | typeof tag

const maxRemembered = 500
const maxRememberedLength = 64
const fates = new Map<string, Fate>()

export interface ResponseChange {
  /** Access-Control-* passes: the caller is a browser whose origin is listed. */
  readonly crossOrigin: boolean
  /** Rewrites the URL of Location and Content-Location; undefined leaves them. */
  readonly link: ((url: string) => string) | undefined
  /** The body is changed on its way: what the head says about its very bytes is no longer true. */
  readonly bodyChanged: boolean
  /** RFC 9110 section 8.6: a 204 must not have a Content-Length. */
  readonly withoutLength?: boolean
  /** The entity tag is of a body that is, or was, changed on its way: it stays, as a weak one. */
  readonly weakTag?: boolean
}

/** The header list of an answer as the caller gets it: what was about the upstream's connection goes, the rest stays in order and spelling. */
export function forCaller(raw: readonly string[], change: ResponseChange): string[] {
  const out: string[] = []
  let named: Set<string> | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string
    const value = raw[index + 1] as string
    const fate = fates.get(name) ?? learn(name)
    switch (fate) {
      case keep:
        out.push(name, value)
        break
      case drop:
        break
      case connection:
        named = namedByConnection(value, named)
        break
      case crossOrigin:
        if (change.crossOrigin) out.push(name, value)
        break
      case link:
        out.push(name, change.link === undefined ? value : change.link(value))
        break
      case length:
        if (!change.bodyChanged && change.withoutLength !== true) out.push(name, value)
        break
      case bytes:
        if (!change.bodyChanged) out.push(name, value)
        break
      case tag:
        out.push(name, change.weakTag === true && value.startsWith('"') ? `W/${value}` : value)
        break
    }
  }
  return named === undefined ? out : withoutNamed(out, named)
}

/** No _ folding here: browsers and callers take names as they are written. */
function learn(name: string): Fate {
  const lower = name.toLowerCase()
  const fate = fateOf(lower)
  if (fates.size < maxRemembered && name.length <= maxRememberedLength) fates.set(name, fate)
  return fate
}

/** The coding, digests and ranges of the bytes that the upstream sent (RFC 9110 sections 8.4 and 14.3, RFC 9530, RFC 1864). */
const aboutBytes = new Set([
  'content-encoding',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
  'accept-ranges',
])

function fateOf(lower: string): Fate {
  if (lower === 'connection') return connection
  if (isHopByHop(lower)) return drop
  if (lower.startsWith('access-control-')) return crossOrigin
  if (lower === 'location' || lower === 'content-location') return link
  if (lower === 'content-length') return length
  if (lower === 'etag') return tag
  return aboutBytes.has(lower) ? bytes : keep
}
