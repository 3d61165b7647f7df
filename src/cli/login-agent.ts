import { credentialStatus, type CredentialDocument } from '../admin/status-document.ts'
import { sleep, type Clock } from '../clock.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'
import type { AdminClient } from './admin-client.ts'
import type { Session } from './session.ts'
import { isLoopback } from './callback-listener.ts'

/** Who exchanges the code: the running sidecar, or this process on the store. */
export interface LoginAgent {
  /** The authorization request of a new login. */
  begin(): Promise<URL>
  /** Rejects with LoginError or SidecarRefusal. */
  finish(callback: URLSearchParams): Promise<void>
  /** Resolves when the login was finished elsewhere: the browser came back to the running sidecar. Never resolves where that can't be. */
  finishedElsewhere(redirectUri: URL, signal: AbortSignal): Promise<void>
  /** True where the browser comes back to the running sidecar, so that nobody else may listen there. */
  receives(redirectUri: URL): boolean
  /** What the login brought; undefined when the running sidecar doesn't say. */
  status(): Promise<CredentialStatus | undefined>
}

/** Milliseconds between two looks at the running sidecar. */
const pollInterval = 1_000

export function loginAgent(session: Session, name: string, subject: string | undefined, clock: Clock): LoginAgent {
  return session.sidecar === undefined
    ? storeAgent(session, name, subject)
    : sidecarAgent(session.sidecar, session.config.admin.publicUrl, name, subject, clock)
}

function storeAgent(session: Session, name: string, subject: string | undefined): LoginAgent {
  return {
    begin: async () => new URL((await (await session.store()).credentials.beginLogin(name, subject)).url),
    async finish(callback) {
      await (await session.store()).credentials.finishLogin(callback)
    },
    finishedElsewhere: () => new Promise(() => undefined),
    receives: () => false,
    status: async () => (await session.store()).credentials.status(name, subject),
  }
}

function sidecarAgent(
  sidecar: AdminClient,
  publicUrl: string | null,
  name: string,
  subject: string | undefined,
  clock: Clock,
): LoginAgent {
  const find = async () =>
    (await sidecar.status()).credentials.find((one) => one.name === name && one.subject === subject)
  let before: CredentialDocument | undefined
  return {
    async begin() {
      before = await find()
      return new URL(await sidecar.beginLogin(name, subject))
    },
    finish: (callback) => sidecar.finishLogin(callback),
    async status() {
      const found = await find()
      return found && credentialStatus(found)
    },
    receives(redirectUri) {
      if (publicUrl !== null && redirectUri.href.startsWith(publicUrl)) return true
      return isLoopback(redirectUri) && sidecar.port === Number(redirectUri.port || '80')
    },
    async finishedElsewhere(redirectUri, signal) {
      if (!this.receives(redirectUri)) return new Promise(() => undefined)
      for (;;) {
        await sleep(clock, pollInterval, signal)
        const now = await find()
        if (now !== undefined && isLogin(before, now)) return
        before = now ?? before
      }
    },
  }
}

/** New tokens that no refresh brought: an ordinary refresh moves lastRefresh, and is impossible without a refresh token. */
function isLogin(before: CredentialDocument | undefined, now: CredentialDocument): boolean {
  const refreshed = before?.refreshable === true && now.lastRefresh?.at !== before.lastRefresh?.at
  return now.usable && !refreshed && tokensOf(now) !== tokensOf(before)
}

function tokensOf(status: CredentialDocument | undefined): string {
  return JSON.stringify([
    status?.accessTokenIssuedAt,
    status?.accessTokenExpiresAt,
    status?.refreshTokenExpiresAt,
    status?.state,
  ])
}
