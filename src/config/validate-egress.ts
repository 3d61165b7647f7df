import { egressRules, ProxyVariableError } from '../http/egress-rules.ts'
import type { Environment } from './environment.ts'
import type { Config } from './schema.ts'

/** The proxy variables that would be needed to reach a place of the configuration and cannot be used, each once. Another that is wrong harms nobody. */
export function proxyVariableFaults(config: Config, env: Environment): ProxyVariableError[] {
  const rules = egressRules(env)
  const faults = new Map<string, ProxyVariableError>()
  for (const url of calledUrls(config)) {
    try {
      if (url !== null && URL.canParse(url)) rules(new URL(url))
    } catch (error) {
      if (!(error instanceof ProxyVariableError)) throw error
      faults.set(error.variable, error)
    }
  }
  return [...faults.values()]
}

function calledUrls({ routes, credentials, notify }: Config): (string | null)[] {
  return [
    ...routes.map(({ upstream }) => upstream),
    ...Object.values(credentials).flatMap(({ tokenUrl, deviceAuthorizationUrl }) => [tokenUrl, deviceAuthorizationUrl]),
    notify.webhook,
  ]
}
