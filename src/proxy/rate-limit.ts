import type { Clock } from '../clock.ts'
import type { RateLimitConfig } from '../config/schema.ts'
import { ProxyError } from '../errors.ts'
import { CallerQueue } from './caller-queue.ts'

/** A request that may have to wait. Exactly one of the two is called, unless it leaves first. */
export interface Waiting {
  onTurn(): void
  onRefused(error: ProxyError): void
}

interface Entry {
  readonly waiting: Waiting
  /** Cancels the end of its patience. */
  readonly cancel: () => void
}

/**
 * Milliseconds. A sliding second of the upstream's clock, with room for what lies between a start that is counted and the moment its bytes leave: the wait for a
 * body's first piece, and the jitter of timers.
 */
const second = 1015
const day = 86_400_000
/** A Retry-After from the upstream is obeyed for no longer than this: then one request finds out anew. */
const longestBlock = 300_000

/** Calls per sliding second and per UTC day of one route, shared by all its callers. Every attempt counts, replays too. */
export class Governor {
  readonly config: RateLimitConfig
  readonly #clock: Clock
  readonly #queue = new CallerQueue<Entry>()
  /** Those that wait for a token before they can use what they were given; each has a place. */
  readonly #away = new Set<Waiting>()
  /** Start times of the requests of the last second, oldest first. */
  #recent: number[] = []
  #today = -1
  #usedToday = 0
  /** By the monotonic clock: the upstream asked for a pause until then, with this status. */
  #blockedUntil = 0
  #blockedBy = 0
  #cancelWake: (() => void) | undefined

  constructor(config: RateLimitConfig, clock: Clock) {
    this.config = config
    this.#clock = clock
  }

  /**
   * True: go at once. False: `waiting` is told later. Throws `rate_limited` when the queue is full or waiting is known to be in vain.
   * `urgent`: a replay, whose first try was paid for already; it goes before all others and needs no place in the queue.
   */
  enter(caller: string, waiting: Waiting, urgent = false): boolean {
    const placed = this.#away.delete(waiting) || urgent
    const delay = this.#delay()
    if (delay === 0 && (urgent || this.#queue.size === 0)) {
      this.#take()
      return true
    }
    if (delay > this.config.maxWait || (!placed && this.#waiting(this.#away.size) >= this.config.queue))
      throw this.#refusal(delay)
    const entry: Entry = {
      waiting,
      cancel: this.#clock.schedule(this.config.maxWait, () => {
        this.#queue.remove((other) => other.waiting === waiting)
        waiting.onRefused(this.#refusal(this.#delay()))
      }),
    }
    if (urgent) this.#queue.pushUrgent(entry)
    else this.#queue.push(caller, entry)
    this.#wakeIn(delay)
    return false
  }

  /**
   * Called at once after enter() or onTurn() by a request that cannot be sent before a token comes: others may go meanwhile. It keeps a place and enters again when
   * it is ready. Throws `rate_limited` when there is no place, or the day is over before its turn.
   */
  giveBack(waiting: Waiting): void {
    this.#recent.pop()
    this.#usedToday--
    const { perDay = Infinity, maxWait, queue } = this.config
    const wait = this.#untilMidnight()
    if (this.#away.size >= perDay - this.#usedToday && wait > maxWait) throw this.#refusal(wait)
    if (this.#waiting(this.#away.size + 1) > queue) throw this.#refusal(0)
    this.#away.add(waiting)
  }

  /** A caller that went away frees its place. */
  leave(waiting: Waiting): void {
    if (!this.#away.delete(waiting)) this.#queue.remove((entry) => entry.waiting === waiting)?.cancel()
  }

  /**
   * Obeys what an answer says about the next request: Retry-After (RFC 9110 section 10.2.3) or X-RateLimit-Reset. That of a 503 is about the service that is down, not
   * about the number of calls.
   */
  observe(status: number, headers: readonly string[]): void {
    if (status !== 429 && status !== 403) return
    const pause = askedPause(status, headers, this.#clock.now())
    if (pause === undefined) return
    const until = this.#clock.monotonic() + pause
    if (until <= this.#blockedUntil) return
    this.#blockedUntil = until
    this.#blockedBy = status
  }

  /** Requests that wait, or will. Of `away` ones that wait for a token, as many as the limit has room for are free to go then. */
  #waiting(away: number): number {
    const { perSecond = Infinity, perDay = Infinity } = this.config
    const room = this.#delay() > 0 ? 0 : Math.min(perSecond - this.#recent.length, perDay - this.#usedToday)
    return this.#queue.size + Math.max(0, away - room)
  }

  /** Milliseconds until a request may go; 0 = now. */
  #delay(): number {
    const now = this.#clock.monotonic()
    const { perSecond, perDay } = this.config
    let delay = Math.max(0, this.#blockedUntil - now)
    if (perSecond !== undefined) {
      while (this.#recent.length > 0 && now - (this.#recent[0] ?? 0) > second) this.#recent.shift()
      const oldest = this.#recent[this.#recent.length - perSecond]
      if (oldest !== undefined) delay = Math.max(delay, oldest + second - now + 1)
    }
    if (perDay !== undefined) {
      const today = Math.floor(this.#clock.now() / day)
      if (today !== this.#today) {
        this.#today = today
        this.#usedToday = 0
      }
      if (this.#usedToday >= perDay) delay = Math.max(delay, this.#untilMidnight())
    }
    return delay
  }

  /** 00:00 UTC. */
  #untilMidnight(): number {
    return day - (this.#clock.now() % day)
  }

  #take(): void {
    if (this.config.perSecond !== undefined) this.#recent.push(this.#clock.monotonic())
    this.#usedToday++
  }

  #wakeIn(delay: number): void {
    this.#cancelWake ??= this.#clock.schedule(Math.max(1, Math.ceil(delay)), () => {
      this.#cancelWake = undefined
      this.#serve()
    })
  }

  #serve(): void {
    for (;;) {
      if (this.#queue.size === 0) return
      const delay = this.#delay()
      if (delay > 0) {
        this.#wakeIn(delay)
        return
      }
      const entry = this.#queue.shift()
      if (entry === undefined) return
      entry.cancel()
      this.#take()
      entry.waiting.onTurn()
    }
  }

  #refusal(delay: number): ProxyError {
    const retryAfter = Math.max(1, Math.ceil(delay / 1000))
    if (delay === 0 || delay > this.#blockedUntil - this.#clock.monotonic())
      return new ProxyError('rate_limited', { retryAfter })
    const detail = `The upstream answered ${this.#blockedBy} and asked for a pause, which the route's rateLimit keeps; try again after Retry-After seconds.`
    return new ProxyError('rate_limited', { retryAfter, detail })
  }
}

/** Milliseconds, clamped; undefined when the answer asks for none. A 403 speaks of quota only when it comes with Retry-After. */
function askedPause(status: number, headers: readonly string[], now: number): number | undefined {
  let reset: number | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase()
    const value = headers[index + 1] ?? ''
    if (name === 'retry-after') {
      const pause = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
      if (Number.isFinite(pause)) return clamp(pause)
    } else if (name === 'x-ratelimit-reset' && status === 429 && /^\d+$/.test(value)) {
      // Seconds since 1970 with some providers, seconds from now with others; no pause is thirty years long.
      reset = Number(value) > 1e9 ? Number(value) * 1000 - now : Number(value) * 1000
    }
  }
  return reset === undefined ? undefined : clamp(reset)
}

function clamp(pause: number): number {
  return Math.min(Math.max(pause, 0), longestBlock)
}
