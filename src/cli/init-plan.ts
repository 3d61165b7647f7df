import type { Provider } from '../providers/provider.ts'

/** A value that a first configuration needs from the person; it goes into .env and is referred to in the config. */
export interface InitField {
  /** Name of the environment variable. */
  readonly variable: string
  /** Where it stands in the credential, such as ["settings", "host"]; "upstream" belongs to the route. */
  readonly place: readonly string[]
  readonly question: string
  readonly example: string
  readonly byDefault: string
  readonly secret: boolean
}

/** A credential to be written. */
export interface InitCredential {
  readonly name: string
  readonly provider: Provider
  readonly fields: readonly InitField[]
}

/** Presets whose token requests are authorised by another credential's token: that one is written too. */
const companions: Readonly<Record<string, { name: string; provider: string }>> = {
  'maya-customer': { name: 'partner', provider: 'maya-partner' },
}

/** The credentials that a preset needs, the one it was asked for last. */
export function initCredentials(provider: Provider, providers: ReadonlyMap<string, Provider>): InitCredential[] {
  const companion = companions[provider.name]
  const other = companion && providers.get(companion.provider)
  const own = { name: provider.name, provider, fields: fieldsOf(provider) }
  return companion === undefined || other === undefined
    ? [own]
    : [{ name: companion.name, provider: other, fields: fieldsOf(other) }, own]
}

function fieldsOf({ name, credential, settings, headers, upstream }: Provider): InitField[] {
  const prefix = variableName(name)
  const authentication = credential.clientAuthentication ?? 'basic'
  const identifies = !authentication.startsWith('credential:')
  const field = (place: readonly string[], question: string, more: Partial<InitField> = {}): InitField => ({
    variable: `${prefix}_${variableName(place.at(-1) ?? '')}`,
    place,
    question,
    example: '',
    byDefault: '',
    secret: false,
    ...more,
  })
  const url = (place: string, question: string) =>
    field([place], question, { example: 'https://login.example.com/...' })
  const interactive = credential.grant === undefined || credential.grant === 'authorization_code'
  return [
    ...(identifies ? [field(['clientId'], 'client id of your application')] : []),
    ...(identifies && authentication !== 'none'
      ? [field(['clientSecret'], 'client secret of your application', { secret: true })]
      : []),
    ...(interactive && credential.authorizationUrl === undefined
      ? [url('authorizationUrl', 'authorization endpoint')]
      : []),
    ...(credential.tokenUrl === undefined ? [url('tokenUrl', 'token endpoint')] : []),
    ...Object.entries(settings).map(([key, { description, example, default: byDefault = '' }]) =>
      field(['settings', key], description, { example, byDefault }),
    ),
    ...Object.entries(headers).map(([header, description]) =>
      field(['headers', header], `${header}: ${description}`, { secret: true }),
    ),
    ...(upstream === undefined
      ? [field(['upstream'], 'base URL of the API', { example: 'https://api.example.com' })]
      : []),
  ]
}

/** "Bb-Api-Subscription-Key" -> "BB_API_SUBSCRIPTION_KEY", "clientId" -> "CLIENT_ID". */
function variableName(text: string): string {
  return text
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase()
}
