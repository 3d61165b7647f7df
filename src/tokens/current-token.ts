import type { Clock } from '../clock.ts'
import type { TokenSet } from './token-set.ts'

/**
 * The token set in force and how fresh it is. Expiry is looked at when a request asks, on the wall clock (which goes on during a suspend) and
 * on the monotonic one (which no administrator sets back).
 */
export class CurrentToken {
  readonly #clock: Clock
  #set: TokenSet | undefined
  #freshUntil = 0
  #freshUntilMonotonic = 0
  #expiresMonotonic = 0
  /** Whether a request asked for this token: only then is it refreshed before its end. */
  used = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get set(): TokenSet | undefined {
    return this.#set
  }

  /** The token when it needs no further look: outside its early window. Called for every request. */
  get fresh(): TokenSet | undefined {
    if (this.#clock.now() >= this.#freshUntil || this.#clock.monotonic() >= this.#freshUntilMonotonic) return undefined
    this.used = true
    return this.#set
  }

  /** The token while it lives. */
  get live(): TokenSet | undefined {
    return this.#set !== undefined && this.isLive(this.#set) ? this.#set : undefined
  }

  isLive(set: TokenSet): boolean {
    if (set.accessToken === '' || set.expired(this.#clock.now())) return false
    return !same(set, this.#set) || this.#clock.monotonic() < this.#expiresMonotonic
  }

  /** Live, and not yet inside its early window. */
  isFresh(set: TokenSet, early: number): boolean {
    if (!this.isLive(set) || this.#clock.now() >= set.refreshAt(early)) return false
    return !same(set, this.#set) || this.#clock.monotonic() < this.#freshUntilMonotonic
  }

  /** Takes another set; `early` in milliseconds before expiry. */
  replace(set: TokenSet | undefined, early: number): void {
    const next = set?.accessToken === '' ? undefined : set
    // The same token read again keeps its monotonic end: the wall clock may have been set back since it came.
    if (!same(next, this.#set)) {
      this.used = false
      this.#expiresMonotonic = this.#clock.monotonic() + (next === undefined ? 0 : this.#timeLeft(next))
    }
    this.#set = next
    this.#freshUntil = next?.refreshAt(early) ?? 0
    const window = next?.expiresAt === undefined ? 0 : next.expiresAt - this.#freshUntil
    this.#freshUntilMonotonic = this.#expiresMonotonic - window
  }

  /** Never more than the whole life: a token from the future was issued before the clock was set back. */
  #timeLeft(set: TokenSet): number {
    return set.expiresAt === undefined
      ? Infinity
      : Math.min(set.expiresAt - this.#clock.now(), set.lifetime ?? Infinity)
  }
}

const same = (a: TokenSet | undefined, b: TokenSet | undefined) =>
  a === b || (a?.accessToken === b?.accessToken && a?.expiresAt === b?.expiresAt)
