import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'

/** Milliseconds for which one look at the kernel's table serves everybody. */
const freshFor = 200

let table = { at: -Infinity, text: '' }

/**
 * Whether the caller has reset a connection that is not read from. Linux hands out first what came before the reset, megabytes perhaps, and Node tells of the
 * reset only after that; but a connection that was reset is in the kernel's table no more. False where there is no such table or it does not show our own
 * listener, and for unix sockets.
 */
export function wasReset(socket: Socket): boolean {
  const { localPort } = socket
  if (localPort === undefined) return false
  // A connection that is not listed may be younger than the table.
  if (performance.now() - table.at > freshFor || !isListed(socket)) {
    table = { at: performance.now(), text: read('tcp') + read('tcp6') }
  }
  return !isListed(socket) && table.text.includes(`:${hex(localPort)} `)
}

function isListed({ localPort = 0, remotePort }: Socket): boolean {
  return remotePort !== undefined && new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} `).test(table.text)
}

function read(name: string): string {
  try {
    return readFileSync(`/proc/self/net/${name}`, 'latin1')
  } catch {
    return ''
  }
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}
