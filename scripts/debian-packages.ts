import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A command that tests or the benchmark use, and the Debian package that brings it. */
export interface Tool {
  readonly command: string
  readonly package: string
}

const sbin = ['/usr/sbin', '/usr/local/sbin']

/** The full path of a command, or undefined. Servers live in sbin, which is not on everyone's PATH. */
export function findCommand(command: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...sbin]) {
    const file = join(folder, command)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return undefined
}

/** Why packages may not be installed here, or undefined when they may. */
export function installObstacle(): string | undefined {
  if (process.env['BEARER_SIDECAR_NO_INSTALL']) return 'BEARER_SIDECAR_NO_INSTALL is set'
  if (!existsSync('/etc/debian_version') || findCommand('apt-get') === undefined) return 'this is not a Debian system'
  if (process.getuid?.() !== 0) return 'only root may install packages'
  return undefined
}

/** Installs what is missing, without starting any service. Returns the tools that are still missing. */
export function installMissing(tools: readonly Tool[]): readonly Tool[] {
  const missing = tools.filter((tool) => findCommand(tool.command) === undefined)
  if (missing.length === 0 || installObstacle() !== undefined) return missing
  console.error(`Installing ${missing.map((tool) => tool.package).join(', ')} (Debian packages) ...`)
  aptGet(['update', '-qq'], 90)
  // One by one when the lot fails: a package that this release does not have must not keep the others away.
  const options = ['install', '-y', '-qq', '--no-install-recommends']
  if (!aptGet([...options, ...missing.map((tool) => tool.package)], 300)) {
    for (const tool of missing) aptGet([...options, tool.package], 120)
  }
  return missing.filter((tool) => findCommand(tool.command) === undefined)
}

/** RUNLEVEL=1 keeps invoke-rc.d from starting the servers that come with the packages. */
function aptGet(parameters: readonly string[], seconds: number): boolean {
  const run = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=60', ...parameters], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: 'ignore',
    timeout: seconds * 1000,
  })
  return run.status === 0
}
