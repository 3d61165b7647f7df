import assert from 'node:assert/strict'
import test from 'node:test'
import { statusPage, type StatusView } from '../../src/admin/status-page.ts'
import { style } from '../../src/admin/style.ts'
import type { CredentialStatus } from '../../src/tokens/credentials.ts'
import { empty, info, minutes, start, working } from './fixture.ts'

const view = (credentials: CredentialStatus[], changes: Partial<StatusView> = {}): StatusView => ({
  info,
  credentials,
  counts: () => ({ requests: 1204, replays: 3 }),
  now: start,
  ...changes,
})

/** What a reader gets: tags out, white space folded. */
function words(credentials: CredentialStatus[], changes: Partial<StatusView> = {}): string {
  return statusPage(view(credentials, changes))
    .body.text.replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
}

test('a working credential says how long its tokens last and what it did', () => {
  const text = words([working()])
  for (const expected of [
    'sky is working',
    'Blackbaud SKY API',
    'Active',
    '52 minutes left',
    '212 days left',
    '8 minutes ago, before expiry',
    '1,204',
    'One refresh, successful.',
    'file /var/lib/tokens, sealed',
  ]) {
    assert.ok(text.includes(expected), `${expected} in ${text}`)
  }
})

test('the headline is about those that need a person, else those with trouble', () => {
  const degraded = working({ name: 'b', state: 'degraded' })
  assert.equal(statusPage(view([])).title, 'No credential is configured - bearer-sidecar')
  assert.equal(
    statusPage(view([working(), working({ name: 'b' })])).title,
    'All 2 credentials are working - bearer-sidecar',
  )
  assert.equal(statusPage(view([working(), degraded])).title, 'b has trouble - bearer-sidecar')
  assert.equal(statusPage(view([empty(), degraded])).title, 'sky needs a login - bearer-sidecar')
  assert.equal(statusPage(view([empty(), empty({ name: 'b' })])).title, '2 credentials need a login - bearer-sidecar')
})

test('what is wrong stands beside the command that helps', () => {
  const text = words([
    working({
      state: 'degraded',
      lastError: 'It answered 503.',
      nextStep: 'Run: bearer-sidecar check --online',
      retryAt: minutes(2),
    }),
  ])
  assert.match(text, /It answered 503\. Run: bearer-sidecar check --online Next try in 2 minutes\./)
})

test('Connect is offered first where nobody has logged in, Reconnect elsewhere, neither where no person can help', () => {
  const links = (credentials: CredentialStatus[], changes: Partial<StatusView> = {}) =>
    [
      ...statusPage(view(credentials, changes)).body.text.matchAll(
        /<a class="([^"]*)"[^>]*href="([^"]*authorize[^"]*)"[^>]*>(\w+)/g,
      ),
    ].map((match) => match.slice(1))
  assert.deepEqual(links([empty()]), [['button primary', '/credentials/sky/authorize', 'Connect']])
  assert.deepEqual(links([working()]), [['button', '/credentials/sky/authorize', 'Reconnect']])
  assert.deepEqual(links([working({ state: 'reauthorization_required' })]), [
    ['button primary', '/credentials/sky/authorize', 'Reconnect'],
  ])
  const machine = { ...info, credentials: [{ ...info.credentials[0]!, grant: 'client_credentials' as const }] }
  assert.deepEqual(links([working()], { info: machine }), [])
})

test('Refresh now is offered only where a token request can be made', () => {
  assert.match(statusPage(view([working()])).body.text, /action="\/credentials\/sky\/refresh"/)
  assert.doesNotMatch(
    statusPage(view([working({ refreshable: false })])).body.text,
    /action="\/credentials\/sky\/refresh"/,
  )
})

test('the bar is as long as what is left of the token', () => {
  const width = (expires: number) =>
    /class="left[^"]*"\s+width="([\d.]+)%"/.exec(
      statusPage(
        view([working({ accessTokenExpiresAt: minutes(expires), accessTokenIssuedAt: minutes(expires - 60) })]),
      ).body.text,
    )?.[1]
  assert.equal(width(60), '100.0')
  assert.equal(width(30), '50.0')
  assert.equal(width(90), '100.0')
  assert.equal(width(-1), undefined)
})

test('tokens without a recorded expiry, expired ones and none at all are told apart', () => {
  assert.match(
    words([working({ accessTokenExpiresAt: null })]),
    /without a recorded expiry: used until the upstream rejects it/,
  )
  assert.match(
    words([working({ accessTokenExpiresAt: minutes(-3) })]),
    /expired 3 minutes ago since .*; the next request fetches a new one/,
  )
  assert.match(words([working({ refreshTokenExpiresAt: minutes(60) })]), /less than a day left/)
  assert.match(words([working({ refreshTokenExpiresAt: minutes(-3000) })]), /Refresh token expired 2 days ago/)
})

test('the history says in words what it shows in bars', () => {
  const record = (outcome: 'success' | 'transient' | 'fatal', at: number) => ({
    at: start + at,
    reason: 'rejected' as const,
    outcome,
  })
  const history = [
    record('success', -4000),
    record('transient', -3000),
    record('transient', -2000),
    record('fatal', -1000),
  ]
  const { text } = statusPage(view([working({ history })])).body
  assert.equal(text.match(/<rect\s+class="(success|transient|fatal)"/g)?.length, 4)
  assert.match(
    words([working({ history })]),
    /4 refreshes: 1 successful, 2 failed and tried again \(short\), 1 refused \(hollow\)\./,
  )
  const many = Array.from({ length: 50 }, (_, index) => record('success', index))
  assert.match(words([working({ history: many })]), /The latest 40 refreshes, all successful\./)
})

test('a credential with subjects lists those that need a person first, and not ten thousand', () => {
  const perSubject = { ...info, credentials: [{ ...info.credentials[0]!, subjectHeader: 'X-Customer' }] }
  const subjects = Array.from({ length: 10_000 }, (_, index) => working({ subject: `tenant-${index}` }))
  const waiting = working({ subject: 'a b&c', state: 'reauthorization_required' })
  const { text } = statusPage(view([working(), ...subjects, waiting], { info: perSubject })).body
  assert.ok(text.indexOf('a b&amp;c') < text.indexOf('tenant-0'))
  assert.ok(text.includes('href="/credentials/sky/authorize?subject=a%20b%26c"'))
  assert.ok(!text.includes('tenant-24'))
  assert.ok(text.length < 60_000, String(text.length))
  assert.match(
    words([working(), ...subjects, waiting], { info: perSubject }),
    /10,001 in memory, 9,976 of them not shown here/,
  )
  assert.match(words([working(), ...subjects, waiting], { info: perSubject }), /A subject of sky needs a login\./)
})

test('nothing from outside becomes markup', () => {
  const evil = `"><script>alert('x')</script>`
  const { body } = statusPage(
    view([working({ lastError: evil, nextStep: evil, provider: evil }), working({ subject: evil })], {
      info: {
        ...info,
        version: evil,
        store: { ...info.store, description: evil, ok: false, error: evil },
        routes: [{ ...info.routes[0]!, path: evil, name: evil, upstreamOrigin: evil }],
        credentials: [{ ...info.credentials[0]!, title: evil, subjectHeader: evil }],
      },
    }),
  )
  assert.doesNotMatch(body.text, /<script>alert|x'\)/)
  assert.ok(body.text.includes('&quot;&gt;&lt;script&gt;'))
})

/** WCAG 2.2: relative luminance and contrast ratio. */
function contrast(one: string, two: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5]
      .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light = 0, dark = 0] = [luminance(one), luminance(two)].toSorted((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

test('every text colour has a contrast of 4.5 or more on what it stands on, every mark 3 or more', () => {
  const schemes = style
    .split('prefers-color-scheme: dark')
    .slice(0, 2)
    .map((part) => new Map([...part.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map((match) => [match[1], match[2]!])))
  assert.equal(schemes.length, 2)
  for (const [index, colours] of schemes.entries()) {
    const of = (name: string) => colours.get(name) ?? assert.fail(`no colour ${name}`)
    const texts = [
      ['ink', 'ground'],
      ['ink', 'card'],
      ['ink', 'track'],
      ['quiet', 'ground'],
      ['quiet', 'card'],
      ['accent', 'ground'],
      ['accent', 'card'],
      ['on-accent', 'accent'],
      ['good', 'good-bg'],
      ['warn', 'warn-bg'],
      ['bad', 'bad-bg'],
      ['warn', 'card'],
    ] as const
    for (const [text, ground] of texts) {
      const ratio = contrast(of(text), of(ground))
      assert.ok(ratio >= 4.5, `scheme ${index}: ${text} on ${ground} is ${ratio.toFixed(2)}`)
    }
    for (const mark of ['accent', 'warn-mark', 'bad-mark']) {
      const ratio = contrast(of(mark), of('card'))
      assert.ok(ratio >= 3, `scheme ${index}: ${mark} is ${ratio.toFixed(2)}`)
    }
  }
})
