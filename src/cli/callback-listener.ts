import type { Server, ServerResponse } from 'node:http'
import { http } from '../builtins.ts'
import { hostName } from '../http/host-name.ts'
import { listen } from '../http/listen.ts'

const loopback: Readonly<Record<string, string>> = {
  localhost: '127.0.0.1',
  '127.0.0.1': '127.0.0.1',
  '[::1]': '[::1]',
}

/** True for a redirect URI that a listener on this machine can receive (RFC 8252 section 7.3). */
export function isLoopback(redirectUri: URL): boolean {
  return redirectUri.protocol === 'http:' && redirectUri.hostname in loopback
}

/** Receives what the provider sends the browser back with, while no sidecar does. */
export class CallbackListener {
  readonly #server: Server
  readonly #received = Promise.withResolvers<URLSearchParams>()
  #waiting: ServerResponse | undefined

  private constructor(redirectUri: URL) {
    this.#server = http.createServer((request, response) => {
      const url = new URL(request.url ?? '/', redirectUri.origin)
      const name = hostName(request.headers.host)
      if (name === undefined || !(name in loopback)) {
        answer(response, 403, 'Forbidden', 'Open this address as localhost.')
      } else if (request.method !== 'GET' || url.pathname !== redirectUri.pathname || !url.searchParams.has('state')) {
        answer(response, 404, 'Not found', 'This address is waiting for the end of a login.')
      } else if (this.#waiting !== undefined) {
        answer(response, 409, 'Already received', 'This login is being finished.')
      } else {
        // The page waits for the outcome.
        this.#waiting = response
        this.#received.resolve(url.searchParams)
      }
    })
  }

  /** Binds the redirect URI's own port, because many providers compare it literally. Rejects with ListenError. */
  static async open(redirectUri: URL): Promise<CallbackListener> {
    const listener = new CallbackListener(redirectUri)
    await listen(listener.#server, `${loopback[redirectUri.hostname] ?? ''}:${redirectUri.port || '80'}`)
    return listener
  }

  get received(): Promise<URLSearchParams> {
    return this.#received.promise
  }

  /** Tells the waiting browser how it ended, and closes. `message` is fixed text, never something from the query. */
  async close(title: string, message: string): Promise<void> {
    const waiting = this.#waiting
    if (waiting !== undefined) {
      const sent = new Promise((resolve) => waiting.once('close', resolve))
      answer(waiting, 200, title, message)
      await sent
    }
    this.abandon()
  }

  /** Closes without a word to anyone. */
  abandon(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

function answer(response: ServerResponse, status: number, title: string, message: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>${title}</title>
<h1>${title}</h1><p>${message}</p></html>
`)
}
