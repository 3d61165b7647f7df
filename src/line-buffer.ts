import { fstatSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'

/** Characters that make one write. */
const fullLength = 16 * 1024
/** Milliseconds that a line waits for others at most. */
const longestWait = 100
/** Bytes that wait for an output that takes none; what comes then is lost. */
const longestBacklog = 1024 * 1024
/** Milliseconds that the end of the process waits for it. */
const lastWait = 1_000

/**
 * Writes log lines to a file descriptor, many with one system call, and never holds anybody up. An output that is full or gone (disk, pipe) costs lines, and
 * nothing else: the stream that pino comes with tries for ever when it is flushed, and its buffer measures all that it has gathered anew for every line,
 * which cost more than the line.
 */
export class LineBuffer {
  readonly #fd: number
  /** A pipe may be full, so it is written to when it takes something; a file takes bytes at once. */
  readonly #pipe: Socket | undefined
  #lines = ''
  #timer: NodeJS.Timeout | undefined

  constructor(fd: number) {
    this.#fd = fd
    if (!isPipe(fd)) return
    this.#pipe = new Socket({ fd, readable: false, writable: true })
    this.#pipe.on('error', () => undefined).unref()
  }

  write(line: string): void {
    this.#lines += line
    if (this.#lines.length >= fullLength) this.#handOn()
    else this.#timer ??= setTimeout(() => this.#handOn(), longestWait).unref()
  }

  /** Resolves once everything is out, or after a second without that. */
  async flush(): Promise<void> {
    this.#handOn()
    const deadline = performance.now() + lastWait
    const pipe = this.#pipe
    while (pipe?.writable === true && pipe.writableLength > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  #handOn(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lines = this.#lines
    this.#lines = ''
    if (lines === '') return
    if (this.#pipe === undefined) writeNow(this.#fd, lines)
    else if (this.#pipe.writableLength < longestBacklog) this.#pipe.write(lines)
  }
}

function writeNow(fd: number, lines: string): void {
  try {
    writeSync(fd, lines)
  } catch {
    // A full disk, a closed descriptor. The next lines may fare better.
  }
}

function isPipe(fd: number): boolean {
  try {
    const status = fstatSync(fd)
    return status.isFIFO() || status.isSocket()
  } catch {
    return false
  }
}
