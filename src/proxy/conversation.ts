import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import type { ProxyError } from '../errors.ts'
import { awaitsContinue } from './admission.ts'
import { Connection } from './connection.ts'
import { asProxyError } from './faults.ts'
import type { Forwarding } from './forward.ts'
import { sendProblem } from './problem.ts'
import type { RequestRecord } from './request-record.ts'
import type { ProxyEvents } from './setup.ts'

/** Milliseconds for which the rest of a body is read and thrown away after its request was answered, so that the caller gets to read the answer. */
const lingerTime = 30_000

const key = Symbol('conversation')
type OwnedResponse = ServerResponse & { [key]?: Conversation }

/** From the arrival of a request to the end of its answer, whoever answers. */
export class Conversation {
  readonly record: RequestRecord
  readonly #response: OwnedResponse
  readonly #clock: Clock
  readonly #events: ProxyEvents
  /** Called once, at the end. */
  readonly #onOver: () => void
  #forwarding: Forwarding | undefined
  #over = false

  constructor(
    response: ServerResponse,
    record: RequestRecord,
    { clock, events }: { readonly clock: Clock; readonly events: ProxyEvents },
    onOver: () => void,
  ) {
    this.record = record
    this.#response = response
    this.#clock = clock
    this.#events = events
    this.#onOver = onOver
    this.#response[key] = this
    response.on('close', onClose)
    events.onStart?.(record)
  }

  /** Forwards as soon as the requests before it on this connection are answered. */
  forward(forwarding: Forwarding): void {
    this.#forwarding = forwarding
    Connection.of(this.#response.req.socket).enter(this)
  }

  begin(): void {
    this.#forwarding?.begin()
  }

  /** Answers the request at once. */
  refuse(error: unknown, closing: boolean): void {
    this.record.error = asProxyError(error)
    sendProblem(this.#response, this.record, closing || awaitsContinue(this.#response.req))
  }

  /** The rest of the request turned out to be malformed: nothing more can be read from its connection. */
  break(error: ProxyError): void {
    this.#forwarding?.fail(error, true)
  }

  /** The answer is out, or its connection gone. A second call changes nothing. */
  finish(): void {
    if (this.#over) return
    this.#over = true
    const { record } = this
    const { req: request, writableFinished } = this.#response
    if (!writableFinished && record.ending === 'answered') {
      record.ending = 'caller-left'
      if (record.status === 0) record.status = 499
    }
    record.finish(this.#clock.monotonic())
    this.#onOver()
    if (this.#forwarding !== undefined) {
      this.#forwarding.close()
      Connection.of(request.socket).leave(this)
    }
    if (!request.complete && !request.socket.destroyed) linger(request, this.#clock)
    this.#events.onFinish?.(record)
  }
}

function onClose(this: OwnedResponse): void {
  this[key]?.finish()
}

/** Closing a connection with unread data in it makes TCP take back what was sent: the caller would lose the answer. */
function linger(request: IncomingMessage, clock: Clock): void {
  const { socket } = request
  const cancel = clock.schedule(lingerTime, () => socket.destroy())
  const done = () => {
    cancel()
    socket.off('close', done)
  }
  socket.once('close', done)
  request.once('end', done)
  request.resume()
}
