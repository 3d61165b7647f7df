import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions } from './session.ts'
import { summary } from './token-words.ts'

/** Refreshes now, past any back-off. Exit code 4 when only a login helps. */
export function refresh(
  name: string,
  options: CommandOptions,
  io: Io,
  deps: CommandDeps = processDeps,
): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    session.credential(name, options.subject)
    const refresher = session.sidecar ?? (await session.store()).credentials
    io.stdout(`${summary(await refresher.refresh(name, options.subject), deps.clock)}\n`)
    return 0
  })
}
