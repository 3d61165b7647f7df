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
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as TokenBody) : undefined
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
  const document = parser.parse(body) as Record<string, unknown>
  const roots = Object.entries(document).filter(([name]) => !name.startsWith('?'))
  const [root] = roots
  // The parser closes open elements by itself: a body that was cut off would give a shortened token.
  const complete =
    root !== undefined && roots.length === 1 && new RegExp(`</(?:[\\w.-]+:)?${root[0]}\\s*>\\s*$`).test(body)
  if (!complete) return undefined
  const fields = typeof root[1] === 'object' && root[1] !== null ? root[1] : { [root[0]]: root[1] }
  return Object.fromEntries(
    Object.entries(fields)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      .map(([name, value]) => [name, unescapeXml(value)]),
  )
}

const xmlEntities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescapeXml = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => xmlEntities[name] ?? '')
