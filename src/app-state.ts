import { readyReport, type ReadyReport } from './admin/probes.ts'
import type { AdminInfo } from './admin/status-document.ts'
import type { Config } from './config/schema.ts'
import type { BoundAddress } from './http/listen.ts'
import { providers } from './providers/provider.ts'
import { credentialNames, labelOf } from './proxy-routes.ts'
import type { TokenStore } from './stores/token-store.ts'
import type { CredentialService } from './tokens/credential-service.ts'
import type { TokenSources } from './tokens/token-sources.ts'

export interface Listening {
  readonly proxy: readonly BoundAddress[]
  readonly admin: readonly BoundAddress[]
  readonly probes: readonly BoundAddress[]
}

/** How far the process is; what the probes and the status page are answered from. */
export interface AppState {
  config: Config
  readonly startedAt: number
  storeLoaded: boolean
  listening: Listening | undefined
  stopping: boolean
}

export function adminInfo(state: AppState, version: string, store: TokenStore, sources: TokenSources): AdminInfo {
  const { config } = state
  const error = sources.storeError ?? (state.storeLoaded ? null : 'The store was not read yet.')
  return {
    version,
    startedAt: new Date(state.startedAt).toISOString(),
    routes: config.routes.map((route) => ({
      path: route.path,
      name: labelOf(route),
      credentials: credentialNames(route),
      upstreamOrigin: new URL(route.upstream).origin,
    })),
    credentials: Object.entries(config.credentials).map(([name, { provider, grant, subjectHeader }]) => ({
      name,
      title: providers.get(provider)?.title ?? provider,
      grant,
      subjectHeader,
    })),
    store: { type: config.store.type, description: store.description, ok: error === null, error },
  }
}

export function report(state: AppState, credentials: CredentialService): ReadyReport {
  return readyReport(credentials.list(), {
    started: state.storeLoaded && state.listening !== undefined,
    stopping: state.stopping,
  })
}
