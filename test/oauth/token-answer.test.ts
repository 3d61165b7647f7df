import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { CredentialConfig } from '../../src/config/schema.ts'
import { judgeTokenAnswer, type TokenOutcome } from '../../src/oauth/token-answer.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { answerRows, now, type Answer } from './token-answers.ts'

const plain = credentialConfig()

const judge = (answer: Answer, config: CredentialConfig = plain, secrets: readonly string[] = []) =>
  judgeTokenAnswer(
    config,
    {
      status: answer.status ?? 200,
      contentType: answer.type ?? 'application/json',
      retryAfter: answer.retryAfter,
      body: answer.body,
      tooLarge: answer.body.length > 65_536,
    },
    now,
    secrets,
  )

/** The words of the table for an outcome; values that are not what was sent show up in them. */
function inWords(outcome: TokenOutcome): string {
  switch (outcome.kind) {
    case 'success': {
      const { accessToken, refreshToken, issuedAt, expiresAt } = outcome.tokens
      if (accessToken !== 'access-2' || issuedAt !== now) return `used: ${accessToken} of ${issuedAt}`
      const life = expiresAt === undefined ? 'until it is rejected' : `lives ${(expiresAt - now) / 1000} s`
      const refresh =
        refreshToken === undefined ? 'refresh token kept' : refreshToken.replace(/^refresh-2$/, 'new refresh token')
      return `used: ${life}; ${refresh}`
    }
    case 'refresh-token-only':
      return outcome.refreshToken === 'refresh-2'
        ? 'new refresh token saved; passing: tried again'
        : outcome.refreshToken
    case 'fatal':
      return outcome.error === 'invalid_grant' ? 'fatal: invalid_grant' : 'fatal: the client credentials'
    case 'transient':
      if (!outcome.sent) return 'not sent'
      return (outcome.retryAfter ?? 0) === 0
        ? 'passing: tried again'
        : `passing: not before ${(outcome.retryAfter ?? 0) / 1000} s`
    case 'authorizer-rejected':
      return 'that token is renewed, and the request made once more'
  }
}

describe('an answer of the token endpoint', () => {
  for (const { answer, taken, sent, config } of answerRows) {
    it(`${answer}: ${taken}`, async () => {
      const credential = credentialConfig(config)
      for (const one of sent)
        assert.equal(inWords(await judge(one, credential)), taken, JSON.stringify(one).slice(0, 300))
    })
  }

  it('is described by docs/token-answers.md exactly as it is taken', () => {
    const page = readFileSync(new URL('../../docs/token-answers.md', import.meta.url), 'utf8')
    const rows = page
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2)
      .map((line) =>
        line
          .slice(1, -1)
          .split(' | ')
          .map((cell) => cell.trim()),
      )
    assert.deepEqual(
      rows,
      answerRows.map(({ answer, taken }) => [answer, taken]),
    )
  })

  it('is judged without a throw, whatever it is', async () => {
    const body = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.string({
        unit: fc.constantFrom('<', '>', '/', '!', '?', '&', ';', '#', 'a', '"', '=', '[', ']', '-', ' ', ':'),
      }),
      fc.dictionary(fc.constantFrom('access_token', 'refresh_token', 'expires_in', 'error', 'status', 'code'), fc.jsonValue()).map((value) => JSON.stringify(value)), // prettier-ignore
    )
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 100, max: 999 }), body, async (status, text) => {
        const outcome = await judge({ status, body: text })
        if (outcome.kind === 'success') assert.match(outcome.tokens.accessToken, /^[\x21-\x7e]+$/)
        if (outcome.kind === 'fatal')
          assert.match(outcome.error, /^(invalid_grant|invalid_client|unauthorized_client)$/)
      }),
      { numRuns: 500 },
    )
  })
})

describe("the provider's words", () => {
  const wordsFor = async (description: string, secrets: readonly string[] = []) => {
    const body = JSON.stringify({ error: 'invalid_grant', error_description: description })
    const outcome = await judge({ status: 400, body }, plain, secrets)
    return outcome.kind === 'fatal' ? outcome.message : ''
  }

  it('are kept when they are only words', async () => {
    assert.equal(await wordsFor('Refresh token has expired.'), 'invalid_grant: Refresh token has expired.')
  })

  it('lose what looks like a token', async () => {
    assert.doesNotMatch(await wordsFor('token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0 is dead'), /eyJ/)
  })

  it('keep the registered error codes, however long', async () => {
    for (const error of [
      'unsupported_grant_type',
      'unsupported_response_type',
      'temporarily_unavailable',
      'authorization_pending',
      'account_selection_required',
      'request_uri_not_supported',
    ]) {
      const body = JSON.stringify({ error, error_description: `It is ${error}.` })
      const outcome = await judge({ status: 400, body })
      assert.equal(outcome.kind === 'transient' && outcome.message, `The token endpoint answered 400 ${error}: It is ${error}.`) // prettier-ignore
    }
    const secret = 'small_letters_of_a_secret'
    assert.equal(await wordsFor(`bad ${secret}`, [secret]), 'invalid_grant: bad [...]')
    assert.equal(await wordsFor(`bad ${'a'.repeat(41)}`), 'invalid_grant: bad [...]')
  })

  it('are found in an error that is an object', async () => {
    const body = JSON.stringify({ error: { code: 'slow_down', message: 'Too fast.' } })
    const outcome = await judge({ status: 400, body })
    assert.equal(
      outcome.kind === 'transient' && outcome.message,
      'The token endpoint answered 400 slow_down: Too fast.',
    )
  })

  it('lose exactly what was sent, however short or strange, plain or encoded', async () => {
    const secrets = ['s3cr:t!', 'ab+cd/ef==', 'top secret']
    for (const secret of secrets) {
      assert.equal(await wordsFor(`bad token (${secret})`, secrets), 'invalid_grant: bad token ([...])')
      assert.equal(
        await wordsFor(`bad token (${encodeURIComponent(secret)})`, secrets),
        'invalid_grant: bad token ([...])',
      )
    }
  })

  it('hold no control characters, and end', async () => {
    const words = await wordsFor(`\u001b[31mred\r\nSet-Cookie: x\u0000 ${'long '.repeat(1000)}`)
    assert.match(words, /^[\x20-\x7e]+$/)
    assert.ok(words.length < 250)
  })
})
