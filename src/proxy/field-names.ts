/**
 * Field names of HTTP as sets of what a hop does with them. Names are compared in lower case with _ read as -, because servers behind the
 * upstream may fold the one into the other (CGI does): X_Api_Key must not reach them beside our X-Api-Key (CVE-2025-64484).
 */
export function canonicalName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** About this hop only: RFC 9110 section 7.6.1, RFC 7540 section 3.2.1 for HTTP2-Settings. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

export function isHopByHop(canonical: string): boolean {
  return hopByHop.has(canonical) || canonical.startsWith('proxy-')
}

/**
 * Never from the caller to the upstream: its own credentials, what it says about hops before it, fields that are written anew
 * (Host, Content-Length) or that are answered here (Expect).
 */
const callersOwn = new Set([
  'authorization',
  'bearer-sidecar-secret',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'x-real-ip',
])

export function isCallersOwn(canonical: string): boolean {
  return callersOwn.has(canonical) || canonical.startsWith('x-forwarded-')
}

/**
 * The names that a Connection field lists, in lower case, or undefined when it lists nothing beyond the options every client sends. An
 * upstream or caller may list any field, so names that are not end-to-end for us are found out later.
 */
export function namedByConnection(value: string, into: Set<string> | undefined): Set<string> | undefined {
  if (value === 'keep-alive' || value === 'close') return into
  const names = into ?? new Set<string>()
  for (const name of value.toLowerCase().split(',')) names.add(name.trim())
  return names
}
