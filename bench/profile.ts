import { once } from 'node:events'
import { freePort } from '../scripts/smoke.ts'
import { load } from './load.ts'
import { withRunning } from './running.ts'
import { round } from './statistics.ts'
import { sidecar, type Addresses } from './targets.ts'

/** What the inspector reports: a tree of functions, and which of them ran at each sample. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface Share {
  readonly part: string
  readonly percent: number
}

/** Where the sidecar's CPU time goes under load, start-up excluded; largest share first. */
export async function profile(
  directory: string,
  addresses: Addresses,
  seconds: number,
  connections: number,
): Promise<Share[]> {
  const inspector = await freePort()
  const program = (port: number) => {
    const plain = sidecar(port, addresses, directory)
    return { ...plain, parameters: [`--inspect=127.0.0.1:${inspector}`, ...plain.parameters] }
  }
  return await withRunning(program, async ({ url }) => {
    await load({ url: `${url}/`, seconds: 2, connections })
    const session = await connect(inspector)
    await session.call('Profiler.enable')
    await session.call('Profiler.setSamplingInterval', { interval: 500 })
    await session.call('Profiler.start')
    await load({ url: `${url}/`, seconds, connections })
    const { profile: taken } = (await session.call('Profiler.stop')) as { profile: CpuProfile }
    session.close()
    return shares(taken)
  })
}

async function connect(port: number) {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as [
    { webSocketDebuggerUrl: string },
  ]
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await once(socket, 'open')
  let last = 0
  const call = (method: string, params: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      const id = ++last
      const onMessage = ({ data }: { readonly data: unknown }) => {
        const message = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: { message: string } }
        if (message.id !== id) return
        socket.removeEventListener('message', onMessage)
        if (message.error) reject(new Error(message.error.message))
        else resolve(message.result)
      }
      socket.addEventListener('message', onMessage)
      socket.send(JSON.stringify({ id, method, params }))
    })
  return { call, close: () => socket.close() }
}

export function shares({ nodes, samples, timeDeltas }: CpuProfile): Share[] {
  const parts = new Map(nodes.map(({ id, callFrame }) => [id, partOf(callFrame)]))
  const times = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const part = parts.get(id)
    const time = timeDeltas[index] ?? 0
    if (part === undefined) return
    total += time
    times.set(part, (times.get(part) ?? 0) + time)
  })
  return [...times]
    .map(([part, time]) => ({ part, percent: round((time / total) * 100) }))
    .sort((a, b) => b.percent - a.percent)
}

/** undefined while nothing runs. */
function partOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string | undefined {
  if (functionName === '(idle)') return undefined
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (/^(writev|write\w*String|writeBuffer|shutdown|readStart)$/.test(functionName) && url === '') {
    return 'writing to sockets: kernel, and TLS towards the upstream'
  }
  if (url.startsWith('node:')) return 'Node: HTTP server, sockets, streams, timers'
  const own = /\/dist\/(\w+)/.exec(url)?.[1]
  if (own !== undefined) return ['proxy', 'upstream', 'tokens'].includes(own) ? `src/${own}` : 'the rest of src'
  if (url.includes('/node_modules/')) return 'packages'
  return 'native code: HTTP parser, reading, TLS, everything without a name'
}
