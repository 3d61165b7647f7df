import type { Socket } from 'node:net'
import { ConnectError } from './upstream.ts'

/** Milliseconds of silence before TCP probes a connection whose other end may be gone. */
const keepAliveDelay = 30_000

/** What happens to packets, as opposed to certificates and handshakes. */
const networkFaults = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH'])

/** One connection on its way, through an egress proxy or not: several sockets and steps, one time limit, one outcome. */
export class ConnectAttempt {
  readonly #where: string
  readonly #settle: (outcome: Socket | ConnectError) => void
  readonly #timer: NodeJS.Timeout
  #socket: Socket | undefined
  #unwatch: (() => void) | undefined
  #over = false

  /** `where` names the origin in messages for the log. */
  constructor(timeout: number, where: string, settle: (outcome: Socket | ConnectError) => void) {
    this.#where = where
    this.#settle = settle
    this.#timer = setTimeout(() => {
      this.fail(new ConnectError('timeout', `no connection to ${where} within ${timeout} ms`))
    }, timeout)
  }

  /** Follows `socket` instead of an earlier one; `ready` is called at `event`. */
  watch(socket: Socket, event: 'connect' | 'secureConnect', ready: () => void): void {
    this.#unwatch?.()
    this.#socket = socket
    let reached = !socket.connecting
    const onConnect = () => (reached = true)
    const onError = (error: NodeJS.ErrnoException) => {
      const tls = reached && event === 'secureConnect' && !networkFaults.has(error.code ?? '')
      this.fail(new ConnectError(tls ? 'tls' : 'unreachable', `no connection to ${this.#where}`, error))
    }
    const onClose = () => this.fail(new ConnectError('unreachable', `${this.#where} closed the new connection`))
    socket.on('connect', onConnect).on(event, ready).on('error', onError).on('close', onClose)
    this.#unwatch = () => {
      socket.off('connect', onConnect).off(event, ready).off('error', onError).off('close', onClose)
    }
  }

  succeed(socket: Socket): void {
    if (!this.#finish()) return
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveDelay)
    this.#settle(socket)
  }

  fail(error: ConnectError): void {
    if (!this.#finish()) return
    this.#destroy()
    this.#settle(error)
  }

  cancel(): void {
    if (this.#finish()) this.#destroy()
  }

  #destroy(): void {
    // An error that a socket reports after it was given up has no reader.
    this.#socket?.on('error', () => undefined).destroy()
  }

  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#unwatch?.()
    return true
  }
}
