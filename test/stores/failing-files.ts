import type { FileHandle } from 'node:fs/promises'
import { nodeFileSystem, type FileSystem } from '../../src/stores/file-system.ts'

export type Step =
  | 'open'
  | 'create'
  | 'write'
  | 'sync'
  | 'rename'
  | 'readdir'
  | 'open directory'
  | 'sync directory'
  | 'unlink'
  | 'stat'
  | 'access'
  | 'mkdir'

/** The real file system, of which single steps can be made to fail. */
export class FailingFiles {
  /** Which step fails and with what. */
  fault: { step: Step; code: string } | undefined
  /** The calls that went through, in order, with the last part of the path. */
  readonly calls: string[] = []

  readonly files: FileSystem = {
    ...nodeFileSystem,
    open: async (path, flags, mode) => {
      const directory = mode === undefined && !path.endsWith('.json')
      this.#pass(mode !== undefined ? 'create' : directory ? 'open directory' : 'open', path)
      const handle = await nodeFileSystem.open(path, flags, mode)
      return mode === undefined && !directory ? handle : this.#wrap(handle, path, directory)
    },
    rename: (from, to) => this.#through('rename', to, () => nodeFileSystem.rename(from, to)),
    unlink: (path) => this.#through('unlink', path, () => nodeFileSystem.unlink(path)),
    readdir: (path) => this.#through('readdir', path, () => nodeFileSystem.readdir(path)),
    mkdir: (path) => this.#through('mkdir', path, () => nodeFileSystem.mkdir(path)),
    access: (path, mode) => this.#through('access', path, () => nodeFileSystem.access(path, mode)),
    lstat: (path) => this.#through('stat', path, () => nodeFileSystem.lstat(path)),
  }

  #wrap(handle: FileHandle, path: string, directory: boolean): FileHandle {
    return new Proxy(handle, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        const step =
          name === 'writeFile' ? 'write' : name === 'sync' ? (directory ? 'sync directory' : 'sync') : undefined
        return (...args: unknown[]): unknown => {
          const run = () => Reflect.apply(value, target, args) as Promise<unknown>
          return step === undefined ? run() : this.#through(step, path, run)
        }
      },
    })
  }

  async #through<T>(step: Step, path: string, run: () => Promise<T>): Promise<T> {
    this.#pass(step, path)
    return run()
  }

  #pass(step: Step, path: string): void {
    this.calls.push(
      `${step} ${path.slice(path.lastIndexOf('/') + 1).replace(/\.[0-9a-f]{16}\..*\.(tmp|lock)$/, '.*.$1')}`,
    )
    if (this.fault?.step !== step) return
    throw Object.assign(new Error(`${this.fault.code}: made to fail`), { code: this.fault.code })
  }
}
