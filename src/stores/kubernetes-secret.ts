import { setTimeout as pause } from 'node:timers/promises'
import { kubernetesFault, largestSecret, tooLarge } from './kubernetes-fault.ts'
import type { KubernetesApi, KubernetesObject, Verb } from './kubernetes-api.ts'
import { conflict } from './store-errors.ts'
import { StoreError } from './token-store.ts'

const secrets = { root: '/api/v1', plural: 'secrets' }
/** Asks for name and version alone, not the content; a server that doesn't know it gives all. */
const metadataOnly = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'
/** Replicas that save other keys at the same moment make ours come again this often. */
const mostTurns = 25

/** Base64 by key, as it came: keys of others may hold any bytes and go back untouched. */
type SecretData = ReadonlyMap<string, string>

/** What a Secret held at one moment. */
export class SecretContent {
  readonly resourceVersion: string
  readonly data: SecretData

  constructor(secret: KubernetesObject) {
    const { resourceVersion } = secret.metadata
    if (resourceVersion === undefined)
      throw new StoreError('unavailable', 'The Kubernetes API server answered without a resourceVersion.')
    this.resourceVersion = resourceVersion
    this.data = new Map(Object.entries((secret['data'] ?? {}) as Record<string, string>))
  }

  get keys(): string[] {
    return [...this.data.keys()]
  }

  text(key: string): string | undefined {
    const value = this.data.get(key)
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
}

/** One Secret whose keys are changed one at a time, each change on top of what is there now. */
export class SecretDocuments {
  readonly name: string
  readonly #api: KubernetesApi
  #last: SecretContent | undefined

  constructor(api: KubernetesApi, name: string) {
    this.#api = api
    this.name = name
  }

  get place(): string {
    return `Secret ${this.#api.namespace}/${this.name}`
  }

  /** undefined when the Secret is not there. */
  async read(): Promise<SecretContent | undefined> {
    const secret = await this.#get()
    this.#last = secret && new SecretContent(secret)
    return this.#last
  }

  /** As read(), but fetches the content only when the Secret changed since the last time. */
  async readWhenChanged(): Promise<SecretContent | undefined> {
    if (this.#last === undefined) return this.read()
    const secret = await this.#get(metadataOnly)
    if (secret !== undefined && secret.metadata.resourceVersion === this.#last.resourceVersion) return this.#last
    return this.read()
  }

  /**
   * Sets one key, or removes it (undefined). `check` sees the key's present text and may throw. A write by others in between is no conflict:
   * it is read again and checked again.
   */
  async change(key: string, text: string | undefined, check: (present: string | undefined) => void): Promise<void> {
    for (let turn = 0; turn < mostTurns; turn++) {
      const secret = await this.#get()
      const content = secret && new SecretContent(secret)
      const data = new Map(content?.data)
      check(content?.text(key))
      if (text === undefined) {
        if (!data.delete(key)) return
      } else data.set(key, Buffer.from(text).toString('base64'))
      if (await this.#put(secret, data, '')) return
      await pause(Math.random() * 20 * (turn + 1))
    }
    throw conflict(this.place)
  }

  /** Rejects with StoreError unless the Secret can be read and written; creates it when it is missing. */
  async probe(): Promise<void> {
    const secret = await this.#get()
    const data = new Map(secret && new SecretContent(secret).data)
    await this.#put(secret, data, secret === undefined ? '' : '?dryRun=All')
  }

  async #get(accept?: string): Promise<KubernetesObject | undefined> {
    const answer = await this.#api.call('get', secrets, this.name, accept === undefined ? {} : { accept })
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw kubernetesFault(answer, this.#attempted('get'))
    return answer.body as KubernetesObject
  }

  /** False when somebody else wrote first. */
  async #put(secret: KubernetesObject | undefined, data: SecretData, query: string): Promise<boolean> {
    let size = 0
    for (const value of data.values()) size += Buffer.byteLength(value, 'base64')
    if (size > largestSecret) throw tooLarge(this.place)
    const encoded = Object.fromEntries(data)
    const verb = secret === undefined ? 'create' : 'update'
    const body = secret === undefined ? this.#fresh(encoded) : { ...secret, data: encoded }
    const answer = await this.#api.call(verb, secrets, secret === undefined ? undefined : this.name, { body, query })
    if (answer.status === 409 || (answer.status === 404 && verb === 'update')) return false
    if (answer.status !== 200 && answer.status !== 201) throw kubernetesFault(answer, this.#attempted(verb))
    return true
  }

  #fresh(data: Readonly<Record<string, string>>): object {
    const labels = { 'app.kubernetes.io/managed-by': 'bearer-sidecar' }
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name: this.name, labels }, type: 'Opaque', data }
  }

  #attempted(verb: Verb) {
    return { verb, resource: secrets, name: this.name, namespace: this.#api.namespace }
  }
}
