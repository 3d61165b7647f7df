/**
 * What one exchange with an upstream costs: our client, undici's dispatch and node:https, each against the same TLS upstream in a child process
 * (1.2 kB of JSON, HTTP/1.1, keep-alive). Rounds are interleaved, so that a noisy machine strikes all alike; medians are reported.
 *
 *   node bench/upstream.ts [--rounds 7] [--requests 20000] [--concurrency 32] [--only ours]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import https from 'node:https'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Client, Pool, type Dispatcher } from 'undici'
import { openUpstream } from '../src/upstream/open.ts'
import type { UpstreamHandler } from '../src/upstream/upstream.ts'
import * as certs from '../test/helpers/certs.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    requests: { type: 'string', default: '20000' },
    concurrency: { type: 'string', default: '32' },
    only: { type: 'string' },
  },
})

/** The upstream, in the child. */
function serve(): void {
  const body = JSON.stringify({
    items: Array.from({ length: 16 }, (_, id) => ({
      id,
      name: `constituent ${id}`,
      type: 'Individual',
      inactive: false,
    })),
  })
  const server = https.createServer({ ...certs.localhost, ALPNProtocols: ['http/1.1'] }, (_request, response) => {
    response.writeHead(200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-cache',
      'Request-Context': 'appId=cid-v1:d2b3',
    })
    response.end(body)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port))
  process.on('disconnect', () => process.exit())
}

type Send = (done: () => void) => void

async function measure(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url))
  const [port] = (await once(child, 'message')) as [number]
  const origin = `https://127.0.0.1:${port}`
  const fields = [
    'Host',
    `127.0.0.1:${port}`,
    'User-Agent',
    'bench/1',
    'Accept',
    'application/json',
    'Authorization',
    `Bearer ${'t'.repeat(900)}`,
    'Bb-Api-Subscription-Key',
    'k'.repeat(32),
  ]
  const concurrency = Number(values.concurrency)

  const ours = openUpstream({
    origin: new URL(origin),
    tls: { ca: certs.ca },
    connectTimeout: 5000,
    headersTimeout: 120_000,
    bodyTimeout: 120_000,
    allowH2: false,
    egressProxy: undefined,
  })
  const pool = new Pool(origin, {
    connections: concurrency,
    pipelining: 1,
    factory: (url, options) => new Client(url, options),
    connect: { ca: certs.ca },
  })
  const agent = new https.Agent({ keepAlive: true, ca: certs.ca })
  const contenders: Record<string, Send> = {
    ours: (done) => {
      ours.send(
        { method: 'GET', target: '/constituents?limit=16', headers: fields, body: undefined },
        new Discard(done),
      )
    },
    undici: (done) => {
      pool.dispatch({ method: 'GET', path: '/constituents?limit=16', headers: fields }, new DiscardDispatch(done))
    },
    'node:https': (done) => {
      const request = https.request(origin + '/constituents?limit=16', { agent, headers: fields }, (response) => {
        response.on('data', () => undefined).on('end', done)
      })
      request.end()
    },
  }
  const names = Object.keys(contenders).filter((name) => values.only === undefined || values.only === name)
  const cost = new Map<string, number[]>(names.map((name) => [name, []]))
  const rate = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = -1; round < Number(values.rounds); round++) {
    for (const name of names) {
      const before = process.cpuUsage()
      const from = performance.now()
      const requests = round < 0 ? 5000 : Number(values.requests)
      await run(contenders[name] as Send, requests, concurrency)
      const { user, system } = process.cpuUsage(before)
      if (round < 0) continue
      cost.get(name)?.push((user + system) / requests)
      rate.get(name)?.push((requests * 1000) / (performance.now() - from))
    }
  }
  for (const name of names) {
    const base = median(cost.get(names[0] as string) ?? [])
    const cpu = median(cost.get(name) ?? [])
    console.log(
      `${name.padEnd(12)} ${cpu.toFixed(1)} us CPU per request, ${median(rate.get(name) ?? []).toFixed(0)} requests/s, ${(cpu / base).toFixed(2)} x ours`,
    )
  }
  void ours.close()
  void pool.destroy()
  agent.destroy()
  child.disconnect()
}

function run(send: Send, requests: number, concurrency: number): Promise<void> {
  return new Promise((resolve) => {
    let begun = 0
    let finished = 0
    const next = () => {
      if (++finished === requests) resolve()
      else if (begun < requests) {
        begun++
        send(next)
      }
    }
    while (begun < concurrency) {
      begun++
      send(next)
    }
  })
}

class Discard implements UpstreamHandler {
  readonly #done: () => void

  constructor(done: () => void) {
    this.#done = done
  }

  onHead(): void {
    // Only the cost of getting here is of interest.
  }

  onData(): boolean {
    return true
  }

  onEnd(): void {
    this.#done()
  }

  onError(error: Error): void {
    throw error
  }

  onDrain(): void {
    // Nothing is uploaded.
  }
}

class DiscardDispatch implements Dispatcher.DispatchHandler {
  readonly #done: () => void

  constructor(done: () => void) {
    this.#done = done
  }

  onRequestStart(): void {
    // As above.
  }

  onResponseStart(): void {
    // As above.
  }

  onResponseData(): void {
    // As above.
  }

  onResponseEnd(): void {
    this.#done()
  }

  onResponseError(_controller: unknown, error: Error): void {
    throw error
  }
}

function median(list: number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN
}

if (process.send !== undefined) serve()
else await measure()
