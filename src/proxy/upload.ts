import type { Clock } from '../clock.ts'
import type { Exchange, UpstreamBody } from '../upstream/upstream.ts'
import { joined } from './pieces.ts'
import type { BodyListener, CallerBody } from './replay-body.ts'

export interface UploadOwner {
  /** Sends the head; pieces that `body` announces follow through the exchange. */
  send(body: UpstreamBody): Exchange
  /** The last byte of the caller's body has been read. */
  onUploaded(): void
  /** `caller`: no piece came for too long. `upstream`: it took none for too long. */
  onUploadStalled(side: 'caller' | 'upstream'): void
}

/** Milliseconds. Many callers write head and body separately; waiting this long for the first piece lets a small body leave in one write. */
const firstPieceDelay = 10

/** Feeds a caller's body to an exchange: in one write when it came whole, else piece by piece and no faster than the upstream takes it. */
export class Upload implements BodyListener {
  readonly body: CallerBody
  readonly #owner: UploadOwner
  readonly #clock: Clock
  /** Pieces read before the exchange was opened. */
  #waiting: Buffer[] = []
  #opened = false
  #exchange: Exchange | undefined
  #cancelDelay: (() => void) | undefined
  /** Ticks since the caller sent something, or while blocked, since the upstream took something. */
  #idleTicks = 0
  /** The upstream takes no more for now. */
  #blocked = false

  constructor(body: CallerBody, owner: UploadOwner, clock: Clock) {
    this.body = body
    this.#owner = owner
    this.#clock = clock
  }

  begin(): void {
    this.body.start(this)
    this.#cancelDelay = this.#clock.schedule(firstPieceDelay, () => this.#open())
  }

  onBodyChunk(chunk: Buffer): void {
    if (!this.#blocked) this.#idleTicks = 0
    if (this.#exchange !== undefined) this.#write(this.#exchange, chunk)
    else if (!this.#opened) {
      // Node hands pieces out while it parses a packet: the rest of it may complete the body, or turn out to be malformed.
      if (this.#waiting.push(chunk) === 1) setImmediate(openUnlessArrived, this)
    }
  }

  onBodyEnd(): void {
    if (!this.#opened) this.#open()
    else {
      this.#exchange?.end()
      this.#exchange = undefined
    }
    this.#owner.onUploaded()
  }

  /** Once more, the whole body, which must be complete and kept. */
  resend(): void {
    this.#sendWhole([this.body.bytes()])
  }

  /** What still comes is read, for a replay or to be thrown away, but goes nowhere. */
  detach(): void {
    this.#cancelDelay?.()
    this.#opened = true
    this.#exchange = undefined
    this.#unblock()
  }

  onDrain(): void {
    this.#unblock()
  }

  /** `limits`: ticks without progress until the caller, or the upstream, is given up. */
  onTick(limits: { readonly caller: number; readonly upstream: number }): void {
    if (this.body.complete || !this.body.started) return
    this.#idleTicks++
    if (this.#blocked) {
      if (this.#idleTicks > limits.upstream) this.#owner.onUploadStalled('upstream')
      // A socket that is not read from tells nothing of a caller that left: look once per tick, one piece at a time.
      else if (!this.body.endIfReset()) this.body.resume()
    } else if (this.#idleTicks > limits.caller) this.#owner.onUploadStalled('caller')
  }

  openUnlessArrived(): void {
    if (!this.#opened && !this.body.arrived) this.#open()
  }

  #open(): void {
    this.#cancelDelay?.()
    this.#opened = true
    const pieces = this.#waiting
    this.#waiting = []
    if (this.body.complete) {
      this.#sendWhole(pieces)
      return
    }
    this.#exchange = this.#owner.send({ length: this.body.length })
    for (const piece of pieces) this.#write(this.#exchange, piece)
  }

  #write(exchange: Exchange, piece: Buffer): void {
    if (exchange.write(piece)) return
    this.#blocked = true
    this.body.pause()
  }

  #unblock(): void {
    this.#blocked = false
    this.#idleTicks = 0
    if (this.body.started) this.body.resume()
  }

  /** A sized body stays sized and a chunked one chunked: some servers treat them differently. */
  #sendWhole(pieces: readonly Buffer[]): void {
    if (this.body.length !== undefined) {
      this.#owner.send(joined(pieces))
      return
    }
    const exchange = this.#owner.send({ length: undefined })
    for (const piece of pieces) if (piece.length > 0) exchange.write(piece)
    exchange.end()
  }
}

function openUnlessArrived(upload: Upload): void {
  upload.openUnlessArrived()
}
