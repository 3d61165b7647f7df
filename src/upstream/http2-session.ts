import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type SecureClientSessionOptions,
} from 'node:http2'
import type { Socket } from 'node:net'
import { brokeProtocol, type ExchangeOwner, Http2Exchange } from './http2-exchange.ts'
import { requestFields } from './http2-fields.ts'
import { ConnectError, type Exchange, UpstreamError, type UpstreamHandler, type UpstreamRequest } from './upstream.ts'

/** The upstream client, as its sessions see it. */
export interface SessionOwner {
  readonly tick: number
  readonly headersTicks: number
  readonly bodyTicks: number
  readonly idleTicks: number
  readonly connectTicks: number
  /** The session takes exchanges from now on. Either this or onRefused() is called, once. */
  onReady(session: Http2Session): void
  onRefused(error: ConnectError): void
  /** The upstream wants to be asked over HTTP/1.1 (RFC 9113 section 7). */
  onHttp1Required(): void
  /** The session takes no more exchanges. */
  onDraining(session: Http2Session): void
  onGone(session: Http2Session): void
}

/** Bytes that a reader who pauses may leave unread on one stream. */
const streamWindow = 256 * 1024
/** Bytes in flight on all streams together: the 64 KiB of RFC 9113 section 6.9.2 would be the limit of a long way. */
const connectionWindow = 16 * 1024 * 1024

const settings: SecureClientSessionOptions & { strictSingleValueFields: boolean } = {
  settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: 64 * 1024 },
  maxHeaderListPairs: 1000,
  // Megabytes; the default of 10 refuses streams while a few readers pause.
  maxSessionMemory: 256,
  // A caller's repeated field passes as it came.
  strictSingleValueFields: false,
}

/**
 * One HTTP/2 connection with many exchanges at a time. It takes none before the upstream's first SETTINGS, which say how many (RFC 9113 section 3.4
 * wants them first of all); a TLS 1.3 server that refuses our certificate says that in their place.
 */
export class Http2Session implements ExchangeOwner {
  readonly #owner: SessionOwner
  readonly #session: ClientHttp2Session
  readonly #exchanges = new Set<Http2Exchange>()
  #served = 0
  #opening = true
  #draining = false
  #since: number

  constructor(owner: SessionOwner, authority: string, socket: Socket) {
    this.#owner = owner
    this.#since = owner.tick
    this.#session = connect(`https://${authority}`, { ...settings, createConnection: () => socket })
    this.#session.once('connect', () => this.#session.setLocalWindowSize(connectionWindow))
    this.#session.on('remoteSettings', () => {
      if (!this.#opening || !this.hasRoom) return
      this.#opening = false
      this.#since = owner.tick
      owner.onReady(this)
    })
    // The streams are told, and 'close' follows.
    this.#session.on('error', (error) => this.#refuse(connectError(error)))
    this.#session.on('goaway', (code) => {
      if (code === constants.NGHTTP2_HTTP_1_1_REQUIRED) owner.onHttp1Required()
      this.close()
    })
    this.#session.on('close', () => this.#onGone(undefined))
    // An alert of TLS destroys the session, which then tells nobody (seen up to Node 26).
    socket.on('error', (error) => this.#onGone(error))
  }

  #onGone(error: Error | undefined): void {
    this.#refuse(connectError(error))
    this.close()
    this.#owner.onGone(this)
  }

  #refuse(error: ConnectError): void {
    if (!this.#opening) return
    this.#opening = false
    this.#owner.onRefused(error)
  }

  get tick(): number {
    return this.#owner.tick
  }

  get headersTicks(): number {
    return this.#owner.headersTicks
  }

  get bodyTicks(): number {
    return this.#owner.bodyTicks
  }

  /** Whether another exchange can start at once. */
  get hasRoom(): boolean {
    const limit = this.#session.remoteSettings.maxConcurrentStreams ?? Infinity
    return !this.#draining && !this.#session.closed && !this.#session.destroyed && this.#exchanges.size < limit
  }

  send(request: UpstreamRequest, handler: UpstreamHandler, onStale: () => boolean): Exchange | UpstreamError {
    let stream: ClientHttp2Stream
    const upload = request.body === undefined || Buffer.isBuffer(request.body) ? undefined : new AbortController()
    try {
      stream = this.#session.request(requestFields(request), {
        endStream: request.body === undefined,
        ...(upload && { signal: upload.signal }),
      })
    } catch (error) {
      return new UpstreamError('protocol', 'the request cannot be sent over HTTP/2', error)
    }
    const exchange = new Http2Exchange(this, stream, request, handler, onStale, upload)
    this.#served++
    this.#exchanges.add(exchange)
    return exchange
  }

  onOver(exchange: Http2Exchange): void {
    this.#exchanges.delete(exchange)
    this.#since = this.#owner.tick
    if (this.#draining) process.nextTick(() => this.#leave())
  }

  onSilence(): void {
    this.close()
  }

  onHttp1Required(): void {
    this.#owner.onHttp1Required()
  }

  diedUnseen(stream: ClientHttp2Stream): boolean {
    // RFC 9113 section 8.7: the upstream says itself that it has not looked at the request.
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) return true
    return this.#served > 1 && this.#session.destroyed && !brokeProtocol(stream)
  }

  /** Takes no more exchanges and lets the running ones finish. */
  close(): void {
    if (this.#draining) return
    this.#draining = true
    this.#owner.onDraining(this)
    this.#leave()
  }

  /** Without ClientHttp2Session.close(), which waits for the other side even when that is gone. */
  #leave(): void {
    if (this.#exchanges.size === 0) this.#session.destroy()
  }

  sweep(): void {
    if (this.#opening && this.tick - this.#since >= this.#owner.connectTicks) {
      this.#refuse(new ConnectError('timeout', 'the upstream did not begin to speak HTTP/2 in time'))
      this.close()
    }
    for (const exchange of this.#exchanges) exchange.sweep()
    if (this.#exchanges.size === 0 && this.tick - this.#since >= this.#owner.idleTicks) this.close()
  }
}

/** Why there is no session: of what the socket and the frames tell, the alert of TLS and the fault of HTTP/2 are the upstream's own words. */
function connectError(error: NodeJS.ErrnoException | undefined): ConnectError {
  const code = error?.code ?? ''
  if (code.startsWith('ERR_SSL_')) return new ConnectError('tls', 'the upstream refused the TLS connection', error)
  if (code === 'ERR_HTTP2_ERROR') return new ConnectError('protocol', 'the upstream does not speak HTTP/2', error)
  return new ConnectError('unreachable', 'the upstream closed the new connection', error)
}
