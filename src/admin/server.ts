import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { http } from '../builtins.ts'
import type { Clock } from '../clock.ts'
import type { AdminConfig } from '../config/schema.ts'
import { closeServer } from '../http/close.ts'
import { allowedHostNames } from '../http/host-name.ts'
import { listen, type BoundAddress } from '../http/listen.ts'
import type { Credentials } from '../tokens/credentials.ts'
import { addLoginRoutes } from './authorize.ts'
import { newApp, type AdminLog } from './fastify-app.ts'
import { guardAdminRequest } from './guard.ts'
import type { Metrics } from './metrics.ts'
import { addProbes, type Probes } from './probes.ts'
import { addStatusRoutes } from './status-routes.ts'
import type { AdminInfo } from './status-document.ts'
import { addTokenRoutes } from './token-routes.ts'

export interface AdminDeps extends Probes {
  readonly metrics: Metrics
  readonly config: AdminConfig
  readonly credentials: Credentials
  readonly info: () => AdminInfo
  readonly clock: Clock
  readonly log: AdminLog
}

export interface AdminServer {
  /** Binds every address. Rejects with ListenError, and then nothing is bound. */
  listen(): Promise<{ readonly admin: readonly BoundAddress[]; readonly probes: readonly BoundAddress[] }>
  /** Takes no new connection, waits up to `grace` milliseconds (default 2000) for running answers, then cuts them off. */
  close(grace?: number): Promise<void>
}

/** The second port: for the people and the platform that run the sidecar, not for callers. */
export async function createAdmin(deps: AdminDeps): Promise<AdminServer> {
  const { config, log } = deps
  const publicUrl = config.publicUrl === null ? undefined : new URL(config.publicUrl)
  const publicHosts = publicUrl === undefined ? [] : [publicUrl.host]
  let names = allowedHostNames([], publicHosts)

  const admin = newApp(log)
  admin.addHook('onRequest', (request, _reply, done) => {
    guardAdminRequest(request.raw, names, publicUrl)
    done()
  })
  addProbes(admin, deps)
  addStatusRoutes(admin, deps)
  addTokenRoutes(admin, deps)
  addLoginRoutes(admin, deps)
  // kubelet and Prometheus call by pod IP, so this one has no Host guard; it shows no token and changes nothing.
  const probes = config.probesListen === null ? undefined : newApp(log)
  if (probes !== undefined) addProbes(probes, deps)
  await Promise.all([admin.ready(), probes?.ready()])

  const servers: Server[] = []
  const bind = async (app: FastifyInstance, addresses: readonly string[]): Promise<BoundAddress[]> => {
    const bound: BoundAddress[] = []
    for (const address of addresses) {
      const server = http.createServer((request, response) => app.routing(request, response))
      bound.push(await listen(server, address))
      servers.push(server)
    }
    return bound
  }
  const close = async (grace = 2000): Promise<void> => {
    await Promise.all(
      servers.splice(0).map((server) => closeServer(server, grace, deps.clock.schedule.bind(deps.clock))),
    )
    await Promise.all([admin.close(), probes?.close()])
  }

  return {
    async listen() {
      try {
        const bound = await bind(admin, config.listen === false ? [] : config.listen)
        const hosts = bound.map(({ host }) => host).filter((host) => host !== undefined)
        names = allowedHostNames(hosts, publicHosts)
        return { admin: bound, probes: probes ? await bind(probes, config.probesListen ?? []) : [] }
      } catch (error) {
        await close(0)
        throw error
      }
    },
    close,
  }
}
