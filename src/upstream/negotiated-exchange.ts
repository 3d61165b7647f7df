import { isRetryable } from './request-check.ts'
import type { Exchange, UpstreamHandler, UpstreamRequest } from './upstream.ts'

/** An exchange that is accepted before it is known which protocol, and which connection, will carry it. */
export class NegotiatedExchange implements Exchange {
  readonly request: UpstreamRequest
  readonly handler: UpstreamHandler
  /** The one second try is still allowed. */
  retryable: boolean
  /** abort() came while nothing carried it. */
  aborted = false
  #carried: Exchange | undefined
  #early: Buffer[] = []
  #ended = false

  constructor(request: UpstreamRequest, handler: UpstreamHandler) {
    this.request = request
    this.handler = handler
    this.retryable = isRetryable(request)
  }

  /** What follows goes to `exchange`, which has been sent; what came before is given to it. */
  carry(exchange: Exchange): void {
    this.#carried = exchange
    const early = this.#early
    this.#early = []
    let more = true
    for (const chunk of early) more = exchange.write(chunk)
    if (this.#ended) exchange.end()
    // The caller was told to wait; when `exchange` has not said so again, nobody else ends the wait.
    else if (more && early.length > 0) this.handler.onDrain()
  }

  /** The carrier is gone and another one will follow. */
  drop(): void {
    this.#carried = undefined
  }

  write(chunk: Buffer): boolean {
    if (this.#carried !== undefined) return this.#carried.write(chunk)
    if (this.aborted || this.#ended) return true
    this.#early.push(chunk)
    return false
  }

  end(): void {
    this.#ended = true
    this.#carried?.end()
  }

  resume(): void {
    this.#carried?.resume()
  }

  abort(): void {
    this.aborted = true
    this.#carried?.abort()
  }
}
