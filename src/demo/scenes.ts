import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { echoPaths } from './providers.ts'
import type { Stage } from './stage.ts'

/** A scene did not come out as it should; `message` says what was seen. */
class SceneFailed extends Error {
  override readonly name = 'SceneFailed'
}

export interface Scene {
  readonly name: string
  readonly title: string
  /** Plays and checks. Resolves to the lines to show; rejects with SceneFailed. `say` shows a line at once. */
  play(stage: Stage, say: (line: string) => void): Promise<string[]>
}

interface Echo {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: { readonly bytes: number; readonly sha256: string }
}

const burst = 50

export const scenes: readonly Scene[] = [
  {
    name: 'injection',
    title: 'A request without credentials leaves with them',
    async play(stage) {
      const seen = await echo(stage, {
        headers: { accept: 'application/json', authorization: 'Bearer from-the-caller' },
      })
      const token = seen.headers.filter(([name]) => name.toLowerCase() === 'authorization')
      check(
        token.length === 1 && !token[0]?.[1].includes('from-the-caller'),
        'the upstream did not receive exactly one Authorization field of ours',
      )
      return [
        'you sent        the upstream received',
        `GET ${echoPaths[stage.provider]}`.padEnd(16) + `GET ${seen.target}`,
        ...seen.headers.map(([name, value]) => ' '.repeat(16) + `${name}: ${shorten(name, value)}`),
      ]
    },
  },
  {
    name: 'expiry',
    title: `The token expires; ${burst} requests at once notice nothing`,
    async play(stage, say) {
      const before = stage.renewals
      const { accessTokenExpiresAt } = await stage.status
      const left = Date.parse(accessTokenExpiresAt ?? '') - Date.now()
      check(Number.isFinite(left), 'the access token has no recorded expiry')
      say(`waiting ${(Math.max(left, 0) / 1000).toFixed(1)} s until the access token is dead ...`)
      await wait(Math.max(left, 0) + 50)
      const answers = await Promise.all(Array.from({ length: burst }, () => call(stage)))
      const bad = answers.filter(({ status }) => status !== 200)
      check(bad.length === 0, `${bad.length} of ${burst} requests failed, the first with ${bad[0]?.status ?? 0}`)
      const refreshes = stage.renewals - before
      check(refreshes === 1, `${refreshes} token requests were made where one was enough`)
      return [`${burst} x 200, 1 token request`]
    },
  },
  {
    name: 'rejection',
    title: 'The provider revokes the token early; the requests are replayed',
    async play(stage) {
      await call(stage)
      const before = stage.renewals
      stage.revokeAccessTokens()
      const answers = await Promise.all(Array.from({ length: burst }, () => call(stage)))
      const bad = answers.filter(({ status }) => status !== 200)
      check(bad.length === 0, `${bad.length} of ${burst} requests failed, the first with ${bad[0]?.status ?? 0}`)
      const refreshes = stage.renewals - before
      check(refreshes === 1, `${refreshes} token requests were made where one was enough`)
      return [`${burst} requests were rejected, 1 token request, ${burst} x 200 after one replay each`]
    },
  },
  {
    name: 'body',
    title: 'A POST keeps its body through a replay',
    async play(stage) {
      const body = randomBytes(256 * 1024)
      const sha256 = createHash('sha256').update(body).digest('hex')
      stage.revokeAccessTokens()
      const seen = await echo(stage, { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } })
      check(seen.body.sha256 === sha256, 'the upstream received other bytes than were sent')
      return [`256 KiB sent, rejected, sent again: sha256 ${sha256.slice(0, 16)}... on both sides`]
    },
  },
  {
    name: 'restart',
    title: 'A restart loses nothing',
    async play(stage) {
      const before = stage.renewals
      await stage.restart()
      const { status } = await call(stage)
      check(status === 200, `the first request after the restart was answered ${status}`)
      check(stage.simulator.reuseEvents === 0, `${stage.simulator.reuseEvents} refresh tokens were presented twice`)
      const asked = stage.renewals - before
      return [
        `200 from the stored tokens, ${asked} token request${asked === 1 ? '' : 's'}, no refresh token was ever presented twice`,
      ]
    },
  },
]

const call = (stage: Stage, init?: RequestInit) => fetch(stage.proxyUrl + echoPaths[stage.provider], init)

async function echo(stage: Stage, init: RequestInit): Promise<Echo> {
  const response = await call(stage, init)
  const text = await response.text()
  check(response.status === 200, `the answer was ${response.status}: ${text.slice(0, 300)}`)
  return JSON.parse(text) as Echo
}

function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SceneFailed(message)
}

/** Enough of a simulated secret to recognise it, not more: the demo should look as careful as the program is. */
function shorten(name: string, value: string): string {
  if (!/authorization|key/i.test(name)) return value
  const [scheme, token] = value.startsWith('Bearer ') ? ['Bearer ', value.slice(7)] : ['', value]
  return token.length > 12 ? `${scheme}${token.slice(0, 8)}...` : `${scheme}${token}`
}
