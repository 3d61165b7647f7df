import { randomInt } from 'node:crypto'
import { opaque } from './mint.ts'
import type { Settings } from './settings.ts'
import { OAuthError } from './token-request.ts'

interface DeviceLogin {
  clientId: string
  scope: string
  userCode: string
  expiresAt: number
  /** Milliseconds; grows with every slow_down. */
  interval: number
  polledAt: number
  decision: 'pending' | 'allow' | 'deny' | 'used'
}

const life = 15 * 60_000
/** RFC 8628 section 6.1: consonants only, so that no word appears and no letter is mistaken for a digit. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ'

/** The device flow of RFC 8628. */
export class DeviceCodes {
  readonly #settings: Settings
  readonly #logins = new Map<string, DeviceLogin>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  begin(clientId: string, scope: string): { deviceCode: string; userCode: string; expiresIn: number } {
    const deviceCode = opaque()
    const part = () => Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join('')
    const userCode = `${part()}-${part()}`
    this.#logins.set(deviceCode, {
      clientId,
      scope,
      userCode,
      expiresAt: this.#settings.now() + life,
      interval: this.#settings.deviceInterval * 1_000,
      polledAt: Number.NEGATIVE_INFINITY,
      decision: 'pending',
    })
    return { deviceCode, userCode, expiresIn: life / 1_000 }
  }

  /** What the person does at the verification page; false when no login waits under this code. */
  decide(userCode: string, decision: 'allow' | 'deny'): boolean {
    const wanted = userCode.trim().toUpperCase()
    const login = [...this.#logins.values()].find((one) => one.userCode === wanted && one.decision === 'pending')
    if (login === undefined) return false
    login.decision = decision
    return true
  }

  /** The granted scope; throws the errors of RFC 8628 section 3.5. */
  poll(deviceCode: string, clientId: string): string {
    const login = this.#logins.get(deviceCode)
    if (login?.clientId !== clientId || login.decision === 'used') {
      throw new OAuthError('invalid_grant', 'unknown-device-code')
    }
    const now = this.#settings.now()
    if (login.expiresAt <= now) throw new OAuthError('expired_token', 'device-code')
    if (login.decision === 'deny') throw new OAuthError('access_denied', 'device-code')
    const tooSoon = now - login.polledAt < login.interval
    login.polledAt = now
    if (tooSoon) {
      login.interval += 5_000
      throw new OAuthError('slow_down', 'device-code')
    }
    if (login.decision === 'pending') throw new OAuthError('authorization_pending', 'device-code')
    login.decision = 'used'
    return login.scope
  }
}
