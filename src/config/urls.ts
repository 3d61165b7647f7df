import { isLoopback } from '../http/loopback.ts'

/**
 * What is wrong with the URL of a place that gets secrets; undefined when nothing is. Only https keeps them secret, except on this machine
 * (RFC 6749 section 3.2, RFC 8252 section 8.3).
 */
export function faultOfSecretUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return 'is not a URL'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.hash !== '') return 'must not hold a fragment (#)'
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return undefined
  return 'must be an https:// URL (http:// only on this machine)'
}
