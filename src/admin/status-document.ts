import type { CredentialStatus } from '../tokens/credentials.ts'
import type { RefreshOutcome, RefreshReason } from '../tokens/grant.ts'

/** What the admin port shows of a route. */
export interface RouteInfo {
  readonly path: string
  /** The metric label. */
  readonly name: string
  readonly credentials: readonly string[]
  /** Scheme, host and port. */
  readonly upstreamOrigin: string
}

/** What the admin port knows of a credential beside its status: how a person logs in. */
export interface CredentialInfo {
  readonly name: string
  /** The provider's name for people. */
  readonly title: string
  readonly grant: 'authorization_code' | 'client_credentials' | 'refresh_token' | 'device_code'
  /** With one, logins are per subject. */
  readonly subjectHeader: string | null
}

export interface StoreInfo {
  readonly type: string
  /** One line without a secret, such as "file /var/lib/tokens, sealed". */
  readonly description: string
  readonly ok: boolean
  /** One sentence without a secret, or null. */
  readonly error: string | null
}

/** Read anew for every answer, so that a reload shows at once. */
export interface AdminInfo {
  readonly version: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly routes: readonly RouteInfo[]
  readonly credentials: readonly CredentialInfo[]
  readonly store: StoreInfo
}

/** A credential's status as JSON: every time is an ISO 8601 string. */
export type CredentialDocument = Omit<CredentialStatus, 'history'> & {
  /** Left out where a list holds a subject: there may be ten thousand of them. */
  readonly history?: readonly {
    readonly at: string
    readonly reason: RefreshReason
    readonly outcome: RefreshOutcome
  }[]
}

/** The body of GET /status. */
export interface StatusDocument {
  readonly version: string
  /** null where a command read the store because no sidecar runs. */
  readonly startedAt: string | null
  readonly credentials: readonly CredentialDocument[]
  readonly routes: readonly RouteInfo[]
  readonly store: StoreInfo
}

export function credentialDocument({ history, ...status }: CredentialStatus): CredentialDocument {
  return { ...status, history: history.map((record) => ({ ...record, at: new Date(record.at).toISOString() })) }
}

export function statusDocument(info: AdminInfo, list: readonly CredentialStatus[]): StatusDocument {
  const credentials = list.map((status): CredentialDocument => {
    const { history, ...rest } = credentialDocument(status)
    return status.subject === undefined ? { ...rest, ...(history && { history }) } : rest
  })
  return { version: info.version, startedAt: info.startedAt, credentials, routes: info.routes, store: info.store }
}

/** The way back, for the client of this port. */
export function credentialStatus({ history, ...document }: CredentialDocument): CredentialStatus {
  return { ...document, history: (history ?? []).map((record) => ({ ...record, at: Date.parse(record.at) })) }
}
