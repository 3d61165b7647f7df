import { createHash } from 'node:crypto'
import { readFileSync, watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'

/** Events of one change are gathered for this long (ms); a poll finds what a file system does not report. */
const settleTime = 250
const pollInterval = 5_000

/**
 * Tells when the content of one of the files changes. Folders are watched, not files, because editors and Kubernetes (which swaps a symlink)
 * replace files; the content is compared, so that touching a file is no change.
 */
export class FileWatcher {
  #onChange: () => void = () => undefined
  #files: readonly string[]
  #digest: string
  #watchers: FSWatcher[] = []
  #settling: NodeJS.Timeout | undefined
  #poll: NodeJS.Timeout | undefined

  /** To be made as soon as the files were read: what changes from now on is a change. */
  constructor(files: readonly string[]) {
    this.#files = files
    this.#digest = digest(files)
  }

  /** Calls back for every change, at once for one that came before. */
  start(onChange: () => void): void {
    this.#onChange = onChange
    this.#watch()
    this.#poll = setInterval(() => this.#look(), pollInterval)
    this.#look()
  }

  /** The files to watch from now on. */
  set files(files: readonly string[]) {
    if (files.join('\0') !== this.#files.join('\0')) {
      this.#files = files
      this.#digest = digest(files)
      this.#unwatch()
      this.#watch()
    } else this.#look()
  }

  close(): void {
    clearInterval(this.#poll)
    clearTimeout(this.#settling)
    this.#unwatch()
  }

  #watch(): void {
    for (const folder of new Set(this.#files.map((file) => dirname(file)))) {
      try {
        const watcher = watch(folder, () => {
          clearTimeout(this.#settling)
          this.#settling = setTimeout(() => this.#look(), settleTime)
        })
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch {
        // A folder that cannot be watched is still polled.
      }
    }
  }

  #unwatch(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close()
  }

  #look(): void {
    const now = digest(this.#files)
    if (now === this.#digest) return
    this.#digest = now
    this.#onChange()
  }
}

function digest(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    try {
      hash.update(readFileSync(file))
    } catch {
      hash.update('unreadable')
    }
    hash.update('\0')
  }
  return hash.digest('hex')
}
