import type { CredentialConfig } from '../config/schema.ts'
import type { GrantId } from '../stores/token-store.ts'

/** The command line for one grant, safe to paste: a subject comes from a caller and may hold anything. */
export function command(verb: 'login' | 'import' | 'refresh', { credential, subject }: GrantId): string {
  return `bearer-sidecar ${verb} ${credential}${subject === undefined ? '' : ` --subject ${shellWord(subject)}`}`
}

/** How a person brings a grant: a login where the provider has one, else an import. */
export function loginCommand(config: CredentialConfig, id: GrantId): string {
  return command(canLogIn(config) ? 'login' : 'import', id)
}

/** The same on the admin port. */
export function loginPage(config: CredentialConfig, id: GrantId): string {
  return config.authorizationUrl === null ? `PUT ${page('token', id)}` : `open ${page('authorize', id)}`
}

export const refreshPage = (id: GrantId) => page('refresh', id)

function page(what: 'authorize' | 'refresh' | 'token', { credential, subject }: GrantId): string {
  const query = subject === undefined ? '' : `?subject=${encodeURIComponent(subject)}`
  return `/credentials/${credential}/${what}${query}`
}

const canLogIn = (config: CredentialConfig) =>
  config.authorizationUrl !== null || config.deviceAuthorizationUrl !== null

const shellWord = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
