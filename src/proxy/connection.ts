import type { Socket } from 'node:net'
import type { Forwarding } from './forward.ts'

/** Requests that one connection may have waiting behind the one in progress; a caller that pipelines more is cut off. */
const maxWaiting = 100

const key = Symbol('connection')

/**
 * What runs on one caller's connection. Pipelined requests are forwarded one after the other, as they would be without pipelining: their
 * answers have to be in order anyway, and a POST must not overtake the one before it (RFC 9112 section 9.3.2).
 */
export class Connection {
  #current: Forwarding | undefined
  readonly #waiting: Forwarding[] = []

  static of(socket: Socket & { [key]?: Connection | undefined }): Connection {
    return (socket[key] ??= new Connection())
  }

  /** The forwarding in progress. */
  get current(): Forwarding | undefined {
    return this.#current
  }

  /** False when the connection has too much waiting. */
  enter(forwarding: Forwarding): boolean {
    if (this.#current !== undefined) return this.#waiting.push(forwarding) <= maxWaiting
    this.#current = forwarding
    forwarding.begin()
    return true
  }

  /** The forwarding's answer is out, or its caller gone: the next may begin. */
  leave(forwarding: Forwarding): void {
    if (this.#current !== forwarding) {
      const index = this.#waiting.indexOf(forwarding)
      if (index !== -1) this.#waiting.splice(index, 1)
      return
    }
    this.#current = this.#waiting.shift()
    this.#current?.begin()
  }
}
