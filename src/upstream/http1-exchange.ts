import type { Socket } from 'node:net'
import { isRetryable } from './request-check.ts'
import {
  type Exchange,
  UpstreamError,
  type UpstreamBody,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

/** What an exchange tells the connection that carries it, or is being opened for it. */
export interface Carrier {
  /** The last byte of the request was handed to the socket. */
  onRequestSent(): void
  resume(): void
  abort(): void
  fail(error: UpstreamError): void
}

/** A larger body leaves with its head in one writev instead of being copied behind it. */
const maxCopy = 64 * 1024
const lastChunk = '0\r\n\r\n'

/** One request on its way over HTTP/1.1: its bytes, and how much of it is out. The answer's side is Http1Connection's. */
export class Http1Exchange implements Exchange {
  readonly handler: UpstreamHandler
  readonly headRequest: boolean
  /** The one second try is still allowed. */
  retryable: boolean
  /** Every byte of the request was handed to the socket. */
  sent = false
  /** onEnd, onError or abort() came. */
  over = false
  carrier: Carrier | undefined
  readonly #head: string
  readonly #body: UpstreamBody
  #socket: Socket | undefined
  /** Announced bytes that are still to come; Infinity when chunked. */
  #remaining: number
  #chunked = false
  /** Pieces that came before the connection. */
  #early: Buffer[] | undefined
  #ended = false
  /** A write() returned false, onDrain is owed. */
  #blocked = false
  /** What is still written goes nowhere: the upstream has given its final answer and leaves. */
  #muted = false

  /** `head` is complete but for the framing field and the empty line. */
  constructor(request: UpstreamRequest, head: string, handler: UpstreamHandler) {
    const { body } = request
    this.handler = handler
    this.headRequest = request.method === 'HEAD'
    this.retryable = isRetryable(request)
    this.#body = body
    this.#remaining = 0
    if (body === undefined) {
      this.#head = head + '\r\n'
    } else if (Buffer.isBuffer(body)) {
      this.#head = `${head}Content-Length: ${body.length}\r\n\r\n`
    } else if (body.length === undefined) {
      this.#head = head + 'Transfer-Encoding: chunked\r\n\r\n'
      this.#chunked = true
      this.#remaining = Infinity
    } else {
      this.#head = `${head}Content-Length: ${body.length}\r\n\r\n`
      this.#remaining = body.length
    }
  }

  /** Sends what there is of the request. */
  transmit(socket: Socket): void {
    const body = this.#body
    this.#socket = socket
    if (body === undefined || (Buffer.isBuffer(body) && body.length === 0)) {
      socket.write(this.#head, 'latin1')
      this.sent = true
    } else if (Buffer.isBuffer(body)) {
      this.#transmitWhole(socket, body)
      this.sent = true
    } else {
      this.#transmitBegin(socket)
    }
  }

  #transmitWhole(socket: Socket, body: Buffer): void {
    const head = this.#head
    if (body.length > maxCopy) {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
      return
    }
    const whole = Buffer.allocUnsafe(head.length + body.length)
    whole.write(head, 'latin1')
    body.copy(whole, head.length)
    socket.write(whole)
  }

  #transmitBegin(socket: Socket): void {
    const early = this.#early
    this.#early = undefined
    socket.cork()
    socket.write(this.#head, 'latin1')
    for (const chunk of early ?? []) this.#writePiece(socket, chunk)
    if (this.#ended) this.#finish(socket)
    socket.uncork()
    if (this.#blocked && !socket.writableNeedDrain) this.onDrain()
  }

  write(chunk: Buffer): boolean {
    if (this.over || this.#muted || this.#ended || chunk.length === 0) return true
    this.#remaining -= chunk.length
    if (this.#remaining < 0) {
      this.#refuse('more body bytes than announced')
      return true
    }
    let more = false
    if (this.#socket !== undefined) more = this.#writePiece(this.#socket, chunk)
    else (this.#early ??= []).push(chunk)
    this.#blocked = !more
    return more
  }

  end(): void {
    if (this.over || this.#ended) return
    this.#ended = true
    if (this.#muted) return
    if (this.#remaining > 0 && !this.#chunked) this.#refuse('fewer body bytes than announced')
    else if (this.#socket !== undefined) this.#finish(this.#socket)
  }

  #writePiece(socket: Socket, chunk: Buffer): boolean {
    if (!this.#chunked) return socket.write(chunk)
    const size = chunk.length.toString(16) + '\r\n'
    const framed = Buffer.allocUnsafe(size.length + chunk.length + 2)
    framed.write(size, 'latin1')
    chunk.copy(framed, size.length)
    framed.write('\r\n', size.length + chunk.length, 'latin1')
    return socket.write(framed)
  }

  #finish(socket: Socket): void {
    if (this.#chunked) socket.write(lastChunk, 'latin1')
    this.sent = true
    this.carrier?.onRequestSent()
  }

  /** The framing must hold whatever the caller does, or its next bytes would be read as another request. */
  #refuse(reason: string): void {
    process.nextTick(() => {
      if (!this.over) this.carrier?.fail(new UpstreamError('protocol', reason))
    })
  }

  onDrain(): void {
    if (!this.#blocked) return
    this.#blocked = false
    this.handler.onDrain()
  }

  /** RFC 9112 section 9.5: after an answer that refuses the body and closes, the rest of the body is not sent. */
  mute(): void {
    if (this.sent) return
    this.#muted = true
    this.onDrain()
  }

  resume(): void {
    if (!this.over) this.carrier?.resume()
  }

  abort(): void {
    if (this.over) return
    this.over = true
    this.carrier?.abort()
  }
}
