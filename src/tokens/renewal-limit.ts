import type { Clock } from '../clock.ts'
import type { RenewalDeclined, RenewWhen } from './token-source.ts'
import type { TokenSet } from './token-set.ts'

/** How often rejections may lead to a refresh: once per token where that is the rule, and not at all while fresh tokens are rejected too. */
export class RenewalLimit {
  readonly #clock: Clock
  #pausedUntil = 0
  /** The access token whose one renewal on doubt (RenewWhen expired-or-once) is used up. */
  #doubted: string | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Why this rejection may not lead to a refresh. */
  declines(rejected: TokenSet, when: RenewWhen): RenewalDeclined['why'] | undefined {
    const doubted = rejected.accessToken === this.#doubted && !rejected.expired(this.#clock.now())
    if (when === 'expired-or-once' && doubted) return 'not-expired'
    return this.#clock.monotonic() < this.#pausedUntil ? 'cooldown' : undefined
  }

  use(rejected: TokenSet): void {
    this.#doubted = rejected.accessToken
  }

  /** A token that was fresh from a renewal was rejected as well. `cooldown` in milliseconds. */
  pause(renewed: TokenSet, cooldown: number): void {
    this.#doubted = renewed.accessToken
    this.#pausedUntil = this.#clock.monotonic() + cooldown
  }

  clear(): void {
    this.#pausedUntil = 0
    this.#doubted = undefined
  }
}
