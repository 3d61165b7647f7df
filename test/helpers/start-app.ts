import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pino from 'pino'
import { App } from '../../src/app.ts'
import { systemClock, type Clock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts'
import type { SimulatorOptions } from '../../src/simulator/settings.ts'
import { tempDir } from './temp-dir.ts'

export interface Sidecar {
  readonly app: App
  readonly url: string
  readonly adminUrl: string
  readonly directory: string
  /** Everything that was logged, one JSON object per line. */
  readonly log: string[]
  stop(): Promise<void>
}

export interface SidecarOptions {
  readonly directory: string
  readonly clock?: Clock
  readonly env?: Record<string, string>
}

/** A whole sidecar in this process, on free ports, with the config given as an object. */
export async function startSidecar(
  t: Pick<TestContext, 'after'>,
  config: object,
  options: SidecarOptions,
): Promise<Sidecar> {
  const { directory, clock = systemClock, env = {} } = options
  const file = join(directory, 'bearer-sidecar.yaml')
  writeFileSync(file, JSON.stringify(config))
  const { config: loaded } = await loadConfig({ file, env, cwd: directory })
  const log: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => void log.push(line) })
  const app = await App.create(loaded, { clock, logger, version: 'test', env: {} })
  const listening = await app.start()
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await app.stop(1_000)
  }
  t.after(stop)
  return { app, url: listening.proxy[0]?.url ?? '', adminUrl: listening.admin[0]?.url ?? '', directory, log, stop }
}

/** The config of a Blackbaud SKY credential against this simulator. `over` is laid over the credential. */
export function skyConfig(simulator: Simulator, refreshToken: string, over: object = {}): object {
  const { clientId, clientSecret, subscriptionKeys } = simulator.settings
  const credential = {
    provider: 'blackbaud-sky',
    clientId,
    clientSecret,
    authorizationUrl: simulator.authorizationUrl,
    tokenUrl: simulator.tokenUrl,
    headers: { 'Bb-Api-Subscription-Key': subscriptionKeys },
    refreshToken,
    ...over,
  }
  return {
    version: 1,
    proxy: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    credentials: { sky: credential },
    routes: [{ path: '/', upstream: simulator.url, credential: 'sky' }],
    store: { directory: './tokens' },
  }
}

export interface SkyStage {
  readonly simulator: Simulator
  readonly directory: string
  readonly config: object
}

/** A simulated SKY with a person logged in, and the config to match. */
export async function skyStage(
  t: Pick<TestContext, 'after'>,
  options: Partial<SimulatorOptions> = {},
  over: object = {},
): Promise<SkyStage> {
  const simulator = await startSimulator({ provider: 'blackbaud-sky', ...options })
  t.after(() => simulator.close())
  const directory = tempDir(t)
  mkdirSync(join(directory, 'tokens'), { mode: 0o700 })
  return { simulator, directory, config: skyConfig(simulator, simulator.seedRefreshToken(), over) }
}
