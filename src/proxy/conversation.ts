import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import type { ProxyError } from '../errors.ts'
import { endsConnection } from './admission.ts'
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
  readonly #connection: Connection
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
    this.#connection = Connection.of(response.req.socket)
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
    this.#connection.enter(this)
  }

  begin(): void {
    if (this.#forwarding?.over === false) this.#forwarding.begin()
  }

  /** Answers the request at once; Node keeps the answer back until those before it are out. */
  refuse(error: unknown, closing: boolean): void {
    this.record.error = asProxyError(error)
    this.#connection.enter(this)
    sendProblem(this.#response, this.record, closing || endsConnection(this.#response.req))
  }

  /** The rest of the request turned out to be malformed: nothing more can be read from its connection. */
  break(error: ProxyError): void {
    this.#forwarding?.fail(error, true)
  }

  /** The last byte of the request has arrived. */
  get complete(): boolean {
    return this.#response.req.complete
  }

  get over(): boolean {
    return this.#over
  }

  /** The caller takes more of the answer. */
  takesMore(): void {
    this.#response.emit('drain')
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
    this.#forwarding?.close()
    if (!request.complete && !request.socket.destroyed) linger(request, this.#clock)
    this.#connection.leave(this)
    this.#events.onFinish?.(record)
  }
}

function onClose(this: OwnedResponse): void {
  this[key]?.finish()
}

/** Closing a connection with unread data in it makes TCP take back what was sent: the caller would lose the answer. */
function linger(request: IncomingMessage, clock: Clock): void {
  const { socket } = request
  const connection = Connection.of(socket)
  connection.drained = request
  const cancel = clock.schedule(lingerTime, () => socket.destroy())
  const done = () => {
    connection.drained = undefined
    cancel()
    socket.off('close', done)
  }
  socket.once('close', done)
  request.once('end', done)
  request.resume()
}
