import type { Answer } from './http.ts'
import { json } from './http.ts'
import type { TokenFormat } from './provider.ts'

/** The fields of a token answer (or of its error) as a body; fields without a value are left out. */
export function formatTokens(status: number, fields: Record<string, unknown>, format: TokenFormat): Answer {
  // RFC 6749 section 5.1 asks for both.
  const headers = { 'cache-control': 'no-store', pragma: 'no-cache' }
  if (format === 'json') return json(status, fields, { ...headers, 'content-type': 'application/json; charset=utf-8' })
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
  const texts = entries.map(([name, value]): [string, string] => [name, String(value)])
  if (format === 'form') {
    const body = new URLSearchParams(texts).toString()
    return { status, headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body }
  }
  const elements = texts.map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join('')
  const body = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><TokenResponse>${elements}</TokenResponse>`
  return { status, headers: { ...headers, 'content-type': 'application/xml' }, body }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
