import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions } from './session.ts'

/** Prints the stored grant as JSON that `import` takes. It holds the tokens in clear. */
export function exportTokens(
  name: string,
  options: CommandOptions,
  io: Io,
  deps: CommandDeps = processDeps,
): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    session.credential(name, options.subject)
    const held = (await session.sidecar?.status())?.credentials.find(
      (one) => one.name === name && one.subject === options.subject,
    )
    if (held?.unsaved === true) {
      io.stderr('The running sidecar holds newer tokens that it could not save yet; what follows may be out of date.\n')
    }
    const { credentials } = await session.store()
    const document = await credentials.export(name, options.subject)
    if (io.terminal) io.stderr('These are live secrets. Two sidecars must not use one grant: stop this one first.\n')
    io.stdout(`${JSON.stringify(document, null, 2)}\n`)
    return 0
  })
}
