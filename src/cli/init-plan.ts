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
const companions: Readonly<Record<string, string>> = { 'maya-customer': 'maya-partner' }

/** What the documentation calls the credential of a preset; the others are called like their preset. */
const names: Readonly<Record<string, string>> = {
  'blackbaud-sky': 'sky',
  'constant-contact': 'cc',
  highq: 'hq',
  'maya-partner': 'partner',
  'maya-customer': 'customer',
}

/** The name that a first configuration gives the credential of a preset, and in capitals its variables begin with. */
export const credentialName = (preset: string): string => names[preset] ?? preset

/** The credentials that a preset needs, the one it was asked for last. */
export function initCredentials(provider: Provider, providers: ReadonlyMap<string, Provider>): InitCredential[] {
  const companion = companions[provider.name]
  const other = companion === undefined ? undefined : providers.get(companion)
  return (other === undefined ? [provider] : [other, provider]).map((each) => ({
    name: credentialName(each.name),
    provider: each,
    fields: fieldsOf(each),
  }))
}

function fieldsOf({ name, credential, settings, headers, upstream }: Provider): InitField[] {
  const prefix = variableName(credentialName(name))
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
    ...Object.entries(headers).map(([header, description], index) =>
      field(['headers', header], `${header}: ${description}`, {
        secret: true,
        variable: `${prefix}_${index === 0 ? 'KEY' : variableName(header)}`,
      }),
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
