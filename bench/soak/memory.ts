/** Resident memory of one process over time. */
export class MemoryTrack {
  /** Milliseconds since the start, MiB. */
  readonly samples: [at: number, memory: number][] = []
  readonly #started = performance.now()

  add(memory: number): void {
    if (memory > 0) this.samples.push([performance.now() - this.#started, memory])
  }

  /** Least squares over the second half of the run, MiB per minute: the first half fills caches and warms the compiler. */
  get slope(): number {
    const half = this.#half()
    if (half.length < 3) return 0
    const meanAt = mean(half.map(([at]) => at))
    const meanMemory = mean(half.map(([, memory]) => memory))
    const covariance = half.reduce((sum, [at, memory]) => sum + (at - meanAt) * (memory - meanMemory), 0)
    const variance = half.reduce((sum, [at]) => sum + (at - meanAt) ** 2, 0)
    return (covariance / variance) * 60_000
  }

  /** Median of the last quarter over the median of the third: 1 where memory is flat. */
  get growth(): number {
    const half = this.#half()
    const middle = Math.floor(half.length / 2)
    const [third, last] = [half.slice(0, middle), half.slice(middle)].map((part) =>
      median(part.map(([, memory]) => memory)),
    )
    return third === undefined || last === undefined || third === 0 ? 1 : last / third
  }

  #half(): [number, number][] {
    return this.samples.slice(Math.floor(this.samples.length / 2))
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
