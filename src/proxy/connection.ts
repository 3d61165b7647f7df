import type { Socket } from 'node:net'
import type { ProxyError } from '../errors.ts'
import type { Conversation } from './conversation.ts'

/**
 * Requests that one connection may have waiting behind the one in progress. With more the socket is not read from until the line has become
 * shorter. (What a packet that was read already still holds joins the line all the same, as Node parses packets whole.)
 */
const maxWaiting = 100

const key = Symbol('connection')

/**
 * What runs on one caller's connection. Pipelined requests are forwarded one after the other, as they would be without pipelining: their
 * answers have to be in order anyway, and a POST must not overtake the one before it (RFC 9112 section 9.3.2).
 */
export class Connection {
  readonly #socket: Socket
  /** The oldest request that is not answered to the end. */
  #current: Conversation | undefined
  readonly #waiting: Conversation[] = []
  #full: boolean | undefined
  #ended = false
  #last: (() => void) | undefined
  /** Looks in a row that found no request and no byte since the one before. */
  #unused = 0
  #bytesSeen = 0
  /** The request that was answered before its body had come, the rest of which is thrown away. */
  drained: { readonly complete: boolean } | undefined = undefined

  constructor(socket: Socket) {
    this.#socket = socket
  }

  static of(socket: Socket & { [key]?: Connection | undefined }): Connection {
    return (socket[key] ??= new Connection(socket))
  }

  /** A request has come whose answer is not out. */
  get busy(): boolean {
    return this.#current !== undefined
  }

  /** The body of the only request in progress has not come to its end. */
  get uploading(): boolean {
    return this.#waiting.length === 0 && this.#current?.complete === false
  }

  /** The caller is not read from, so it cannot be the one that is slow. */
  get paused(): boolean {
    return this.#full === true
  }

  /** Nothing that comes now is a request: the last one was served, or an answer with Connection: close is on its way (RFC 9112 section 9.6). */
  get ended(): boolean {
    return this.#ended || this.#socket.writableEnded || this.#socket.destroyed
  }

  enter(conversation: Conversation): void {
    if (this.#current === undefined) {
      this.#current = conversation
      conversation.begin()
    } else if (this.#current !== conversation && this.#waiting.push(conversation) > maxWaiting) this.#pause()
  }

  /** The answer is out, or the caller gone: the next may begin, or nothing that waits ever will. */
  leave(conversation: Conversation): void {
    if (this.#current !== conversation) return
    this.#current = undefined
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      for (const waiting of this.#waiting.splice(0)) waiting.finish()
      return
    }
    do this.#current = this.#waiting.shift()
    while (this.#current?.over === true)
    if (this.#full === true && this.#waiting.length <= maxWaiting / 2) this.#resume()
    if (this.#current !== undefined) this.#current.begin()
    else if (this.#ended) this.#close()
  }

  /**
   * What came is malformed. In the body of a request it is that request that fails with `problem`; behind one, `answer` is given when all
   * requests before it were answered. Nothing more can be read: nobody knows where the next request would begin.
   */
  break(problem: ProxyError, answer: () => void): void {
    if (this.#ended) return
    const newest = this.#waiting.at(-1) ?? this.#current
    if (newest?.complete === false) newest.break(problem)
    const answered = newest?.complete === false || this.drained?.complete === false
    this.end(answered ? undefined : answer)
  }

  /** Nothing is taken any more. `last` answers what came behind the requests in progress, unless one of those closes the connection. */
  end(last?: () => void): void {
    if (this.#ended) return
    this.#ended = true
    this.#last = last
    if (this.#current === undefined) this.#close()
  }

  /** Called at regular times: closes the connection when it was not used between `limit` of them. */
  endIfUnused(limit: number): void {
    const { bytesRead } = this.#socket
    if (this.busy || bytesRead !== this.#bytesSeen) {
      this.#unused = 0
      this.#bytesSeen = bytesRead
    } else if (++this.#unused >= limit) this.#socket.destroySoon()
  }

  /** For a socket that Node's server has let go of (CONNECT, upgrades): what its listeners did for the requests that are still in progress. */
  adopt(): void {
    const socket = this.#socket
    socket.on('error', () => socket.destroy())
    socket.on('drain', () => this.#current?.takesMore())
    // Reading is the only way to see that the caller has left.
    socket.on('end', () => {
      if (this.busy) socket.destroy()
    })
    socket.resume()
  }

  #close(): void {
    if (this.#socket.writable) this.#last?.()
    // end() alone would leave the reading side open to a caller that goes on sending.
    this.#socket.destroySoon()
  }

  #pause(): void {
    // Node resumes the socket of its own accord, at the end of every request for one.
    if (this.#full === undefined) {
      this.#socket.on('resume', () => {
        if (this.#full === true) this.#socket.pause()
      })
    }
    this.#full = true
    this.#socket.pause()
  }

  #resume(): void {
    this.#full = false
    this.#socket.resume()
  }
}
