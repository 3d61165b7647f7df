import type { Server } from 'node:http'

/** Takes no new connection, closes idle ones, waits at most `grace` milliseconds for running answers and then cuts them off. */
export async function closeServer(
  server: Server,
  grace: number,
  schedule: (delay: number, callback: () => void) => () => void,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const cancel = schedule(grace, () => server.closeAllConnections())
  await closed
  cancel()
}
