import type { Socket } from 'node:net'
import type { Conversation } from './conversation.ts'

/** Requests that one connection may have waiting behind the one in progress; a caller that pipelines more is cut off. */
const maxWaiting = 100

const key = Symbol('connection')

/**
 * What runs on one caller's connection. Pipelined requests are forwarded one after the other, as they would be without pipelining: their
 * answers have to be in order anyway, and a POST must not overtake the one before it (RFC 9112 section 9.3.2).
 */
export class Connection {
  readonly #socket: Socket
  #current: Conversation | undefined
  readonly #waiting: Conversation[] = []

  constructor(socket: Socket) {
    this.#socket = socket
  }

  static of(socket: Socket & { [key]?: Connection | undefined }): Connection {
    return (socket[key] ??= new Connection(socket))
  }

  /** The request that is being forwarded. */
  get current(): Conversation | undefined {
    return this.#current
  }

  enter(conversation: Conversation): void {
    if (this.#current === undefined) {
      this.#current = conversation
      conversation.begin()
    } else if (this.#waiting.push(conversation) > maxWaiting) this.#socket.destroy()
  }

  /** The answer is out, or the caller gone: the next may begin, or nothing that waits ever will. */
  leave(conversation: Conversation): void {
    if (this.#current !== conversation) return
    this.#current = undefined
    if (this.#socket.destroyed) {
      for (const waiting of this.#waiting.splice(0)) waiting.finish()
      return
    }
    this.#current = this.#waiting.shift()
    this.#current?.begin()
  }
}
