import net from 'node:net'
import tls from 'node:tls'
import { ConnectAttempt } from './connect-attempt.ts'
import { type EgressProxy, egressProxy, type Endpoint, endpoint, openTunnel } from './egress-proxy.ts'
import { ConnectError, type UpstreamOptions } from './upstream.ts'

export interface ConnectListener {
  /** Connected and, for TLS, verified. */
  onConnect(socket: net.Socket): void
  onConnectError(error: ConnectError): void
}

/** Opens connections to one origin. Certificates are verified and nothing turns that off, NODE_TLS_REJECT_UNAUTHORIZED=0 included. */
export class Connector {
  readonly origin: Endpoint
  /** host:port, as CONNECT wants it. */
  readonly authority: string
  /** What absolute-form puts before the path: the default port is left out. */
  readonly targetPrefix: string
  readonly #options: UpstreamOptions
  readonly #proxy: EgressProxy | undefined
  #originContext: tls.SecureContext | undefined
  #proxyContext: tls.SecureContext | undefined
  /** The TLS session that shortens the next handshake; only ever one whose connection was verified. */
  #session: Buffer | undefined

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.origin = endpoint(options.origin)
    const { host, port } = this.origin
    this.authority = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
    this.targetPrefix = `http://${options.origin.host}`
    this.#proxy = options.egressProxy && egressProxy(options.egressProxy)
  }

  /** The proxy that gets requests in absolute-form (RFC 9112 section 3.2.2); a TLS origin gets a tunnel instead. */
  get forwardProxy(): EgressProxy | undefined {
    return this.origin.secure ? undefined : this.#proxy
  }

  /** Whether connect() heeds its `onread`: Node reads into a given buffer except through a tunnel. */
  get readsIntoBuffer(): boolean {
    return this.#proxy === undefined || !this.origin.secure
  }

  /**
   * Connects within `connectTimeout`: name look-up, egress proxy and TLS handshake together. The listener is called once, later.
   * Returns the cancellation, after which nothing is called.
   */
  connect(protocols: string[], onread: net.OnReadOpts | undefined, listener: ConnectListener): () => void {
    const attempt = new ConnectAttempt(this.#options.connectTimeout, this.authority, (outcome) => {
      if (outcome instanceof ConnectError) {
        this.#session = undefined
        listener.onConnectError(outcome)
      } else {
        listener.onConnect(outcome)
      }
    })
    try {
      this.#start(attempt, protocols, onread)
    } catch (error) {
      // A certificate or key that cannot be read.
      process.nextTick(() => attempt.fail(new ConnectError('tls', 'the TLS settings cannot be used', error)))
    }
    return () => attempt.cancel()
  }

  #start(attempt: ConnectAttempt, protocols: string[], onread: net.OnReadOpts | undefined): void {
    const proxy = this.#proxy
    if (proxy !== undefined && this.origin.secure) {
      const socket = this.#reach(proxy, attempt, undefined, () => {
        openTunnel(socket, proxy, this.authority, attempt, () => {
          this.#handshake(attempt, protocols, { socket })
        })
      })
    } else if (this.origin.secure) {
      this.#handshake(attempt, protocols, { port: this.origin.port, ...onreadOf(onread) })
    } else {
      const socket = this.#reach(proxy ?? this.origin, attempt, onread, () => attempt.succeed(socket))
    }
  }

  /** A plain origin, or the proxy. */
  #reach(to: Endpoint, attempt: ConnectAttempt, onread: net.OnReadOpts | undefined, ready: () => void): net.Socket {
    const { host, port } = to
    const options = { host, port, ...onreadOf(onread) }
    if (!to.secure) {
      const socket = net.connect(options)
      attempt.watch(socket, 'connect', ready)
      return socket
    }
    // A company's proxy and what it lets through are often certified by the same private authority, so `ca` holds for both.
    this.#proxyContext ??= tls.createSecureContext(this.#roots())
    const socket = tls.connect({
      ...options,
      ...serverName(host),
      secureContext: this.#proxyContext,
      rejectUnauthorized: true,
    })
    attempt.watch(socket, 'secureConnect', ready)
    return socket
  }

  #handshake(attempt: ConnectAttempt, protocols: string[], over: tls.ConnectionOptions): void {
    const { host } = this.origin
    const { cert, key } = this.#options.tls
    // Shared by all connections: reading the roots costs milliseconds.
    this.#originContext ??= tls.createSecureContext({ ...this.#roots(), ...(cert && { cert }), ...(key && { key }) })
    const socket = tls.connect({
      ...over,
      host,
      ...serverName(host),
      ALPNProtocols: protocols,
      secureContext: this.#originContext,
      rejectUnauthorized: true,
      ...(this.#session && { session: this.#session }),
    })
    // Resumption skips the look at the certificate, so a session may be kept only after that look; TLS 1.2 hands it out before.
    let early: Buffer | undefined
    socket.on('session', (session: Buffer) => {
      if (socket.authorized) this.#session = session
      else early = session
    })
    attempt.watch(socket, 'secureConnect', () => {
      this.#session = early ?? this.#session
      attempt.succeed(socket)
    })
  }

  #roots(): { ca?: string[] } {
    const { ca } = this.#options.tls
    return ca === undefined ? {} : { ca: [...tls.getCACertificates('default'), ca] }
  }
}

/** The documentation of tls.connect() has `onread`, its type declarations lack it. */
function onreadOf(onread: net.OnReadOpts | undefined): { onread?: net.OnReadOpts } {
  return onread === undefined ? {} : { onread }
}

/** RFC 6066 section 3: an address is no server name. */
function serverName(host: string): { servername?: string } {
  return net.isIP(host) === 0 ? { servername: host } : {}
}
