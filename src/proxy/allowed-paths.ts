import picomatch from 'picomatch'
import { encodedSeparators } from './target.ts'

/**
 * The globs of allowPaths. An upstream may decode a path before it cuts it into segments, or after: what * matches as one segment could be two to it. So every path is
 * read both ways, and both readings have to be allowed. The globs are read both ways, too, so that they may be written with or without percent-encoding.
 */
export class AllowedPaths {
  readonly #raw: (path: string) => boolean
  readonly #decoded: (path: string) => boolean

  constructor(globs: readonly string[]) {
    const options = { dot: true, nonegate: true }
    this.#raw = picomatch(globs.map(encodedGlob), options)
    this.#decoded = picomatch(globs.map(decodedGlob), options)
  }

  allow(path: string): boolean {
    return this.#raw(upperCaseEscapes(path)) && this.#decoded(decoded(path))
  }
}

/** As a request has it: RFC 9112 section 3.2 lets no blank and nothing beyond ASCII stand in a target. */
function encodedGlob(glob: string): string {
  return upperCaseEscapes(glob.replace(/[^\x21-\x7e]+/g, percentEncoded))
}

/** What the escapes stand for, with a backslash where that would be a wildcard. */
function decodedGlob(glob: string): string {
  return decoded(glob, (text) => text.replace(/[!-,:-@[-^`{-}]/g, '\\$&'))
}

function upperCaseEscapes(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase())
}

/** As the most liberal server reads it: every spelling of a separator separates, and segments that are empty or a dot are dropped. */
function decoded(text: string, literal = (characters: string) => characters): string {
  return text
    .replace(encodedSeparators, '/')
    .replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => literal(Buffer.from(escapes.replaceAll('%', ''), 'hex').toString()))
    .replace(/\/\.?(?=\/)|\/\.$/g, '')
}

function percentEncoded(text: string): string {
  return Buffer.from(text).toString('hex').replace(/../g, '%$&')
}
