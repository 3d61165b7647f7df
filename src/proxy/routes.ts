import type { IncomingMessage } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import type { TokenRejectionRule } from '../config/schema.ts'
import { ProxyError } from '../errors.ts'
import { AllowedPaths } from './allowed-paths.ts'
import { InjectedHeaders } from './injected-headers.ts'
import { keyCount, KeyRing } from './key-ring.ts'
import { Links } from './links.ts'
import { Governor, type Waiting } from './rate-limit.ts'
import { RequestHeaders } from './request-headers.ts'
import { callerKey } from './sent.ts'
import type { ProxyDeps, ProxyRoute, ProxySetup, RouteCredential } from './setup.ts'

/** A route with everything looked up in advance that a request would else look up again. */
export class ServedRoute {
  readonly route: ProxyRoute
  readonly label: string
  /** The config's path without a slash at its end: what is cut off a request's path. */
  readonly prefix: string
  /** The path of the upstream URL without a slash at its end: what is put in its place. */
  readonly base: string
  readonly headers: RequestHeaders
  readonly credentials: readonly RouteCredential[]
  /** At the index of its credential; undefined where no header list of it is sent on this route. */
  readonly keyRings: readonly (KeyRing | undefined)[]
  readonly replayLimit: number
  /** Answers that may mean that a token or a key is no good; no other answer is looked at. */
  readonly suspectStatuses: ReadonlySet<number>
  readonly tokenRules: readonly (readonly TokenRejectionRule[])[]
  readonly governor: Governor | undefined
  /** Set by the table that the route belongs to; undefined when links are left alone. */
  links: Links | undefined
  readonly #exact: boolean
  readonly #emptyTail: string
  readonly #methods: ReadonlySet<string> | undefined
  readonly #paths: AllowedPaths | undefined

  constructor(route: ProxyRoute, rings: ReadonlyMap<string, KeyRing>, governor: Governor | undefined) {
    const { config, credentials, upstreamUrl } = route
    const injected = new InjectedHeaders(credentials, config.headers)
    this.route = route
    this.label = route.label
    this.governor = governor
    this.credentials = credentials
    this.prefix = config.path.replace(/\/$/, '')
    this.base = upstreamUrl.pathname.replace(/\/$/, '')
    this.#exact = !config.path.endsWith('/')
    this.#emptyTail = upstreamUrl.pathname
    this.headers = new RequestHeaders(
      upstreamUrl.host,
      injected,
      credentials.map((credential) => credential.config.subjectHeader).filter((name) => name !== null),
    )
    this.keyRings = credentials.map(({ name }, index) => (injected.keyed.has(index) ? rings.get(name) : undefined))
    this.replayLimit = config.replayBody
    this.tokenRules = credentials.map((credential) => credential.config.refresh.on)
    const keyRules = credentials.flatMap(({ config }, index) => (this.keyRings[index] ? config.keyRejected : []))
    this.suspectStatuses = new Set([...this.tokenRules.flat(), ...keyRules].map(({ status }) => status))
    this.#methods = config.allowMethods.length > 0 ? new Set(config.allowMethods) : undefined
    this.#paths = config.allowPaths.length > 0 ? new AllowedPaths(config.allowPaths) : undefined
  }

  /** `path` is the request's without its query. A prefix that ends in no slash ends at a segment's end all the same. */
  covers(path: string): boolean {
    if (!path.startsWith(this.prefix)) return false
    if (path.length === this.prefix.length) return this.#exact || this.prefix === ''
    return path.charCodeAt(this.prefix.length) === 0x2f
  }

  /** The target for the upstream: its own path in place of the prefix, every further byte as it came. */
  targetFor(target: string, pathLength: number): string {
    const tail = this.prefix.length === 0 ? target : target.slice(this.prefix.length)
    if (pathLength === this.prefix.length) return this.#emptyTail + tail
    return this.base.length === 0 ? tail : this.base + tail
  }

  /** Throws `method_not_allowed` or `path_not_allowed`. */
  checkAllowed(method: string, path: string): void {
    if (this.#methods?.has(method) === false) throw new ProxyError('method_not_allowed', { allow: this.allowedMethods })
    if (this.#paths?.allow(path) === false) throw new ProxyError('path_not_allowed')
  }

  /** Asks the governor, if there is one; false: `waiting` is told later. Throws `rate_limited`. */
  mayGo(request: IncomingMessage, waiting: Waiting, urgent = false): boolean {
    return this.governor === undefined || this.governor.enter(callerKey(this, request), waiting, urgent)
  }

  get allowedMethods(): readonly string[] | undefined {
    return this.#methods && [...this.#methods]
  }
}

/** All routes of one setup. */
export class RouteTable {
  readonly setup: ProxySetup
  /** Longest prefix first, so the first that covers a path wins. */
  readonly routes: readonly ServedRoute[]

  /** `previous`: the table before a reload; limits that did not change go on counting where they were. */
  constructor(setup: ProxySetup, { clock, events }: Pick<ProxyDeps, 'clock' | 'events'>, previous?: RouteTable) {
    const rings = new Map<string, KeyRing>()
    for (const { name, config } of setup.routes.flatMap((route) => route.credentials)) {
      const keys = keyCount(config.headers)
      if (keys > 1 && !rings.has(name)) {
        rings.set(name, new KeyRing(name, keys, (...change) => events.onKeyChange?.(...change)))
      }
    }
    const governor = ({ config: { path, rateLimit } }: ProxyRoute) => {
      if (rateLimit === null) return undefined
      const kept = previous?.routes.find(({ route }) => route.config.path === path)?.governor
      return kept !== undefined && isDeepStrictEqual(kept.config, rateLimit) ? kept : new Governor(rateLimit, clock)
    }
    this.setup = setup
    this.routes = setup.routes
      .map((route) => new ServedRoute(route, rings, governor(route)))
      .sort((a, b) => b.route.config.path.length - a.route.config.path.length)
    for (const route of this.routes) if (route.route.rewriteLinks) route.links = new Links(this, route)
  }

  find(path: string): ServedRoute | undefined {
    for (const route of this.routes) if (route.covers(path)) return route
    return undefined
  }
}
