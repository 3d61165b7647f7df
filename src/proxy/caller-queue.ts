/** First come first served within a caller, one each in turn between callers: a caller with a thousand requests does not starve one with two. */
export class CallerQueue<T> {
  readonly #urgent: T[] = []
  /** In the order of their turns: whoever was served goes to the end. */
  readonly #callers = new Map<string, T[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  push(caller: string, item: T): void {
    const items = this.#callers.get(caller)
    if (items === undefined) this.#callers.set(caller, [item])
    else items.push(item)
    this.#size++
  }

  /** Goes before everything else. */
  pushUrgent(item: T): void {
    this.#urgent.push(item)
    this.#size++
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined
    this.#size--
    if (this.#urgent.length > 0) return this.#urgent.shift()
    for (const [caller, items] of this.#callers) {
      const item = items.shift()
      this.#callers.delete(caller)
      if (items.length > 0) this.#callers.set(caller, items)
      return item
    }
    return undefined
  }

  remove(matches: (item: T) => boolean): T | undefined {
    const found = take(this.#urgent, matches)
    if (found !== undefined) {
      this.#size--
      return found
    }
    for (const [caller, items] of this.#callers) {
      const item = take(items, matches)
      if (item === undefined) continue
      if (items.length === 0) this.#callers.delete(caller)
      this.#size--
      return item
    }
    return undefined
  }
}

function take<T>(items: T[], matches: (item: T) => boolean): T | undefined {
  const index = items.findIndex(matches)
  return index === -1 ? undefined : items.splice(index, 1)[0]
}
