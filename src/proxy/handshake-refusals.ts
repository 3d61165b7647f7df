import type { TokenSet } from '../tokens/token-set.ts'
import type { RenewWhen, TokenSource } from '../tokens/token-source.ts'
import { judge } from './judgement.ts'
import type { ServedRoute } from './routes.ts'
import type { Sent } from './sent.ts'

const unread = Buffer.alloc(0)

/**
 * WebSocket handshakes that the upstream refused. A handshake cannot be replayed, because the caller's own was answered already; but a rejected token is
 * renewed for the next one, and a renewed one that is rejected too starts the cool-down as it does for requests.
 */
export class HandshakeRefusals {
  /** The access token that the last renewal gave, by credential. */
  readonly #renewed = new Map<string, string>()

  /** `now` in milliseconds since the epoch. The body is not waited for: with `unlessBody` the first refusal costs a refresh at most. */
  note(route: ServedRoute, sent: Sent, status: number, now: number): void {
    const verdict = judge(route, status, unread, sent, now)
    if (verdict.kind !== 'token') return
    for (const { index, token, when } of verdict.rejected) {
      const source = sent.sources[index]
      if (source === undefined) continue
      if (this.#renewed.get(source.credential) === token.accessToken) source.distrust(token)
      else void this.#renew(source, token, when)
    }
  }

  async #renew(source: TokenSource, token: TokenSet, when: RenewWhen): Promise<void> {
    try {
      const { accessToken } = await source.renew(token, when)
      this.#renewed.set(source.credential, accessToken)
    } catch {
      // Declined or failed: the source knows why and says so.
    }
  }
}
