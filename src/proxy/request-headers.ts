import type { TokenSet } from '../tokens/token-set.ts'
import { canonicalName, isCallersOwn, isHopByHop, namedByConnection } from './field-names.ts'
import type { InjectedHeaders } from './injected-headers.ts'

const keep = 0
const drop = 1
const connection = 2
type Fate = typeof keep | typeof drop | typeof connection

/** Spellings of names whose fate is remembered, and their length; honest callers use a few dozen short ones. */
const maxRemembered = 500
const maxRememberedLength = 64

/** Turns the header list of a caller into the one that goes to the upstream of one route. */
export class RequestHeaders {
  readonly #host: string
  readonly #dropped: ReadonlySet<string>
  readonly #injected: InjectedHeaders
  readonly #fates = new Map<string, Fate>()

  /** `host`: the upstream's authority. `subjectHeaders`: names of the fields that name a subject. */
  constructor(host: string, injected: InjectedHeaders, subjectHeaders: readonly string[]) {
    this.#host = host
    this.#injected = injected
    this.#dropped = new Set([...injected.names, ...subjectHeaders.map(canonicalName)])
  }

  /**
   * First what the caller sent is stripped, with all that its own Connection fields name; then, and only then, ours is added. Connection is
   * never looked at again, so that it cannot name a token away (CVE-2026-33805).
   */
  forUpstream(raw: readonly string[], tokens: readonly TokenSet[], keys: readonly number[]): string[] {
    const out = this.#strip(raw)
    this.#injected.append(out, tokens, keys)
    return out
  }

  #strip(raw: readonly string[]): string[] {
    const out = ['Host', this.#host]
    let named: Set<string> | undefined
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index] as string
      const value = raw[index + 1] as string
      const fate = this.#fates.get(name) ?? this.#learn(name)
      if (fate === keep) out.push(name, value)
      else if (fate === connection) named = namedByConnection(value, named)
    }
    return named === undefined ? out : withoutNamed(out, named, 2)
  }

  #learn(name: string): Fate {
    const canonical = canonicalName(name)
    const fate =
      canonical === 'connection'
        ? connection
        : isHopByHop(canonical) || isCallersOwn(canonical) || this.#dropped.has(canonical)
          ? drop
          : keep
    if (this.#fates.size < maxRemembered && name.length <= maxRememberedLength) this.#fates.set(name, fate)
    return fate
  }
}

/** The list without the fields that a Connection field named; the first `from` items stay. */
export function withoutNamed(list: readonly string[], named: ReadonlySet<string>, from = 0): string[] {
  const out = list.slice(0, from)
  for (let index = from; index < list.length; index += 2) {
    const name = list[index] as string
    if (!named.has(name.toLowerCase())) out.push(name, list[index + 1] as string)
  }
  return out
}
