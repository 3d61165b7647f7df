import { ProxyError } from '../errors.ts'

/**
 * The request target is worked on as the raw text that came in and is never decoded, normalised or parsed as a URL: what is checked is what is
 * sent. (Decode-then-forward is how proxies were led out of their prefix: CVE-2021-21321, CVE-2021-21322.)
 */

/** Anything that could be part of a dot segment, or that no request target may hold (RFC 9112 section 3.2). */
const suspicious = /[^\x21-\x7e]|[\\#]|\.\.|%2e|%c0|%c1|%e0%80|%ef%bc|%u/i

/** Spellings that servers were seen to read as . / or \ : percent-encoded, overlong UTF-8, full-width, IIS %u. */
const dots = /%2e|%c0%ae|%e0%80%ae|%ef%bc%8e|%u002e|%uff0e/gi
export const encodedSeparators = /%2f|%5c|%c0%af|%c1%9c|%e0%80%af|%ef%bc%8f|%ef%bc%bc|%u002f|%u005c|%uff0f/gi
/** Bytes after which servers were seen to cut a segment off: path parameters, NUL, blanks. */
const endings = /(?:;|%3b|%00|%09|%20).*$/i

/** Where the path ends and the query begins. */
export function pathLength(target: string): number {
  const query = target.indexOf('?')
  return query === -1 ? target.length : query
}

/**
 * Throws `bad_request` for a path that some server could read as one outside of its prefix. Harmless odd paths pass: /a/./b, /a/.../b, //,
 * %2F between names, and %252e, which decodes to no dot.
 */
export function checkPath(path: string): void {
  if (!suspicious.test(path)) return
  if (/[^\x21-\x7e]|[\\#]/.test(path)) {
    throw new ProxyError('bad_request', {
      detail: 'The path holds a backslash, a # or a control character. Percent-encode it.',
    })
  }
  const segments = path.replace(dots, '.').replace(encodedSeparators, '/').split('/')
  if (segments.some((segment) => segment.replace(endings, '') === '..')) {
    throw new ProxyError('bad_request', {
      detail: 'The path holds a ".." segment, plain or encoded. Send the path without it.',
    })
  }
}

export interface AbsoluteTarget {
  readonly authority: string
  /** In origin-form. */
  readonly target: string
}

/**
 * The two parts of an absolute-form target, which takes precedence over Host (RFC 9112 section 3.2.2); undefined for origin-form. Throws
 * `bad_request` for everything else: the asterisk-form asks about the server as a whole, not about a route.
 */
export function absoluteTarget(raw: string): AbsoluteTarget | undefined {
  if (raw.charCodeAt(0) === 0x2f) return undefined
  const parts = /^http:\/\/([^/?#@\\]+)([/?].*)?$/i.exec(raw)
  const authority = parts?.[1]
  if (authority === undefined) {
    throw new ProxyError('bad_request', {
      detail: 'The request target must be a path, such as /v1/things.',
    })
  }
  const rest = parts?.[2] ?? '/'
  return { authority, target: rest.startsWith('/') ? rest : `/${rest}` }
}
