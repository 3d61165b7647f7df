/** What lines are handed on to: pino.destination(). */
interface Destination {
  write(text: string): void
  /** Blocks until everything is out. */
  flushSync(): void
}

/** Characters that make one write. */
const fullLength = 16 * 1024
/** Milliseconds that a line waits for others at most. */
const longestWait = 100

/**
 * Gathers log lines, so that many make one system call. The buffer of pino.destination() could do that, but it measures all that it has gathered
 * anew for every line, which cost more than writing the line.
 */
export class LineBuffer {
  readonly #destination: Destination
  #lines = ''
  #timer: NodeJS.Timeout | undefined

  constructor(destination: Destination) {
    this.#destination = destination
  }

  write(line: string): void {
    this.#lines += line
    if (this.#lines.length >= fullLength) this.#handOn()
    else this.#timer ??= setTimeout(() => this.#handOn(), longestWait).unref()
  }

  flushSync(): void {
    this.#handOn()
    this.#destination.flushSync()
  }

  #handOn(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lines = this.#lines
    this.#lines = ''
    if (lines !== '') this.#destination.write(lines)
  }
}
