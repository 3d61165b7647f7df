import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { findCommand } from '../scripts/debian-packages.ts'

/** Which core a process is kept on: the proxy under test has one for itself, everything else shares the other. */
export type Core = 'proxy' | 'rest'

const started = new Set<ChildProcess>()
const taskset = findCommand('taskset')
const cores = Number(execFileSync('nproc', { encoding: 'utf8' }))
/** Linux counts CPU time in ticks; 100 a second everywhere that this runs, asked for all the same. */
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Pinning needs a second core for the load. */
export const pinned = taskset !== undefined && cores >= 2

export interface Program {
  readonly command: string
  readonly parameters: readonly string[]
  readonly core: Core
  readonly env?: Readonly<Record<string, string>>
  /** File that gets standard output; default: nowhere. */
  readonly output?: string
}

/** A command line that keeps its process on one core, where that can be done. */
export function onCore(core: Core, command: readonly string[]): readonly string[] {
  return pinned ? ['taskset', '-c', core === 'proxy' ? '0' : '1', ...command] : command
}

/** Starts a program of ours; stop() ends it. */
export function start({ command, parameters, core, env, output }: Program): ChildProcess {
  const log = openSync(output ?? '/dev/null', 'w')
  const [file = command, ...list] = onCore(core, [command, ...parameters])
  const child = spawn(file, list, { stdio: ['ignore', log, log], env: { PATH: process.env['PATH'], ...env } })
  closeSync(log)
  started.add(child)
  child.once('exit', () => started.delete(child))
  child.once('error', () => started.delete(child))
  return child
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(timer)
}

export async function stopAll(): Promise<void> {
  await Promise.all([...started].map(stop))
}

/** A process and all its descendants: nginx and others do their work in children. */
function family(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = readStat(Number(name))
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]))
  }
  const members = new Set([pid])
  for (let size = 0; size !== members.size;) {
    size = members.size
    for (const [child, parent] of parents) if (members.has(parent)) members.add(child)
  }
  return [...members]
}

/** The fields after the command name of /proc/<pid>/stat, which may itself hold spaces. */
function readStat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** CPU time of all threads and children so far, in microseconds. */
export function cpuTime({ pid = 0 }: ChildProcess): number {
  const ticks = family(pid).reduce((sum, member) => {
    const fields = readStat(member)
    return sum + Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)
  }, 0)
  return (ticks / ticksPerSecond) * 1e6
}

/** Resident memory of a process and its children in bytes; `peak` since it began. */
export function memory({ pid = 0 }: ChildProcess): { now: number; peak: number } {
  let [now, peak] = [0, 0]
  for (const member of family(pid)) {
    try {
      const text = readFileSync(`/proc/${member}/status`, 'utf8')
      now += Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) * 1024
      peak += Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0) * 1024
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return { now, peak }
}

process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})
