import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { errorCode, fileFault, type FileSystem } from './file-system.ts'
import { isGone, isProcessTag, ownTag } from './process-tag.ts'
import { StoreError, type StoreLog } from './token-store.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY, R_OK, W_OK, X_OK } = constants

/** Leftovers whose process can't be asked after (another container's) are removed at this age, in milliseconds. */
const oldLeftover = 600_000

/** Whose files are trusted: our own, root's, and for root everybody's. */
export function isTrustedOwner(uid: bigint): boolean {
  const own = process.geteuid?.()
  return own === undefined || own === 0 || uid === 0n || uid === BigInt(own)
}

/** The folder of a file store: private, and with the means to create and sync files in it. */
export class StoreDirectory {
  readonly path: string
  readonly files: FileSystem
  readonly #log: StoreLog
  /** Set when root works in somebody's folder: what it creates is given to that user, who would be locked out otherwise. */
  #owner: { uid: number; gid: number } | undefined
  #locksReady: Promise<string> | undefined

  constructor(path: string, files: FileSystem, log: StoreLog) {
    this.path = path
    this.files = files
    this.#log = log
  }

  /** Creates the folder (0700) when it is missing, refuses one that others can write to, and removes what crashes left behind. */
  async open(): Promise<void> {
    try {
      const stats = await this.files.stat(this.path).catch(async (error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error
        await this.files.mkdir(this.path).catch((cause: unknown) => {
          throw fileFault(cause, 'write', this.path)
        })
        return this.files.stat(this.path)
      })
      if (!stats.isDirectory())
        throw new StoreError('unavailable', `${this.path} is no directory; see store.directory.`)
      if (!isTrustedOwner(stats.uid)) {
        throw new StoreError(
          'unavailable',
          `${this.path} belongs to uid ${stats.uid}, who could replace the tokens. Run as that user, or chown it.`,
        )
      }
      if ((stats.mode & 0o022n) !== 0n && (await this.#writable())) {
        throw new StoreError(
          'unavailable',
          `${this.path} can be written by others (mode ${(stats.mode & 0o7777n).toString(8)}). Run chmod 700 on it, ` +
            'or for a mounted volume set store.directory to a folder inside it, which is then created with mode 700.',
        )
      }
      if (process.geteuid?.() === 0 && stats.uid !== 0n)
        this.#owner = { uid: Number(stats.uid), gid: Number(stats.gid) }
    } catch (error) {
      throw fileFault(error, 'read', this.path)
    }
    await this.#removeLeftovers(this.path, /\.([^.]+)\.tmp$/)
    await this.#removeLeftovers(join(this.path, '.locks'), /\.([^.]+)\.(?:tmp|lock)$/)
  }

  /** A file name that nobody else uses: starts with a dot and tells whose it is. */
  temporaryName(stem: string): string {
    return `.${stem}.${randomBytes(8).toString('hex')}.${ownTag()}.tmp`
  }

  /** Creates a file (0600) that didn't exist, with this content on the disk. Removes it when that fails. */
  async create(path: string, text: string, durable: boolean): Promise<void> {
    const handle = await this.files.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      try {
        if (this.#owner !== undefined) await handle.chown(this.#owner.uid, this.#owner.gid)
        await handle.writeFile(text)
        if (durable) await handle.sync()
      } finally {
        await handle.close()
      }
    } catch (error) {
      await this.files.unlink(path).catch(() => undefined)
      throw error
    }
  }

  /** fsync of the folder itself, without which a rename may not survive a power cut. */
  async sync(): Promise<void> {
    const handle = await this.files.open(this.path, O_RDONLY | O_DIRECTORY)
    try {
      await handle.sync()
    } catch (error) {
      // Some network and user-space file systems have no such call.
      if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errorCode(error))) throw error
    } finally {
      await handle.close()
    }
  }

  /** The sub-folder for locks, apart so that a look for locks need not read the names of all grants. */
  locks(): Promise<string> {
    this.#locksReady ??= this.#createLocks().catch((error: unknown) => {
      this.#locksReady = undefined
      throw error
    })
    return this.#locksReady
  }

  /** Rejects with StoreError unless a file can be created and filled here now. */
  async probe(): Promise<void> {
    try {
      await this.files.access(this.path, R_OK | W_OK | X_OK)
      // In the locks' folder, so that a probe doesn't look like a change of the documents.
      const path = join(await this.locks(), this.temporaryName('probe'))
      await this.create(path, ' '.repeat(4096), false)
      await this.files.unlink(path)
    } catch (error) {
      throw fileFault(error, 'write', this.path)
    }
  }

  async #createLocks(): Promise<string> {
    const path = join(this.path, '.locks')
    await this.files.mkdir(path)
    if (this.#owner !== undefined) await this.files.chown(path, this.#owner.uid, this.#owner.gid)
    return path
  }

  async #writable(): Promise<boolean> {
    return this.files.access(this.path, W_OK).then(
      () => true,
      (error: unknown) => errorCode(error) !== 'EROFS',
    )
  }

  async #removeLeftovers(path: string, pattern: RegExp): Promise<void> {
    const names = await this.files.readdir(path).catch(() => [])
    for (const name of names) {
      const tag = name.startsWith('.') ? pattern.exec(name)?.[1] : undefined
      if (tag === undefined || !isProcessTag(tag)) continue
      const file = join(path, name)
      // Removing the temporary file of a save that still runs would only make that save begin again.
      const old = () =>
        this.files.lstat(file).then(
          (stats) => Date.now() - Number(stats.mtimeMs) > oldLeftover,
          () => false,
        )
      if (!isGone(tag) && !(name.endsWith('.tmp') && (await old()))) continue
      await this.files.unlink(file).catch(() => undefined)
      this.#log('info', 'removed a file that a crash left behind', { file })
    }
  }
}
