#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Only cheap imports up here: every command loads what it needs, so that `token` answers as fast as `--version`.
enableCompileCache()
const { run } = await import('./program.ts')
process.exitCode = await run(process.argv, {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  env: process.env,
  cwd: process.cwd(),
  terminal: process.stdout.isTTY,
})
// Idle keep-alive connections and timers of libraries must not hold a finished command.
process.exit()
