import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml'
import type { ErrorCode } from 'yaml'
import { pathKey, type Path } from './path.ts'

export interface Position {
  readonly line: number
  readonly column: number
}

interface Spot {
  readonly key: number | undefined
  readonly value: number
  /** A scalar as it is written, before YAML made a number of it. */
  readonly text: string | undefined
}

/** Sentences of our own: the parser's may repeat a piece of the file, which may be a secret. */
const sentences: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'this key stands here twice',
  BAD_INDENT: 'the indentation does not fit, or a bracket before it is not closed',
  TAB_AS_INDENT: 'a tab is used for indentation; use spaces',
  BAD_ALIAS: 'an alias (*name) is not well-formed',
  MULTIPLE_DOCS: 'a second document begins here; the file must hold one',
  MISSING_CHAR: 'a quote, bracket, comma or space is missing; quote texts that hold ${...} inside [ ] or { }',
  BLOCK_AS_IMPLICIT_KEY: 'a map inside a value needs a line of its own',
  MULTILINE_IMPLICIT_KEY: 'a key must be followed by a colon and a space on the same line',
  BAD_SCALAR_START: 'a text that begins with @ or ` must be quoted',
  BAD_DQ_ESCAPE: 'a backslash in a double-quoted text must be doubled, or the text be put in single quotes',
  TAG_RESOLVE_FAILED: 'a tag (!name) is not known; quote a text that begins with !',
}

/** The config file as YAML gave it, with the place of every value. */
export class YamlSource {
  readonly value: unknown
  readonly errors: readonly { readonly position: Position; readonly message: string }[]
  /** False when the value is not worth looking at. */
  readonly readable: boolean
  readonly #lines = new LineCounter()
  readonly #spots = new Map<string, Spot>()

  constructor(text: string) {
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      merge: true,
      logLevel: 'silent',
    })
    const errors = [...document.errors, ...document.warnings].map(({ code, pos }) => ({
      position: this.#position(pos[0]),
      message: sentences[code] ?? 'this is not well-formed YAML',
      fatal: code !== 'DUPLICATE_KEY',
    }))
    const loose = unresolvedAlias(document)
    if (loose !== undefined) {
      errors.push({
        position: this.#position(loose),
        message: 'this alias (*name) has no anchor (&name) before it',
        fatal: true,
      })
    }
    this.readable = !errors.some(({ fatal }) => fatal)
    if (this.readable) {
      try {
        this.value = document.toJS({ maxAliasCount: 100 }) as unknown
        this.#note(document, document.contents, [], undefined)
      } catch {
        this.readable = false
        errors.push({ position: { line: 1, column: 1 }, message: 'too many aliases', fatal: true })
      }
    }
    this.errors = errors
  }

  /** Where a key or value stands; for one that doesn't, its nearest container. */
  position(path: Path, at: 'key' | 'value'): Position {
    const spot = this.#spots.get(pathKey(path))
    if (spot !== undefined) return this.#position(at === 'key' ? (spot.key ?? spot.value) : spot.value)
    return path.length === 0 ? { line: 1, column: 1 } : this.position(path.slice(0, -1), 'key')
  }

  has(path: Path): boolean {
    return this.#spots.has(pathKey(path))
  }

  /** How a scalar is written in the file. */
  text(path: Path): string | undefined {
    return this.#spots.get(pathKey(path))?.text
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }

  #note(document: Document, node: unknown, path: Path, key: number | undefined): void {
    const resolved = isAlias(node) ? node.resolve(document) : (node as Node | null | undefined)
    const value = (node as Node | null)?.range?.[0] ?? key ?? 0
    this.#spots.set(pathKey(path), { key, value, text: isScalar(resolved) ? resolved.source : undefined })
    if (isMap(resolved)) {
      for (const pair of resolved.items) {
        const name = isScalar(pair.key) ? String(pair.key.value) : undefined
        if (name !== undefined) this.#note(document, pair.value, [...path, name], (pair.key as Node).range?.[0])
      }
    } else if (isSeq(resolved)) {
      for (const [index, item] of resolved.items.entries()) this.#note(document, item, [...path, index], undefined)
    }
  }
}

function unresolvedAlias(document: Document): number | undefined {
  let found: number | undefined
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return undefined
      found = alias.range?.[0] ?? 0
      return visit.BREAK
    },
  })
  return found
}
