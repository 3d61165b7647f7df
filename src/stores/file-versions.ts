import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { textVersion } from './document-codec.ts'
import { readDocument } from './document-file.ts'
import { errorCode, fileFault } from './file-system.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { StoreLog, Version } from './token-store.ts'

/** Up to so many grants every probe looks at every document. */
const fewGrants = 200
/** An edit in place (a restore by cp) leaves the folder's own time as it was, so every document is looked at this often, in milliseconds. */
const sweepInterval = 30_000
/** File times may be as coarse as this, in milliseconds: a file that is younger can change again without showing it. */
const coarsestTime = 2_000
const parallel = 32

interface Known {
  /** Inode, size and time of what was read. */
  readonly sign: string
  readonly version: Version | undefined
}

/** Tells cheaply which documents changed: by the folder's time, then by each file's, and reads only what looks new. */
export class FileVersions {
  readonly #directory: StoreDirectory
  readonly #clock: Clock
  readonly #log: StoreLog
  readonly #known = new Map<string, Known>()
  #folderTime: bigint | undefined
  #sweptAt = -Infinity

  constructor(directory: StoreDirectory, clock: Clock, log: StoreLog) {
    this.#directory = directory
    this.#clock = clock
    this.#log = log
  }

  /** Rejects with StoreError when the folder can't be read. A document that is refused has a version, so that its next load says why. */
  async probe(names: readonly string[]): Promise<(Version | undefined)[]> {
    const folder = await this.#directory.files.stat(this.#directory.path).catch((error: unknown) => {
      throw fileFault(error, 'read', this.#directory.path)
    })
    const now = this.#clock.monotonic()
    const quiet = names.length > fewGrants && folder.mtimeNs === this.#folderTime && now - this.#sweptAt < sweepInterval
    const look = async (name: string) => {
      const known = this.#known.get(name)
      if (quiet && known !== undefined) return known.version
      const current = await this.#look(name, known)
      this.#known.set(name, current)
      return current.version
    }
    const versions: (Version | undefined)[] = []
    for (let start = 0; start < names.length; start += parallel) {
      versions.push(...(await Promise.all(names.slice(start, start + parallel).map(look))))
    }
    this.#forgetAllBut(names)
    if (!quiet) {
      this.#folderTime = settled(folder.mtimeNs) ? folder.mtimeNs : undefined
      this.#sweptAt = now
    }
    return versions
  }

  /** Keeps the memory in step with the grants that are asked for, without forgetting them over a single question in between. */
  #forgetAllBut(names: readonly string[]): void {
    if (this.#known.size <= 2 * names.length + 20_000) return
    const asked = new Set(names)
    for (const name of this.#known.keys()) if (!asked.has(name)) this.#known.delete(name)
  }

  async #look(name: string, known: Known | undefined): Promise<Known> {
    const path = join(this.#directory.path, `${name}.json`)
    const stats = await this.#directory.files.lstat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined
      throw fileFault(error, 'read', path)
    })
    if (stats === undefined) return { sign: '', version: undefined }
    const sign = `${stats.ino} ${stats.size} ${stats.mtimeNs}`
    if (known?.sign === sign) return known
    const found = await readDocument(this.#directory, path, this.#log).catch(() => null)
    if (found === null) return { sign: '', version: `refused ${sign}` }
    if (found === undefined) return { sign: '', version: undefined }
    const { ino, size, mtimeNs } = found.stats
    // An empty sign matches nothing: a young file is read again the next time.
    return { sign: settled(mtimeNs) ? `${ino} ${size} ${mtimeNs}` : '', version: textVersion(found.text) }
  }
}

/** By the real clock, because file times are. */
function settled(mtimeNs: bigint): boolean {
  return Date.now() - Number(mtimeNs / 1_000_000n) > coarsestTime
}
