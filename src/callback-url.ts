import type { AdminConfig } from './config/schema.ts'

/** Where the status page is by default, and so the redirect URI when the admin port is none that a browser reaches. */
const defaultAdminPort = '9090'

/** The redirect URI of credentials that don't name their own (CONTRACT section 2, admin.publicUrl). `boundPort` is the port where it is known to listen. */
export function callbackUrl(admin: AdminConfig, boundPort?: number): string {
  const configured = (admin.listen === false ? [] : admin.listen)
    .map((address) => /:(\d+)$/.exec(address)?.[1])
    .find((port) => port !== undefined && port !== '0')
  const base = admin.publicUrl ?? `http://localhost:${boundPort ?? configured ?? defaultAdminPort}`
  return `${base.replace(/\/$/, '')}/callback`
}
