import type { Server } from 'node:http'
import type { Clock } from '../clock.ts'

/** Takes no new connection, closes idle ones, waits at most `grace` milliseconds for running answers and then cuts them off. */
export async function closeServer(server: Server, grace: number, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const cancel = clock.schedule(grace, () => server.closeAllConnections())
  await closed
  cancel()
}
