/**
 * One refresh against a real token endpoint and a real folder, in a process that may die at any step: started by crash.test.ts, never alone. With KILL_AT=n
 * it kills itself just before its n-th call of the file system, counted from the moment the refresh begins.
 */
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { nodeFileSystem, type FileSystem } from '../../src/stores/file-system.ts'
import { openStore } from '../../src/stores/open.ts'
import { TokenSources } from '../../src/tokens/token-sources.ts'

const killAt = Number(process.env['KILL_AT'] ?? Infinity)
let armed = false
let calls = 0

function step(): void {
  if (armed && ++calls === killAt) process.kill(process.pid, 'SIGKILL')
}

/** Counts every call of an object's methods, those of the file handles that it opens included. */
function counted<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(object, name, object)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        step()
        const result: unknown = Reflect.apply(value, object, args)
        return name === 'open' ? (result as Promise<FileHandle>).then((handle) => counted(handle)) : result
      }
    },
  })
}

const directory = process.argv[2] ?? ''
const { config } = await loadConfig({ file: join(directory, 'bearer-sidecar.yaml'), env: {}, cwd: directory })
const files: FileSystem = counted(nodeFileSystem)
const store = await openStore(config.store, { clock: systemClock, files })
const ignore = () => undefined
const events = { refreshed: ignore, stateChanged: ignore, savedChanged: ignore, refreshTokenExpiring: ignore }
const sources = new TokenSources(config, { store, clock: systemClock, random: () => 0, events })
const manager = sources.manager('sky')
await manager.open()
armed = true
process.stdout.write('armed\n')
try {
  await manager.refresh()
} catch {
  // The status says why.
}
armed = false
const { state, lastError } = manager.status()
process.stdout.write(`${JSON.stringify({ state, lastError, calls })}\n`)
await sources.close()
await store.close()
