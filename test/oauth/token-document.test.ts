import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exportedTokens, importedTokens } from '../../src/oauth/token-document.ts'
import { LoginError } from '../../src/tokens/credentials.ts'
import { credentialConfig } from '../helpers/credential-config.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const hour = 3_600_000
const config = credentialConfig()
const camelCase = credentialConfig({
  tokenResponse: {
    format: 'json',
    fields: {
      accessToken: 'accessToken',
      refreshToken: 'refreshToken',
      expiresIn: null,
      expiresAt: 'expiresAt',
      refreshExpiresIn: null,
    },
  },
})

const full = {
  access_token: 'access-1',
  expires_in: 3600,
  refresh_token: 'refresh-1',
  refresh_token_expires_in: 86_400,
  scope: 'read',
}

describe('importing tokens', () => {
  it('takes a token response, as an object or as text', async () => {
    for (const document of [full, JSON.stringify(full), `\n ${JSON.stringify(full)}\n`]) {
      assert.deepEqual(Object.fromEntries(Object.entries(await importedTokens(config, document, now))), {
        accessToken: 'access-1',
        refreshToken: 'refresh-1',
        issuedAt: now,
        expiresAt: now + hour,
        refreshIssuedAt: now,
        refreshExpiresAt: now + 24 * hour,
        scope: 'read',
      })
    }
  })

  it('takes XML and forms too', async () => {
    const documents = [
      '<r><access_token>access-1</access_token><refresh_token>refresh-1</refresh_token></r>',
      'access_token=access-1&refresh_token=refresh-1',
    ]
    for (const document of documents) {
      const { accessToken, refreshToken } = await importedTokens(config, document, now)
      assert.deepEqual([accessToken, refreshToken], ['access-1', 'refresh-1'])
    }
  })

  it('takes a bare refresh token, whatever it is made of', async () => {
    for (const token of ['refresh-1', 'a/b+c==', 'eyJh.bGci.Oi', '8xLOxBtZp8', '1//0g-Ab_', 'v1.M[x]']) {
      const set = await importedTokens(config, `${token}\n`, now)
      assert.equal(set.refreshToken, token)
      assert.equal(set.accessToken, '')
      assert.equal(set.expired(now), true)
    }
  })

  it('takes a refresh token alone in a response', async () => {
    for (const access_token of [undefined, null, '', 'two words']) {
      const set = await importedTokens(config, { ...full, access_token }, now)
      assert.equal(set.refreshToken, 'refresh-1')
      assert.equal(set.accessToken, '')
    }
  })

  it("reads the provider's own field names, and an absolute expiry also when it is past", async () => {
    const document = { accessToken: 'a', refreshToken: 'r', expiresAt: now / 1000 - 60 }
    const set = await importedTokens(camelCase, document, now)
    assert.equal(set.expiresAt, now - 60_000)
    assert.equal(set.expired(now), true)
    await assert.rejects(importedTokens(camelCase, full, now), /accessToken or refreshToken/)
  })

  it('assumes the configured life of a refresh token', async () => {
    const assumed = credentialConfig({ refresh: { refreshTokenLifetime: '180d' } })
    for (const document of ['refresh-1', { access_token: 'a', refresh_token: 'refresh-1' }]) {
      const { refreshExpiresAt } = await importedTokens(assumed, document, now)
      assert.equal(refreshExpiresAt, now + 180 * 24 * hour)
    }
  })

  it('refuses what holds no token, and never shows it', async () => {
    const documents = ['', ' ', 'two words', 'top-secret\x01', 'top-secret\u00e9', '["top-secret"]', '"top-secret"', '{"top-secret', '<top-secret>', '{"token":"top-secret"}', '{}'] // prettier-ignore
    for (const document of documents) {
      await assert.rejects(importedTokens(config, document, now), (error) => {
        assert.ok(error instanceof LoginError, document)
        assert.doesNotMatch(error.message, /top-secret/)
        return true
      })
    }
  })

  it('keeps every time within what a clock can show', async () => {
    for (const expiresAt of [1e20, 1e300, Number.MAX_SAFE_INTEGER, '9999-12-31T23:59:59Z']) {
      const set = await importedTokens(camelCase, { accessToken: 'a', expiresAt }, now)
      assert.doesNotThrow(() => new Date(set.expiresAt ?? NaN).toISOString())
    }
  })

  it('does not believe that a token was issued in the future', async () => {
    const document = { ...full, bearer_sidecar: { issuedAt: new Date(now + hour).toISOString() } }
    assert.equal((await importedTokens(config, document, now)).issuedAt, now)
  })
})

describe('exporting tokens', () => {
  for (const [name, credential] of [
    ['snake case', config],
    ['camel case', camelCase],
  ] as const) {
    it(`gives a document that means the same later and elsewhere (${name})`, async () => {
      const { accessToken, refreshToken } = credential.tokenResponse.fields
      const source = { [accessToken]: 'access-1', [refreshToken ?? '']: 'refresh-1', expires_in: 3600, expiresAt: now / 1000 + 3600 } // prettier-ignore
      const before = await importedTokens(credential, source, now)
      const document = JSON.stringify(exportedTokens(credential, before, now + hour / 2))
      const after = await importedTokens(credential, document, now + 2 * hour)
      assert.equal(after.accessToken, 'access-1')
      assert.equal(after.refreshToken, 'refresh-1')
      assert.equal(after.issuedAt, before.issuedAt)
      assert.equal(after.expiresAt, now + hour)
      assert.equal(after.refreshExpiresAt, before.refreshExpiresAt)
    })
  }

  it('gives a refresh token alone when there is no more', async () => {
    const set = await importedTokens(config, 'refresh-1', now)
    const document = exportedTokens(config, set, now)
    assert.equal('access_token' in document, false)
    assert.equal((await importedTokens(config, document, now)).refreshToken, 'refresh-1')
  })

  it('never says that a token has less than no time left', () => {
    const set = { ...full }
    return importedTokens(config, set, now).then((tokens) => {
      const document = exportedTokens(config, tokens, now + 1000 * hour)
      assert.equal(document['expires_in'], 0)
      assert.equal(document['refresh_token_expires_in'], 0)
    })
  })
})
