import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type AddressInfo, type ListenOptions } from 'node:net'

/** Where a server listens: the parsed form of host:port, [v6]:port or unix:/path. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Where a server was found to listen once it does; `port` is never 0. */
export interface BoundAddress {
  /** For people: http://127.0.0.1:9090 or unix:/run/sidecar.sock. */
  readonly url: string
  /** The host as it is bound (::1 without brackets); undefined for a unix socket. */
  readonly host: string | undefined
  readonly port: number | undefined
}

/** The address is taken, not ours, or not allowed; `message` names it and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Understands what the config schema lets through. An empty host (":8080") means every interface. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) return { kind: 'unix', path: text.slice('unix:'.length) }
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { kind: 'tcp', host: host === '' ? '::' : host, port: Number(text.slice(colon + 1)) }
}

/** Binds the server; a unix socket gets mode 0600, and one that a dead process left behind is replaced. Rejects with ListenError. */
export async function listen(server: Server, text: string): Promise<BoundAddress> {
  const address = parseListenAddress(text)
  try {
    if (address.kind === 'tcp') return await bindTcp(server, address)
    await bindUnix(server, address.path)
    return { url: `unix:${address.path}`, host: undefined, port: undefined }
  } catch (error) {
    throw new ListenError(`cannot listen on ${text}: ${reason(error)}`, { cause: error })
  }
}

async function bindTcp(server: Server, { host, port }: { host: string; port: number }): Promise<BoundAddress> {
  await bind(server, { host, port })
  const bound = server.address() as AddressInfo
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return { url: `http://${name}:${bound.port}`, host: bound.address, port: bound.port }
}

async function bindUnix(server: Server, path: string): Promise<void> {
  try {
    await bindPrivately(server, path)
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE' || !(await abandoned(path))) throw error
    unlinkSync(path)
    await bindPrivately(server, path)
  }
}

/** Node binds a path before listen() returns, so the umask closes the moment in which others could connect. */
function bindPrivately(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177)
  try {
    return bind(server, { path }).then(() => chmodSync(path, 0o600))
  } finally {
    process.umask(before)
  }
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** A socket file that nobody answers on. Anything else that sits at the path is left alone. */
async function abandoned(path: string): Promise<boolean> {
  if (!lstatSync(path).isSocket()) return false
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error) => resolve(errorCode(error) === 'ECONNREFUSED'))
  })
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another program; stop that one or choose another address',
  EACCES: 'the system does not permit it; choose a port of 1024 or more, or a folder you may write to',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the host name is not known',
}

function reason(error: unknown): string {
  const code = errorCode(error) ?? 'unknown error'
  return reasons[code] ?? code
}
