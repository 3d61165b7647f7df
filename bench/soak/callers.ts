import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from './random.ts'
import type { Replica } from './replica.ts'

/** What callers met: every answer is counted under its status, and under the sidecar's code where it is its own. */
export class Callers {
  readonly counts = new Map<string, number>()
  /** Answers that belong to another request: there must never be one. */
  readonly crossed: string[] = []
  /** Anything but a right answer while `calm` was set. */
  readonly broken: string[] = []
  requests = 0
  right = 0
  /** No fault is in force and nobody ends: every request must succeed. */
  calm = false
  readonly #replicas: () => readonly Replica[]
  readonly #random: Random
  readonly #workers: Promise<void>[]
  #stopped = false

  constructor(replicas: () => readonly Replica[], random: Random, callers: number) {
    this.#replicas = replicas
    this.#random = random
    this.#workers = Array.from({ length: callers }, () => this.#call())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#workers)
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const living = this.#replicas().filter(({ ending }) => !ending)
      if (living.length > 0) await this.#once(this.#random.pick(living))
      await pause(this.#random.between(2, 15))
    }
  }

  async #once(replica: Replica): Promise<void> {
    const path = `/echo?nonce=${randomUUID()}`
    const body = this.#random.next() < 0.4 ? randomUUID().repeat(Math.ceil(this.#random.between(1, 2_000))) : undefined
    const calm = this.calm
    let outcome: string
    try {
      const response = await fetch(replica.url + path, {
        method: body === undefined ? 'GET' : 'POST',
        ...(body && { body }),
      })
      const text = await response.text()
      const own = response.headers.get('bearer-sidecar-error') ?? response.headers.get('bearer-sidecar-replay')
      outcome = own === null ? String(response.status) : `${response.status} ${own}`
      if (response.status === 200) this.#compare(text, path, body)
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } }
      outcome = replica.ending ? 'replica ended' : `broken off (${cause?.code ?? String(error)})`
    }
    this.requests++
    if (outcome === '200') this.right++
    else if (calm && this.calm && !replica.ending) this.broken.push(outcome)
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1)
  }

  #compare(text: string, path: string, body = ''): void {
    const seen = JSON.parse(text) as { target: string; body: { sha256: string } }
    const sha256 = createHash('sha256').update(body).digest('hex')
    if (seen.target !== path || seen.body.sha256 !== sha256)
      this.crossed.push(`asked ${path}, was answered ${seen.target}`)
  }
}
