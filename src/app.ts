import { randomBytes } from 'node:crypto'
import { proxyEvents } from './access-log.ts'
import type { AdminServer } from './admin/server.ts'
import { createMetrics } from './admin/metrics.ts'
import { adminInfo, report, type AppState, type Listening } from './app-state.ts'
import { callbackUrl } from './callback-url.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config/schema.ts'
import { egressRules } from './http/egress-rules.ts'
import type { Logger } from './logger.ts'
import { Notifier } from './notifier.ts'
import { proxySetup } from './proxy-routes.ts'
import { createProxy, type ProxyServer } from './proxy/server.ts'
import { openStore } from './stores/open.ts'
import { StoreError, type TokenStore } from './stores/token-store.ts'
import { tokenEvents } from './token-events.ts'
import { CredentialService } from './tokens/credential-service.ts'
import { TokenSources } from './tokens/token-sources.ts'
import { requestSpans } from './tracing.ts'
import { askThrough } from './upstream/whole-answer.ts'
import { Upstreams } from './upstreams.ts'

export interface AppDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  /** Where the kubernetes store finds its API server, and which egress proxies there are. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Stopped {
  /** Credentials whose newest tokens could not be saved and are lost with the process. */
  readonly unsaved: readonly string[]
  /** Requests were still running at the end of the grace. */
  readonly cut: boolean
}

/** Milliseconds between two tries to read a store that is not there yet. */
const storeRetry = 2_000

/**
 * The composition root: Config in, a running sidecar out. Everything that knows everything else is here, and nothing else is.
 */
export class App {
  readonly #deps: AppDeps
  readonly #store: TokenStore
  readonly #sources: TokenSources
  readonly #notifier: Notifier
  readonly #upstreams: Upstreams
  readonly #proxy: ProxyServer
  readonly #admin: AdminServer | undefined
  readonly #state: AppState
  readonly credentials: CredentialService
  readonly #failed = Promise.withResolvers<unknown>()
  #config: Config

  private constructor(config: Config, deps: AppDeps, parts: Parts) {
    this.#config = config
    this.#deps = deps
    this.#store = parts.store
    this.#sources = parts.sources
    this.#notifier = parts.notifier
    this.#upstreams = parts.upstreams
    this.#proxy = parts.proxy
    this.#admin = parts.admin
    this.#state = parts.state
    this.credentials = parts.credentials
  }

  /** Builds everything and opens the store; nothing listens yet. Rejects with StoreError when the store cannot be used. */
  static async create(config: Config, deps: AppDeps): Promise<App> {
    const { clock, logger } = deps
    const state: AppState = {
      config,
      startedAt: clock.now(),
      storeLoaded: false,
      listening: undefined,
      stopping: false,
    }
    const store = await openStore(config.store, {
      clock,
      env: deps.env,
      log: (level, message, fields) => logger[level](fields ?? {}, message),
    })
    const notifier = new Notifier(config.notify.webhook, clock, logger)
    const egress = egressRules(deps.env)
    askThrough(egress)
    const upstreams = new Upstreams(egress)
    // The metrics are made before the sources that they read, and read them only when they are asked.
    let list: CredentialService['list'] = () => []
    const metrics =
      config.admin.listen === false && config.admin.probesListen === null
        ? undefined
        : createMetrics(deps.version, () => list())
    const events = tokenEvents(logger, metrics, notifier)
    const sources = new TokenSources(config, { store, clock, random: Math.random, events })
    const credentials = new CredentialService(sources, {
      store,
      clock,
      callbackUrl: () => callbackUrl(state.config.admin, state.listening?.admin[0]?.port),
    })
    list = () => credentials.list()
    const proxy = await createProxy({
      clock,
      ids: requestIds(),
      events: proxyEvents(logger, metrics, await requestSpans()),
      setup: proxySetup(config, sources, upstreams),
    })
    const admin =
      metrics &&
      (await (
        await import('./admin/server.ts')
      ).createAdmin({
        config: config.admin,
        credentials,
        metrics,
        clock,
        log: logger,
        info: () => adminInfo(state, deps.version, store, sources),
        started: () => state.storeLoaded && state.listening !== undefined,
        ready: () => report(state, credentials),
      }))
    const app = new App(config, deps, { store, sources, notifier, upstreams, proxy, admin, state, credentials })
    await app.#openStore()
    return app
  }

  /** Binds all addresses. Rejects with ListenError, and then nothing is bound. */
  async start(): Promise<Listening> {
    const admin = await this.#admin?.listen()
    try {
      const proxy = await this.#proxy.listen()
      this.#state.listening = { proxy, admin: admin?.admin ?? [], probes: admin?.probes ?? [] }
      return this.#state.listening
    } catch (error) {
      await this.#admin?.close(0)
      throw error
    }
  }

  /**
   * Takes a new configuration over without dropping a connection. Returns the settings that differ but need a restart. Rejects with
   * StoreError when the grant of a new credential cannot be read; then the old configuration goes on.
   */
  async reload(config: Config): Promise<string[]> {
    const before = this.#config
    // What belongs to open listeners and the open store stays as it was until the next start.
    const next: Config = {
      ...config,
      store: before.store,
      admin: before.admin,
      proxy: { ...config.proxy, listen: before.proxy.listen },
    }
    await this.#sources.reconfigure(next)
    this.#notifier.webhook = next.notify.webhook
    await this.#proxy.use(proxySetup(next, this.#sources, this.#upstreams))
    this.#deps.logger.level = next.log.level
    this.#config = next
    this.#state.config = next
    const fixed = {
      'proxy.listen': [before.proxy.listen, config.proxy.listen],
      admin: [before.admin, config.admin],
      store: [before.store, config.store],
    }
    return Object.entries(fixed)
      .filter(([, [a, b]]) => JSON.stringify(a) !== JSON.stringify(b))
      .map(([name]) => name)
  }

  /** Resolves with the reason when the store turned out to be unusable after the start. */
  get failed(): Promise<unknown> {
    return this.#failed.promise
  }

  /**
   * Not ready at once, then in-flight requests and running saves finish, bounded by `grace` milliseconds.
   */
  async stop(grace: number): Promise<Stopped> {
    this.#state.stopping = true
    const cut = !(await this.#proxy.close(grace))
    const unsaved = await this.#sources.close()
    await this.#upstreams.close()
    await this.#admin?.close()
    await this.#store.close()
    return { unsaved, cut }
  }

  /**
   * Reads every grant. A store across a network that is not there yet doesn't stop the start: it is tried again, and until then the process is not
   * started. Anything else does.
   */
  async #openStore(): Promise<void> {
    try {
      await this.#sources.open()
      this.#state.storeLoaded = true
      await this.#checkWritable()
    } catch (error) {
      const remote = this.#config.store.type === 'redis' || this.#config.store.type === 'kubernetes'
      if (!remote || !(error instanceof StoreError) || error.fault !== 'unavailable') {
        await this.stop(0)
        throw error
      }
      this.#deps.logger.error({ error: error.message }, 'the token store is not available; trying again')
      this.#deps.clock.schedule(storeRetry, () => {
        if (!this.#state.stopping) this.#openStore().catch((fatal: unknown) => this.#failed.resolve(fatal))
      })
    }
  }

  /** A store that never takes a save is refused now; one that doesn't at the moment (a full disk) may still serve what it holds. */
  async #checkWritable(): Promise<void> {
    try {
      await this.#store.ping()
    } catch (error) {
      if (!(error instanceof StoreError) || error.fault !== 'unavailable') throw error
      this.#deps.logger.error({ error: error.message }, 'the token store cannot be written now')
    }
  }
}

interface Parts {
  readonly store: TokenStore
  readonly sources: TokenSources
  readonly notifier: Notifier
  readonly upstreams: Upstreams
  readonly proxy: ProxyServer
  readonly admin: AdminServer | undefined
  readonly state: AppState
  readonly credentials: CredentialService
}

/** Short, and different in every process: a random beginning and a count. */
function requestIds(): () => string {
  const beginning = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${beginning}-${(++count).toString(36)}`
}
