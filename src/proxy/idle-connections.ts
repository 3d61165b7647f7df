import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { Connection } from './connection.ts'

/** Milliseconds after which a connection without a request is closed. Longer than common clients keep theirs, so that it is they who close (RFC 9112 section 9.5). */
export const keepAliveTime = 72_000
/** Milliseconds between two looks, so much later at most. */
const period = 8_000

/**
 * Closes connections that callers keep and do not use. Node's own keepAliveTimeout starts and stops a timer for every request, which cost a twentieth
 * of all that a request costs.
 */
export class IdleConnections {
  readonly #clock: Clock
  readonly #sockets = new Set<Socket>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#cancel ??= this.#clock.schedule(period, this.#sweep)
    })
  }

  /** The connection is no HTTP any more. */
  release(socket: Socket): void {
    this.#sockets.delete(socket)
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#sockets.clear()
  }

  readonly #sweep = (): void => {
    this.#cancel = undefined
    for (const socket of this.#sockets) Connection.of(socket).endIfUnused(keepAliveTime / period)
    if (this.#sockets.size > 0) this.#cancel = this.#clock.schedule(period, this.#sweep)
  }
}
