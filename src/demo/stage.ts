import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import type { Listening } from '../app-state.ts'
import { App } from '../app.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { startSimulator, type Simulator } from '../simulator/simulator.ts'
import { demoConfig, type DemoProvider } from './providers.ts'

/** A simulated provider, a sidecar in front of it, and a folder for its tokens. */
export class Stage {
  readonly provider: DemoProvider
  readonly simulator: Simulator
  readonly configFile: string
  readonly #directory: string
  readonly #version: string
  #config: Config
  #app: App
  #listening: Listening

  private constructor(parts: {
    provider: DemoProvider
    simulator: Simulator
    directory: string
    version: string
    config: Config
    app: App
    listening: Listening
  }) {
    this.provider = parts.provider
    this.simulator = parts.simulator
    this.configFile = join(parts.directory, 'bearer-sidecar.yaml')
    this.#directory = parts.directory
    this.#version = parts.version
    this.#config = parts.config
    this.#app = parts.app
    this.#listening = parts.listening
  }

  /** `accessTokenTtl` in milliseconds. */
  static async open(provider: DemoProvider, accessTokenTtl: number, version: string): Promise<Stage> {
    const simulator = await startSimulator({ provider, accessTokenTtl })
    const directory = await mkdtemp(join(tmpdir(), 'bearer-sidecar-demo-'))
    try {
      const file = join(directory, 'bearer-sidecar.yaml')
      await writeFile(file, JSON.stringify(demoConfig(provider, simulator), null, 2), { mode: 0o600 })
      const { config } = await loadConfig({
        file,
        env: { DEMO_REFRESH_TOKEN: simulator.seedRefreshToken() },
        cwd: directory,
      })
      const app = await App.create(config, { clock: systemClock, logger: pino({ level: 'silent' }), version, env: {} })
      const listening = await app.start()
      if (provider === 'maya-customer')
        await app.credentials.adopt('customer', undefined, { ...simulator.seedCustomer() })
      return new Stage({ provider, simulator, directory, version, config, app, listening })
    } catch (error) {
      await simulator.close()
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  get proxyUrl(): string {
    return this.#listening.proxy[0]?.url ?? ''
  }

  get adminUrl(): string {
    return this.#listening.admin[0]?.url ?? ''
  }

  /** The token of the credential that the scenes wear out. */
  get status() {
    return this.#app.credentials.status(credentialOf(this.provider))
  }

  /** Tokens that were asked for to renew that credential, and not another that authorises it. */
  get renewals(): number {
    return this.simulator.tokenRequests.filter((request) => request.grant === 'refresh_token').length
  }

  revokeAccessTokens(): void {
    this.simulator.revokeAccessTokens(this.provider === 'maya-customer' ? 'customer' : undefined)
  }

  /** Ends the sidecar and starts another one on the same folder. */
  async restart(): Promise<void> {
    await this.#app.stop(1_000)
    this.#app = await App.create(this.#config, {
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      env: {},
      version: this.#version,
    })
    this.#listening = await this.#app.start()
  }

  async close(): Promise<void> {
    await this.#app.stop(1_000)
    await this.simulator.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

const credentialOf = (provider: DemoProvider) => (provider === 'maya-customer' ? 'customer' : 'demo')
