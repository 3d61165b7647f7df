import type { Fault } from './faults.ts'
import type { Rotation } from './grants.ts'
import type { Provider, ProviderDefaults, TokenFormat } from './provider.ts'
import { blackbaudSky } from './providers/blackbaud-sky.ts'
import { constantContact } from './providers/constant-contact.ts'
import { generic } from './providers/generic.ts'
import { highq } from './providers/highq.ts'
import { maya } from './providers/maya.ts'

/** Both Maya names start the same simulator: the two tokens of one request come from the same place. */
export const providers = {
  'blackbaud-sky': blackbaudSky,
  'constant-contact': constantContact,
  highq,
  'maya-partner': maya,
  'maya-customer': maya,
  generic,
} as const satisfies Record<string, Provider>

export type ProviderName = keyof typeof providers
export const providerNames = Object.keys(providers) as ProviderName[]

/** All but `provider` may be left out; the provider's own defaults stand in `src/simulator/providers`. Durations are milliseconds. */
export interface SimulatorOptions {
  provider: ProviderName
  /** Default 127.0.0.1; only loopback addresses are taken. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  accessTokenTtl?: number
  refreshTokenTtl?: number
  codeTtl?: number
  /** `rotate`: a refresh token works once. `long-lived`: the same one is given back each time. */
  rotation?: Rotation
  /** How long a consumed refresh token may still be presented; default 0. */
  graceWindow?: number
  /** A refresh that does not rotate leaves refresh_token out of its answer; default false. */
  preserveOmitsRefreshToken?: boolean
  /** A refresh ends the access tokens issued before it; default false. */
  refreshRevokesAccessTokens?: boolean
  tokenFormat?: TokenFormat
  /** Faults in force from the start: objects, or text as the command line takes it. */
  faults?: readonly (Fault | string)[]
  /** Milliseconds added to every answer. */
  latency?: number
  clientId?: string
  clientSecret?: string
  /** A refresh token that is good from the start, for config files that are written before the simulator runs. */
  refreshToken?: string
  /** blackbaud-sky: interchangeable subscription keys. */
  subscriptionKeys?: readonly string[]
  /** blackbaud-sky: the key of /payments/. */
  paymentsKey?: string
  /** highq: the path segment in front of everything; default `instance`. */
  instance?: string
  /** Redirect URIs that are registered; without a list any loopback http URI and https://localhost are. */
  redirectUris?: readonly string[]
  /** Redirects back at once instead of showing the consent page; default false (`auto=1` in the query does it once). */
  autoConsent?: boolean
  /** Refuses a login without PKCE; default false. */
  requirePkce?: boolean
  /** Seconds between two polls of the device flow (RFC 8628); default 5. */
  deviceInterval?: number
  /** Call limits as the provider publishes them; by default there are none. */
  callsPerSecond?: number
  callsPerDay?: number
  /** Milliseconds since 1970; default the system clock. */
  now?: () => number
}

type Optional = 'refreshToken' | 'callsPerSecond' | 'callsPerDay' | 'redirectUris'
export type Settings = Required<Omit<SimulatorOptions, Optional | 'faults'>> &
  Pick<SimulatorOptions, Optional> & { scope: string }

/** Lays the options over the provider's defaults; throws a RangeError for a provider it does not know. */
export function settingsFrom(options: SimulatorOptions): Settings {
  if (!Object.hasOwn(providers, options.provider)) {
    throw new RangeError(`no provider is called "${options.provider}"; known are ${providerNames.join(', ')}`)
  }
  const defaults: ProviderDefaults = providers[options.provider].defaults
  const settings: Settings = {
    host: '127.0.0.1',
    port: 0,
    graceWindow: 0,
    preserveOmitsRefreshToken: false,
    refreshRevokesAccessTokens: false,
    latency: 0,
    instance: 'instance',
    autoConsent: false,
    requirePkce: false,
    deviceInterval: 5,
    subscriptionKeys: [],
    paymentsKey: '',
    now: Date.now,
    ...defaults,
    ...options,
  }
  if (!/^(localhost|127(\.\d+){3}|::1)$/.test(settings.host)) {
    throw new RangeError(`the simulator listens on loopback addresses only, not on "${settings.host}"`)
  }
  return settings
}
