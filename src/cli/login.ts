import type { CredentialConfig } from '../config/schema.ts'
import { browserLogin } from './browser-login.ts'
import { CommandFailure, exitCode } from './command-failure.ts'
import { deviceLogin } from './device-login.ts'
import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions } from './session.ts'

export interface LoginOptions extends CommandOptions {
  /** false: print the address and read the redirected one from standard input. */
  readonly browser?: boolean
}

/** As long as an attempt is kept. */
const patience = 10 * 60_000

/** A person logs in with the provider. Exit code 130 when the person presses Ctrl-C instead. */
export function login(name: string, options: LoginOptions, io: Io, deps: CommandDeps = processDeps): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    const config = session.credential(name, options.subject)
    refuseUseless(name, config)
    const waiting = new AbortController()
    const interrupted = deps.interrupted().then(() => exitCode.interrupted)
    const cancelTimeout = deps.clock.schedule(patience, () =>
      waiting.abort(new CommandFailure('nobody logged in within ten minutes; start again')),
    )
    try {
      const work = config.grant === 'device_code' ? deviceLogin : browserLogin
      return await Promise.race([
        interrupted,
        aborted(waiting.signal),
        work({
          session,
          name,
          subject: options.subject,
          openBrowser: options.browser !== false,
          io,
          deps,
          signal: waiting.signal,
        }),
      ])
    } finally {
      cancelTimeout()
      waiting.abort()
    }
  })
}

function refuseUseless(name: string, { grant, authorizationUrl, deviceAuthorizationUrl }: CredentialConfig): void {
  if (grant === 'client_credentials') {
    throw new CommandFailure(
      `${name} uses client_credentials: it needs no login; try: bearer-sidecar refresh ${name}`,
      exitCode.usage,
    )
  }
  if ((grant === 'device_code' ? deviceAuthorizationUrl : authorizationUrl) === null) {
    throw new CommandFailure(
      `${name} has no address to log in at; bring a refresh token with: bearer-sidecar import ${name}`,
      exitCode.usage,
    )
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  )
}
