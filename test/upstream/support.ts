import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import type { TestContext } from 'node:test'
import { openUpstream } from '../../src/upstream/open.ts'
import type {
  Exchange,
  Upstream,
  UpstreamError,
  UpstreamHandler,
  UpstreamHead,
  UpstreamOptions,
  UpstreamRequest,
} from '../../src/upstream/upstream.ts'
import * as certs from '../helpers/certs.ts'

type Ending = Pick<TestContext, 'after'>

/** An upstream client that is closed, running exchanges included, after the test. */
export function open(t: Ending, origin: string, options: Partial<UpstreamOptions> = {}): Upstream {
  const upstream = openUpstream({
    origin: new URL(origin),
    tls: { ca: certs.ca },
    connectTimeout: 2_000,
    headersTimeout: 2_000,
    bodyTimeout: 2_000,
    allowH2: false,
    egressProxy: undefined,
    ...options,
  })
  t.after(() => upstream.close())
  return upstream
}

export function request(overrides: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'GET', target: '/', headers: ['Host', 'upstream.test'], body: undefined, ...overrides }
}

/** Records what a handler was told and turns it into something to await. */
export class Recorder implements UpstreamHandler {
  readonly events: string[] = []
  readonly chunks: Buffer[] = []
  head: UpstreamHead | undefined
  error: UpstreamError | undefined
  exchange: Exchange | undefined
  drains = 0
  /** Answers of onData. */
  reading = true
  onEvent: (event: string) => void = () => undefined
  readonly done: Promise<this>
  #finish: (self: this) => void = () => undefined

  constructor() {
    this.done = new Promise((resolve) => (this.#finish = resolve))
  }

  onHead(head: UpstreamHead): void {
    this.head = head
    this.#note('head')
  }

  onData(chunk: Buffer): boolean {
    this.chunks.push(chunk)
    this.#note('data')
    return this.reading
  }

  onEnd(): void {
    this.#note('end')
    this.#finish(this)
  }

  onError(error: UpstreamError): void {
    this.error = error
    this.#note('error')
    this.#finish(this)
  }

  onDrain(): void {
    this.drains++
    this.onEvent('drain')
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  #note(event: string): void {
    assert.ok(!this.events.includes('end') && !this.events.includes('error'), `${event} after the end`)
    this.events.push(event)
    this.onEvent(event)
  }

  /** Resolves when `event` comes. */
  until(event: string): Promise<void> {
    return new Promise((resolve) => {
      this.onEvent = (other) => {
        if (other === event) resolve()
      }
    })
  }
}

/** Starts an exchange; `done` of the result resolves at its end or error. */
export function start(upstream: Upstream, overrides: Partial<UpstreamRequest> = {}): Recorder & { exchange: Exchange } {
  const recorder = new Recorder()
  const exchange = upstream.send(request(overrides), recorder)
  assert.deepEqual(recorder.events, [], 'a handler was called from within send()')
  return Object.assign(recorder, { exchange })
}

/** A whole exchange. */
export function call(upstream: Upstream, overrides: Partial<UpstreamRequest> = {}): Promise<Recorder> {
  return start(upstream, overrides).done
}

export interface RawServer {
  readonly origin: string
  readonly port: number
  readonly sockets: net.Socket[]
  /** The same below TLS. */
  readonly tcpSockets: net.Socket[]
  /** Everything received, per connection. */
  readonly received: Buffer[]
}

/** A server without any idea of HTTP: `onConnection` plays the upstream byte by byte. */
export async function rawServer(
  t: Ending,
  onConnection: (socket: net.Socket, connection: number) => void,
  tlsOptions?: tls.TlsOptions,
): Promise<RawServer> {
  const sockets: net.Socket[] = []
  const tcpSockets: net.Socket[] = []
  const received: Buffer[] = []
  const accept = (socket: net.Socket) => {
    const index = sockets.push(socket) - 1
    received.push(Buffer.alloc(0))
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => (received[index] = Buffer.concat([received[index]!, chunk])))
    onConnection(socket, index)
  }
  const server = tlsOptions ? tls.createServer(tlsOptions, accept) : net.createServer(accept)
  server.on('connection', (socket: net.Socket) => tcpSockets.push(socket))
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as net.AddressInfo
  return { origin: `${tlsOptions ? 'https' : 'http'}://127.0.0.1:${port}`, port, sockets, tcpSockets, received }
}

/** A raw server that answers every request (a head without a body) with the next of `answers`; the last one repeats. */
export function answering(t: Ending, ...answers: string[]): Promise<RawServer> {
  let next = 0
  return rawServer(t, (socket) => {
    let pending = ''
    socket.on('data', (chunk: Buffer) => {
      pending += chunk.toString('latin1')
      while (pending.includes('\r\n\r\n')) {
        pending = pending.slice(pending.indexOf('\r\n\r\n') + 4)
        const answer = answers[Math.min(next++, answers.length - 1)]!
        socket.write(answer, 'latin1')
      }
    })
  })
}

export const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Waits until a connection was made and has ended. */
export async function closed(server: RawServer, connection = 0): Promise<void> {
  while (server.sockets[connection]?.destroyed !== true) await new Promise(setImmediate)
}
