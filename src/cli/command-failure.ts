import { ConfigError } from '../config/problems.ts'
import { describeError, ProxyError } from '../errors.ts'
import { StoreError } from '../stores/token-store.ts'
import { LoginError, UnknownCredential } from '../tokens/credentials.ts'
import { SidecarRefusal } from './admin-client.ts'
import type { Io } from './io.ts'

/** The exit codes of CONTRACT section 1. */
export const exitCode = { ok: 0, failure: 1, usage: 2, loginNeeded: 4, config: 78, interrupted: 130 } as const

/** A command cannot do what it was asked; `message` names the place and the next step. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: number

  constructor(message: string, code: number = exitCode.failure) {
    super(message)
    this.exitCode = code
  }
}

/** Tells a person what went wrong and gives the exit code. Anything that no person can act on is thrown again. */
export function report(error: unknown, io: Io): number {
  const [message, code] = judge(error)
  io.stderr(`${message}\n`)
  return code
}

function judge(error: unknown): [message: string, code: number] {
  if (error instanceof CommandFailure) return [error.message, error.exitCode]
  if (error instanceof ConfigError) return [error.message, exitCode.config]
  if (error instanceof ProxyError) return [withReason(error), codeOf(error.code)]
  if (error instanceof SidecarRefusal) return [error.message, codeOf(error.code)]
  if (error instanceof StoreError || error instanceof LoginError) return [error.message, exitCode.failure]
  if (error instanceof UnknownCredential)
    return ['There is no such credential; see: bearer-sidecar status', exitCode.usage]
  throw error
}

/** Callers are told no reason; a person at the command line is, who has no log to look it up in. */
function withReason({ detail, cause }: ProxyError): string {
  return cause === undefined ? detail : `${detail}\n${describeError(cause)}`
}

function codeOf(code: string): number {
  return code === 'login_required' || code === 'reauthorization_required' ? exitCode.loginNeeded : exitCode.failure
}
