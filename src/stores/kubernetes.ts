import type { Clock } from '../clock.ts'
import type { Grant } from '../tokens/grant.ts'
import { nextRevision, textVersion, type DocumentCodec } from './document-codec.ts'
import { grantName, isGrantName } from './grant-name.ts'
import { KubernetesApi, type KubernetesApiOptions } from './kubernetes-api.ts'
import { KubernetesLeases, leaseName } from './kubernetes-lease.ts'
import { SecretDocuments, type SecretContent } from './kubernetes-secret.ts'
import { LocalLock } from './local-lock.ts'
import { conflict, leaseTimeout } from './store-errors.ts'
import {
  StoreError,
  type GrantId,
  type Lease,
  type Stored,
  type StoreLog,
  type TokenStore,
  type Version,
} from './token-store.ts'
import { UnconfirmedWrites } from './unconfirmed-writes.ts'

export interface KubernetesStoreOptions extends KubernetesApiOptions {
  readonly secretName: string
  readonly codec: DocumentCodec
  readonly clock: Clock
  /** Milliseconds. */
  readonly lease: number
  readonly log: StoreLog
}

const extension = '.json'
/** How long a proof that the Secret can be written holds, in milliseconds. */
const probeInterval = 60_000

/** One Secret, one key per grant; a Lease of coordination.k8s.io per refresh. */
export class KubernetesStore implements TokenStore {
  readonly description: string
  readonly #api: KubernetesApi
  readonly #secret: SecretDocuments
  readonly #leases: KubernetesLeases
  readonly #codec: DocumentCodec
  readonly #clock: Clock
  readonly #log: StoreLog
  readonly #leaseQueue: LocalLock
  /** One change of the Secret at a time in this process: the others would only meet a 409. */
  readonly #saveQueue: LocalLock
  readonly #unconfirmed = new UnconfirmedWrites()
  #versions: { readonly content: SecretContent | undefined; readonly byKey: ReadonlyMap<string, Version> } | undefined
  #provenAt = -Infinity

  /** Rejects with StoreError outside of a pod; an API server that is out of reach is no reason. */
  static async open(options: KubernetesStoreOptions): Promise<KubernetesStore> {
    return new KubernetesStore(await KubernetesApi.inCluster(options), options)
  }

  private constructor(api: KubernetesApi, { secretName, codec, clock, lease, log }: KubernetesStoreOptions) {
    this.#api = api
    this.#secret = new SecretDocuments(api, secretName)
    this.#leases = new KubernetesLeases(api, clock, lease)
    this.#codec = codec
    this.#clock = clock
    this.#log = log
    this.#leaseQueue = new LocalLock(clock)
    this.#saveQueue = new LocalLock(clock)
    this.description = `kubernetes ${this.#secret.place}${codec.sealed ? ', sealed' : ''}`
  }

  async load(id: GrantId): Promise<Stored | undefined> {
    const name = grantName(id)
    const text = (await this.#secret.read())?.text(name + extension)
    this.#unconfirmed.settle(name)
    if (text === undefined) return undefined
    const { grant } = await this.#codec.decode(text, name, this.#place(name))
    return { grant, version: textVersion(text) }
  }

  async save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version> {
    const name = grantName(id)
    const text = await this.#codec.encode({ id, revision: nextRevision(expected), grant })
    const version = textVersion(text)
    const check = (present: string | undefined) => {
      const found = present === undefined ? undefined : textVersion(present)
      if (found === expected || (found !== undefined && this.#unconfirmed.alternatives(name, expected).includes(found)))
        return
      throw conflict(this.#place(name))
    }
    try {
      await this.#change(name, text, check)
      this.#unconfirmed.settle(name)
    } catch (error) {
      if (error instanceof StoreError && error.fault === 'unavailable') this.#unconfirmed.note(name, expected, version)
      throw error
    }
    return version
  }

  async delete(id: GrantId): Promise<void> {
    const name = grantName(id)
    await this.#change(name, undefined, () => undefined)
    this.#unconfirmed.settle(name)
  }

  /** A document that can't be read, and so doesn't tell its subject, is left out with a warning. */
  async list(): Promise<GrantId[]> {
    const ids: GrantId[] = []
    const content = await this.#secret.read()
    for (const key of content?.keys ?? []) {
      const name = key.endsWith(extension) ? key.slice(0, -extension.length) : ''
      if (!isGrantName(name)) continue
      const id = name.includes('.') ? await this.#readId(name, content?.text(key) ?? '') : { credential: name }
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  async versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]> {
    const content = await this.#secret.readWhenChanged()
    if (this.#versions === undefined || this.#versions.content !== content) {
      const byKey = new Map((content?.keys ?? []).map((key) => [key, textVersion(content?.text(key) ?? '')]))
      this.#versions = { content, byKey }
    }
    const { byKey } = this.#versions
    return ids.map((id) => byKey.get(grantName(id) + extension))
  }

  async acquire(id: GrantId, patience: number): Promise<Lease> {
    const name = grantName(id)
    const began = this.#clock.monotonic()
    const release = await this.#leaseQueue.acquire(name, patience).catch((cause: unknown) => {
      throw leaseTimeout(this.#place(name), this.#clock.monotonic() - began, cause)
    })
    try {
      const left = Math.max(0, began + patience - this.#clock.monotonic())
      const lease = await this.#leases.acquire(leaseName(this.#secret.name, id), left)
      return { lost: lease.lost, release: () => lease.release().then(release) }
    } catch (error) {
      release()
      throw error
    }
  }

  async ping(): Promise<void> {
    if (this.#clock.monotonic() - this.#provenAt < probeInterval) {
      await this.#secret.readWhenChanged()
      return
    }
    await this.#secret.probe()
    this.#provenAt = this.#clock.monotonic()
  }

  close(): Promise<void> {
    return this.#api.close()
  }

  #place(name: string): string {
    return `Key ${name}${extension} of ${this.#secret.place}`
  }

  async #change(name: string, text: string | undefined, check: (present: string | undefined) => void): Promise<void> {
    const release = await this.#saveQueue.acquire('', Infinity)
    try {
      await this.#secret.change(name + extension, text, check)
    } catch (error) {
      this.#provenAt = -Infinity
      throw error
    } finally {
      release()
    }
  }

  async #readId(name: string, text: string): Promise<GrantId | undefined> {
    try {
      return (await this.#codec.decode(text, name, this.#place(name))).id
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.#log('warn', error.message)
      return undefined
    }
  }
}
