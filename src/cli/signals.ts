/** Signals as commands see them. */
export interface Signals {
  /** Resolves with the name of the first SIGTERM or SIGINT. */
  readonly first: Promise<NodeJS.Signals>
  /** Resolves at the second one. */
  readonly second: Promise<void>
  onReload(callback: () => void): void
}

/** Takes the process's signals over: from now on they end nothing by themselves. */
export function takeSignals(): Signals {
  const first = Promise.withResolvers<NodeJS.Signals>()
  const second = Promise.withResolvers<undefined>()
  let received = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (received++ === 0) first.resolve(signal)
      else second.resolve(undefined)
    })
  }
  return { first: first.promise, second: second.promise, onReload: (callback) => void process.on('SIGHUP', callback) }
}
