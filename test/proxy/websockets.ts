import { once, type EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { startProxy, type ProxyOptions, type TestProxy } from './harness.ts'

/** A WebSocket of the library behind the plugin: it shows what a browser's hides (pings, abnormal ends, refusals). */
export interface Peer extends EventEmitter {
  readonly protocol: string
  readonly extensions: string
  readonly readyState: number
  send(data: Buffer | string, options?: { binary: boolean }): void
  ping(data?: string): void
  close(code?: number, reason?: string): void
  terminate(): void
  pause(): void
  resume(): void
}

interface ClientOptions {
  headers?: Record<string, string>
  perMessageDeflate?: boolean
  autoPong?: boolean
}

interface Library {
  new (url: string, protocols: readonly string[], options: ClientOptions): Peer
  readonly Server: new (options: Record<string, unknown>) => EventEmitter & { close(): void }
}

// The plugin's own dependency; tests need no second copy.
const fromPlugin = createRequire(createRequire(import.meta.url).resolve('@fastify/http-proxy'))
const WebSocketLibrary = fromPlugin('ws') as Library

export interface WebSocketServer {
  readonly url: string
  readonly port: number
  readonly seen: IncomingMessage[]
  /** The upstream's ends, in order. */
  readonly peers: Peer[]
  /** Resolves with the next end. */
  readonly nextPeer: () => Promise<Peer>
}

/** An upstream that accepts WebSockets and, unless told otherwise, echoes messages. */
export async function startWebSocketServer(
  t: TestContext,
  {
    server = createServer(),
    echo = true,
    ...options
  }: { server?: Server; echo?: boolean } & Record<string, unknown> = {},
): Promise<WebSocketServer> {
  const seen: IncomingMessage[] = []
  const peers: Peer[] = []
  const arrivals: ((peer: Peer) => void)[] = []
  const sockets = new WebSocketLibrary.Server({ server, ...options })
  sockets.on('connection', (peer: Peer, request: IncomingMessage) => {
    seen.push(request)
    peers.push(peer)
    peer.on('error', () => undefined)
    if (echo) peer.on('message', (data: Buffer, binary: boolean) => peer.send(data, { binary }))
    arrivals.shift()?.(peer)
  })
  const port = await listenFor(t, server)
  t.after(() => sockets.close())
  const nextPeer = () => new Promise<Peer>((resolve) => arrivals.push(resolve))
  return { url: `http://127.0.0.1:${port}`, port, seen, peers, nextPeer }
}

/** An upstream that answers every upgrade with the bytes that `answer` gives, and then closes unless it is a 101. */
export async function startRefusingServer(
  t: TestContext,
  answer: (request: IncomingMessage, attempt: number, socket: Socket) => string | undefined,
): Promise<{ url: string; port: number; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = []
  const server = createServer()
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined)
    const bytes = answer(request, seen.push(request), socket)
    if (bytes === undefined) return
    if (bytes.startsWith('HTTP/1.1 101')) socket.write(bytes, 'latin1')
    else socket.end(bytes, 'latin1')
  })
  const port = await listenFor(t, server)
  return { url: `http://127.0.0.1:${port}`, port, seen }
}

async function listenFor(t: TestContext, server: Server): Promise<number> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => open.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A proxy whose route /ws/ carries WebSockets to `upstream`, with one key beside the token. */
export function webSocketProxy(
  t: TestContext,
  upstream: string,
  { route, ...options }: Partial<ProxyOptions> & { route?: Record<string, unknown> } = {},
): Promise<TestProxy> {
  return startProxy(t, {
    routes: [{ path: '/ws/', upstream, websocket: true, ...route }],
    credentials: { sky: { headers: { 'X-Key': 'key' } } },
    ...options,
  })
}

export interface Opened {
  readonly peer: Peer
  /** The 101. */
  readonly answer: IncomingMessage
}

/** Opens a WebSocket; rejects with the Refusal otherwise. */
export async function open(
  t: TestContext,
  port: number,
  target = '/ws/',
  { protocols = [], ...options }: ClientOptions & { protocols?: readonly string[] } = {},
): Promise<Opened> {
  const peer = new WebSocketLibrary(`ws://127.0.0.1:${port}${target}`, protocols, options)
  t.after(() => peer.terminate())
  let answer: IncomingMessage | undefined
  peer.on('upgrade', (response: IncomingMessage) => (answer = response))
  await new Promise<void>((resolve, reject) => {
    peer.on('open', resolve)
    peer.on('error', reject)
    peer.on('unexpected-response', (_request, response: IncomingMessage) => {
      void readAll(response).then((body) => reject(new Refusal(response, body)))
    })
  })
  return { peer, answer: answer as IncomingMessage }
}

export class Refusal extends Error {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string

  constructor({ statusCode = 0, headers }: IncomingMessage, body: string) {
    super(`status ${statusCode}`)
    this.status = statusCode
    this.headers = headers
    this.body = body
  }
}

/** The refusal that opening a WebSocket is expected to end in. */
export async function refusal(...args: Parameters<typeof open>): Promise<Refusal> {
  try {
    await open(...args)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('the WebSocket was opened')
}

async function readAll(response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of response.setEncoding('latin1')) body += String(chunk)
  return body
}

/** Resolves with the code and the reason of the close that comes. */
export async function closing(peer: Peer): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(peer, 'close')) as [number, Buffer]
  return { code, reason: reason.toString() }
}

/** Resolves with the next message. */
export async function message(peer: Peer): Promise<{ data: Buffer; binary: boolean }> {
  const [data, binary] = (await once(peer, 'message')) as [Buffer, boolean]
  return { data, binary }
}
