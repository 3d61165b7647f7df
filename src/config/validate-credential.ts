import type { Provider } from '../providers/provider.ts'
import { forbiddenHeader } from './injected-headers.ts'
import type { Path } from './path.ts'
import type { Finding } from './problems.ts'
import type { Config, CredentialConfig } from './schema.ts'
import { didYouMean } from './suggest.ts'
import { tlsFindings } from './validate-tls.ts'
import { faultOfSecretUrl } from './urls.ts'

/** What one credential needs, seen with the others. */
export function credentialFindings(name: string, config: Config, provider: Provider | undefined): Finding[] {
  const credential = config.credentials[name]
  if (credential === undefined) return []
  const found = [
    ...grantFindings(credential),
    ...urlFindings(credential),
    ...authenticationFindings(name, credential, config),
    ...headerFindings(credential),
    ...refreshFindings(credential),
    ...scopeFindings(credential, provider),
    ...tlsFindings(credential.tls),
  ]
  return found.map((finding) => ({ ...finding, path: ['credentials', name, ...finding.path] }))
}

function grantFindings({ grant, ...credential }: CredentialConfig): Finding[] {
  const required = (path: string, condition: boolean, why: string): Finding[] =>
    condition ? [{ path: [path], message: `is required ${why}`, at: 'key' }] : []
  return [
    ...required('tokenUrl', credential.tokenUrl === null, 'to get and refresh tokens'),
    ...required(
      'authorizationUrl',
      grant === 'authorization_code' && credential.authorizationUrl === null,
      'for the grant authorization_code (where tokens are imported, set grant: refresh_token)',
    ),
    ...required(
      'deviceAuthorizationUrl',
      grant === 'device_code' && credential.deviceAuthorizationUrl === null,
      'for the grant device_code',
    ),
    ...required(
      'clientId',
      credential.clientId === null &&
        (['basic', 'basic-raw', 'body'].includes(credential.clientAuthentication) ||
          grant === 'authorization_code' ||
          grant === 'device_code'),
      `for the grant ${grant} with clientAuthentication ${credential.clientAuthentication.split(':')[0] ?? ''}`,
    ),
  ]
}

function urlFindings(credential: CredentialConfig): Finding[] {
  const names = ['tokenUrl', 'authorizationUrl', 'deviceAuthorizationUrl'] as const
  const findings = names.flatMap((name): Finding[] => {
    const text = credential[name]
    const fault = text === null ? undefined : faultOfSecretUrl(text)
    return fault === undefined ? [] : [{ path: [name], message: fault }]
  })
  // RFC 6749 section 3.1.2. Apps of their own scheme (RFC 8252 section 7.1) are possible: the redirected URL is pasted.
  const { redirectUri } = credential
  if (redirectUri !== null && (!URL.canParse(redirectUri) || redirectUri.includes('#'))) {
    findings.push({ path: ['redirectUri'], message: 'must be an absolute URL without a fragment (#)' })
  }
  return findings
}

function authenticationFindings(name: string, credential: CredentialConfig, { credentials }: Config): Finding[] {
  const { clientAuthentication, clientSecret } = credential
  const path = ['clientAuthentication']
  const other = authoriser(clientAuthentication)
  if (other === undefined) {
    if (clientAuthentication !== 'none' && clientSecret === null) {
      const message = `is required by clientAuthentication ${clientAuthentication}; a public client has clientAuthentication: none`
      return [{ path: ['clientSecret'], message, at: 'key' }]
    }
    const message = 'is not sent with clientAuthentication: none'
    return clientAuthentication === 'none' && clientSecret !== null
      ? [{ path: ['clientSecret'], message, severity: 'warning', at: 'key' }]
      : []
  }
  const others = Object.keys(credentials).filter((known) => known !== name)
  if (other === name)
    return [{ path, message: 'names the credential itself; its token requests need the token of another one' }]
  if (!Object.hasOwn(credentials, other)) {
    return [{ path, message: `names a credential that does not exist${didYouMean(other, others)}` }]
  }
  if (isCyclic(name, credentials))
    return [{ path, message: 'goes round in a circle: each waits for the token of the next' }]
  const subjects = credentials[other]?.subjectHeader
  if (subjects !== null && subjects !== undefined) {
    return [{ path, message: 'names a credential with a subjectHeader; token requests have no subject to choose by' }]
  }
  return []
}

function isCyclic(name: string, credentials: Config['credentials']): boolean {
  const seen = new Set<string>()
  let current: string | undefined = name
  while (current !== undefined && Object.hasOwn(credentials, current)) {
    if (seen.has(current)) return true
    seen.add(current)
    current = authoriser(credentials[current]?.clientAuthentication ?? '')
  }
  return false
}

function headerFindings({ headers, inject, subjectHeader }: CredentialConfig): Finding[] {
  const findings: Finding[] = []
  const check = (path: Path, header: string) => {
    const fault = forbiddenHeader(header)
    if (fault !== undefined) findings.push({ path, message: fault, at: 'key' })
  }
  check(['inject', 'header'], inject.header)
  if (subjectHeader !== null) check(['subjectHeader'], subjectHeader)
  for (const [header, value] of Object.entries(headers)) {
    const path = ['headers', header]
    check(path, header)
    const values = [value].flat()
    if (values.every((text) => text === '')) findings.push({ path, message: 'has an empty value' })
    if (new Set(values).size < values.length)
      findings.push({ path, message: 'holds the same key twice', severity: 'warning' })
  }
  return findings
}

function refreshFindings({ refresh }: CredentialConfig): Finding[] {
  const { keepAlive, refreshTokenLifetime, timeout } = refresh
  const findings: Finding[] = []
  if (timeout === 0) findings.push({ path: ['refresh', 'timeout'], message: 'must be longer than 0' })
  if (keepAlive === 0) findings.push({ path: ['refresh', 'keepAlive'], message: 'must be longer than 0, or null' })
  if (keepAlive !== null && refreshTokenLifetime !== null && keepAlive >= refreshTokenLifetime) {
    const message = 'must be shorter than refreshTokenLifetime: the refresh token would die first'
    findings.push({ path: ['refresh', 'keepAlive'], message })
  }
  return findings
}

function scopeFindings({ grant, scopes }: CredentialConfig, provider: Provider | undefined): Finding[] {
  if (provider === undefined || (grant !== 'authorization_code' && grant !== 'device_code')) return []
  const missing = provider.neededScopes.filter((scope) => !scopes.includes(scope))
  if (missing.length === 0) return []
  const message = `${provider.title} gives no refresh token without the scope ${missing.join(', ')}`
  return [{ path: ['scopes'], message, severity: 'warning' }]
}

/** The name in credential:<name>. */
export const authoriser = (clientAuthentication: string) =>
  clientAuthentication.startsWith('credential:') ? clientAuthentication.slice('credential:'.length) : undefined
