import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError, type ErrorCode } from '../errors.ts'
import type {
  Exchange,
  UpstreamBody,
  UpstreamError,
  UpstreamFault,
  UpstreamHandler,
  UpstreamHead,
} from '../upstream/upstream.ts'
import { Answer } from './answer.ts'
import type { ForwardContext } from './forward-context.ts'
import type { HeldAnswer } from './held-answer.ts'
import { CallerBody } from './replay-body.ts'
import type { RequestRecord } from './request-record.ts'
import { Retry, type RetryOwner } from './retry.ts'
import type { ServedRoute } from './routes.ts'
import { collect, type Sent } from './sent.ts'
import type { ReplayObstacle } from './setup.ts'
import { Upload, type UploadOwner } from './upload.ts'
import type { Watched } from './watchdog.ts'

/** Milliseconds of life that a token needs for a request that perhaps cannot be replayed. */
const unreplayableMinLife = 30_000

/** One request on its way: token -> upstream -> answer. A class instead of closures, because one is made for every request. */
export class Forwarding implements UpstreamHandler, UploadOwner, RetryOwner, Watched {
  readonly context: ForwardContext
  readonly route: ServedRoute
  readonly record: RequestRecord
  readonly upload: Upload | undefined
  readonly #request: IncomingMessage
  readonly #target: string
  readonly #answer: Answer
  #sent: Sent | undefined
  #exchange: Exchange | undefined
  #sentAt = 0
  #retry: Retry | undefined
  #over = false

  constructor(
    context: ForwardContext,
    request: IncomingMessage,
    response: ServerResponse,
    record: RequestRecord,
    route: ServedRoute,
    target: string,
  ) {
    this.context = context
    this.route = route
    this.record = record
    this.#request = request
    this.#target = target
    this.#answer = new Answer(context, request, response, record)
    const body = announcedBody(request, route.replayLimit)
    this.upload = body && new Upload(body, this, context.clock)
  }

  get sent(): Sent {
    if (this.#sent === undefined) throw new Error('nothing was collected yet')
    return this.#sent
  }

  get over(): boolean {
    return this.#over
  }

  begin(): void {
    try {
      const body = this.upload?.body
      const replayable = body === undefined || (body.length !== undefined && body.kept)
      this.#sent = collect(this.route, this.#request.rawHeaders, replayable ? 0 : unreplayableMinLife)
      if (this.#sent.pending === undefined) {
        this.#launch()
        return
      }
      this.record.refreshed = true
      this.#sent.pending.then(() => this.#launch()).catch((error: unknown) => this.fail(error))
    } catch (error) {
      this.fail(error)
    }
  }

  /** The answer is out or the caller's connection is gone: whatever still runs for it is given up. */
  close(): void {
    this.#over = true
    this.#exchange?.abort()
    this.#exchange = undefined
    this.upload?.detach()
    this.context.watchdog.delete(this)
  }

  #launch(): void {
    if (this.#over) return
    if (this.upload === undefined) {
      this.send(undefined)
      return
    }
    this.#answer.askForBody()
    this.context.watchdog.add(this)
    this.upload.begin()
  }

  send(body: UpstreamBody): Exchange {
    const { upstream } = this.route.route
    const { tokens, keys } = this.sent
    this.record.attempts++
    this.#sentAt = this.context.clock.monotonic()
    this.#exchange = upstream.send(
      {
        method: this.#request.method as string,
        target: this.#target,
        headers: this.route.headers.forUpstream(this.#request.rawHeaders, tokens, keys),
        body,
      },
      this,
    )
    return this.#exchange
  }

  resend(): void {
    this.#exchange?.abort()
    if (this.upload === undefined) this.send(undefined)
    else this.upload.resend()
  }

  onHead(head: UpstreamHead): void {
    this.record.upstreamMs = this.context.clock.monotonic() - this.#sentAt
    try {
      if (this.route.suspectStatuses.has(head.status)) {
        this.#retry ??= new Retry(this)
        this.#retry.onHead(head)
      } else {
        this.#retry?.settle()
        this.#answer.head(head, undefined)
        this.upload?.body.forget()
      }
    } catch (error) {
      this.fail(error)
    }
  }

  onData(chunk: Buffer): boolean {
    const held = this.#retry?.held
    if (held !== undefined) return this.#retry?.onData(held, chunk) ?? true
    return this.#answer.data(chunk, this)
  }

  onEnd(): void {
    this.#exchange = undefined
    const held = this.#retry?.held
    if (held === undefined) this.#answer.end(this)
    else this.#retry?.onEnd(held)
  }

  onError(error: UpstreamError): void {
    this.#exchange = undefined
    const held = this.#retry?.held
    if (held === undefined || this.#retry?.onError(held, error) === false) this.fail(upstreamProblem(error))
  }

  /** The upstream takes more of the upload. */
  onDrain(): void {
    this.upload?.onDrain()
  }

  /** The caller takes more of the answer. */
  onCallerReady(): void {
    this.#exchange?.resume()
  }

  onUploaded(): void {
    try {
      this.#retry?.onUploaded()
    } catch (error) {
      this.fail(error)
    }
  }

  onUploadStalled(side: 'caller' | 'upstream'): void {
    this.fail(new ProxyError(side === 'caller' ? 'request_timeout' : 'upstream_timeout'))
  }

  onTick(): void {
    this.upload?.onTick(this.context.uploadLimits)
    this.#answer.onTick()
  }

  deliver(held: HeldAnswer, obstacle?: ReplayObstacle): void {
    if (this.#over) return
    this.#answer.head(held.head, obstacle)
    this.upload?.body.forget()
    for (const chunk of held.chunks) this.#answer.data(chunk, this)
    if (held.broken !== undefined) this.fail(upstreamProblem(held.broken))
    else if (held.ended) this.#answer.end(this)
    else this.#exchange?.resume()
  }

  fail(error: unknown): void {
    if (this.#over) return
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.abort()
    this.upload?.detach()
    this.#answer.fail(error instanceof ProxyError ? error : new ProxyError('internal_error', { cause: error }))
  }
}

/** The body that the request announces (RFC 9112 section 6.3); an announced empty one is a body too. */
function announcedBody(request: IncomingMessage, limit: number): CallerBody | undefined {
  const length = request.headers['content-length']
  if (length !== undefined) return new CallerBody(request, Number(length), limit)
  return request.headers['transfer-encoding'] === undefined ? undefined : new CallerBody(request, undefined, limit)
}

const codes: Readonly<Record<UpstreamFault, ErrorCode>> = {
  unreachable: 'upstream_unreachable',
  tls: 'upstream_tls_error',
  protocol: 'upstream_protocol_error',
  timeout: 'upstream_timeout',
}

function upstreamProblem(error: UpstreamError): ProxyError {
  return new ProxyError(codes[error.fault], { cause: error })
}
