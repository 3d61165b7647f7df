import type { RequestOptions } from 'node:http'
import { text } from 'node:stream/consumers'
import { credentialStatus, type CredentialDocument, type StatusDocument } from '../admin/status-document.ts'
import { http } from '../builtins.ts'
import type { AdminConfig } from '../config/schema.ts'
import { parseListenAddress } from '../http/listen.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'

/** Long enough for a busy machine, short enough to be no wait where nothing answers. */
const probeTimeout = 2_000
/** A refresh may wait for a lease and for a slow token endpoint. */
const callTimeout = 120_000

/** The running sidecar said no; `message` is the detail of its problem document. */
export class SidecarRefusal extends Error {
  override readonly name = 'SidecarRefusal'
  readonly status: number
  /** As in docs/errors.md, such as login_required. */
  readonly code: string

  constructor(status: number, code: string, detail: string) {
    super(detail)
    this.status = status
    this.code = code
  }
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly body: unknown
}

interface Call {
  readonly method?: string
  readonly document?: Readonly<Record<string, unknown>>
  readonly timeout?: number
}

/** A running sidecar, through its admin port: over TCP on this machine, or over its unix socket. */
export class AdminClient {
  /** For people: http://127.0.0.1:9090 or unix:/run/admin.sock. */
  readonly address: string
  readonly #options: RequestOptions

  private constructor(address: string, options: RequestOptions) {
    this.address = address
    this.#options = options
  }

  /** The sidecar that answers at one of the configured addresses; undefined when none does, or something else sits there. */
  static async find(config: AdminConfig): Promise<AdminClient | undefined> {
    for (const listen of config.listen === false ? [] : config.listen) {
      const client = AdminClient.#at(listen)
      try {
        if (client !== undefined && isStatus((await client.#call('/status', { timeout: probeTimeout })).body))
          return client
      } catch {
        // Nothing listens there, or nothing that speaks as we do.
      }
    }
    return undefined
  }

  static #at(listen: string): AdminClient | undefined {
    const address = parseListenAddress(listen)
    if (address.kind === 'unix') return new AdminClient(listen, { socketPath: address.path })
    // A free port that was chosen at the start is known only to the sidecar's log.
    if (address.port === 0) return undefined
    const host = anyInterface.get(address.host) ?? address.host
    const shown = host.includes(':') ? `[${host}]` : host
    return new AdminClient(`http://${shown}:${address.port}`, { host, port: address.port })
  }

  /** undefined for a unix socket. */
  get port(): number | undefined {
    return typeof this.#options.port === 'number' ? this.#options.port : undefined
  }

  async status(): Promise<StatusDocument> {
    const { body } = await this.#call('/status')
    if (!isStatus(body)) throw new SidecarRefusal(0, 'bad_answer', 'The sidecar did not answer with its status.')
    return body
  }

  /** Rejects with SidecarRefusal when no usable token came. */
  async refresh(name: string, subject: string | undefined): Promise<CredentialStatus> {
    const { body } = await this.#call(path(name, 'refresh', subject), { method: 'POST' })
    return credentialStatus(body as CredentialDocument)
  }

  async adopt(
    name: string,
    subject: string | undefined,
    document: Readonly<Record<string, unknown>>,
  ): Promise<CredentialStatus> {
    const { body } = await this.#call(path(name, 'token', subject), { method: 'PUT', document })
    return credentialStatus(body as CredentialDocument)
  }

  /** The authorization request of a new login, for a browser. */
  async beginLogin(name: string, subject: string | undefined): Promise<string> {
    const { location } = await this.#call(path(name, 'authorize', subject))
    if (location === undefined || !URL.canParse(location)) {
      throw new SidecarRefusal(0, 'bad_answer', 'The sidecar did not answer with a login address.')
    }
    return location
  }

  /** Hands over what came back from the provider. */
  async finishLogin(callback: URLSearchParams): Promise<void> {
    await this.#call(`/callback?${callback.toString()}`)
  }

  #call(path: string, { method = 'GET', document, timeout = callTimeout }: Call = {}): Promise<Answer> {
    const body = document === undefined ? undefined : JSON.stringify(document)
    const headers = {
      // Whatever name the port was configured with, this one is always accepted.
      host: 'localhost',
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    }
    return new Promise((resolve, reject) => {
      const outgoing = http.request({
        ...this.#options,
        method,
        path,
        headers,
        agent: false,
        signal: AbortSignal.timeout(timeout),
      })
      const lost = () =>
        reject(new SidecarRefusal(0, 'no_answer', `The sidecar at ${this.address} does not answer (any more).`))
      outgoing.once('error', lost)
      outgoing.once('response', (response) => {
        text(response).then((received) => {
          const answer = {
            status: response.statusCode ?? 0,
            location: response.headers.location,
            body: parsed(received),
          }
          const refusal = refusalIn(answer)
          if (refusal === undefined) resolve(answer)
          else reject(refusal)
        }, lost)
      })
      outgoing.end(body)
    })
  }
}

const anyInterface = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', 'localhost'],
])

function path(name: string, action: string, subject: string | undefined): string {
  const query = subject === undefined ? '' : `?subject=${encodeURIComponent(subject)}`
  return `/credentials/${encodeURIComponent(name)}/${action}${query}`
}

function isStatus(body: unknown): body is StatusDocument {
  return (
    isObject(body) && Array.isArray(body.credentials) && Array.isArray(body.routes) && typeof body.version === 'string'
  )
}

function refusalIn({ status, body }: Answer): SidecarRefusal | undefined {
  if (status < 400) return undefined
  const member = (name: string) => (isObject(body) && typeof body[name] === 'string' ? body[name] : undefined)
  return new SidecarRefusal(
    status,
    member('code') ?? 'bad_answer',
    member('detail') ?? `The sidecar answered ${status}.`,
  )
}

function isObject(body: unknown): body is Record<string, unknown> {
  return typeof body === 'object' && body !== null
}

function parsed(received: string): unknown {
  try {
    return JSON.parse(received)
  } catch {
    return undefined
  }
}
