import type { Socket } from 'node:net'
import { headFault, incomplete, readHead } from './http1-head.ts'
import { Http1Parser } from './http1-parser.ts'
import {
  type Exchange,
  UpstreamError,
  type UpstreamHandler,
  type UpstreamHead,
  type UpstreamOptions,
  usualHead,
} from './upstream.ts'

type Timeouts = Pick<UpstreamOptions, 'headersTimeout' | 'bodyTimeout'>

/** One request that asks for another protocol, on a connection of its own: a 101 hands the connection over, any other answer is read to its end. */
export class UpgradeExchange implements Exchange {
  /** Ends what is still on its way to a connection. */
  onAbort: () => void = () => undefined
  readonly #request: string
  readonly #timeouts: Timeouts
  readonly #handler: UpstreamHandler
  readonly #onUpgrade: (head: UpstreamHead, socket: Socket, rest: Buffer) => void
  readonly #parser = new Http1Parser(usualHead)
  #socket: Socket | undefined
  /** What came of the head so far; undefined once the answer turned out to be no 101. */
  #received: Buffer | undefined = Buffer.alloc(0)
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(
    request: string,
    timeouts: Timeouts,
    handler: UpstreamHandler,
    onUpgrade: (head: UpstreamHead, socket: Socket, rest: Buffer) => void,
  ) {
    this.#request = request
    this.#timeouts = timeouts
    this.#handler = handler
    this.#onUpgrade = onUpgrade
  }

  /** Sends the request over the new connection. */
  begin(socket: Socket): void {
    // An error that the socket reports after it was handed over or given up is followed by its close.
    socket.on('error', ignore)
    if (this.#over) {
      socket.destroy()
      return
    }
    this.#socket = socket
    this.#parser.begin(false)
    socket.on('data', this.#onData).on('end', this.#onFin).on('error', this.#onDeath).on('close', this.#onDeath)
    // A tunnel leaves the socket paused.
    socket.resume()
    socket.write(this.#request, 'latin1')
    this.#wait(this.#timeouts.headersTimeout, 'no answer in time')
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#received === undefined) {
      this.#timer?.refresh()
      this.#read(chunk)
      return
    }
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    this.#readHead(this.#received)
  }

  #readHead(received: Buffer): void {
    const head = readHead(received, 0, received.length)
    if (head === incomplete) {
      if (received.length > usualHead) this.#refuse('head over 16 KiB')
    } else if (typeof head === 'number') {
      this.#refuse(headFault(head))
    } else if (head.status === 101) {
      const { status, statusText, headers } = head
      const rest = received.subarray(head.end)
      const socket = this.#letGo()
      if (socket === undefined) return
      this.#onUpgrade({ status, statusText, headers, length: undefined, hasBody: false }, socket, rest)
    } else if (head.status < 200) {
      this.#received = received.subarray(head.end)
      if (this.#received.length > 0) this.#readHead(this.#received)
    } else {
      this.#received = undefined
      this.#wait(this.#timeouts.bodyTimeout, 'the answer stopped coming')
      this.#read(received)
    }
  }

  #read(chunk: Buffer): void {
    const parser = this.#parser
    parser.feed(chunk, 0, chunk.length)
    while (!this.#over) {
      switch (parser.next()) {
        case 'more':
          return
        case 'head':
          this.#handler.onHead(parser.head as UpstreamHead)
          break
        case 'data':
          if (!this.#handler.onData(chunk.subarray(parser.dataStart, parser.dataEnd))) this.#pause()
          break
        case 'complete':
          this.#end()
          return
        case 'failed':
          this.#refuse(`malformed answer: ${parser.fault}`)
          return
      }
    }
  }

  #pause(): void {
    if (this.#over) return
    clearTimeout(this.#timer)
    this.#socket?.pause()
  }

  resume(): void {
    if (this.#over) return
    this.#wait(this.#timeouts.bodyTimeout, 'the answer stopped coming')
    this.#socket?.resume()
  }

  readonly #onFin = (): void => {
    if (this.#received !== undefined) this.#onDeath()
    else if (this.#parser.finish() === 'complete') this.#end()
    else this.#refuse(this.#parser.fault)
  }

  readonly #onDeath = (error?: unknown): void => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    // A TLS 1.3 server refuses a client certificate only after our side of the handshake is over.
    const fault = code.startsWith('ERR_SSL_') ? 'tls' : 'unreachable'
    this.fail(new UpstreamError(fault, 'the upstream closed the connection before its answer was complete', error))
  }

  #wait(milliseconds: number, late: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.fail(new UpstreamError('timeout', late)), milliseconds)
  }

  #refuse(reason: string): void {
    this.fail(new UpstreamError('protocol', reason))
  }

  fail(error: UpstreamError): void {
    if (this.#over) return
    this.#letGo()?.destroy()
    this.#handler.onError(error)
  }

  #end(): void {
    this.#letGo()?.destroy()
    this.#handler.onEnd()
  }

  abort(): void {
    if (this.#over) return
    this.onAbort()
    this.#letGo()?.destroy()
  }

  /** Ends the exchange and leaves its socket paused, with nobody listening. */
  #letGo(): Socket | undefined {
    this.#over = true
    clearTimeout(this.#timer)
    const socket = this.#socket
    socket?.off('data', this.#onData).off('end', this.#onFin).off('error', this.#onDeath).off('close', this.#onDeath)
    return socket?.pause()
  }

  /** A handshake has no body. */
  write(): boolean {
    return true
  }

  end(): void {
    // Nothing was announced.
  }
}

const ignore = () => undefined
