/** What may end a command from outside or beneath. */
export interface Signals {
  /** Resolves with the name of the first SIGTERM or SIGINT. */
  readonly first: Promise<NodeJS.Signals>
  /** Resolves at the second one. */
  readonly second: Promise<void>
  /** Resolves with an error that nobody caught: a fault of ours, after which the process must end, but not without saving. */
  readonly crash: Promise<Error>
  onReload(callback: () => void): void
}

/** Takes the process's signals over: from now on they end nothing by themselves. */
export function takeSignals(): Signals {
  const first = Promise.withResolvers<NodeJS.Signals>()
  const second = Promise.withResolvers<undefined>()
  const crash = Promise.withResolvers<Error>()
  let received = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (received++ === 0) first.resolve(signal)
      else second.resolve(undefined)
    })
  }
  process.on('uncaughtException', (error) => crash.resolve(error))
  return {
    first: first.promise,
    second: second.promise,
    crash: crash.promise,
    onReload: (callback) => void process.on('SIGHUP', callback),
  }
}
