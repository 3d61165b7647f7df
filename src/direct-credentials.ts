import { systemClock, type Clock } from './clock.ts'
import type { Config } from './config/schema.ts'
import { egressRules } from './http/egress-rules.ts'
import { openStore } from './stores/open.ts'
import { CredentialService } from './tokens/credential-service.ts'
import type { TokenEvents } from './tokens/token-events.ts'
import { TokenSources } from './tokens/token-sources.ts'
import { askThrough } from './upstream/whole-answer.ts'

export interface DirectCredentials {
  readonly credentials: CredentialService
  /** The store in one line, without a secret. */
  readonly description: string
  /** Resolves to the credentials whose newest tokens could not be saved and are lost with the process. */
  close(): Promise<string[]>
}

/** Where the kubernetes store finds its API server, and which egress proxies there are. */
type Environment = Readonly<Record<string, string | undefined>>

/** A command has an answer of its own for what happens; nothing is told twice. */
const quiet: TokenEvents = {
  refreshed: () => undefined,
  stateChanged: () => undefined,
  savedChanged: () => undefined,
  refreshTokenExpiring: () => undefined,
}

/** The credentials straight from the store, for commands while no sidecar runs. `callbackUrl` is where a login comes back to. Rejects with StoreError. */
export async function openDirectCredentials(
  config: Config,
  clock: Clock,
  callbackUrl: () => string,
  env: Environment,
): Promise<DirectCredentials> {
  askThrough(egressRules(env))
  const store = await openStore(config.store, { clock, env })
  const sources = new TokenSources(config, { store, clock, random: Math.random, events: quiet })
  return {
    credentials: new CredentialService(sources, { store, clock, callbackUrl }),
    description: store.description,
    async close() {
      const unsaved = await sources.close()
      await store.close()
      return unsaved
    },
  }
}

/** Opens the store, sees whether it can be read and written, and closes it. Rejects with StoreError. */
export async function checkStore(config: Config, env: Environment): Promise<void> {
  const store = await openStore(config.store, { clock: systemClock, env })
  try {
    await store.ping()
    await Promise.all(Object.keys(config.credentials).map((credential) => store.load({ credential })))
  } finally {
    await store.close()
  }
}
