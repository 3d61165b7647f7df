import { createHash, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { sleep, type Clock } from '../clock.ts'
import { subjectHash } from './grant-name.ts'
import { kubernetesFault } from './kubernetes-fault.ts'
import type { Answer, KubernetesApi, KubernetesObject, Verb } from './kubernetes-api.ts'
import { keepLease } from './kept-lease.ts'
import { leaseTimeout } from './store-errors.ts'
import type { GrantId, Lease } from './token-store.ts'

const leases = { root: '/apis/coordination.k8s.io/v1', plural: 'leases' }

interface LeaseSpec {
  readonly holderIdentity?: string | null
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

/**
 * `<secret>-<credential>`, for a subject with the start of its hash. A credential name that is no Kubernetes name (upper case, underscore)
 * is bent to one and told apart by its hash.
 */
export function leaseName(secretName: string, { credential, subject }: GrantId): string {
  const fits = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(credential)
  const bent = credential.toLowerCase().replaceAll('_', '-').replace(/-+$/, '')
  const name = fits ? credential : `${bent}-${createHash('sha256').update(credential).digest('hex').slice(0, 8)}`
  return [secretName, name, ...(subject === undefined ? [] : [subjectHash(subject).slice(0, 16)])].join('-')
}

/**
 * Leases of coordination.k8s.io, taken and judged the way client-go does it for leader election. Exclusion inside this process is the
 * caller's.
 */
export class KubernetesLeases {
  readonly #api: KubernetesApi
  readonly #clock: Clock
  readonly #duration: number
  /** One for all of our leases: a lease whose answer was lost is found again as our own. */
  readonly #holder = `${hostname()}_${process.pid}_${randomUUID()}`
  /** The last seen state of leases that others hold, and since when it stands (monotonic): clocks of other nodes play no part. */
  readonly #seen = new Map<string, { state: string; since: number }>()

  /** `duration` in milliseconds; what is written is rounded up to whole seconds. */
  constructor(api: KubernetesApi, clock: Clock, duration: number) {
    this.#api = api
    this.#clock = clock
    this.#duration = duration
  }

  /** Rejects with StoreError `lease-timeout` after `patience` milliseconds. */
  async acquire(name: string, patience: number): Promise<Lease> {
    const began = this.#clock.monotonic()
    for (;;) {
      const taken = this.#clock.monotonic()
      const lease = await this.#tryTake(name)
      if (lease !== undefined) return this.#keep(name, lease, taken)
      const left = began + patience - this.#clock.monotonic()
      if (left <= 0) throw leaseTimeout(`Lease ${this.#api.namespace}/${name}`, this.#clock.monotonic() - began)
      await sleep(this.#clock, Math.min(left, 150 + Math.random() * 150))
    }
  }

  async #tryTake(name: string): Promise<KubernetesObject | undefined> {
    const found = await this.#get(name)
    if (found === undefined) {
      const object = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name },
        spec: this.#spec(0),
      }
      return this.#write('create', name, object)
    }
    const spec = (found['spec'] ?? {}) as LeaseSpec
    const free = !spec.holderIdentity || spec.holderIdentity === this.#holder
    if (!free && !this.#hasRunOut(name, spec)) return undefined
    const taken = await this.#write('update', name, {
      ...found,
      spec: this.#spec((spec.leaseTransitions ?? 0) + 1),
    })
    if (taken !== undefined) this.#seen.delete(name)
    return taken
  }

  #hasRunOut(name: string, spec: LeaseSpec): boolean {
    const now = this.#clock.monotonic()
    const state = [spec.holderIdentity, spec.renewTime, spec.leaseTransitions].join(' ')
    const seen = this.#seen.get(name)
    if (seen?.state !== state) {
      this.#seen.set(name, { state, since: now })
      return false
    }
    return now - seen.since >= (spec.leaseDurationSeconds ?? this.#duration / 1000) * 1000
  }

  #keep(name: string, taken: KubernetesObject, since: number): Lease {
    let current = taken
    const spec = () => current['spec'] as LeaseSpec
    /** Writes over our own lease; false when it is ours no more. */
    const write = async (next: (spec: LeaseSpec) => LeaseSpec): Promise<boolean> => {
      for (let turn = 0; turn < 3; turn++) {
        const written = await this.#write('update', name, { ...current, spec: next(spec()) })
        if (written !== undefined) {
          current = written
          return true
        }
        // Somebody wrote to it: a label by a person is no loss, another holder is.
        const found = await this.#get(name)
        if ((found?.['spec'] as LeaseSpec | undefined)?.holderIdentity !== this.#holder) return false
        current = found as KubernetesObject
      }
      throw new Error('the lease changed again and again')
    }
    return keepLease(this.#clock, this.#duration, since, {
      renew: () => write((old) => ({ ...old, renewTime: this.#time() })),
      release: async () => {
        await write((old) => ({ ...old, holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.#time() }))
      },
    })
  }

  async #get(name: string): Promise<KubernetesObject | undefined> {
    const answer = await this.#api.call('get', leases, name)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw this.#fault(answer, 'get', name)
    return answer.body as KubernetesObject
  }

  /** undefined when somebody else wrote first. */
  async #write(verb: 'create' | 'update', name: string, body: object): Promise<KubernetesObject | undefined> {
    const answer = await this.#api.call(verb, leases, verb === 'create' ? undefined : name, { body })
    if (answer.status === 409 || (answer.status === 404 && verb === 'update')) return undefined
    if (answer.status !== 200 && answer.status !== 201) throw this.#fault(answer, verb, name)
    return answer.body as KubernetesObject
  }

  #fault(answer: Answer, verb: Verb, name: string) {
    return kubernetesFault(answer, { verb, resource: leases, name, namespace: this.#api.namespace })
  }

  #spec(leaseTransitions: number): LeaseSpec {
    const now = this.#time()
    return {
      holderIdentity: this.#holder,
      leaseDurationSeconds: Math.ceil(this.#duration / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions,
    }
  }

  /** MicroTime, as metav1 has it. */
  #time(): string {
    return new Date(this.#clock.now()).toISOString().replace('Z', '000Z')
  }
}
