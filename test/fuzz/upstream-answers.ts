/**
 * Fires damaged answers at the upstream client over real sockets and watches that nothing worse happens than an error.
 *
 *   node test/fuzz/upstream-answers.ts [--count 100000] [--seed 1] [--tls]
 *
 * Every answer carries the id of its request in its head and its body, so an answer that reaches another request is seen. An answer leaves the
 * upstream at once, in one write or two, and the next request waits until all of it has arrived: an upstream that says more only when
 * the connection is in use again cannot be told from one that answers (RFC 9112 section 11.2).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { parseArgs } from 'node:util'
import { openUpstream } from '../../src/upstream/open.ts'
import type { Upstream, UpstreamError, UpstreamHandler, UpstreamHead } from '../../src/upstream/upstream.ts'
import * as certs from '../helpers/certs.ts'

export interface FuzzOptions {
  /** Exchanges. */
  readonly count: number
  readonly seed: number
  readonly secure: boolean
}

export interface FuzzResult {
  /** Answers that came whole. */
  ended: number
  /** Exchanges by the fault that ended them. */
  faults: Record<string, number>
  /** Answers that reached a request they were not meant for, exchanges told twice, and the like. Must be empty. */
  violations: string[]
}

/** A small generator that can be started again from its seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

type Random = ReturnType<typeof generator>

const spices = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0',
  '5',
  'f',
  '\x7f',
  '\xff',
  '\r\n',
  '\r\n\r\n',
  '0\r\n\r\n',
  'HTTP/1.1 200 OK\r\n',
]
const lines = [
  ...[
    'Content-Length: 5',
    'Content-Length: -1',
    'Content-Length: 99999999999999999999',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
  ],
  ...[
    'Transfer-Encoding : chunked',
    ' folded',
    'Connection: close',
    'Connection: keep-alive, x',
    'Keep-Alive: timeout=0',
    'Trailer: X',
    '',
  ],
]

function validAnswer(random: Random, id: string): string {
  const body = `${id}${'x'.repeat(random(3) === 0 ? random(70_000) : random(200))}`
  const interim = random(5) === 0 ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' : ''
  const head = `${interim}HTTP/1.${random(12) === 0 ? 0 : 1} ${[200, 404, 500, 204, 304, 206][random(6)]} Text\r\nX-Id: ${id}\r\n`
  if (random(2) === 0) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
  let chunks = ''
  for (let at = 0; at < body.length;) {
    const size = 1 + random(Math.max(1, body.length - at))
    chunks += `${size.toString(16)}${random(3) === 0 ? ';a=b' : ''}\r\n${body.slice(at, at + size)}\r\n`
    at += size
  }
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n${random(3) === 0 ? 'T: 1\r\n' : ''}\r\n`
}

function damage(random: Random, answer: string): string {
  const headEnd = answer.indexOf('\r\n\r\n')
  // Half of the damage strikes the head, where the decisions are.
  const at = random(2) === 0 ? random(headEnd + 4) : random(answer.length)
  switch (random(8)) {
    case 0:
      return answer.slice(0, at) + String.fromCharCode(random(256)) + answer.slice(at + 1)
    case 1:
      return answer.slice(0, at) + answer.slice(at + 1 + random(4))
    case 2:
      return answer.slice(0, at) + (spices[random(spices.length)] as string) + answer.slice(at)
    case 3: {
      const line = answer.indexOf('\r\n', random(headEnd)) + 2
      return `${answer.slice(0, line)}${lines[random(lines.length)] as string}\r\n${answer.slice(line)}`
    }
    case 4:
      return answer + (random(2) === 0 ? answer : answer.slice(0, 1 + random(60)))
    case 5:
      return answer.slice(0, at)
    case 6:
      return answer.slice(at)
    default:
      return answer.slice(0, at) + answer.slice(random(answer.length))
  }
}

function play(random: Random, socket: net.Socket, id: string, damaged: boolean): void {
  const whole = validAnswer(random, id)
  let answer = whole
  if (damaged) for (let times = 1 + random(3); times > 0; times--) answer = damage(random, answer)
  if (random(3) === 0) {
    const cut = random(answer.length + 1)
    socket.write(answer.slice(0, cut), 'latin1')
    socket.write(answer.slice(cut), 'latin1')
  } else {
    socket.write(answer, 'latin1')
  }
  // A damaged answer may leave the client waiting for the rest of it; one with something behind it does not, and what is behind it must have
  // every chance to become the answer to the next request.
  if (!answer.startsWith(whole)) {
    if (random(4) === 0) socket.destroy()
    else socket.end()
  }
}

class Watch implements UpstreamHandler {
  readonly #id: string
  readonly #result: FuzzResult
  readonly #next: () => void
  #state: 'waiting' | 'head' | 'over' = 'waiting'
  #start = ''

  constructor(id: string, result: FuzzResult, next: () => void) {
    this.#id = id
    this.#result = result
    this.#next = next
  }

  onHead(head: UpstreamHead): void {
    this.#expect('waiting', 'head')
    this.#state = 'head'
    for (let at = 0; at < head.headers.length; at += 2) {
      const name = head.headers[at] as string
      const value = head.headers[at + 1] as string
      if (/[^\x21-\x7e]|:/.test(name) || /[\r\n\0]/.test(value)) this.#violation(`field ${JSON.stringify(name)} passed`)
      if (name === 'X-Id') this.#own(value)
    }
  }

  onData(chunk: Buffer): boolean {
    this.#expect('head', 'data')
    if (this.#start.length < 32) {
      this.#start += chunk.toString('latin1', 0, 32 - this.#start.length)
      if (this.#start.length === 32) this.#own(this.#start)
    }
    return true
  }

  onEnd(): void {
    this.#expect('head', 'end')
    this.#over()
    this.#result.ended++
  }

  onError(error: UpstreamError): void {
    if (this.#state === 'over') this.#violation('error after the end')
    this.#over()
    this.#result.faults[error.fault] = (this.#result.faults[error.fault] ?? 0) + 1
  }

  onDrain(): void {
    this.#violation('drain without an upload')
  }

  /** Damage may have changed the id, but never into another request's. */
  #own(id: string): void {
    if (id !== this.#id && ids.has(id)) this.#violation('an answer meant for another request')
  }

  #expect(state: string, event: string): void {
    if (this.#state !== state) this.#violation(`${event} in state ${this.#state}`)
  }

  #over(): void {
    this.#state = 'over'
    this.#next()
  }

  #violation(what: string): void {
    this.#result.violations.push(`${what} (request ${this.#id})`)
  }
}

const ids = new Set<string>()

export async function fuzzUpstream(options: FuzzOptions): Promise<FuzzResult> {
  const random = generator(options.seed)
  const result: FuzzResult = { ended: 0, faults: {}, violations: [] }
  const accept = (socket: net.Socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      const id = /GET \/([0-9a-f]{32}) /.exec(chunk.toString('latin1'))?.[1]
      if (id !== undefined) play(random, socket, id, random(8) !== 0)
    })
  }
  const server = options.secure ? tls.createServer(certs.localhost, accept) : net.createServer(accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const upstream = openUpstream({
    origin: new URL(`${options.secure ? 'https' : 'http'}://127.0.0.1:${port}`),
    tls: { ca: certs.ca },
    connectTimeout: 5_000,
    headersTimeout: 5_000,
    bodyTimeout: 5_000,
    allowH2: false,
    egressProxy: undefined,
  })
  await Promise.all(
    Array.from({ length: 16 }, (_, lane) => run(upstream, result, Math.ceil((options.count - lane) / 16))),
  )
  await upstream.close()
  server.close()
  await once(server, 'close')
  return result
}

async function run(upstream: Upstream, result: FuzzResult, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    const id = randomBytes(16).toString('hex')
    ids.add(id)
    await new Promise<void>((resolve) => {
      const headers = ['Host', 'fuzz.test']
      upstream.send({ method: 'GET', target: `/${id}`, headers, body: undefined }, new Watch(id, result, resolve))
    })
    // What the upstream has written beyond the answer arrives in these turns.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      tls: { type: 'boolean', default: false },
    },
  })
  const from = performance.now()
  const result = await fuzzUpstream({ count: Number(values.count), seed: Number(values.seed), secure: values.tls })
  const seconds = ((performance.now() - from) / 1000).toFixed(1)
  console.log(
    `${values.count} damaged or valid answers in ${seconds} s, seed ${values.seed}: ${result.ended} whole, faults ${JSON.stringify(result.faults)}`,
  )
  console.log(`memory ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB, ${result.violations.length} violations`)
  assert.deepEqual(result.violations.slice(0, 10), [])
}
