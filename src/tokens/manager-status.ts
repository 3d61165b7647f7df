import type { CredentialConfig } from '../config/schema.ts'
import type { ProxyError } from '../errors.ts'
import type { GrantId } from '../stores/token-store.ts'
import type { CredentialState, CredentialStatus } from './credentials.ts'
import { maxHistory, type Grant, type RefreshRecord } from './grant.ts'
import { command, loginCommand } from './next-step.ts'
import { alive, seedOf, unusedSeed } from './seed.ts'
import type { TokenSet } from './token-set.ts'

/** What stands between the manager and a fresh token. */
export type Trouble =
  | { readonly fatal: true; readonly error: string; readonly message: string; readonly at: number }
  | {
      readonly fatal: false
      readonly what: 'token endpoint' | 'store'
      readonly message: string
      readonly at: number
      /** Another credential, whose token must authorise the request, has none: what its callers are told. */
      readonly blockedBy?: ProxyError | undefined
    }

export interface ManagerFacts {
  readonly id: GrantId
  readonly config: CredentialConfig
  readonly record: {
    readonly grant: Grant
    /** False until the store was read: then nobody knows what there is. */
    readonly loaded: boolean
    readonly unsaved: boolean
    readonly unsavedReason: string | undefined
  }
  /** The token that would be served now. */
  readonly current: TokenSet | undefined
  readonly trouble: Trouble | undefined
  /** Failed refreshes of this process, oldest first. */
  readonly failed: readonly RefreshRecord[]
  readonly retryAt: number | undefined
}

/** What may be shown of a credential: pure, and without a secret. */
export function credentialStatus(facts: ManagerFacts): CredentialStatus {
  const { id, config, record, trouble } = facts
  const { grant, unsaved } = record
  const refreshable = canRefresh(config, id, grant)
  const state = stateOf(facts, refreshable)
  const history = [...grant.history, ...facts.failed].sort((a, b) => a.at - b.at).slice(-maxHistory)
  const last = history.at(-1)
  return {
    name: id.credential,
    ...(id.subject !== undefined && { subject: id.subject }),
    provider: config.provider,
    state,
    accessTokenExpiresAt: time(grant.tokens?.accessToken === '' ? undefined : grant.tokens?.expiresAt),
    refreshTokenExpiresAt: time(grant.tokens?.refreshExpiresAt),
    lastRefresh:
      last === undefined ? null : { at: new Date(last.at).toISOString(), reason: last.reason, outcome: last.outcome },
    unsaved,
    lastError: lastError(facts),
    nextStep: nextStep(facts, state),
    accessTokenIssuedAt: time(grant.tokens?.accessToken === '' ? undefined : grant.tokens?.issuedAt),
    retryAt: time(trouble?.fatal === false ? facts.retryAt : undefined),
    refreshable,
    usable: facts.current !== undefined || (refreshable && trouble === undefined),
    history,
  }
}

/** Whatever else is wrong, why the only copy of a token is in memory is never left out. */
function lastError({ trouble, record }: ManagerFacts): string | null {
  const unsaved = record.unsaved
    ? `The newest token set is held in memory only: ${record.unsavedReason || 'the store does not take it'}`
    : undefined
  return [trouble?.message, unsaved].filter((text) => text !== undefined).join(' ') || null
}

function stateOf({ trouble, record, current }: ManagerFacts, refreshable: boolean): CredentialState {
  const { unsaved, loaded } = record
  if (trouble?.fatal === true) return 'reauthorization_required'
  if (current === undefined && !refreshable) return loaded ? 'login_required' : 'degraded'
  return trouble !== undefined || unsaved ? 'degraded' : 'active'
}

/** Whether a token request can be made without a person. */
export function canRefresh(config: CredentialConfig, id: GrantId, grant: Grant): boolean {
  return config.grant === 'client_credentials' || alive(grant) || unusedSeed(grant, seedOf(config, id)) !== undefined
}

function nextStep({ id, trouble, record, config }: ManagerFacts, state: CredentialState): string | null {
  if (trouble?.fatal === true && trouble.error !== 'invalid_grant') {
    return `Check clientId and clientSecret, then run: ${command('refresh', id)}`
  }
  if (state === 'login_required' || state === 'reauthorization_required') return `Run: ${loginCommand(config, id)}`
  if (record.unsaved)
    return 'Make the store writable again; the save is retried by itself. Do not stop the process before that.'
  if (trouble?.fatal !== false) return null
  if (trouble.blockedBy !== undefined) return trouble.blockedBy.detail
  return trouble.what === 'store'
    ? 'Make the store usable again; it is tried again by itself.'
    : 'Nothing to do yet: it is tried again by itself.'
}

const time = (at: number | undefined) => (at === undefined || !Number.isFinite(at) ? null : new Date(at).toISOString())
