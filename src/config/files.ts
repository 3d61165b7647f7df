import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

const largest = 1024 * 1024

/** The files that a config file names. Relative paths count from its folder; every path is remembered, for watching. */
export class ReferencedFiles {
  readonly #directory: string
  readonly #paths = new Set<string>()

  constructor(directory: string) {
    this.#directory = directory
  }

  get paths(): string[] {
    return [...this.#paths]
  }

  resolve(path: string): string {
    return resolve(this.#directory, path)
  }

  /** The text without line breaks at its end, or a sentence that names the file and says why it can't be read. */
  read(path: string): { readonly text: string } | { readonly problem: string } {
    const named = looksLikePath(path) ? this.resolve(path) : 'the file named here'
    if (path === '' || path.includes('\0')) return { problem: 'names no file' }
    const absolute = this.resolve(path)
    this.#paths.add(absolute)
    try {
      if (statSync(absolute).size > largest) return { problem: `${named} is larger than 1 MiB` }
      const bytes = readFileSync(absolute)
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/[\r\n]+$/, '') }
    } catch (error) {
      return { problem: `cannot read ${named}: ${reason(error)}` }
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
}

/** A sentence for a file system error, without its path. */
export function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  return reasons[code] ?? (code === '' ? 'unknown error' : code)
}

/** A secret put where a path belongs must not end in a message: only what is plainly a path is repeated. */
function looksLikePath(text: string): boolean {
  const segments = text.split('/')
  if (text.length > 1024 || segments.some((segment) => !/^[\w. @:-]{0,64}$/.test(segment))) return false
  return /^(\.{0,2}\/)/.test(text) || /\.[A-Za-z0-9]{1,8}$/.test(text)
}
