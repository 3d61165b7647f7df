import type { CredentialStatus } from '../tokens/credentials.ts'
import { exitCode } from './command-failure.ts'
import type { Io } from './io.ts'
import type { CommandDeps, Session } from './session.ts'
import { summary } from './token-words.ts'

/** One login under way. */
export interface LoginTask {
  readonly session: Session
  readonly name: string
  readonly subject: string | undefined
  readonly openBrowser: boolean
  readonly io: Io
  readonly deps: CommandDeps
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal
}

/** Says what the login brought. */
export function loggedIn({ io, deps, name }: LoginTask, status: CredentialStatus | undefined): number {
  io.stdout(status === undefined ? `${name} is connected.\n` : `${summary(status, deps.clock)}\n`)
  return exitCode.ok
}
