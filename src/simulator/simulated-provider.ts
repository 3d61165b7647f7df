import { answerWithFault } from './api-faults.ts'
import { AuthorizationCodes } from './authorization-codes.ts'
import { answerAuthorization } from './authorization.ts'
import { CallLimits } from './call-limits.ts'
import { DeviceCodes } from './device-codes.ts'
import { answerDeviceAuthorization, answerVerification, verificationPath } from './device.ts'
import { parseDuration } from './duration.ts'
import { FaultQueue } from './faults.ts'
import { Grants } from './grants.ts'
import type { Answer, Exchange } from './http.ts'
import { nothing, readBody } from './http.ts'
import type { ApiCall, ApiContext, Provider } from './provider.ts'
import type { Settings } from './settings.ts'
import type { TokenCall } from './token-endpoint.ts'
import { answerTokenRequest } from './token-endpoint.ts'

/** One call of the API as it arrived. */
export interface ApiRequest {
  /** Milliseconds since 1970, by the simulator's clock. */
  at: number
  method: string
  target: string
  /** Names and values in turn, as they came. */
  rawHeaders: readonly string[]
  bytes: number
  /** Of the whole body, lower-case hex. */
  sha256: string
  /** The first 64 KiB of the body. */
  body: Buffer
}

const logLimit = 10_000

/** A provider with its memory: who was granted what, which faults are due, what was received. */
export class SimulatedProvider {
  readonly definition: Provider
  readonly settings: Settings
  readonly grants: Grants
  readonly devices: DeviceCodes
  readonly faults = new FaultQueue()
  readonly requests: ApiRequest[] = []
  readonly tokenRequests: TokenCall[] = []
  readonly counts = { apiRequests: 0, tokenRequests: 0, redirectsFollowed: 0 }
  readonly #codes: AuthorizationCodes
  readonly #api: (call: ApiCall) => Answer
  readonly #pause: (milliseconds: number) => Promise<void>

  constructor(definition: Provider, settings: Settings, pause: (milliseconds: number) => Promise<void>) {
    this.definition = definition
    this.settings = settings
    this.grants = new Grants(settings, definition.mint, settings.now)
    this.devices = new DeviceCodes(settings)
    this.#codes = new AuthorizationCodes(definition, settings, this.grants)
    this.#api = definition.api(this.#apiContext())
    this.#pause = (milliseconds) => pause(milliseconds + settings.latency)
  }

  /** What to send; undefined when a fault left nothing to send. */
  async answer(exchange: Exchange): Promise<Answer | undefined> {
    const { paths, extraTokenEndpoint } = this.definition
    switch (exchange.path) {
      case this.pathOf(paths.token):
        return this.#token(exchange, false)
      case extraTokenEndpoint?.path:
        return this.#token(exchange, true)
      case paths.authorization && this.pathOf(paths.authorization):
        return this.#authorization(exchange)
      case paths.device:
        return answerDeviceAuthorization(this.devices, this.settings, exchange)
      case paths.device && verificationPath:
        return answerVerification(this.devices, this.definition, exchange)
      default:
        return this.#call(exchange)
    }
  }

  pathOf(path: string): string {
    return path.replace('{instance}', this.settings.instance)
  }

  #token(exchange: Exchange, extra: boolean): Promise<Answer | undefined> {
    this.counts.tokenRequests++
    const { definition: provider, settings, grants, devices } = this
    const endpoint = {
      issuer: { provider, settings, grants, devices, codes: this.#codes },
      extra,
      takeFaults: (grant: string) => this.faults.take('token', grant),
      record: (call: TokenCall) => keep(this.tokenRequests, call),
      pause: this.#pause,
    }
    return answerTokenRequest(endpoint, exchange)
  }

  async #authorization(exchange: Exchange): Promise<Answer> {
    await this.#pause(0)
    const takeFaults = () => this.faults.take('authorization', '')
    const parts = { provider: this.definition, settings: this.settings, codes: this.#codes, takeFaults }
    return answerAuthorization(parts, exchange)
  }

  async #call(exchange: Exchange): Promise<Answer | undefined> {
    const faults = this.faults.take('api', exchange.path)
    const body = faults.some(({ name }) => name === 'api-early') ? nothing : await readBody(exchange.request)
    const at = this.settings.now()
    this.counts.apiRequests++
    const { method, target, request } = exchange
    const { bytes, sha256, head } = body
    keep(this.requests, { at, method, target, rawHeaders: request.rawHeaders, bytes, sha256, body: head })
    const slow = faults.find(({ name }) => name === 'api-slow')
    await this.#pause(slow === undefined ? 0 : parseDuration(slow.value ?? '1s'))
    if (answerWithFault(faults, exchange, this.definition.answers, at)) return undefined
    return this.#api({ exchange, body })
  }

  #apiContext(): ApiContext {
    const { settings, grants } = this
    const limits = new CallLimits(settings.callsPerSecond, settings.callsPerDay, settings.now)
    const { quota, tooMany } = this.definition.answers
    const limit = (key: string) => {
      const over = limits.take(key)
      return over && (over.kind === 'day' ? quota : tooMany)(over.retryAfter, settings.now())
    }
    return { settings, grants, limit }
  }
}

/** Adds to a log that never grows beyond twice its limit. */
function keep<Entry>(log: Entry[], entry: Entry): void {
  if (log.length >= 2 * logLimit) log.splice(0, logLimit)
  log.push(entry)
}
