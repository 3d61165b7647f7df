import type { Provider } from '../providers/provider.ts'
import type { Finding } from './problems.ts'
import type { Config } from './schema.ts'
import { authoriser, credentialFindings } from './validate-credential.ts'
import { listenFindings } from './validate-listen.ts'
import { routeFindings } from './validate-route.ts'
import { storeFindings } from './validate-store.ts'

/** The presets of the credentials, by the credential's name. */
export type Presets = ReadonlyMap<string, Provider>

/** The rules between settings. Pure: looks at nothing but its arguments. */
export function validate(config: Config, presets: Presets): Finding[] {
  const used = usedCredentials(config)
  return [
    ...listenFindings(config),
    ...Object.keys(config.credentials).flatMap((name) => credentialFindings(name, config, presets.get(name))),
    ...Object.keys(config.credentials)
      .filter((name) => !used.has(name))
      .map((name): Finding => ({
        path: ['credentials', name],
        message: 'is used by no route',
        severity: 'warning',
        at: 'key',
      })),
    ...routeFindings(config, presets),
    ...storeFindings(config),
  ]
}

function usedCredentials(config: Config): Set<string> {
  const authorising = Object.values(config.credentials).map(({ clientAuthentication }) =>
    authoriser(clientAuthentication),
  )
  const onRoutes = config.routes.flatMap(({ credential }) => credential)
  return new Set([...onRoutes, ...authorising.filter((name) => name !== undefined)])
}
