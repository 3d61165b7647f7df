import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import * as certs from './certs.ts'
import { kinds, Status, validate, type ApiObject } from './kubernetes-objects.ts'

interface SeenRequest {
  readonly verb: string
  readonly resource: string
  readonly name: string
  readonly query: string
  readonly status: number
}

const verbs: Record<string, string> = { GET: 'get', POST: 'create', PUT: 'update', DELETE: 'delete' }

/**
 * As much of a Kubernetes API server as the store can see: TLS, bearer tokens, RBAC by verb, Secrets and Leases with optimistic
 * concurrency, dry runs, metadata-only reads, and the validation and Status answers of the real one.
 */
export class KubernetesApiServer {
  readonly namespace = 'tokens-ns'
  token = 'service-account-token-1'
  /** `verb resource` pairs that RBAC denies. */
  readonly denied = new Set<string>()
  readonly requests: SeenRequest[] = []
  readonly objects = new Map<string, ApiObject>()
  /** Called once a write was carried out; when it returns true the connection is cut instead of answered. */
  loseAnswer: (request: { verb: string; resource: string }) => boolean = () => false
  readonly #server = createServer({ key: certs.localhost.key, cert: certs.localhost.cert }, (request, response) => {
    void this.#serve(request, response)
  })
  #resourceVersion = 1000

  static async start(): Promise<KubernetesApiServer> {
    const api = new KubernetesApiServer()
    api.#server.listen(0, '127.0.0.1')
    await once(api.#server, 'listening')
    return api
  }

  get env(): Record<string, string> {
    return {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String((this.#server.address() as AddressInfo).port),
    }
  }

  /** Writes what the kubelet mounts into a pod. */
  mountServiceAccount(directory: string, files: { token?: string; ca?: string } = {}): void {
    writeFileSync(join(directory, 'token'), files.token ?? this.token)
    writeFileSync(join(directory, 'ca.crt'), files.ca ?? certs.ca)
    writeFileSync(join(directory, 'namespace'), this.namespace)
  }

  secretData(name: string): Record<string, string> {
    return (this.objects.get(`secrets/${name}`)?.['data'] ?? {}) as Record<string, string>
  }

  /** Changes an object behind everybody's back, as kubectl edit does. */
  edit(key: string, change: (object: ApiObject) => void): void {
    const object = structuredClone(this.objects.get(key))
    if (object === undefined) throw new Error(`no ${key}`)
    change(object)
    object.metadata.resourceVersion = String(++this.#resourceVersion)
    this.objects.set(key, object)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://api')
    const verb = verbs[request.method ?? ''] ?? 'unknown'
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const match = /^(\/api\/v1|\/apis\/coordination\.k8s\.io\/v1)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+))?$/.exec(
      url.pathname,
    )
    const [, root, namespace = '', resource = '', name = ''] = match ?? []
    let code = 200
    let body: object
    try {
      if (request.headers.authorization !== `Bearer ${this.token}`)
        throw new Status(401, 'Unauthorized', 'Unauthorized')
      if (kinds[resource] === undefined || kinds[resource].root !== root)
        throw new Status(404, 'NotFound', 'the server could not find the requested resource')
      this.#authorize(verb, resource, name, namespace)
      const result = this.#act(verb, resource, name, Buffer.concat(chunks), url.searchParams.get('dryRun') === 'All')
      code = result.code
      body =
        request.headers.accept?.includes('as=PartialObjectMetadata') === true ? metadataOf(result.body) : result.body
    } catch (error) {
      if (!(error instanceof Status)) throw error
      code = error.code
      const { reason, message } = error
      body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message }
    }
    this.requests.push({ verb, resource, name, query: url.search, status: code })
    if (verb !== 'get' && code < 300 && this.loseAnswer({ verb, resource })) {
      response.destroy()
      return
    }
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

  #authorize(verb: string, resource: string, name: string, namespace: string): void {
    if (namespace === this.namespace && !this.denied.has(`${verb} ${resource}`)) return
    const group = kinds[resource]?.group ?? ''
    const what = `${resource}${group === '' ? '' : `.${group}`}${verb === 'create' ? '' : ` "${name}"`}`
    const user = `system:serviceaccount:${this.namespace}:default`
    throw new Status(
      403,
      'Forbidden',
      `${what} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" in the namespace "${namespace}"`,
    )
  }

  #act(verb: string, resource: string, name: string, raw: Buffer, dryRun: boolean): { code: number; body: ApiObject } {
    const key = `${resource}/${name}`
    const present = this.objects.get(key)
    if (verb === 'create') return this.#create(resource, parse(raw), dryRun)
    if (present === undefined) throw new Status(404, 'NotFound', `${resource} "${name}" not found`)
    if (verb === 'get') return { code: 200, body: present }
    if (verb === 'delete') {
      this.objects.delete(key)
      return { code: 200, body: present }
    }
    if (verb === 'update') return { code: 200, body: this.#update(resource, name, present, parse(raw), dryRun) }
    throw new Status(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
  }

  #create(resource: string, object: ApiObject, dryRun: boolean): { code: number; body: ApiObject } {
    const key = `${resource}/${object.metadata.name}`
    if (object.metadata.resourceVersion !== undefined)
      throw new Status(400, 'BadRequest', 'resourceVersion should not be set on objects to be created')
    validate(resource, object)
    if (this.objects.has(key)) throw new Status(409, 'AlreadyExists', `${key} already exists`)
    const metadata = {
      ...object.metadata,
      uid: randomUUID(),
      namespace: this.namespace,
      creationTimestamp: '2026-01-01T00:00:00Z',
    }
    return { code: 201, body: this.#store(key, { ...object, metadata }, dryRun) }
  }

  #update(resource: string, name: string, present: ApiObject, object: ApiObject, dryRun: boolean): ApiObject {
    if (object.metadata.name !== name)
      throw new Status(400, 'BadRequest', 'the name of the object does not match the name on the URL')
    const { resourceVersion } = object.metadata
    if (resourceVersion === undefined && resource === 'leases') {
      throw new Status(422, 'Invalid', 'metadata.resourceVersion: Invalid value: 0: must be specified for an update')
    }
    if (object.metadata['uid'] !== undefined && object.metadata['uid'] !== present.metadata['uid']) {
      throw new Status(409, 'Conflict', 'Precondition failed: UID in precondition')
    }
    if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion) {
      throw new Status(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${resource} "${name}": the object has been modified`,
      )
    }
    validate(resource, object)
    if (present['immutable'] === true && !isDeepStrictEqual(present['data'], object['data'])) {
      throw new Status(
        422,
        'Invalid',
        `Secret "${name}" is invalid: data: Forbidden: field is immutable when \`immutable\` is set`,
      )
    }
    // A write that changes nothing gets no new resourceVersion.
    if (isDeepStrictEqual(withoutVersion(present), withoutVersion(object))) return present
    return this.#store(`${resource}/${name}`, object, dryRun)
  }

  #store(key: string, object: ApiObject, dryRun: boolean): ApiObject {
    if (dryRun) return object
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#resourceVersion) },
    })
    this.objects.set(key, stored)
    return stored
  }
}

function parse(raw: Buffer): ApiObject {
  return JSON.parse(raw.toString()) as ApiObject
}

function metadataOf(object: ApiObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}

function withoutVersion(object: ApiObject): object {
  return { ...object, metadata: { ...object.metadata, resourceVersion: undefined } }
}

/** The first characters of SHA-256 in hex, for tests that work out a name by themselves. */
export function shortHash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length)
}
