import { createHmac, randomBytes } from 'node:crypto'

/** How a provider's tokens look; no value ever repeats. */
export interface Mint {
  accessToken(claims: object): string
  refreshToken(claims: object): string
}

const signingKey = randomBytes(32)

export function opaque(bytes = 24): string {
  return randomBytes(bytes).toString('base64url')
}

/** A token that looks like a JWT (RFC 7519), padded to at least `length` characters. */
export function jwt(claims: object, length = 0): string {
  const header = encode({ alg: 'HS256', typ: 'JWT' })
  const missing = length - header.length - encode({ ...claims, jti: opaque(16) }).length - 45
  const padding = missing > 0 ? { ctx: 'x'.repeat(Math.ceil((missing * 3) / 4)) } : {}
  const signed = `${header}.${encode({ ...claims, jti: opaque(16), ...padding })}`
  return `${signed}.${createHmac('sha256', signingKey).update(signed).digest('base64url')}`
}

/** A token that looks like a JWE in compact form (RFC 7516): five parts, nothing readable. */
export function jwe(): string {
  return [encode({ alg: 'RSA-OAEP-256', enc: 'A256GCM' }), opaque(64), opaque(12), opaque(96), opaque(16)].join('.')
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
