/** Which limit a call went over. */
export type OverLimit = { kind: 'second' | 'day'; retryAfter: number } | undefined

interface Counts {
  second: number
  inSecond: number
  day: number
  inDay: number
}

/** Calls per clock second and per UTC day, counted by whatever the provider counts by. `retryAfter` is in seconds. */
export class CallLimits {
  readonly #perSecond: number | undefined
  readonly #perDay: number | undefined
  readonly #now: () => number
  readonly #counts = new Map<string, Counts>()

  constructor(perSecond: number | undefined, perDay: number | undefined, now: () => number) {
    this.#perSecond = perSecond
    this.#perDay = perDay
    this.#now = now
  }

  take(key: string): OverLimit {
    if (this.#perSecond === undefined && this.#perDay === undefined) return undefined
    const now = this.#now()
    const second = Math.floor(now / 1_000)
    const day = Math.floor(now / 86_400_000)
    const counts = this.#counts.get(key) ?? { second, inSecond: 0, day, inDay: 0 }
    this.#counts.set(key, counts)
    if (counts.second !== second) Object.assign(counts, { second, inSecond: 0 })
    if (counts.day !== day) Object.assign(counts, { day, inDay: 0 })
    if (this.#perDay !== undefined && counts.inDay >= this.#perDay) {
      return { kind: 'day', retryAfter: Math.ceil(((day + 1) * 86_400_000 - now) / 1_000) }
    }
    if (this.#perSecond !== undefined && counts.inSecond >= this.#perSecond) return { kind: 'second', retryAfter: 1 }
    counts.inSecond++
    counts.inDay++
    return undefined
  }
}
