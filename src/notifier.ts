import { sleep, type Clock } from './clock.ts'
import { describeError } from './errors.ts'
import type { Logger } from './logger.ts'
import { ask } from './upstream/whole-answer.ts'

/** What a webhook is told. Holds no secret. */
export interface Notification {
  readonly event:
    'login_required' | 'reauthorization_required' | 'refresh_token_expiring' | 'unsaved_tokens' | 'recovered'
  readonly credential: string
  readonly subject?: string
  /** One sentence for people. */
  readonly message: string
  readonly nextStep?: string
}

const attempts = 4
/** Milliseconds for each. */
const timeout = 10_000
/** Bytes of an answer that nobody looks at. */
const limit = 64 * 1024
const headers = { 'content-type': 'application/json', 'user-agent': 'bearer-sidecar' }

/** Sends notifications to notify.webhook as JSON; a failure is retried a few times, then logged, and never disturbs anything else. */
export class Notifier {
  readonly #clock: Clock
  readonly #logger: Logger
  /** Changes with a reload; null = nobody wants to know. */
  webhook: string | null

  constructor(webhook: string | null, clock: Clock, logger: Logger) {
    this.webhook = webhook
    this.#clock = clock
    this.#logger = logger
  }

  send(notification: Notification): void {
    if (this.webhook !== null) void this.#deliver(this.webhook, notification)
  }

  async #deliver(webhook: string, notification: Notification): Promise<void> {
    const body = JSON.stringify({ ...notification, at: new Date(this.#clock.now()).toISOString() })
    for (let attempt = 1; ; attempt++) {
      try {
        const { status } = await ask({ url: webhook, method: 'POST', headers, body, tls: {}, timeout, limit })
        if (status < 300) return
        throw new Error(`the webhook answered ${status}`)
      } catch (error) {
        // The webhook's URL is a secret in itself, so only the reason is logged.
        if (attempt === attempts) {
          this.#logger.warn({ event: notification.event, reason: describeError(error) }, 'notification not delivered')
          return
        }
        await sleep(this.#clock, 1000 * 4 ** (attempt - 1))
      }
    }
  }
}
