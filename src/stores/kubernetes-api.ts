import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { StoreError } from './token-store.ts'

/** Milliseconds for a connection, and for each step of an answer. */
const timeout = 5_000
/** A Secret is at most 1 MiB, in base64 and with its metadata less than this. */
const largestAnswer = 4 * 1024 ** 2

export interface KubernetesObject {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string; readonly [field: string]: unknown }
  readonly [field: string]: unknown
}

export type Verb = 'get' | 'create' | 'update'

export interface Answer {
  readonly status: number
  /** The object, or the Status that says why there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface Resource {
  /** Plural, as RBAC writes it: `secrets`. */
  readonly plural: string
  /** `/api/v1` or `/apis/<group>/<version>`. */
  readonly root: string
}

const methods = { get: 'GET', create: 'POST', update: 'PUT' } as const

export interface KubernetesApiOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly serviceAccountDirectory: string
}

/** The API server of the cluster that this pod runs in, reached with the pod's own service account. */
export class KubernetesApi {
  readonly namespace: string
  readonly #origin: string
  readonly #directory: string
  #ca = ''
  #agent: Agent | undefined

  /** Rejects with StoreError outside of a pod. */
  static async inCluster({ env, serviceAccountDirectory }: KubernetesApiOptions): Promise<KubernetesApi> {
    const host = env['KUBERNETES_SERVICE_HOST']
    const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
    if (host === undefined || host === '') {
      throw new StoreError(
        'unavailable',
        'store.type kubernetes works only inside a pod: KUBERNETES_SERVICE_HOST is not set.',
      )
    }
    const namespace = (await readAccount(serviceAccountDirectory, 'namespace')).trim()
    return new KubernetesApi(
      `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      serviceAccountDirectory,
      namespace,
    )
  }

  private constructor(origin: string, directory: string, namespace: string) {
    this.#origin = origin
    this.#directory = directory
    this.namespace = namespace
  }

  /** `name` is left out only for create; `query` begins with `?`. Rejects with StoreError when no answer came; any answer resolves. */
  async call(verb: Verb, resource: Resource, name: string | undefined, options: CallOptions = {}): Promise<Answer> {
    const { body, query = '', accept = 'application/json' } = options
    // The kubelet renews the token file within the hour, and the CA may be rotated too.
    const token = (await readAccount(this.#directory, 'token')).trim()
    const dispatcher = this.#agentFor(await readAccount(this.#directory, 'ca.crt'))
    const path = `${resource.root}/namespaces/${this.namespace}/${resource.plural}${name === undefined ? '' : `/${name}`}${query}`
    try {
      const answer = await request(this.#origin + path, {
        dispatcher,
        method: methods[verb],
        headers: {
          authorization: `Bearer ${token}`,
          accept,
          'user-agent': 'bearer-sidecar',
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
        headersTimeout: timeout,
        bodyTimeout: timeout,
      })
      return { status: answer.statusCode, body: parse(await answer.body.text()) }
    } catch (error) {
      if (error instanceof StoreError) throw error
      const code = (error as NodeJS.ErrnoException).code ?? 'no answer'
      throw new StoreError(
        'unavailable',
        `The Kubernetes API server can't be reached (${code}). It is tried again by itself.`,
        error,
      )
    }
  }

  async close(): Promise<void> {
    await this.#agent?.destroy()
  }

  #agentFor(ca: string): Agent {
    if (this.#agent === undefined || ca !== this.#ca) {
      const old = this.#agent
      this.#ca = ca
      this.#agent = new Agent({ connect: { ca, timeout }, maxResponseSize: largestAnswer })
      void old?.close()
    }
    return this.#agent
  }
}

interface CallOptions {
  readonly body?: object
  readonly query?: string
  readonly accept?: string
}

async function readAccount(directory: string, file: string): Promise<string> {
  try {
    return await readFile(join(directory, file), 'utf8')
  } catch (cause) {
    throw new StoreError(
      'unavailable',
      `The service account file ${join(directory, file)} can't be read. Is automountServiceAccountToken off for this pod?`,
      cause,
    )
  }
}

/** What a proxy in between may answer is no JSON; then only the status counts. */
function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
