import type { Socket } from 'node:net'
import type { ConnectAttempt } from './connect-attempt.ts'
import { headFault, incomplete, readHead } from './http1-head.ts'
import { maxHead } from './http1-parser.ts'
import { SectionBuffer, sectionTooLarge } from './section-buffer.ts'
import { ConnectError } from './upstream.ts'

/** Where a connection goes first. */
export interface Endpoint {
  readonly secure: boolean
  /** A name or address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** The proxy answered CONNECT with something else than a tunnel. */
export class TunnelRefusal extends ConnectError {
  readonly status: number

  constructor(status: number) {
    super('unreachable', `egress proxy: no tunnel, status ${status}`)
    this.status = status
  }
}

export interface EgressProxy extends Endpoint {
  /** The value of Proxy-Authorization, from the user information of the proxy's URL. */
  readonly authorization: string | undefined
}

export function endpoint(url: URL): Endpoint {
  const secure = url.protocol === 'https:'
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { secure, host, port: Number(url.port) || (secure ? 443 : 80) }
}

export function egressProxy(url: URL): EgressProxy {
  const { username, password } = url
  if (username === '' && password === '') return { ...endpoint(url), authorization: undefined }
  const pair = `${decoded(username)}:${decoded(password)}`
  return { ...endpoint(url), authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A percent sign that escapes nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Asks the proxy for a tunnel (RFC 9110 section 9.3.6). Nothing of the request passes before TLS with the origin itself, so the proxy sees no
 * credential but its own.
 */
export function openTunnel(
  socket: Socket,
  proxy: EgressProxy,
  target: string,
  attempt: ConnectAttempt,
  open: () => void,
): void {
  const section = new SectionBuffer(maxHead)
  let status = 0
  const scan = (buffer: Buffer, start: number, end: number) => {
    const head = readHead(buffer, start, end)
    if (typeof head === 'number') return head
    status = head.status
    return head.end
  }
  const refuse = (reason: string) => attempt.fail(new ConnectError('protocol', `egress proxy: ${reason}`))
  const onData = (chunk: Buffer) => {
    let at = 0
    status = 0
    // Interim answers may come before the final one.
    while (status < 200) {
      if (at === chunk.length) return
      at = section.take(chunk, at, chunk.length, scan)
      if (at === incomplete) return
      if (at < 0) {
        refuse(at === sectionTooLarge ? 'head over 64 KiB' : headFault(at))
        return
      }
    }
    socket.off('data', onData).pause()
    if (status > 299) attempt.fail(new TunnelRefusal(status))
    // The origin waits for our ClientHello: whatever comes before it was not sent by the origin.
    else if (at < chunk.length) refuse('bytes before the TLS handshake')
    else open()
  }
  const credentials = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`
  socket.on('data', onData)
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${credentials}\r\n`, 'latin1')
}
