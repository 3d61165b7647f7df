import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { UpstreamHead } from '../upstream/upstream.ts'
import { BodyRewriter, canRewrite, type BodyRewriterOwner } from './body-rewriter.ts'
import type { ForwardContext } from './forward-context.ts'
import { keepAliveTime } from './idle-connections.ts'
import type { Links } from './links.ts'
import { sendProblem } from './problem.ts'
import type { RequestRecord } from './request-record.ts'
import { forCaller } from './response-headers.ts'
import type { ReplayObstacle } from './setup.ts'
import type { Watched } from './watchdog.ts'

/** Bytes of a body up to which text is the cheaper way to write it (Node writes strings of 16 KiB without a copy on the heap). */
const oneWrite = 15 * 1024
/** Tells callers how long they may use the connection (RFC 2068 section 19.7.1). */
const keepAlive = `timeout=${keepAliveTime / 1000}`
const none: string[] = []

export interface AnswerOwner extends Watched {
  /** After data() returned false: the caller takes more. */
  onCallerReady(): void
  /** The answer cannot go on: gives the exchange up, then calls fail(). */
  fail(error: ProxyError): void
}

/** How links of this answer are translated. */
export interface LinkTranslation {
  readonly map: Links
  /** Scheme and authority under which the caller reaches us. */
  readonly proxyOrigin: string
}

/** Our side of the conversation with the caller: one head, then data, then an end or a visible break. */
export class Answer implements BodyRewriterOwner {
  readonly #context: ForwardContext
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #record: RequestRecord
  readonly #owner: AnswerOwner
  #asked = false
  #waiting = false
  /** The upstream's head until its first byte leaves: until then an answer of our own can take its place. */
  #head: UpstreamHead | undefined
  #headers: string[] = none
  /** The first piece of the body when it came in the turn of the head; it waits with it. */
  #first: Buffer | undefined
  /** Body bytes still to come; undefined when the upstream did not say. */
  #remaining: number | undefined
  #rewriter: BodyRewriter | undefined
  /** Ticks since the caller took something; -1 while it keeps up. */
  #stalledTicks = -1

  constructor(
    context: ForwardContext,
    request: IncomingMessage,
    response: ServerResponse,
    record: RequestRecord,
    owner: AnswerOwner,
  ) {
    this.#owner = owner
    this.#context = context
    this.#request = request
    this.#response = response
    this.#record = record
  }

  /** RFC 9110 section 10.1.1: a caller that waits for 100 gets it when its body is really going to be read. */
  askForBody(): void {
    // HTTP/1.0 callers do not know 100.
    if (this.#request.headers.expect === undefined || this.#request.httpVersionMinor === 0) return
    this.#asked = true
    this.#response.writeContinue()
  }

  head(head: UpstreamHead, links: LinkTranslation | undefined, obstacle: ReplayObstacle | undefined): void {
    const rewrites = links !== undefined && canRewrite(head)
    const headers = forCaller(head.headers, {
      crossOrigin: this.#context.crossOrigin(this.#request),
      link: links && ((url) => links.map.translate(url, links.proxyOrigin)),
      bodyChanged: rewrites,
      withoutLength: head.status === 204,
      // A 304 is about a body that was changed when it came.
      weakTag: rewrites || (links !== undefined && head.status === 304),
    })
    if (obstacle !== undefined) headers.push('Bearer-Sidecar-Replay', obstacle)
    this.#head = head
    this.#headers = headers
    this.#record.status = head.status
    if (rewrites) this.#rewriter = new BodyRewriter(head, links.map, links.proxyOrigin, this.#response, this)
    else this.#remaining = head.length
    // The first piece of the body mostly comes in this very turn and leaves in one write with the head; a head alone must not wait for it, unless
    // the body may turn out unreadable.
    if (head.hasBody && this.#rewriter?.decodes !== true) process.nextTick(flushHead, this)
  }

  /** Returns false when the caller does not keep up. */
  data(chunk: Buffer): boolean {
    if (this.#remaining !== undefined) {
      this.#remaining -= chunk.length
      if (this.#remaining === 0) {
        this.#finish(chunk)
        return true
      }
    }
    if (this.#rewriter === undefined && this.#head !== undefined && this.#first === undefined) {
      this.#first = chunk
      return true
    }
    const more = this.#rewriter === undefined ? this.write(chunk) : this.#rewriter.write(chunk)
    if (!more) this.#waitForCaller()
    return more
  }

  /** Bytes of the body as the caller gets them. */
  write(bytes: Buffer): boolean {
    if (!this.#begin()) return true
    this.#writeFirst()
    return this.#response.write(bytes)
  }

  end(): void {
    if (!this.#response.writableEnded) this.#finish(undefined)
  }

  /** An answer of our own, or, when the upstream's has begun, its visible break. `close`: nothing more can be read from this connection. */
  fail(error: ProxyError, close: boolean): void {
    this.#record.error = error
    if (this.#response.headersSent) {
      this.breakOff()
      return
    }
    this.#head = this.#first = undefined
    this.#rewriter?.destroy()
    const { headers, complete } = this.#request
    // A caller that still waits to be asked for its body never sends it: nothing more can be read from its connection.
    const unasked = headers.expect !== undefined && !complete && !this.#asked
    sendProblem(this.#response, this.#record, close || unasked || error.statusCode === 408 || this.#context.closing())
  }

  /** Ends the connection so that the caller cannot take what it got for a whole answer. */
  breakOff(): void {
    this.#record.ending = 'broken-off'
    const { socket } = this.#request
    this.#rewriter?.destroy()
    const delimitedByClose = !this.#response.chunkedEncoding && this.#remaining === undefined
    // To a body that ends with its connection (HTTP/1.0) an orderly close would look like the end.
    if (delimitedByClose && socket.remoteAddress !== undefined) socket.resetAndDestroy()
    else socket.destroy()
  }

  onTick(): void {
    if (this.#stalledTicks >= 0 && ++this.#stalledTicks > this.#context.drainLimit) this.breakOff()
  }

  flushHead(): void {
    if (this.#head === undefined || this.#response.destroyed || !this.#begin()) return
    if (this.#first === undefined) this.#response.flushHeaders()
    else if (!this.#writeFirst()) this.#waitForCaller()
  }

  onUndecodable(cause: Error): void {
    this.#owner.fail(new ProxyError('upstream_protocol_error', { cause }))
  }

  onBlocked(): void {
    this.#stalledTicks = 0
    this.#context.watchdog.add(this.#owner)
  }

  onUnblocked(): void {
    this.#stalledTicks = -1
  }

  #finish(chunk: Buffer | undefined): void {
    if (this.#rewriter !== undefined) this.#rewriter.end()
    else this.finish(chunk)
  }

  /** The end of the body as the caller gets it. */
  finish(last: Buffer | undefined): void {
    const whole = this.#head !== undefined
    if (!this.#begin()) return
    if (last === undefined) {
      last = this.#first
      this.#first = undefined
    } else this.#writeFirst()
    if (whole && last !== undefined && last.length <= oneWrite) {
      // As text, head and body are one string and one write; as bytes they would be two that Node has to gather.
      this.#response.end(last.toString('latin1'), 'latin1')
    } else this.#response.end(last)
    if (this.#request.socket.writableLength > 0) this.onBlocked()
  }

  /** Gives the head to Node, once. False when this answer has failed; a head that Node would not write makes it fail. */
  #begin(): boolean {
    const head = this.#head
    if (head === undefined) return this.#record.error === undefined
    const response = this.#response
    this.#head = undefined
    response.sendDate = false
    if (this.#context.closing()) response.shouldKeepAlive = false
    else if (response.shouldKeepAlive) this.#headers.push('Keep-Alive', keepAlive)
    try {
      response.writeHead(head.status, head.statusText, this.#headers)
    } catch (cause) {
      response.statusMessage = ''
      this.#owner.fail(new ProxyError('upstream_protocol_error', { cause }))
      return false
    }
    return true
  }

  #writeFirst(): boolean {
    const first = this.#first
    if (first === undefined) return true
    this.#first = undefined
    return this.#response.write(first)
  }

  #waitForCaller(): void {
    if (this.#waiting) return
    this.#waiting = true
    this.onBlocked()
    const ready = () => {
      this.#waiting = false
      this.onUnblocked()
      this.#owner.onCallerReady()
    }
    if (this.#rewriter === undefined) this.#response.once('drain', ready)
    else this.#rewriter.onceReady(ready)
  }
}

function flushHead(answer: Answer): void {
  answer.flushHead()
}
