import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { Exchange, UpstreamBody, UpstreamError, UpstreamHandler, UpstreamHead } from '../upstream/upstream.ts'
import { Answer, type LinkTranslation } from './answer.ts'
import type { ForwardContext } from './forward-context.ts'
import type { HeldAnswer } from './held-answer.ts'
import { announcedBody } from './replay-body.ts'
import type { RequestRecord } from './request-record.ts'
import { Retry, type RetryOwner } from './retry.ts'
import type { ServedRoute } from './routes.ts'
import type { Waiting } from './rate-limit.ts'
import { collect, type Sent } from './sent.ts'
import type { ReplayObstacle } from './setup.ts'
import { Upload, type UploadOwner } from './upload.ts'
import { asProxyError, upstreamProblem } from './faults.ts'
import type { Watched } from './watchdog.ts'

/** Milliseconds of life that a token needs for a request that perhaps cannot be replayed. */
const unreplayableMinLife = 30_000

/** One request on its way: token -> upstream -> answer. A class instead of closures, because one is made for every request. */
export class Forwarding implements UpstreamHandler, UploadOwner, RetryOwner, Waiting, Watched {
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
    this.#answer = new Answer(context, request, response, record, this)
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
      if (this.route.mayGo(this.#request, this)) this.#authorize()
    } catch (error) {
      this.fail(error)
    }
  }

  /** The answer is out or the caller's connection is gone: whatever still runs for it is given up. */
  close(): void {
    this.#over = true
    this.#retry?.abandon()
    this.#exchange?.abort()
    this.#exchange = undefined
    this.upload?.detach()
    this.route.governor?.leave(this)
    this.context.watchdog.delete(this)
  }

  onTurn(): void {
    try {
      if (this.record.attempts === 0) this.#authorize()
      else this.#sendAgain()
    } catch (error) {
      this.fail(error)
    }
  }

  onRefused(error: ProxyError): void {
    if (this.#retry?.held === undefined) this.fail(error)
    else this.#retry.refuse(this.#retry.held)
  }

  #authorize(): void {
    const body = this.upload?.body
    const replayable = body === undefined || (body.length !== undefined && body.kept)
    this.#sent = collect(this.route, this.#request.rawHeaders, replayable ? 0 : unreplayableMinLife)
    if (this.#sent.pending === undefined) {
      this.#launch()
      return
    }
    this.record.refreshed = true
    this.#sent.pending.then(() => this.#afterWait()).catch((error: unknown) => this.fail(error))
    this.route.governor?.giveBack(this)
  }

  /** The tokens are here: what was given back of the rate limit while they were waited for is needed now. */
  #afterWait(): void {
    if (!this.#over && this.route.mayGo(this.#request, this)) this.#launch()
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
    try {
      if (this.route.mayGo(this.#request, this, true)) this.#sendAgain()
    } catch (error) {
      // The governor has no room for the replay: the rejected answer is what there is.
      if (!(error instanceof ProxyError)) throw error
      this.onRefused(error)
    }
  }

  #sendAgain(): void {
    this.#retry?.letGo()
    this.#exchange?.abort()
    if (this.upload === undefined) this.send(undefined)
    else this.upload.resend()
  }

  onHead(head: UpstreamHead): void {
    this.record.upstreamMs = this.context.clock.monotonic() - this.#sentAt
    this.route.governor?.observe(head.status, head.headers)
    try {
      if (this.route.suspectStatuses.has(head.status)) {
        this.#retry ??= new Retry(this)
        this.#retry.onHead(head)
      } else {
        this.#retry?.settle()
        this.#answer.head(head, this.#links(), undefined)
        this.upload?.body.forget()
      }
    } catch (error) {
      this.fail(error)
    }
  }

  onData(chunk: Buffer): boolean {
    const held = this.#retry?.held
    if (held !== undefined) return this.#retry?.onData(held, chunk) ?? true
    return this.#answer.data(chunk)
  }

  onEnd(): void {
    this.#exchange = undefined
    const held = this.#retry?.held
    if (held === undefined) this.#answer.end()
    else this.#retry?.onEnd(held)
  }

  onError(error: UpstreamError): void {
    this.#exchange = undefined
    if (this.#retry?.held === undefined) this.fail(upstreamProblem(error))
    else this.#retry.onError(this.#retry.held, error)
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
    this.#retry?.onTick()
  }

  deliver(held: HeldAnswer, obstacle?: ReplayObstacle): void {
    if (this.#over) return
    this.#answer.head(held.head, this.#links(), obstacle)
    this.upload?.body.forget()
    for (const chunk of held.chunks) this.#answer.data(chunk)
    const { broken } = held
    // A moment later: a connection that is destroyed at once takes back what it was given to send.
    if (broken !== undefined) setImmediate(() => this.fail(upstreamProblem(broken)))
    else if (held.ended) this.#answer.end()
    else this.#exchange?.resume()
  }

  #links(): LinkTranslation | undefined {
    const { links } = this.route
    return links && { map: links, proxyOrigin: this.context.proxyOrigin(this.#request) }
  }

  fail(error: unknown, close = false): void {
    if (this.#over) return
    this.#over = true
    this.#retry?.abandon()
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.abort()
    this.upload?.detach()
    this.#answer.fail(asProxyError(error), close)
  }
}
