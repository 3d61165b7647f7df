import type { Clock } from './clock.ts'
import type { Config } from './config/schema.ts'
import { openStore } from './stores/open.ts'
import { CredentialService } from './tokens/credential-service.ts'
import type { TokenEvents } from './tokens/token-events.ts'
import { TokenSources } from './tokens/token-sources.ts'

export interface DirectCredentials {
  readonly credentials: CredentialService
  /** Resolves to the credentials whose newest tokens could not be saved and are lost with the process. */
  close(): Promise<string[]>
}

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
): Promise<DirectCredentials> {
  const store = await openStore(config.store, { clock })
  const sources = new TokenSources(config, { store, clock, random: Math.random, events: quiet })
  return {
    credentials: new CredentialService(sources, { store, clock, callbackUrl }),
    async close() {
      const unsaved = await sources.close()
      await store.close()
      return unsaved
    },
  }
}
