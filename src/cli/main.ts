#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Only cheap imports up here: every command loads what it needs, so that `token` answers as fast as `--version`.
enableCompileCache()
try {
  const { run } = await import('./program.ts')
  process.exitCode = await run(process.argv, {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    terminal: process.stdout.isTTY,
  })
} catch (error) {
  // Not left to Node: a command that takes over uncaught exceptions would end with 0. Properties of the error are not shown, they may hold anything.
  process.stderr.write(`internal error, please report this\n${error instanceof Error ? error.stack : 'not an Error'}\n`)
  process.exitCode = 1
}
// Idle keep-alive connections and timers of libraries must not hold a finished command.
process.exit()
