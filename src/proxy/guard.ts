import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { ProxyConfig } from '../config/schema.ts'
import { ProxyError } from '../errors.ts'
import { allowedHostNames, hostName } from '../http/host-name.ts'

export type GuardConfig = Pick<ProxyConfig, 'allowedHosts' | 'allowedOrigins' | 'callerSecret'>

/** Accepted Host values are remembered as they were spelled; more than this many spellings is no honest traffic. */
const maxRemembered = 100

/**
 * Who may call at all. Runs before any route, token or upstream is touched. "Loopback is authentication" holds against other machines only:
 * a page in a browser on this machine can reach us too, by DNS rebinding (stopped by the name in Host) or by plain cross-site requests
 * (stopped by Origin and Sec-Fetch-Site, which pages cannot forge).
 */
export class Guard {
  readonly #names: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>
  readonly #secret: Buffer | undefined
  readonly #accepted = new Set<string>()

  /** `boundHosts` are the addresses that our listeners are bound to. */
  constructor(config: GuardConfig, boundHosts: readonly string[]) {
    this.#names = allowedHostNames(boundHosts, config.allowedHosts)
    this.#origins = new Set(config.allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')))
    this.#secret = config.callerSecret === null ? undefined : digest(config.callerSecret)
  }

  /** Throws the ProxyError that the request is refused with. */
  check(headers: IncomingHttpHeaders, unixSocket: boolean): void {
    this.checkHost(headers.host, unixSocket)
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) this.#checkBrowser(headers)
    if (this.#secret !== undefined) this.#checkSecret(headers['bearer-sidecar-secret'])
  }

  /**
   * `host` undefined means that an HTTP/1.0 request came without one (HTTP/1.1 ones were refused as malformed): it comes from no browser, so
   * there is no rebinding to stop.
   *
   * No browser connects to a unix socket, and its callers write what they like: nothing, or a name such as unix or docker. Names with a dot
   * are checked there too, because `ssh -L 8080:/run/sidecar.sock` puts the socket before a browser all the same, and every name that a page
   * can rebind has a dot.
   */
  checkHost(host: string | undefined, unixSocket: boolean): void {
    if (host === undefined || this.#accepted.has(host) || (unixSocket && /^(?:[\w-]+(?::\d{1,5})?)?$/.test(host)))
      return
    const name = hostName(host)
    if (name === undefined || !this.#names.has(name)) throw new ProxyError('host_not_allowed')
    if (this.#accepted.size < maxRemembered) this.#accepted.add(host)
  }

  allowsOrigin(origin: string | undefined): boolean {
    return origin !== undefined && this.#origins.has(origin.toLowerCase())
  }

  /** A preflight is refused here as well: it carries Origin and gets an answer without any Access-Control field. */
  #checkBrowser({ origin, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
    if (origin === undefined ? site === 'same-origin' || site === 'none' : this.allowsOrigin(origin)) return
    throw new ProxyError('origin_not_allowed')
  }

  /** Hashing first makes the comparison independent of length as well as of content. */
  #checkSecret(given: string | string[] | undefined): void {
    if (
      typeof given === 'string' &&
      timingSafeEqual(digest(Buffer.from(given, 'latin1')), this.#secret ?? Buffer.alloc(0))
    )
      return
    throw new ProxyError('caller_secret_required')
  }
}

function digest(secret: string | Buffer): Buffer {
  return createHash('sha256').update(secret).digest()
}
