import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findCommand } from '../scripts/debian-packages.ts'
import { onCore } from './children.ts'

/** One burst of load. Times in microseconds. */
export interface Load {
  readonly requests: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Answers other than 2xx or 3xx, and connections that broke. */
  readonly errors: number
}

export interface LoadOptions {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** Each request carries an X-Subject of s1 to s<subjects>, in turn. */
  readonly subjects?: number
  readonly headers?: Readonly<Record<string, string>>
}

const wrk = findCommand('wrk')
export const generator = wrk === undefined ? "the benchmark's own client" : 'wrk'

/** Keeps `connections` connections busy for some seconds, from the core that the proxy does not use. */
export async function load(options: LoadOptions): Promise<Load> {
  const [file = '', ...list] = onCore('rest', commandLine(options))
  const child = spawn(file, list, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  const [line] = /^\{.*\}$/m.exec(output) ?? []
  if (code !== 0 || line === undefined) throw new Error(`the load generator failed:\n${output}`)
  const result = JSON.parse(line) as Load
  if (result.requests === 0) throw new Error(`no request of the load on ${options.url} was answered:\n${output}`)
  return result
}

function commandLine({ url, seconds, connections, subjects = 0, headers = {} }: LoadOptions): string[] {
  const script = (name: string) => join(import.meta.dirname, name)
  if (wrk === undefined) {
    const numbers = [seconds, connections, subjects].map(String)
    return [process.execPath, script('load-client.ts'), url, ...numbers, JSON.stringify(headers)]
  }
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const limits = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s']
  return [wrk, ...limits, ...fields, '-s', script('load.lua'), url, '--', String(subjects)]
}
