import * as fs from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { StoreError } from './token-store.ts'

/** The calls that the file store makes: a seam, so that tests can let any one of them fail. */
export interface FileSystem {
  open(path: string, flags: number, mode?: number): Promise<fs.FileHandle>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  readdir(path: string): Promise<string[]>
  mkdir(path: string): Promise<void>
  chown(path: string, uid: number, gid: number): Promise<void>
  access(path: string, mode: number): Promise<void>
  utimes(path: string, time: Date): Promise<void>
  /** Follows symbolic links; use only where a link is fine. */
  stat(path: string): Promise<BigIntStats>
  lstat(path: string): Promise<BigIntStats>
}

export const nodeFileSystem: FileSystem = {
  open: (path, flags, mode) => fs.open(path, flags, mode),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  readdir: (path) => fs.readdir(path),
  mkdir: async (path) => {
    await fs.mkdir(path, { recursive: true, mode: 0o700 })
  },
  chown: (path, uid, gid) => fs.chown(path, uid, gid),
  access: (path, mode) => fs.access(path, mode),
  utimes: (path, time) => fs.utimes(path, time, time),
  stat: (path) => fs.stat(path, { bigint: true }),
  lstat: (path) => fs.lstat(path, { bigint: true }),
}

export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}

/** Removes a file that may be gone already. */
export async function removeFile(files: FileSystem, path: string): Promise<void> {
  await files.unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error
  })
}

/** The StoreError for a system call that failed, with what to do about it. A StoreError passes as it is; a fault of ours is thrown on. */
export function fileFault(error: unknown, doing: 'read' | 'write', path: string): StoreError {
  if (error instanceof StoreError) return error
  const code = errorCode(error)
  if (code === '') throw error
  const what = `${path} can't be ${doing === 'read' ? 'read' : 'written'} (${code})`
  switch (code) {
    case 'EROFS':
      return new StoreError(
        'read-only',
        `${what}: the file system is read-only. A mounted Secret or ConfigMap can't keep tokens: choose a writable store.directory, or store.type kubernetes.`,
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return new StoreError(
        doing === 'write' ? 'read-only' : 'unavailable',
        `${what}: the user of this process (uid ${process.geteuid?.() ?? 'unknown'}) has no right to. Give it the directory: chown, then chmod 700.`,
        error,
      )
    case 'EBUSY':
    case 'EXDEV':
      return new StoreError(
        'read-only',
        `${what}: a single mounted file can't be replaced. Mount the directory and set store.directory to it.`,
        error,
      )
    case 'ENOSPC':
    case 'EDQUOT':
      return new StoreError(
        'unavailable',
        `${what}: the disk or the quota is full. Free some space; saving is tried again by itself.`,
        error,
      )
    default:
      return new StoreError('unavailable', `${what}. See to the disk or mount; it is tried again by itself.`, error)
  }
}
