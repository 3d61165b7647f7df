/** `${NAME}`, `${NAME:-default}` and `${file:/path}` in a text; `$${` stands for `${` itself. */

export interface Lookup {
  variable(name: string): string | undefined
  /** The text of a file without the line break at its end, or a sentence that tells why there is none. */
  file(path: string): { readonly text: string } | { readonly problem: string }
}

export interface Expansion {
  readonly text: string
  readonly problems: readonly string[]
  /** The variables and files that took part: names, never values. */
  readonly origins: readonly string[]
}

const forms = 'write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for the characters themselves'

/** Expands once: what a variable or a file holds is taken as it is. A default and a path may hold references in their turn. */
export function interpolate(text: string, lookup: Lookup): Expansion {
  const problems: string[] = []
  const origins: string[] = []
  const expand = (source: string): string => {
    let result = ''
    let rest = source
    for (;;) {
      const start = rest.indexOf('${')
      if (start === -1) return result + rest
      if (rest[start - 1] === '$') {
        result += `${rest.slice(0, start - 1)}\${`
        rest = rest.slice(start + 2)
        continue
      }
      const end = closingBrace(rest, start + 2)
      if (end === -1) {
        problems.push(`a \${ has no closing brace; ${forms}`)
        return result
      }
      result += rest.slice(0, start) + reference(rest.slice(start + 2, end))
      rest = rest.slice(end + 1)
    }
  }
  const reference = (inner: string): string => {
    const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/.exec(inner)
    if (variable?.[1] !== undefined) return fromVariable(variable[1], variable[2])
    if (!inner.startsWith('file:') || inner.length === 'file:'.length) {
      problems.push(`a \${...} is not understood; ${forms}`)
      return ''
    }
    const path = expand(inner.slice('file:'.length))
    const read = lookup.file(path)
    if ('problem' in read) problems.push(read.problem)
    origins.push('a file')
    return 'text' in read ? read.text : ''
  }
  const fromVariable = (name: string, byDefault: string | undefined): string => {
    const value = lookup.variable(name)
    origins.push(`$${name}`)
    if (value !== undefined && (value !== '' || byDefault === undefined)) return value
    if (byDefault !== undefined) return expand(byDefault)
    problems.push(`the environment variable ${name} is not set; set it, or write \${${name}:-} if it may be missing`)
    return ''
  }
  return { text: expand(text), problems, origins }
}

/** The brace that closes a reference, so that a default may hold {token} or another reference. */
function closingBrace(text: string, from: number): number {
  let depth = 0
  for (let index = from; index < text.length; index++) {
    if (text[index] === '{') depth++
    else if (text[index] === '}' && depth-- === 0) return index
  }
  return -1
}
