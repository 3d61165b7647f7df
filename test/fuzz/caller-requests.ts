/**
 * Fires mutated requests at the proxy over real sockets and watches both sides of it.
 *
 *   node test/fuzz/caller-requests.ts [--count 100000] [--seed 1]
 *
 * Violations are: a request at the upstream that is malformed, that lies outside of the route's path, or whose credentials are not exactly
 * ours; an answer to the caller that is no HTTP or is an internal error; anything still in flight when all callers are gone.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import net from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../../src/clock.ts'
import { configSchema, type CredentialConfig, type RouteConfig } from '../../src/config/schema.ts'
import { createProxy, type ProxyServer } from '../../src/proxy/server.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { openUpstream } from '../../src/upstream/open.ts'

export interface FuzzOptions {
  /** Requests. */
  readonly count: number
  readonly seed: number
  /** Milliseconds without an answer after which a conversation is given up; more on a busy machine. */
  readonly patience: number
}

export interface FuzzResult {
  /** Requests that reached the upstream. */
  forwarded: number
  /** Answers by status. */
  readonly answers: Record<string, number>
  /** Must be empty. */
  readonly violations: string[]
}

type Random = (below: number) => number

/** A small generator that can be started again from its seed. */
function generator(seed: number): Random {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T

const methods = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'PROPFIND',
  'TRACE',
  'TRACK',
  'CONNECT',
  'G\0T',
  'get',
]
const segments = [
  'a',
  '..',
  '.',
  '%2e%2e',
  '.%2e',
  '..;',
  '..%2f',
  '%5c',
  '\\',
  '%252e%252e',
  '%00',
  '%zz',
  '',
  '@evil',
  ':80',
  '*',
  '"',
  '#',
  '%c0%ae%c0%ae',
]
const fields = [
  'Connection: close',
  'Connection: authorization, x-api-key',
  'Connection: keep-alive, host, content-length',
  'Connection: upgrade',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'authorization: evil',
  'AUTHORIZATION: evil',
  'X-Api-Key: evil',
  'x_api_key: evil',
  'Proxy-Authorization: evil',
  'X-Forwarded-For: evil',
  'Forwarded: for=evil',
  'Host: localhost',
  'Host: evil',
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: -1',
  'Content-Length: 5, 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'Expect: 100-continue',
  'Expect: 417',
  'TE: trailers',
  'Trailer: Authorization',
  'Origin: https://evil.example',
  'Sec-Fetch-Site: cross-site',
  'X-Bytes: \xff\x80',
  'X-Long: ' + 'x'.repeat(4000),
  ' folded',
  ': no name',
  '',
]
const spices = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  '\r\n',
  '\r\n\r\n',
  '0\r\n\r\n',
  '\x7f',
  '\xff',
  '%2e',
  '../',
  'GET /api/ HTTP/1.1\r\n',
]

function makeTarget(random: Random): string {
  const path = Array.from({ length: random(6) }, () => pick(random, segments)).join('/')
  const query = random(3) === 0 ? `?q=${pick(random, segments)}` : ''
  switch (random(12)) {
    case 0:
      return `http://localhost/api/${path}${query}`
    case 1:
      return `http://evil/api/${path}`
    case 2:
      return pick(random, ['*', '/', '//evil/x', 'api', 'evil:80', ''])
    default:
      return `/api/${path}${query}`
  }
}

function makeRequest(random: Random): string {
  const headers = Array.from({ length: random(4) }, () => pick(random, fields))
  let body = ''
  if (random(3) === 0) {
    body = 'x'.repeat(random(200))
    if (random(2) === 0) headers.push(`Content-Length: ${body.length}`)
    else {
      headers.push('Transfer-Encoding: chunked')
      body = `${body.length > 0 ? `${body.length.toString(16)}\r\n${body}\r\n` : ''}0\r\n\r\n`
    }
  }
  const version = random(15) === 0 ? pick(random, ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.1 ', '']) : 'HTTP/1.1'
  const host = random(20) === 0 ? '' : 'Host: localhost\r\n'
  const method = random(4) === 0 ? pick(random, methods) : 'GET'
  const head = `${method} ${makeTarget(random)} ${version}\r\n${host}${headers.map((field) => `${field}\r\n`).join('')}\r\n`
  return mutate(random, head + body)
}

function mutate(random: Random, request: string): string {
  let text = request
  for (let times = random(3); times > 0; times--) {
    const at = random(text.length + 1)
    switch (random(5)) {
      case 0:
        text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1)
        break
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random(4))
        break
      case 2:
        text = text.slice(0, at) + pick(random, spices) + text.slice(at)
        break
      case 3:
        text = text.slice(0, at)
        break
      default:
        text = text.slice(0, at) + text.slice(random(text.length + 1))
    }
  }
  return text
}

/** What must hold for every request that arrives at the upstream, whatever its caller wrote. */
function inspect(request: IncomingMessage, host: string, violate: (what: string) => void): void {
  const { rawHeaders, url = '' } = request
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase().replaceAll('_', '-'))
  const value = (name: string) => rawHeaders[names.indexOf(name) * 2 + 1]
  for (const [name, expected] of [
    ['authorization', 'Bearer ours'],
    ['x-api-key', 'our-key'],
    ['host', host],
  ] as const) {
    if (names.filter((other) => other === name).length !== 1) violate(`not exactly one ${name}`)
    if (value(name) !== expected) violate(`${name} is not ours`)
  }
  for (const name of names) {
    if (/^(?:proxy-|x-forwarded-|forwarded$|te$|trailer$|upgrade$|expect$|keep-alive$)/.test(name))
      violate(`${name} passed`)
  }
  const path = url.replace(/[?].*$/, '')
  const lenient = path
    .replace(/%c0%ae|%2e/gi, '.')
    .replace(/%2f|%5c|\\/gi, '/')
    .split('/')
    .map((part) => part.replace(/(?:;|%00).*$/, ''))
  if (!path.startsWith('/v1/') || lenient.includes('..')) violate(`left its prefix: ${JSON.stringify(url)}`)
}

async function startProxy(
  upstreamPort: number,
): Promise<{ proxy: ProxyServer; port: number; close: () => Promise<void> }> {
  const config = configSchema.parse({
    version: 1,
    proxy: { listen: '127.0.0.1:0', timeouts: { requestHeaders: '2s', requestBodyIdle: '1s' } },
    credentials: {
      ours: { tokenUrl: 'https://id.example/token', clientId: 'id', headers: { 'X-Api-Key': 'our-key' } },
    },
    routes: [{ path: '/api/', upstream: `http://127.0.0.1:${upstreamPort}/v1/`, credential: 'ours' }],
  })
  const route = config.routes[0] as RouteConfig
  const upstreamUrl = new URL(route.upstream)
  const upstream = openUpstream({
    origin: upstreamUrl,
    tls: {},
    connectTimeout: 5000,
    headersTimeout: 5000,
    bodyTimeout: 5000,
    allowH2: false,
    egressProxy: undefined,
  })
  const token = new TokenSet({
    accessToken: 'ours',
    refreshToken: undefined,
    issuedAt: 0,
    expiresAt: undefined,
    refreshIssuedAt: undefined,
    refreshExpiresAt: undefined,
    scope: undefined,
  })
  const source = { credential: 'ours', token: () => token, renew: () => token, distrust: () => undefined }
  const credentials = [{ name: 'ours', config: config.credentials['ours'] as CredentialConfig, source: () => source }]
  const proxy = await createProxy({
    clock: systemClock,
    ids: () => 'id',
    events: {},
    setup: {
      proxy: config.proxy,
      routes: [
        {
          config: route,
          label: 'api',
          upstream,
          upstreamUrl,
          credentials,
          rewriteLinks: false,
          webSocketUpstream: undefined,
        },
      ],
    },
  })
  const [bound] = await proxy.listen()
  return {
    proxy,
    port: bound?.port ?? 0,
    async close() {
      await proxy.close(1000)
      await upstream.close()
    },
  }
}

/** Sends a few requests on one connection, waits until the proxy closes it or has nothing more to say, and gives back what it said. */
function converse(port: number, text: string, patience: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    let received = ''
    let timer: NodeJS.Timeout | undefined
    socket.on('connect', () => {
      socket.write(Buffer.from(text, 'latin1'))
      // The last request asks for the connection to be closed. Where damage swallowed it, the proxy rightly waits for the rest.
      timer = globalThis.setTimeout(() => socket.destroy(), patience)
    })
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      timer?.refresh()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(received)
    })
  })
}

/** Notes every answer of a connection; they are sized, or without a body, because the upstream's are. */
function readAnswers(received: string, result: FuzzResult): void {
  for (let at = 0; at < received.length;) {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[!-9;-~]+: ?[^\r\n\0]*\r\n)*\r\n/.exec(received.slice(at))
    if (head === null) {
      // A connection may be cut off inside an answer when its caller is; never in front of one.
      if (!'HTTP/1.1 '.startsWith(received.slice(at, at + 9)))
        result.violations.push(`no HTTP: ${JSON.stringify(received.slice(at, at + 60))}`)
      return
    }
    const status = head[1] ?? ''
    result.answers[status] = (result.answers[status] ?? 0) + 1
    if (status === '500') result.violations.push('internal error')
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head[0])?.[1] ?? 0)
    at += head[0].length
    // An answer to HEAD announces a length and has no body: the next answer follows at once.
    if (length > 0 && !received.startsWith('HTTP/1.1 ', at)) at += length
  }
}

export async function fuzzProxy({ count, seed, patience }: FuzzOptions): Promise<FuzzResult> {
  const random = generator(seed)
  const result: FuzzResult = { forwarded: 0, answers: {}, violations: [] }
  const violate = (what: string) => void result.violations.push(what)
  const upstream = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    result.forwarded++
    inspect(request, `127.0.0.1:${upstreamPort}`, violate)
    request.resume()
    request.on('end', () => response.writeHead(200, { 'Content-Length': 2 }).end('ok'))
  })
  upstream.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A caller that left in the middle of its upload is an abort, anything else a request that we should not have written.
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE' && error.code !== 'HPE_INVALID_EOF_STATE')
      violate(`malformed at the upstream: ${error.code}`)
    socket.destroy()
  })
  for (const event of ['connect', 'upgrade']) upstream.on(event, () => violate(`${event} at the upstream`))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const upstreamPort = (upstream.address() as net.AddressInfo).port
  const { proxy, port, close } = await startProxy(upstreamPort)
  let left = count
  const lane = async () => {
    while (left > 0) {
      // One fault ends a connection, so what follows it is seldom read: mostly one at a time.
      const size = Math.min(left, random(4) === 0 ? 2 : 1)
      left -= size
      const requests = Array.from({ length: size }, () => makeRequest(random))
      const last = 'GET /api/last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
      readAnswers(await converse(port, requests.join('') + last, patience), result)
    }
  }
  await Promise.all(Array.from({ length: 64 }, lane))
  const sound = await converse(port, 'GET /api/sound HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 5000)
  if (!sound.startsWith('HTTP/1.1 200 ')) violate('the proxy no longer serves')
  for (let patience = 200; proxy.inFlight > 0 && patience > 0; patience--) await setTimeout(10)
  if (proxy.inFlight > 0) violate(`${proxy.inFlight} requests are still in flight`)
  await close()
  upstream.close()
  upstream.closeAllConnections()
  return result
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  })
  const from = performance.now()
  const result = await fuzzProxy({ count: Number(values.count), seed: Number(values.seed), patience: 50 })
  const seconds = ((performance.now() - from) / 1000).toFixed(1)
  console.log(
    `${values.count} mutated requests in ${seconds} s, seed ${values.seed}: ${result.forwarded} forwarded, answers ${JSON.stringify(result.answers)}`,
  )
  console.log(`memory ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB, ${result.violations.length} violations`)
  assert.deepEqual(result.violations.slice(0, 10), [])
}
