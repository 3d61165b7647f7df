/** The members of a token response or error, whatever it was written in. */
export type TokenBody = Readonly<Record<string, unknown>>

/**
 * Parses the body of a token answer; undefined when it is none. `auto` looks at the first character, because HighQ answers XML or
 * JSON from the same URL and providers mislabel both.
 */
export async function parseTokenBody(
  body: string,
  format: 'auto' | 'json' | 'xml' | 'form',
): Promise<TokenBody | undefined> {
  const start = body.trimStart()
  switch (format === 'auto' ? sniff(start) : format) {
    case 'json':
      return parseJson(start)
    case 'xml':
      return parseXml(start)
    case 'form':
      return parseForm(start)
  }
}

function sniff(body: string): 'json' | 'xml' | 'form' {
  if (body.startsWith('<')) return 'xml'
  return body.startsWith('{') || body.startsWith('[') || body.startsWith('"') ? 'json' : 'form'
}

function parseJson(body: string): TokenBody | undefined {
  const value = jsonValue(body) ?? jsonValue(body.replace(/([:\[,]\s*)(?:NaN|-?Infinity)(?=\s*[,}\]])/g, '$1null'))
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as TokenBody) : undefined
}

/** undefined when it can't be parsed. Python writes NaN and Infinity, which JSON does not know: no reason to lose the tokens beside them. */
function jsonValue(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function parseForm(body: string): TokenBody | undefined {
  return /^[^=&<>\s]+=/.test(body) ? Object.fromEntries(new URLSearchParams(body.trim())) : undefined
}

/** The leaves of the root element, or of the one element in it. A document type declaration is refused: entities have no place here. */
async function parseXml(body: string): Promise<TokenBody | undefined> {
  if (/<!DOCTYPE|<html/i.test(body)) return undefined
  const { XMLParser } = await import('fast-xml-parser')
  const parser = new XMLParser({
    ignoreAttributes: true,
    parseTagValue: false,
    processEntities: false,
    removeNSPrefix: true,
  })
  let document: Record<string, unknown>
  try {
    document = parser.parse(body) as Record<string, unknown>
  } catch {
    return undefined
  }
  const roots = Object.entries(document).filter(([name]) => !name.startsWith('?'))
  const [root] = roots
  // The parser closes open elements by itself: a body that was cut off would give a shortened token.
  const last = /<\/(?:[^\s:>/]+:)?([^\s:>/]+)\s*>$/.exec(withoutEpilogue(body))?.[1]
  if (root === undefined || roots.length !== 1 || last !== root[0]) return undefined
  const fields = isElement(root[1]) ? innermost(root[1]) : { [root[0]]: root[1] }
  return Object.fromEntries(
    Object.entries(fields)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      .map(([name, value]) => [name, unescapeXml(value)]),
  )
}

/** XML 1.0 section 2.8: comments and processing instructions may follow the root element. */
function withoutEpilogue(body: string): string {
  let rest = body.trimEnd()
  for (;;) {
    const open = rest.endsWith('-->') ? '<!--' : rest.endsWith('?>') ? '<?' : undefined
    const start = open === undefined ? -1 : rest.lastIndexOf(open)
    if (start === -1) return rest
    rest = rest.slice(0, start).trimEnd()
  }
}

function innermost(element: Record<string, unknown>): Record<string, unknown> {
  const [only, ...others] = Object.values(element)
  return others.length === 0 && isElement(only) ? innermost(only) : element
}

const isElement = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const xmlEntities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescapeXml = (text: string) =>
  text.replace(
    /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi,
    (whole, name?: string, decimal?: string, hex?: string) => {
      if (name !== undefined) return xmlEntities[name.toLowerCase()] ?? whole
      const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal)
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
    },
  )
