import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface TokenRequest {
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Form parameters or members of the JSON document. */
  readonly params: Readonly<Record<string, string>>
}

/** What happens instead of the next answer. */
export interface Fault {
  /** The refresh token is spent before the fault: a real answer is lost. */
  readonly spend?: boolean
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The connection breaks instead of an answer. */
  readonly reset?: boolean
  /** Nothing is ever answered. */
  readonly hang?: boolean
  /** Members that replace those of the proper answer; undefined removes one. */
  readonly change?: Readonly<Record<string, unknown>>
}

interface Family {
  current: string
  readonly consumed: Set<string>
  revoked: boolean
}

/** A token endpoint of the tests' own: numbers its tokens, rotates with reuse detection, and fails to order. */
export class TokenServer {
  readonly requests: TokenRequest[] = []
  /** Told of every refresh token that is presented, in order, before it is judged. */
  readonly onRequest: ((request: TokenRequest) => void)[] = []
  /** Seconds; undefined leaves expires_in out. */
  accessLife: number | undefined = 3600
  refreshLife: number | undefined
  rotates = true
  /** Refresh tokens that were presented after they had been replaced: each is a lost grant. */
  readonly reused: string[] = []
  readonly #faults: Fault[] = []
  readonly #families: Family[] = []
  readonly #server = createServer((request, response) => void this.#handle(request, response))
  #gate: Promise<void> = Promise.resolve()
  #minted = 0

  static async start(t: Pick<TestContext, 'after'>): Promise<TokenServer> {
    const server = new TokenServer()
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`
  }

  /** Number of token requests so far. */
  get calls(): number {
    return this.requests.length
  }

  /** A grant as a login would have given it. */
  grant(): string {
    const current = this.#mint('refresh')
    this.#families.push({ current, consumed: new Set(), revoked: false })
    return current
  }

  /** Ends a grant without a word, as a provider's administrator would. */
  revoke(refreshToken: string): void {
    const family = this.#family(refreshToken)
    if (family !== undefined) family.revoked = true
  }

  failNext(...faults: Fault[]): void {
    this.#faults.push(...faults)
  }

  get faultsLeft(): number {
    return this.#faults.length
  }

  forgetFaults(): void {
    this.#faults.length = 0
  }

  /** Requests wait, once they have arrived, until the returned function is called. */
  hold(): () => void {
    let release: () => void = () => undefined
    this.#gate = new Promise((resolve) => (release = resolve))
    return release
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const received = parse(request, Buffer.concat(chunks).toString())
    this.requests.push(received)
    for (const told of this.onRequest) told(received)
    await this.#gate
    const fault = this.#faults.shift()
    if (fault?.hang === true) return
    const answer =
      fault === undefined || fault.spend === true || fault.change !== undefined ? this.#answer(received) : undefined
    if (fault?.reset === true) {
      request.socket.destroy()
      return
    }
    const status = fault?.status ?? answer?.status ?? 200
    const body = fault?.body ?? JSON.stringify({ ...answer?.body, ...fault?.change })
    response.writeHead(status, { 'content-type': 'application/json', ...fault?.headers }).end(body)
  }

  #answer({ params }: TokenRequest): { status: number; body: object } {
    if (params['grant_type'] === 'client_credentials') return { status: 200, body: this.#tokens(undefined) }
    if (params['grant_type'] === 'authorization_code') return { status: 200, body: this.#tokens(this.grant()) }
    const presented = params['refresh_token'] ?? ''
    const family = this.#family(presented)
    if (family?.consumed.has(presented) === true) {
      this.reused.push(presented)
      family.revoked = true
    }
    if (family === undefined || family.revoked) return { status: 400, body: { error: 'invalid_grant' } }
    if (this.rotates && params['preserve_refresh_token'] !== 'true') {
      family.consumed.add(presented)
      family.current = this.#mint('refresh')
    }
    return { status: 200, body: this.#tokens(family.current) }
  }

  #tokens(refreshToken: string | undefined): object {
    return {
      access_token: this.#mint('access'),
      token_type: 'Bearer',
      ...(this.accessLife !== undefined && { expires_in: this.accessLife }),
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
      ...(this.refreshLife !== undefined && { refresh_token_expires_in: this.refreshLife }),
    }
  }

  #family(refreshToken: string): Family | undefined {
    return this.#families.find(({ current, consumed }) => current === refreshToken || consumed.has(refreshToken))
  }

  #mint(kind: 'access' | 'refresh'): string {
    return `${kind}-${++this.#minted}`
  }
}

function parse(request: IncomingMessage, body: string): TokenRequest {
  const json = request.headers['content-type'] === 'application/json'
  const params = json ? (JSON.parse(body) as Record<string, string>) : Object.fromEntries(new URLSearchParams(body))
  return { headers: request.headers, body, params }
}
