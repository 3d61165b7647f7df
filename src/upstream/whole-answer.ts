import { maxHead } from './http1-parser.ts'
import { openUpstream } from './open.ts'
import { UpstreamError, type Exchange, type UpstreamHead, type UpstreamOptions } from './upstream.ts'

/** A request whose body and answer are small. */
export interface Question {
  readonly url: string
  readonly method: string
  /** Without Host. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly tls: UpstreamOptions['tls']
  /** Milliseconds for everything: name, connection, request and the whole answer. */
  readonly timeout: number
  /** Milliseconds for name and connection alone, where they have less. */
  readonly connectTimeout?: number
  /** Offer HTTP/2 too. */
  readonly allowH2?: boolean
  /** Bytes of an answer's body that are read. */
  readonly limit: number
}

export interface WholeAnswer {
  readonly status: number
  /** The first value of a field, by its lower-case name. */
  readonly field: (name: string) => string | undefined
  /** Empty when it was too large. */
  readonly body: Buffer
  readonly tooLarge: boolean
}

/** The egress proxy that leads to an origin; undefined = none. */
type Egress = (origin: URL) => { readonly proxy: URL } | undefined

let egress: Egress = () => undefined

/** Every question from now on takes these ways. Said at the start: the environment is the process's, and who asks knows nothing of it. */
export function askThrough(ways: Egress): void {
  egress = ways
}

/**
 * One request on a connection of its own, and its answer read whole. On a kept connection the other side may have hung up unseen, and then nobody could
 * tell whether the request was heard. Rejects with UpstreamError; it is a ConnectError when no byte of the request has left. Rejects with TypeError, with
 * nothing sent either, for a request that is no well-formed message.
 */
export async function ask(question: Question): Promise<WholeAnswer> {
  const { url, method, headers, body, tls, timeout, limit } = question
  const { origin, host, pathname, search } = new URL(url)
  const upstream = openUpstream({
    origin: new URL(origin),
    tls,
    connectTimeout: question.connectTimeout ?? timeout,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    // A one-time token may have been spent for this answer: it is not refused for its size.
    maxHead,
    allowH2: question.allowH2 ?? false,
    egressProxy: egress(new URL(origin))?.proxy,
  })
  const fields = ['Host', host, ...Object.entries(headers).flat()]
  const request = {
    method,
    target: pathname + search,
    headers: fields,
    body: body === undefined ? body : Buffer.from(body),
  }
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise<WholeAnswer>((resolve, reject) => {
      const chunks: Buffer[] = []
      let head: UpstreamHead | undefined
      let size = 0
      const settle = (tooLarge: boolean) => {
        if (head === undefined) return
        const { status, headers: received } = head
        const whole = tooLarge ? Buffer.alloc(0) : Buffer.concat(chunks)
        resolve({ status, field: (name) => fieldOf(received, name), body: whole, tooLarge })
      }
      const exchange: Exchange = upstream.send(request, {
        onHead: (received) => {
          head = received
        },
        onData: (chunk) => {
          chunks.push(chunk)
          size += chunk.length
          if (size <= limit) return true
          settle(true)
          exchange.abort()
          return false
        },
        onEnd: () => settle(false),
        onError: reject,
        onDrain: () => undefined,
      })
      timer = setTimeout(() => {
        reject(new UpstreamError('timeout', `no whole answer within ${timeout} ms`))
        exchange.abort()
      }, timeout)
    })
  } finally {
    clearTimeout(timer)
    await upstream.close()
  }
}

function fieldOf(headers: readonly string[], name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) if (headers[at]?.toLowerCase() === name) return headers[at + 1]
  return undefined
}
