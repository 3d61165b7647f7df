import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net'
import type { TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/clock.ts'
import { configSchema, type CredentialConfig } from '../../src/config/schema.ts'
import type { RequestRecord } from '../../src/proxy/request-record.ts'
import { createProxy, type ProxyServer } from '../../src/proxy/server.ts'
import type { ProxyEvents, ProxyRoute, ProxySetup } from '../../src/proxy/setup.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { RenewalDeclined, type RenewWhen, type ReplayOutcome, type TokenSource } from '../../src/tokens/token-source.ts'
import { openUpstream } from '../../src/upstream/open.ts'
import { WebSocketUpstream } from '../../src/upstream/websocket-upstream.ts'

/** A token source under the test's control. Tokens are called <name>-1, <name>-2, ... */
export class FakeSource implements TokenSource {
  readonly credential: string
  generation = 1
  expiresAt: number | undefined = undefined
  /** Every minLife that was asked for. */
  readonly asked: number[] = []
  readonly renewals: RenewWhen[] = []
  readonly distrusted: string[] = []
  /** What token() gives instead of the current token. */
  answer: (() => TokenSet | Promise<TokenSet>) | undefined = undefined
  declines: RenewalDeclined['why'] | undefined = undefined
  /** When set, renew() waits for it. */
  gate: Promise<unknown> | undefined = undefined

  constructor(credential: string) {
    this.credential = credential
  }

  get current(): TokenSet {
    return tokenSet(`${this.credential}-${this.generation}`, this.expiresAt)
  }

  token(minLife = 0): TokenSet | Promise<TokenSet> {
    this.asked.push(minLife)
    return this.answer?.() ?? this.current
  }

  async renew(rejected: TokenSet, when: RenewWhen): Promise<TokenSet> {
    this.renewals.push(when)
    await this.gate
    if (this.declines !== undefined) throw new RenewalDeclined(this.declines)
    if (rejected.accessToken === this.current.accessToken) this.generation++
    return this.current
  }

  distrust(renewed: TokenSet): void {
    this.distrusted.push(renewed.accessToken)
  }
}

export function tokenSet(accessToken: string, expiresAt?: number): TokenSet {
  return new TokenSet({
    accessToken,
    refreshToken: undefined,
    issuedAt: 0,
    expiresAt,
    refreshIssuedAt: undefined,
    refreshExpiresAt: undefined,
    scope: undefined,
  })
}

type Settings = Record<string, unknown>

export interface RouteSettings extends Settings {
  path?: string
  upstream: string
  credential?: string | string[]
}

export interface ProxyOptions {
  routes: RouteSettings[]
  proxy?: Settings
  credentials?: Record<string, Settings>
  clock?: Clock
  events?: ProxyEvents
  rewriteLinks?: boolean
  ca?: string
  clientCertificate?: { readonly cert: string; readonly key: string }
  egressProxy?: URL
  headersTimeout?: number
  bodyTimeout?: number
  connectTimeout?: number
}

export interface TestProxy {
  readonly proxy: ProxyServer
  readonly port: number
  readonly url: string
  readonly sources: Readonly<Record<string, FakeSource>>
  /** Sources by credential and subject. */
  readonly subjects: Map<string, FakeSource>
  readonly records: RequestRecord[]
  readonly replays: ReplayOutcome[]
  readonly keyChanges: string[]
  /** Resolves with the record of the next request that ends. */
  readonly nextRecord: () => Promise<RequestRecord>
  readonly setup: (options: ProxyOptions) => ProxySetup
}

/** A proxy on a free port before real upstreams, with fake token sources. */
export async function startProxy(t: TestContext, options: ProxyOptions): Promise<TestProxy> {
  const sources: Record<string, FakeSource> = {}
  const subjects = new Map<string, FakeSource>()
  const records: RequestRecord[] = []
  const replays: ReplayOutcome[] = []
  const keyChanges: string[] = []
  const waiting: ((record: RequestRecord) => void)[] = []
  const setup = (from: ProxyOptions) => makeSetup(t, from, sources, subjects)
  const proxy = await createProxy({
    clock: options.clock ?? systemClock,
    ids: counter(),
    setup: setup(options),
    events: {
      onFinish: (record) => {
        records.push(record)
        waiting.shift()?.(record)
      },
      onReplay: (_route, outcome) => replays.push(outcome),
      onKeyChange: (credential, position) => keyChanges.push(`${credential} ${position}`),
      ...options.events,
    },
  })
  const [bound] = await proxy.listen()
  t.after(() => proxy.close(0))
  const port = bound?.port ?? 0
  return {
    proxy,
    port,
    url: `http://127.0.0.1:${port}`,
    sources,
    subjects,
    records,
    replays,
    keyChanges,
    nextRecord: () => new Promise((resolve) => waiting.push(resolve)),
    setup,
  }
}

function counter(): () => string {
  let count = 0
  return () => `id-${++count}`
}

/** A setup alone, for parts that need no server. */
export function setupFor(t: TestContext, options: ProxyOptions): ProxySetup {
  return makeSetup(t, options, {}, new Map())
}

function makeSetup(
  t: TestContext,
  options: ProxyOptions,
  sources: Record<string, FakeSource>,
  subjects: Map<string, FakeSource>,
): ProxySetup {
  const credentials = options.credentials ?? { sky: {} }
  const config = configSchema.parse({
    version: 1,
    proxy: { listen: '127.0.0.1:0', ...options.proxy },
    credentials: Object.fromEntries(
      Object.entries(credentials).map(([name, settings]) => [
        name,
        { tokenUrl: 'https://id.example/token', clientId: 'id', ...settings },
      ]),
    ),
    routes: options.routes.map((route) => ({
      path: '/',
      credential: Object.keys(credentials).length === 1 ? Object.keys(credentials)[0] : Object.keys(credentials),
      ...route,
    })),
  })
  const routes = config.routes.map((route): ProxyRoute => {
    const upstreamUrl = new URL(route.upstream)
    const upstreamOptions = {
      origin: upstreamUrl,
      tls: { ca: options.ca, ...options.clientCertificate },
      connectTimeout: options.connectTimeout ?? 1000,
      headersTimeout: options.headersTimeout ?? 5000,
      bodyTimeout: options.bodyTimeout ?? 5000,
      allowH2: false,
      egressProxy: options.egressProxy,
    }
    const upstream = openUpstream(upstreamOptions)
    t.after(() => upstream.close())
    const names = typeof route.credential === 'string' ? [route.credential] : route.credential
    return {
      config: route,
      label: route.name ?? route.path,
      upstream,
      upstreamUrl,
      rewriteLinks: route.rewriteLinks ?? options.rewriteLinks ?? false,
      webSocketUpstream: route.websocket ? new WebSocketUpstream(upstreamOptions) : undefined,
      credentials: names.map((name) => ({
        name,
        config: config.credentials[name] as CredentialConfig,
        source(subject) {
          if (subject === undefined) return (sources[name] ??= new FakeSource(name))
          const key = `${name}/${subject}`
          const found = subjects.get(key) ?? new FakeSource(key)
          subjects.set(key, found)
          return found
        },
      })),
    }
  })
  for (const name of Object.keys(credentials)) sources[name] ??= new FakeSource(name)
  return { proxy: config.proxy, routes }
}

export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface TestUpstream {
  readonly url: string
  readonly host: string
  readonly seen: SeenRequest[]
  readonly server: Server
  /** Connections that were opened so far. */
  connections: number
}

/** An upstream that reads every request to its end, notes it, then answers through `respond`. */
export async function startUpstream(
  t: TestContext,
  respond: RequestListener = (_, response) => response.end('{"ok":true}'),
): Promise<TestUpstream> {
  const seen: SeenRequest[] = []
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('error', () => undefined)
    request.on('end', () => {
      const { method = '', url: target = '', rawHeaders, headers } = request
      seen.push({ method, target, rawHeaders, headers, body: Buffer.concat(pieces) })
      respond(request, response)
    })
  })
  server.maxHeadersCount = 0
  const port = await bind(t, server)
  const upstream = { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, seen, server, connections: 0 }
  server.on('connection', () => upstream.connections++)
  t.after(() => server.closeAllConnections())
  return upstream
}

export interface WireUpstream {
  readonly url: string
  /** What came on every connection, in the order of the connections. */
  readonly received: string[]
  readonly sockets: Socket[]
}

/** An upstream of bare sockets: `onData` sees all that came so far on the connection whenever something came. */
export async function startWireUpstream(
  t: TestContext,
  onData: (socket: Socket, text: string, connection: number) => void,
): Promise<WireUpstream> {
  const received: string[] = []
  const sockets: Socket[] = []
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const index = received.push('') - 1
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      received[index] = (received[index] ?? '') + chunk.toString('latin1')
      onData(socket, received[index] ?? '', index)
    })
  })
  const port = await bind(t, server)
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  return { url: `http://127.0.0.1:${port}`, received, sockets }
}

function bind(t: TestContext, server: TcpServer): Promise<number> {
  t.after(() => server.close())
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

/** A caller of bare sockets. */
export class Caller {
  readonly socket: Socket
  received = ''
  ended = false
  reset = false
  #wake: (() => void)[] = []

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      this.#notify()
    })
    this.socket.on('error', () => {
      this.reset = true
      this.#notify()
    })
    this.socket.on('end', () => {
      this.ended = true
      this.#notify()
    })
    this.socket.on('close', () => {
      this.ended = true
      this.#notify()
    })
  }

  write(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Resolves when `done` holds; fails after five seconds with what came until then. */
  async until(done: (received: string) => boolean): Promise<string> {
    const deadline = Date.now() + 5000
    while (!done(this.received)) {
      if (Date.now() > deadline) throw new Error(`nothing more came; so far: ${JSON.stringify(this.received)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return this.received
  }

  untilClosed(): Promise<string> {
    return this.until(() => this.ended || this.reset)
  }

  /** One whole answer, sized, chunked or without a body; taken off what was received. */
  async answer(): Promise<RawAnswer> {
    await this.until((text) => readAnswer(text) !== undefined)
    const { answer, length } = readAnswer(this.received) ?? { answer: { head: '', status: 0, body: '' }, length: 0 }
    this.received = this.received.slice(length)
    return answer
  }

  close(): void {
    this.socket.destroy()
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

export interface RawAnswer {
  readonly head: string
  readonly status: number
  readonly body: string
}

function readAnswer(text: string): { answer: RawAnswer; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = text.slice(0, end)
  const start = end + 4
  const answer = (body: string, length: number) => ({
    answer: { head, status: Number(text.slice(9, 12)), body },
    length: start + length,
  })
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) {
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    return text.length >= start + length ? answer(text.slice(start, start + length), length) : undefined
  }
  let body = ''
  for (let at = start; ;) {
    const size = /^([\da-f]+)\r\n/i.exec(text.slice(at, at + 20))
    if (size === null) return undefined
    const length = Number.parseInt(size[1] ?? '', 16)
    const from = at + size[0].length
    if (text.length < from + length + 2) return undefined
    if (length === 0) return answer(body, from + 2 - start)
    body += text.slice(from, from + length)
    at = from + length + 2
  }
}

/** Opens a caller's connection that the test closes. */
export function dial(t: TestContext, port: number): Caller {
  const caller = new Caller(port)
  t.after(() => caller.close())
  return caller
}

/** Sends one raw request on a connection of its own and gives the answer. */
export async function raw(t: TestContext, port: number, request: string): Promise<RawAnswer> {
  return dial(t, port).write(request).answer()
}

export const host = 'Host: localhost\r\n'

export function get(target: string, headers = ''): string {
  return `GET ${target} HTTP/1.1\r\n${host}${headers}\r\n`
}

export function code(answer: { head: string }): string | undefined {
  return /\r\nbearer-sidecar-error: (\S+)/i.exec(answer.head)?.[1]
}

/** Values of a field in a raw header list. */
export function values(rawHeaders: readonly string[], name: string): string[] {
  const found: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === name.toLowerCase()) found.push(rawHeaders[index + 1] ?? '')
  }
  return found
}
