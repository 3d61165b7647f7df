import { readFileSync } from 'node:fs'

function pem(name: string): string {
  return readFileSync(new URL(`certs/${name}.pem`, import.meta.url), 'utf8')
}

function pair(name: string): { readonly cert: string; readonly key: string } {
  return { cert: pem(`${name}.cert`), key: pem(`${name}.key`) }
}

/** The private authority that signed every certificate here but selfSigned. */
export const ca = pem('ca.cert')
/** For localhost, 127.0.0.1 and ::1. */
export const localhost = pair('localhost')
/** Signed by the authority, but for wrong.example. */
export const wrongName = pair('wrong-name')
/** Has the right names and nobody's signature but its own. */
export const selfSigned = pair('self-signed')
/** For a client that has to show who it is. */
export const client = pair('client')
