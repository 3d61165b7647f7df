import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * `<pid>-<start time>-<machine>`: names a process in a file name, so that another process on the same machine can see that it died.
 * Start time guards against a pid that was given out again. "Machine" is one boot of one kernel and one pid namespace: the same host
 * name or the same pid in another container proves nothing.
 */
export type ProcessTag = string

const tagPattern = /^(\d{1,10})-(\d{1,20})-([0-9a-f]{12})$/

export function isProcessTag(text: string): boolean {
  return tagPattern.test(text)
}

/** Read each time, never kept: a process image may be frozen and woken up elsewhere. */
export function ownTag(): ProcessTag {
  return `${process.pid}-${processState(process.pid)?.start ?? '0'}-${machine()}`
}

/** True when the process is known to have died. A process of another machine may always be alive. */
export function isGone(tag: ProcessTag): boolean {
  const [, pid = '', start, where] = tagPattern.exec(tag) ?? []
  if (where !== machine()) return false
  try {
    // Signal 0 is never delivered; it only asks whether the process is there.
    process.kill(Number(pid), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
  const state = processState(Number(pid))
  return state !== undefined && (state.dead || (start !== '0' && state.start !== start))
}

/** proc(5): fields 3 and 22 of stat, counted after the name, which may itself hold spaces and parentheses. */
function processState(pid: number): { start: string; dead: boolean } | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state = ''] = fields
  return { start: fields[19] ?? '0', dead: state === 'Z' || state === 'X' }
}

const nowhere = randomUUID()

function machine(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim())
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'))
  // Without /proc (macOS) the host name has to do: names are unique on a network there. A namespace that can't be told is no other's.
  const identity = boot === undefined ? `${process.platform} ${hostname()}` : `${boot} ${namespace ?? nowhere}`
  return createHash('sha256').update(identity).digest('hex').slice(0, 12)
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
