import { number, type Labels, type Sample } from './exposition.ts'

/** How often a measure fell below each of some bounds. Plain numbers, cheap to add to. */
export class Histogram {
  readonly #bounds: readonly number[]
  /** Of each bound alone, and last those above all bounds; added up when they are read. */
  readonly #counts: number[]
  #sum = 0

  /** `bounds` ascend; each belongs to its bucket (`le`). */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = [...bounds, Infinity].map(() => 0)
  }

  observe(value: number): void {
    let index = 0
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? Infinity)) index++
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#sum += value
  }

  *samples(labels: Labels): Generator<Sample> {
    let count = 0
    for (const [index, own] of this.#counts.entries()) {
      count += own
      yield { suffix: '_bucket', labels: { ...labels, le: number(this.#bounds[index] ?? Infinity) }, value: count }
    }
    yield { suffix: '_sum', labels, value: this.#sum }
    yield { suffix: '_count', labels, value: count }
  }
}
