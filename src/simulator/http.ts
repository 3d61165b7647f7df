import { createHash } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** One answer as data, so that a provider's error bodies can be written down side by side. */
export interface Answer {
  status: number
  headers?: OutgoingHttpHeaders
  body: string | Buffer
}

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The request target exactly as it came. */
  readonly target: string
  readonly path: string
  readonly search: string

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request
    this.response = response
    this.target = request.url ?? '/'
    const mark = this.target.indexOf('?')
    this.path = mark === -1 ? this.target : this.target.slice(0, mark)
    this.search = mark === -1 ? '' : this.target.slice(mark + 1)
  }

  get method(): string {
    return this.request.method ?? 'GET'
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.search)
  }

  /** The origin the other side called, so that absolute links lead back the way it came. */
  get origin(): string {
    return `http://${this.request.headers.host ?? 'localhost'}`
  }

  /** A header field with a single value, or undefined. */
  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  /** The credentials of an `Authorization: Bearer` field (RFC 6750 section 2.1; the scheme in any case). */
  get bearer(): string | undefined {
    return /^bearer +([^\s]+)$/i.exec(this.header('authorization') ?? '')?.[1]
  }

  send({ status, headers = {}, body }: Answer): void {
    if (this.response.destroyed || this.response.headersSent) return
    this.response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    this.response.end(this.method === 'HEAD' ? undefined : body)
  }

  /** Closes the connection without (or in the middle of) an answer. */
  drop(): undefined {
    this.request.socket.destroy()
  }
}

export function json(status: number, value: unknown, headers: OutgoingHttpHeaders = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function redirect(location: string, status = 302): Answer {
  return { status, headers: { location }, body: '' }
}

/** What arrived as a body. */
export interface ReceivedBody {
  bytes: number
  /** Of the whole body, lower-case hex. */
  sha256: string
  /** The first 64 KiB. */
  head: Buffer
}

const keptBytes = 64 * 1024
/** No body, or one that nobody read. */
export const nothing: ReceivedBody = { bytes: 0, sha256: createHash('sha256').digest('hex'), head: Buffer.alloc(0) }

/** Reads a body of any size, keeping its digest and its first 64 KiB; rejects when the sender goes away. */
export async function readBody(request: IncomingMessage): Promise<ReceivedBody> {
  if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined) {
    request.resume()
    return nothing
  }
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    if (bytes < keptBytes) kept.push(chunk.subarray(0, keptBytes - bytes))
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex'), head: Buffer.concat(kept) }
}

/** Names a secret in a log without giving it away. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12)
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}
