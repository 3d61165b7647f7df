import { join, resolve } from 'node:path'

const folder = resolve(import.meta.dirname, '../test/helpers/certs')
/** Signed the certificate below; every proxy is told to trust it and nothing else. */
export const ca = join(folder, 'ca.cert.pem')
/** For localhost and 127.0.0.1. */
export const certificate = join(folder, 'localhost.cert.pem')
export const certificateKey = join(folder, 'localhost.key.pem')
