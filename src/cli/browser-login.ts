import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { ListenError } from '../http/listen.ts'
import { CallbackListener, isLoopback } from './callback-listener.ts'
import { CommandFailure } from './command-failure.ts'
import { loginAgent, type LoginAgent } from './login-agent.ts'
import { loggedIn, type LoginTask } from './login-task.ts'
import { pastedCallback } from './pasted-address.ts'

/**
 * The authorization code login (RFC 8252): the person's browser goes to the provider and comes back to the running sidecar, to a listener of our
 * own, or, where neither can be reached, through the clipboard.
 */
export async function browserLogin(task: LoginTask): Promise<number> {
  const { session, name, subject, io, deps, signal } = task
  const agent = loginAgent(session, name, subject, deps.clock)
  const url = await agent.begin()
  const redirectUri = new URL(url.searchParams.get('redirect_uri') ?? '')
  const listener = await openListener(agent, redirectUri, task)
  const comesBack = listener !== undefined || agent.receives(redirectUri)
  const paste = !task.openBrowser || deps.stdin.isTTY === true || !comesBack
  io.stderr(`Open this address to log in:\n\n${url.href}\n\n`)
  if (comesBack) io.stderr('Waiting for the browser to come back; Ctrl-C stops.\n')
  if (paste)
    io.stderr(`${comesBack ? 'Or paste' : 'Then paste'} the address at which the browser ends, and press Enter:\n`)
  // A hint only: where there is no browser it fails quietly, and the address stands above.
  if (task.openBrowser) await deps.openBrowser(url.href).catch(() => undefined)
  const never = new Promise<never>(() => undefined)
  const finish = (callback: URLSearchParams) => agent.finish(callback)
  try {
    await Promise.race([
      agent.finishedElsewhere(redirectUri, signal),
      listener?.received.then(finish) ?? never,
      paste ? pastedAddress(task, comesBack).then(finish) : never,
    ])
  } catch (error) {
    await listener?.close('Login failed', 'The terminal in which the login was started says why.')
    throw error
  }
  await listener?.close('Connected', 'You can close this window.')
  return loggedIn(task, await agent.status())
}

/** Listens where the provider sends the browser, unless the running sidecar does or nobody here can. */
async function openListener(
  agent: LoginAgent,
  redirectUri: URL,
  { io, signal }: LoginTask,
): Promise<CallbackListener | undefined> {
  if (agent.receives(redirectUri) || !isLoopback(redirectUri)) return undefined
  try {
    const listener = await CallbackListener.open(redirectUri)
    signal.addEventListener('abort', () => listener.abandon(), { once: true })
    return listener
  } catch (error) {
    if (!(error instanceof ListenError)) throw error
    io.stderr(`The browser cannot come back here: ${error.message}\n`)
    return undefined
  }
}

/** Reads lines until one is the end of a login. When the input ends first: waits for the other ways, or fails where there is none. */
async function pastedAddress({ deps, io, signal }: LoginTask, comesBack: boolean): Promise<URLSearchParams> {
  const lines = createInterface({ input: Readable.from(deps.stdin), signal })
  for await (const line of lines) {
    const callback = pastedCallback(line)
    if (callback !== undefined) {
      lines.close()
      return callback
    }
    if (line.trim() !== '')
      io.stderr('That is not it: the address holds state= and code= (or error=). Paste all of it:\n')
  }
  if (!comesBack) throw new CommandFailure('standard input ended before the address came; start again')
  return new Promise(() => undefined)
}
