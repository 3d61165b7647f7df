import type { ReplayOutcome } from '../tokens/token-source.ts'
import type { UpstreamError, UpstreamHead } from '../upstream/upstream.ts'
import type { ForwardContext } from './forward-context.ts'
import { HeldAnswer } from './held-answer.ts'
import { bodyMatters, judge, renewAll, type RejectedToken, type Renewal } from './judgement.ts'
import type { RequestRecord } from './request-record.ts'
import type { ServedRoute } from './routes.ts'
import type { Sent } from './sent.ts'
import type { ReplayObstacle } from './setup.ts'
import type { Upload } from './upload.ts'
import type { Watched } from './watchdog.ts'

export interface RetryOwner extends Watched {
  readonly context: ForwardContext
  readonly route: ServedRoute
  readonly record: RequestRecord
  readonly sent: Sent
  readonly upload: Upload | undefined
  readonly over: boolean
  /** Lets the held answer pass, marked with why it could not be replayed. */
  deliver(held: HeldAnswer, obstacle?: ReplayObstacle): void
  /** Sends the request again with what `sent` holds now; its body is complete and kept. */
  resend(): void
  /** Answers with the error. */
  fail(error: unknown): void
}

const outcomes: Readonly<Record<ReplayObstacle, ReplayOutcome>> = {
  'body-too-large': 'not_replayable',
  'refresh-failed': 'refresh_failed',
  cooldown: 'cooldown',
}

/** Milliseconds that the body of a held answer may take: an upstream that stalls in the middle of a 401 has rejected the token all the same. */
const bodyPatience = 3_000

/** Decides what becomes of an answer that may mean "this token (or key) is no good": it passes, or the request goes out again. */
export class Retry {
  readonly #owner: RetryOwner
  #held: HeldAnswer | undefined
  /** The answer's body has to be at hand before it can be judged. */
  #awaitsBody = false
  /** The request goes out again as soon as the caller's body is complete. */
  #resendDue = false
  /** Ticks for which it was waited for. */
  #bodyTicks = 0
  /** What the one renewal gave; undefined before its end. */
  #renewal: Renewal | undefined
  /** A token was rejected and it is not told yet what became of that: the replay is still to be sent, or its answer to come. */
  #replay: 'due' | 'sent' | undefined
  #keyTries = 0
  #rejectedKey = 0

  constructor(owner: RetryOwner) {
    this.#owner = owner
  }

  onHead(head: UpstreamHead): void {
    this.#held = new HeldAnswer(head)
    this.#awaitsBody = head.hasBody && bodyMatters(this.#owner.route, head.status)
    if (!this.#awaitsBody) {
      this.#decide(this.#held, undefined)
      return
    }
    this.#bodyTicks = 0
    this.#owner.context.watchdog.add(this.#owner)
  }

  onTick(): void {
    if (!this.#awaitsBody || this.#held === undefined) return
    if (++this.#bodyTicks > this.#owner.context.watchdog.ticks(bodyPatience)) this.#judgeBody(this.#held)
  }

  onData(held: HeldAnswer, chunk: Buffer): boolean {
    const more = held.add(chunk)
    if (!more && this.#awaitsBody) this.#judgeBody(held)
    return more
  }

  onEnd(held: HeldAnswer): void {
    held.ended = true
    if (this.#awaitsBody) this.#judgeBody(held)
  }

  /** The error is put by until it is known whether the held answer is needed at all; what came of it is judged. */
  onError(held: HeldAnswer, error: UpstreamError): void {
    held.broken = error
    if (this.#awaitsBody) this.#judgeBody(held)
  }

  get held(): HeldAnswer | undefined {
    return this.#held
  }

  /** The request goes out again: the answer that was held is no longer needed. */
  letGo(): void {
    this.#held = undefined
    this.#awaitsBody = false
    if (this.#replay === 'due') this.#replay = 'sent'
  }

  /** The request ends here, without an answer to its replay or without one that was sent. */
  abandon(): void {
    if (this.#replay !== undefined) this.#report(this.#replay === 'sent' ? 'success' : 'not_replayable')
  }

  /** There is no room in the rate limit for another try. */
  refuse(held: HeldAnswer): void {
    this.#pass(held, 'cooldown')
  }

  /** The caller's body has been read to its end. */
  onUploaded(): void {
    if (this.#resendDue && this.#held !== undefined) this.#resend(this.#held)
  }

  /** An answer that is about neither token nor key: what was tried last worked. */
  settle(): void {
    if (this.#replay === 'sent') this.#report('success')
    if (this.#keyTries === 0) return
    this.#owner.route.keyRings[this.#rejectedKey]?.settle(this.#owner.sent.keys[this.#rejectedKey] ?? 0)
  }

  #judgeBody(held: HeldAnswer): void {
    this.#awaitsBody = false
    const prefix = held.decodedPrefix()
    if (prefix instanceof Promise)
      prefix.then((body) => this.#decide(held, body)).catch((error: unknown) => this.#owner.fail(error))
    else this.#decide(held, prefix)
  }

  #decide(held: HeldAnswer, body: Buffer | undefined): void {
    const { route, sent, context } = this.#owner
    const verdict = judge(route, held.head.status, body, sent, context.clock.now())
    switch (verdict.kind) {
      case 'fine':
        this.settle()
        this.#deliver(held)
        break
      case 'token':
        this.#rejectTokens(held, verdict.rejected)
        break
      case 'key':
        this.#rejectKey(held, verdict.index)
        break
    }
  }

  #rejectTokens(held: HeldAnswer, rejected: readonly RejectedToken[]): void {
    if (this.#renewal !== undefined) {
      this.#rejectAgain(held, rejected, this.#renewal)
      return
    }
    const { sent, upload } = this.#owner
    this.#replay = 'due'
    const renewal = renewAll(sent, rejected)
    if (upload?.body.kept === false) {
      // Too late for this request; the renewal goes on behind it, for the next one.
      this.#pass(held, 'body-too-large')
      return
    }
    renewal.then((done) => this.#afterRenewal(held, done)).catch((error: unknown) => this.#owner.fail(error))
  }

  #afterRenewal(held: HeldAnswer, renewal: Renewal): void {
    const { over, record, sent } = this.#owner
    if (over) return
    const { renewed, obstacle } = renewal
    if (renewed.size > 0 || obstacle === 'refresh-failed') record.refreshed = true
    if (renewed.size === 0) {
      this.#pass(held, obstacle)
      return
    }
    this.#renewal = renewal
    for (const [index, token] of renewed) sent.tokens[index] = token
    this.#resendWhenComplete(held)
  }

  /**
   * The replay was rejected as well. One that still held a token which could not be renewed says nothing certain of the fresh ones beside it;
   * they cool down all the same, or every request would renew them again for as long as the other one can't be.
   */
  #rejectAgain(held: HeldAnswer, rejected: readonly RejectedToken[], { renewed, obstacle }: Renewal): void {
    for (const { index, token } of rejected) if (renewed.has(index)) this.#owner.sent.sources[index]?.distrust(token)
    if (obstacle === undefined && this.#replay === 'sent') this.#report('rejected_again')
    this.#pass(held, obstacle)
  }

  #rejectKey(held: HeldAnswer, index: number): void {
    const { route, sent, upload } = this.#owner
    const ring = route.keyRings[index]
    const position = sent.keys[index]
    if (ring === undefined || position === undefined) return
    if (this.#replay === 'sent') this.#report('success')
    if (upload?.body.kept === false) ring.skip(position)
    else if (this.#keyTries + 1 < ring.size) {
      this.#keyTries++
      this.#rejectedKey = index
      sent.keys[index] = (position + 1) % ring.size
      this.#resendWhenComplete(held)
      return
    }
    this.#deliver(held)
  }

  #resendWhenComplete(held: HeldAnswer): void {
    const { upload } = this.#owner
    if (upload === undefined || upload.body.complete) {
      this.#resend(held)
      return
    }
    this.#resendDue = true
    upload.detach()
  }

  #resend(held: HeldAnswer): void {
    this.#resendDue = false
    if (this.#owner.upload?.body.kept === false) {
      this.#pass(held, 'body-too-large')
      return
    }
    this.#owner.resend()
  }

  /** `obstacle`: why a rejected token was not replayed with another one; it is not told of an answer that is about a key. */
  #pass(held: HeldAnswer, obstacle: ReplayObstacle | undefined): void {
    const told = this.#replay === undefined ? undefined : obstacle
    if (told !== undefined) this.#report(outcomes[told])
    this.#deliver(held, told)
  }

  #deliver(held: HeldAnswer, obstacle?: ReplayObstacle): void {
    this.#held = undefined
    this.#replay = undefined
    this.#owner.deliver(held, obstacle)
  }

  #report(outcome: ReplayOutcome): void {
    const { record, context, route } = this.#owner
    this.#replay = undefined
    record.replay = outcome
    context.events.onReplay?.(route.label, outcome)
  }
}
