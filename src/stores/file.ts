import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Grant } from '../tokens/grant.ts'
import { nextRevision, textVersion, type DocumentCodec } from './document-codec.ts'
import { readDocument, replaceDocument, withdrawOthers } from './document-file.ts'
import { FileLock } from './file-lock.ts'
import { FileVersions } from './file-versions.ts'
import { errorCode, fileFault, nodeFileSystem, type FileSystem } from './file-system.ts'
import { grantName, isGrantName } from './grant-name.ts'
import { LocalLock } from './local-lock.ts'
import { StoreDirectory } from './store-directory.ts'
import {
  StoreError,
  type GrantId,
  type Lease,
  type Stored,
  type StoreLog,
  type TokenStore,
  type Version,
} from './token-store.ts'
import { UnconfirmedWrites } from './unconfirmed-writes.ts'

export interface FileStoreOptions {
  readonly directory: string
  readonly codec: DocumentCodec
  readonly clock: Clock
  /** Milliseconds. */
  readonly lease: number
  readonly log: StoreLog
  readonly files?: FileSystem
}

const extension = '.json'

/** One document per grant in a private folder: `<credential>.json`, with a subject `<credential>.<hash>.json`. */
export class FileStore implements TokenStore {
  readonly description: string
  readonly #directory: StoreDirectory
  readonly #codec: DocumentCodec
  readonly #log: StoreLog
  readonly #lock: FileLock
  readonly #saves: LocalLock
  readonly #versions: FileVersions
  readonly #unconfirmed = new UnconfirmedWrites()

  /** Rejects with StoreError when the folder can't be used. A read-only one can: ping() and save() say so. */
  static async open(options: FileStoreOptions): Promise<FileStore> {
    const store = new FileStore(options)
    await store.#directory.open()
    return store
  }

  private constructor({ directory, codec, clock, lease, log, files = nodeFileSystem }: FileStoreOptions) {
    this.description = `file ${directory}, ${codec.sealed ? 'sealed' : 'plain'}`
    this.#directory = new StoreDirectory(directory, files, log)
    this.#codec = codec
    this.#log = log
    this.#lock = new FileLock(this.#directory, clock, lease, log)
    this.#saves = new LocalLock(clock)
    this.#versions = new FileVersions(this.#directory, clock, log)
  }

  async load(id: GrantId): Promise<Stored | undefined> {
    const name = grantName(id)
    const path = this.#path(name)
    // What a save left visible but perhaps not on the disk is not given out as saved before it is.
    if (this.#unconfirmed.has(name)) {
      await this.#directory.sync().catch((error: unknown) => {
        throw fileFault(error, 'write', path)
      })
    }
    const found = await readDocument(this.#directory, path, this.#log)
    this.#unconfirmed.settle(name)
    if (found === undefined) return undefined
    const { grant } = await this.#codec.decode(found.text, name, path)
    return { grant, version: textVersion(found.text) }
  }

  async save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version> {
    const name = grantName(id)
    const text = await this.#codec.encode({ id, revision: nextRevision(expected), grant })
    const version = textVersion(text)
    const release = await this.#saves.acquire(name, Infinity)
    try {
      const replacement = {
        fileName: name + extension,
        text,
        isExpected: (found: Version | undefined) =>
          found === expected || (found !== undefined && this.#unconfirmed.alternatives(name, expected).includes(found)),
        onRename: () => this.#unconfirmed.note(name, expected, version),
      }
      await replaceDocument(this.#directory, replacement, this.#log)
      this.#unconfirmed.settle(name)
      return version
    } finally {
      release()
    }
  }

  async delete(id: GrantId): Promise<void> {
    const name = grantName(id)
    const path = this.#path(name)
    const release = await this.#saves.acquire(name, Infinity)
    try {
      // Until there is neither a document nor a save that could still bring one.
      do await withdrawOthers(this.#directory, name + extension)
      while (await this.#unlink(path))
      await this.#directory.sync()
      this.#unconfirmed.settle(name)
    } catch (error) {
      throw fileFault(error, 'write', path)
    } finally {
      release()
    }
  }

  /** A document that can't be read, and so doesn't tell its subject, is left out with a warning. */
  async list(): Promise<GrantId[]> {
    const files = await this.#directory.files.readdir(this.#directory.path).catch((error: unknown) => {
      throw fileFault(error, 'read', this.#directory.path)
    })
    const ids: GrantId[] = []
    for (const file of files) {
      const name = file.endsWith(extension) ? file.slice(0, -extension.length) : ''
      if (!isGrantName(name)) continue
      const id = name.includes('.') ? await this.#readId(name) : { credential: name }
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]> {
    return this.#versions.probe(ids.map(grantName))
  }

  acquire(id: GrantId, patience: number): Promise<Lease> {
    return this.#lock.acquire(grantName(id), patience)
  }

  ping(): Promise<void> {
    return this.#directory.probe()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #path(name: string): string {
    return join(this.#directory.path, name + extension)
  }

  async #unlink(path: string): Promise<boolean> {
    try {
      await this.#directory.files.unlink(path)
      return true
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    }
  }

  async #readId(name: string): Promise<GrantId | undefined> {
    const path = this.#path(name)
    try {
      const found = await readDocument(this.#directory, path, this.#log)
      return found && (await this.#codec.decode(found.text, name, path)).id
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.#log('warn', error.message, { file: path })
      return undefined
    }
  }
}
