import type { Clock } from '../clock.ts'
import type { AuthorizationRequest } from '../oauth/authorization-code.ts'
import type { DeviceAuthorization } from '../oauth/device-code.ts'
import { tokensOf } from '../oauth/token-answer.ts'
import { exportedTokens, importedTokens } from '../oauth/token-document.ts'
import { ProxyError } from '../errors.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { LoginError, type Credentials, type CredentialStatus, type LoginAttempt } from './credentials.ts'
import type { TokenManager } from './token-manager.ts'
import type { TokenSet } from './token-set.ts'
import type { TokenSources } from './token-sources.ts'

interface PendingLogin extends AuthorizationRequest {
  readonly name: string
  readonly subject: string | undefined
  readonly expiresAt: number
}

/** How long a person may take to log in, and how many attempts may wait at once. */
const loginLifetime = 10 * 60_000
const maxPendingLogins = 100

export interface CredentialServiceDeps {
  readonly store: TokenStore
  readonly clock: Clock
  /** Where the provider sends the browser when the credential has no redirectUri of its own. */
  readonly callbackUrl: () => string
}

/** What the admin port and the CLI do with credentials: logins, imports and the rest all end in manager.adopt(). */
export class CredentialService implements Credentials {
  readonly #sources: TokenSources
  readonly #deps: CredentialServiceDeps
  readonly #pending = new Map<string, PendingLogin>()

  constructor(sources: TokenSources, deps: CredentialServiceDeps) {
    this.#sources = sources
    this.#deps = deps
  }

  list(): CredentialStatus[] {
    // Of a credential that a reload removed, tokens may still be owed to the store; it is nobody's business any more.
    const known = new Set(this.#sources.names)
    return this.#sources
      .all()
      .filter((manager) => known.has(manager.credential))
      .map((manager) => this.#statusOf(manager))
  }

  async status(name: string, subject?: string): Promise<CredentialStatus> {
    const manager = this.#sources.manager(name, subject)
    await manager.open()
    return this.#statusOf(manager)
  }

  async accessToken(name: string, subject?: string): Promise<string> {
    const set = await this.#grantOf(name, subject).token()
    return set.accessToken
  }

  async refresh(name: string, subject?: string): Promise<CredentialStatus> {
    const manager = this.#grantOf(name, subject)
    await manager.refresh()
    return this.#statusOf(manager)
  }

  async adopt(
    name: string,
    subject: string | undefined,
    document: string | Readonly<Record<string, unknown>>,
  ): Promise<CredentialStatus> {
    await this.#opened(name, subject)
    const tokens = await importedTokens(this.#sources.credential(name), document, this.#deps.clock.now())
    return this.#adopted(name, subject, tokens)
  }

  async forget(name: string, subject?: string): Promise<void> {
    await this.#grantOf(name, subject).forget()
  }

  async export(name: string, subject?: string): Promise<Record<string, unknown>> {
    const manager = await this.#opened(name, subject)
    // Another process may have rotated a moment ago; what it replaced is worth nothing.
    await manager.storeChanged()
    const { tokens } = manager.grant
    if (tokens === undefined) throw new LoginError(`Nothing is stored for ${name}.`)
    return exportedTokens(this.#sources.credential(name), tokens, this.#deps.clock.now())
  }

  async beginLogin(name: string, subject?: string): Promise<LoginAttempt> {
    this.#grantOf(name, subject)
    const config = this.#sources.credential(name)
    const { authorizationRequest } = await import('../oauth/authorization-code.ts')
    const request = await authorizationRequest(config, config.redirectUri ?? this.#deps.callbackUrl())
    const now = this.#deps.clock.now()
    for (const [state, pending] of this.#pending) {
      if (pending.expiresAt <= now || this.#pending.size >= maxPendingLogins) this.#pending.delete(state)
    }
    this.#pending.set(request.state, { ...request, name, subject, expiresAt: now + loginLifetime })
    return { url: request.url, state: request.state }
  }

  async finishLogin(callback: URLSearchParams): Promise<{ name: string; subject?: string }> {
    const state = callback.get('state') ?? ''
    const pending = this.#pending.get(state)
    this.#pending.delete(state)
    if (pending === undefined || pending.expiresAt <= this.#deps.clock.now()) {
      throw new LoginError('This login is not known, was already used, or took longer than ten minutes. Start again.')
    }
    const { name, subject } = pending
    const { authorizationCode } = await import('../oauth/authorization-code.ts')
    const code = authorizationCode(this.#sources.credential(name), callback)
    // A code is as one-time as a refresh token: it isn't spent while its outcome could not be saved. Rejects with StoreError.
    await this.#deps.store.ping()
    const outcome = await this.#sources.endpoint(name).request({
      type: 'authorization_code',
      code,
      codeVerifier: pending.codeVerifier,
      redirectUri: pending.redirectUri,
    })
    const tokens = tokensOf(outcome, this.#deps.clock.now())
    if (tokens === undefined) {
      const why = outcome.kind === 'fatal' ? outcome.error : 'no usable answer from the token endpoint'
      throw new LoginError(`The code could not be exchanged (${why}). Start again.`, {
        cause: 'message' in outcome ? outcome.message : undefined,
      })
    }
    await this.#adopted(name, subject, tokens)
    return { name, ...(subject !== undefined && { subject }) }
  }

  /** Begins a login on another device (RFC 8628); `finish` resolves once the tokens are saved. */
  async beginDeviceLogin(
    name: string,
    subject?: string,
  ): Promise<{ device: DeviceAuthorization; finish(signal?: AbortSignal): Promise<CredentialStatus> }> {
    await this.#opened(name, subject)
    await this.#deps.store.ping()
    const { deviceAuthorization, pollDeviceCode } = await import('../oauth/device-code.ts')
    const device = await deviceAuthorization(this.#sources.credential(name))
    const finish = async (signal?: AbortSignal) => {
      const tokens = await pollDeviceCode(
        device,
        (grant) => this.#sources.endpoint(name).request(grant),
        this.#deps.clock,
        signal,
      )
      return this.#adopted(name, subject, tokens)
    }
    return { device, finish }
  }

  /** The manager is looked for at the last moment: what a login took minutes for must not end in one that was evicted. */
  async #adopted(name: string, subject: string | undefined, tokens: TokenSet): Promise<CredentialStatus> {
    const manager = this.#sources.manager(name, subject)
    await manager.adopt(tokens)
    return this.#statusOf(manager)
  }

  async #opened(name: string, subject: string | undefined): Promise<TokenManager> {
    const manager = this.#grantOf(name, subject)
    await manager.open()
    return manager
  }

  /** Where there is one grant per subject, one without a subject would serve nobody; and the other way round. */
  #grantOf(name: string, subject: string | undefined): TokenManager {
    const { subjectHeader } = this.#sources.credential(name)
    if (subjectHeader !== null && subject === undefined) {
      const detail = `Credential ${name} has one grant per subject: say which with --subject, or ?subject= on the admin port.`
      throw new ProxyError('subject_required', { detail })
    }
    if (subjectHeader === null && subject !== undefined) {
      throw new ProxyError('bad_request', { detail: `Credential ${name} has no subjectHeader, so it has no subjects.` })
    }
    return this.#sources.manager(name, subject)
  }

  /** A credential with a subjectHeader holds nothing itself: it is as good as its configuration. */
  #statusOf(manager: TokenManager): CredentialStatus {
    const status = manager.status()
    const whole =
      manager.id.subject === undefined && this.#sources.credential(manager.credential).subjectHeader !== null
    return whole && status.state === 'login_required'
      ? { ...status, state: 'active', usable: true, nextStep: null }
      : status
  }
}
