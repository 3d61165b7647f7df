import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { sleep, type Clock } from '../clock.ts'
import { errorCode, fileFault, removeFile } from './file-system.ts'
import { keepLease } from './kept-lease.ts'
import { LocalLock } from './local-lock.ts'
import { isGone, isProcessTag, ownTag } from './process-tag.ts'
import { leaseTimeout } from './store-errors.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { Lease, StoreLog } from './token-store.ts'

const claimPattern = /^\.(.+)\.[0-9a-f]{16}\.([^.]+)\.lock$/

interface Sighting {
  /** The claim's time, which its holder moves on. */
  readonly sign: bigint
  /** Monotonic. */
  readonly since: number
}

/**
 * Mutual exclusion between processes, by claims: files of unique names in `.locks`. Whoever shows a claim and then sees no other claim for
 * the same grant has the lease; whoever sees another one takes its own back and comes again. Of two claimants the later one always sees
 * the earlier, so both can never win, and a stale claim is removed by its own unique name, so no live one can be hit by mistake.
 *
 * A claim is stale at once when its process is known to have died, and otherwise when it showed no sign of life for the length of the
 * lease, by the clock of the one who watches it: clocks of other hosts play no part.
 */
export class FileLock {
  readonly #directory: StoreDirectory
  readonly #clock: Clock
  readonly #duration: number
  readonly #log: StoreLog
  readonly #local: LocalLock
  /** By grant: the claims of others, and since when they have not moved (monotonic). Kept between calls: patience may be shorter than the lease. */
  readonly #watched = new Map<string, ReadonlyMap<string, Sighting>>()

  /** `duration` in milliseconds. */
  constructor(directory: StoreDirectory, clock: Clock, duration: number, log: StoreLog) {
    this.#directory = directory
    this.#clock = clock
    this.#duration = duration
    this.#log = log
    this.#local = new LocalLock(clock)
  }

  /** Rejects with StoreError `lease-timeout` after `patience` milliseconds. */
  async acquire(name: string, patience: number): Promise<Lease> {
    const began = this.#clock.monotonic()
    const place = join(this.#directory.path, `${name}.json`)
    const release = await this.#local.acquire(name, patience).catch((cause: unknown) => {
      throw leaseTimeout(place, this.#clock.monotonic() - began, cause)
    })
    try {
      for (;;) {
        const taken = this.#clock.monotonic()
        const claim = await this.#tryClaim(name)
        if (claim !== undefined) return this.#keep(claim, taken, release)
        const left = began + patience - this.#clock.monotonic()
        if (left <= 0) throw leaseTimeout(place, this.#clock.monotonic() - began)
        await sleep(this.#clock, Math.min(left, 50 + Math.random() * 50))
      }
    } catch (error) {
      release()
      throw fileFault(error, 'write', this.#directory.path)
    }
  }

  async #tryClaim(name: string): Promise<string | undefined> {
    const { files } = this.#directory
    const folder = await this.#directory.locks()
    if (await this.#hasRivals(folder, name)) return undefined
    for (let turn = 0; turn < 4; turn++) {
      const own = `.${name}.${randomBytes(8).toString('hex')}.${ownTag()}.lock`
      const path = join(folder, own)
      // The name says it all, so that a claim is complete from its first moment; the content is for people.
      await this.#directory.create(
        path,
        `held by process ${process.pid} on ${hostname()} since ${new Date(this.#clock.now()).toISOString()}\n`,
        false,
      )
      try {
        if (!(await this.#hasRivals(folder, name, own))) return path
      } catch (error) {
        await files.unlink(path).catch(() => undefined)
        throw error
      }
      await removeFile(files, path)
      // Two came at the same moment and both stepped back: a short wait of random length parts them.
      await sleep(this.#clock, Math.random() * 8 * (turn + 1))
      if (await this.#hasRivals(folder, name)) return undefined
    }
    return undefined
  }

  /** Whether others have live claims; stale ones are removed. */
  async #hasRivals(folder: string, name: string, own?: string): Promise<boolean> {
    const { files } = this.#directory
    const before = this.#watched.get(name)
    const watched = new Map<string, Sighting>()
    for (const file of await files.readdir(folder)) {
      const [, grant, tag = ''] = claimPattern.exec(file) ?? []
      if (grant !== name || file === own || !isProcessTag(tag)) continue
      const path = join(folder, file)
      const seen = await this.#look(path, before?.get(file))
      if (seen === undefined) continue
      const still = this.#clock.monotonic() - seen.since
      const gone = isGone(tag)
      if (gone || still >= this.#duration) {
        await removeFile(files, path)
        const why = gone ? 'its process is gone' : `no sign of life for ${Math.round(still)} ms`
        this.#log('warn', 'took over the lock of a refresh that never ended', { grant: name, lock: path, why })
      } else watched.set(file, seen)
    }
    if (watched.size > 0) this.#watched.set(name, watched)
    else this.#watched.delete(name)
    return watched.size > 0
  }

  /** undefined when the claim is gone. */
  async #look(path: string, seen: Sighting | undefined): Promise<Sighting | undefined> {
    try {
      const { mtimeNs } = await this.#directory.files.lstat(path)
      return seen?.sign === mtimeNs ? seen : { sign: mtimeNs, since: this.#clock.monotonic() }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #keep(path: string, taken: number, release: () => void): Lease {
    const { files } = this.#directory
    return keepLease(this.#clock, this.#duration, taken, {
      renew: async () => {
        try {
          await files.utimes(path, new Date(this.#clock.now()))
          return true
        } catch (error) {
          if (errorCode(error) === 'ENOENT') return false
          throw error
        }
      },
      release: async () => {
        try {
          await removeFile(files, path)
        } finally {
          release()
        }
      },
    })
  }
}
