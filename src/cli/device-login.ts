import { durationInWords } from '../durations.ts'
import { loggedIn, type LoginTask } from './login-task.ts'

/** The login on another device (RFC 8628). It needs no port, so this process does it; a running sidecar is handed the tokens. */
export async function deviceLogin(task: LoginTask): Promise<number> {
  const { session, name, subject, io, deps, signal } = task
  const { credentials } = await session.store()
  const started = await credentials.beginDeviceLogin(name, subject)
  const { verificationUri, verificationUriComplete, userCode, expiresIn } = started.device
  io.stderr(`Open this address, on any device, and enter the code:\n\n${verificationUri}\n${userCode}\n\n`)
  io.stderr(`Waiting; the code is good for ${durationInWords(expiresIn)}. Ctrl-C stops.\n`)
  if (task.openBrowser) await deps.openBrowser(verificationUriComplete ?? verificationUri).catch(() => undefined)
  const status = await started.finish(signal)
  if (session.sidecar === undefined) return loggedIn(task, status)
  return loggedIn(task, await session.sidecar.adopt(name, subject, await credentials.export(name, subject)))
}
