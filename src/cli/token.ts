import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions } from './session.ts'

/**
 * Prints an access token alone on standard output. The admin port gives no token to anyone, so it is read from the store; but where a sidecar
 * runs, that one does the refreshing. Exit code 4 when a person must log in.
 */
export function token(name: string, options: CommandOptions, io: Io, deps: CommandDeps = processDeps): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    session.credential(name, options.subject)
    const { credentials } = await session.store()
    const before = await credentials.status(name, options.subject)
    const { accessTokenExpiresAt } = before
    const live = accessTokenExpiresAt === null || Date.parse(accessTokenExpiresAt) > deps.clock.now()
    if (!live && before.refreshable) await session.sidecar?.refresh(name, options.subject)
    io.stdout(`${await credentials.accessToken(name, options.subject)}\n`)
    return 0
  })
}
