import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { checkApiFault } from './api-faults.ts'
import { answerControl, controlPath } from './control.ts'
import type { Fault } from './faults.ts'
import { checkFault, parseFault } from './faults.ts'
import type { GrantDetails } from './grants.ts'
import { Exchange, json } from './http.ts'
import type { Settings, SimulatorOptions } from './settings.ts'
import { providers, settingsFrom } from './settings.ts'
import type { ApiRequest } from './simulated-provider.ts'
import { SimulatedProvider } from './simulated-provider.ts'
import type { TokenCall } from './token-endpoint.ts'

export interface SimulatorStats {
  apiRequests: number
  tokenRequests: number
  /** Presentations of a refresh token that was already consumed and past its grace window. */
  reuseEvents: number
  /** How often somebody followed the redirect of the fault token-redirect. */
  redirectsFollowed: number
  /** Faults still in force. */
  faults: Fault[]
}

export interface CustomerTokens {
  accessToken: string
  refreshToken: string
  /** Seconds since 1970. */
  expiresAt: number
}

/** Starts a simulated provider on a loopback address; rejects with a RangeError for options it can't take. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const simulator = new Simulator(settingsFrom(options))
  for (const fault of options.faults ?? []) simulator.inject(fault)
  if (options.refreshToken !== undefined) simulator.seedCustomer(options.refreshToken)
  await simulator.listen()
  return simulator
}

/** A running simulator: authorization server, API and control plane on one port. */
export class Simulator {
  readonly provider: SimulatedProvider
  readonly #server: Server
  readonly #closing = new AbortController()
  #port = 0

  constructor(settings: Settings) {
    const pause = async (milliseconds: number) => {
      if (milliseconds > 0) await wait(milliseconds, undefined, { signal: this.#closing.signal })
    }
    this.provider = new SimulatedProvider(providers[settings.provider], settings, pause)
    // Longer than any client keeps an idle connection, so that no test meets a close by chance.
    this.#server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
      const exchange = new Exchange(request, response)
      void this.#answer(exchange)
    })
  }

  async listen(): Promise<void> {
    const { host, port } = this.settings
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog: 4_096 }, resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  get settings(): Settings {
    return this.provider.settings
  }

  /** The origin, without a slash at its end. */
  get url(): string {
    return `http://${this.host}`
  }

  /** Host and port, as highq's `host` setting takes them. */
  get host(): string {
    const { host } = this.settings
    return `${host.includes(':') ? `[${host}]` : host}:${this.#port}`
  }

  /** undefined when the provider has no login by browser (maya). */
  get authorizationUrl(): string | undefined {
    return this.#urlOf(this.provider.definition.paths.authorization)
  }

  /** The token endpoint; under the name maya-customer the customer's, under maya-partner the partner's. */
  get tokenUrl(): string {
    const customer = this.settings.provider === 'maya-customer' ? this.customerTokenUrl : undefined
    return customer ?? this.partnerTokenUrl
  }

  /** The ordinary token endpoint, whichever name the simulator was started under. */
  get partnerTokenUrl(): string {
    return this.#urlOf(this.provider.definition.paths.token) ?? this.url
  }

  /** Maya's endpoint that renews a customer's tokens. */
  get customerTokenUrl(): string | undefined {
    return this.#urlOf(this.provider.definition.extraTokenEndpoint?.path)
  }

  get deviceAuthorizationUrl(): string | undefined {
    return this.#urlOf(this.provider.definition.paths.device)
  }

  get apiUrl(): string {
    return this.#urlOf(this.provider.definition.paths.api) ?? this.url
  }

  /** What the API received, oldest first; at least the last 10,000 calls. */
  get requests(): ApiRequest[] {
    return this.provider.requests
  }

  /** Calls of the token endpoints, oldest first; at least the last 10,000. */
  get tokenRequests(): TokenCall[] {
    return this.provider.tokenRequests
  }

  /** Presentations of an already consumed refresh token. */
  get reuseEvents(): number {
    return this.provider.grants.reuseEvents
  }

  stats(): SimulatorStats {
    return { ...this.provider.counts, reuseEvents: this.reuseEvents, faults: this.provider.faults.list() }
  }

  /** A refresh token as if a person had just logged in (for maya, a customer's). */
  seedRefreshToken(): string {
    return this.seedCustomer().refreshToken
  }

  /** A pair of tokens at once, as Maya pushes them to a partner's session URL; the refresh token may be chosen. */
  seedCustomer(chosen?: string): CustomerTokens {
    const { settings, grants, definition } = this.provider
    const kind = definition.extraTokenEndpoint === undefined ? 'user' : 'customer'
    const { issued } = grants.open({
      clientId: settings.clientId,
      scope: settings.scope,
      kind,
      ...(chosen !== undefined && { refreshToken: chosen }),
    })
    const { accessToken = '', refreshToken, expiresAt } = issued
    return { accessToken, refreshToken: refreshToken ?? '', expiresAt: Math.floor(expiresAt / 1_000) }
  }

  /** Every access token (or those of one kind: maya's partner is a `client`) stops working at once. */
  revokeAccessTokens(kind?: GrantDetails['kind']): void {
    this.provider.grants.revokeAccessTokens(kind)
  }

  /** Refresh tokens stop working, as after an administrator's disconnect; access tokens live until they expire. */
  revokeGrants(): void {
    this.provider.grants.revokeGrants()
  }

  expireRefreshTokens(): void {
    this.provider.grants.expireRefreshTokens()
  }

  /** What the person at the verification page does; false when no device waits under this code. */
  decideDevice(userCode: string, decision: 'allow' | 'deny'): boolean {
    return this.provider.devices.decide(userCode, decision)
  }

  /** Takes `token-500`, `token-slow=800ms@3` and the like, or an object; throws a RangeError for a fault it can't do. */
  inject(fault: Fault | string): void {
    const checked = typeof fault === 'string' ? parseFault(fault) : checkFault(fault)
    checkApiFault(checked, this.provider.definition.answers)
    this.provider.faults.add(checked)
  }

  clearFaults(): void {
    this.provider.faults.clear()
  }

  /** Ends every connection at once, with the answers that were still due. */
  async close(): Promise<void> {
    this.#closing.abort()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(exchange: Exchange): Promise<void> {
    try {
      const control = exchange.path.startsWith(controlPath)
      const answer = await (control ? answerControl(this, exchange) : this.provider.answer(exchange))
      if (answer !== undefined) exchange.send(answer)
    } catch (error) {
      // Callers that went away and a simulator that is closing end here too; they hear nothing anyway.
      exchange.send(json(500, { error: 'simulator', message: String(error) }))
    }
  }

  #urlOf(path: string | undefined): string | undefined {
    return path === undefined ? undefined : `${this.url}${this.provider.pathOf(path)}`
  }
}
