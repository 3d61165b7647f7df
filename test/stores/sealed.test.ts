import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import { Seal } from '../../src/stores/sealed.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { emptyGrant } from '../../src/tokens/grant.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { rejectsWith } from './store-assertions.ts'
import { anyGrant } from './any-grant.ts'
import { fullGrant, markedGrant } from './grants.ts'

const key = 'ab'.repeat(32)
const sky: GrantId = { credential: 'sky' }
const anyId = fc.record({
  credential: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/),
  subject: fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
})

async function sealedText(encryptionKey = key, id = sky, revision = 3): Promise<string> {
  return documentCodec(encryptionKey, []).encode({ id, revision, grant: fullGrant('SECRET') })
}

describe('documents', () => {
  for (const [kind, codec] of [
    ['plain', documentCodec(null, [])],
    ['sealed', documentCodec(key, [])],
  ] as const) {
    it(`come back from ${kind} text as they were, whatever they hold`, async () => {
      await fc.assert(
        fc.asyncProperty(anyId, fc.integer({ min: 1 }), anyGrant, async ({ credential, subject }, revision, grant) => {
          const id: GrantId = subject === undefined ? { credential } : { credential, subject }
          const text = await codec.encode({ id, revision, grant })
          assert.deepEqual(await codec.decode(text, grantName(id), 'here'), { id, revision, grant })
        }),
      )
    })
  }

  it('carry times as ISO 8601 and a version', async () => {
    const document = JSON.parse(await documentCodec(null, []).encode({ id: sky, revision: 1, grant: fullGrant() })) as {
      version: number
      tokens: Record<string, string>
    }
    assert.equal(document.version, 1)
    assert.equal(document.tokens['expiresAt'], '2026-03-01T11:00:00.456Z')
  })

  it('keep a token whose expiry no calendar holds', async () => {
    const codec = documentCodec(null, [])
    for (const [expiresAt, expected] of [
      [Infinity, '9999-12-31T23:59:59.999Z'],
      [1e300, '9999-12-31T23:59:59.999Z'],
      [-5, '1970-01-01T00:00:00.000Z'],
      [NaN, '1970-01-01T00:00:00.000Z'],
      [1000.75, '1970-01-01T00:00:01.000Z'],
    ] as const) {
      const times = { issuedAt: 0, expiresAt, refreshIssuedAt: undefined, refreshExpiresAt: undefined }
      const tokens = new TokenSet({ accessToken: 'a', refreshToken: undefined, scope: undefined, ...times })
      const text = await codec.encode({ id: sky, revision: 1, grant: { ...emptyGrant, tokens } })
      assert.equal((await codec.decode(text, 'sky', 'here')).grant.tokens?.expiresAt, Date.parse(expected))
    }
  })

  it('may hold fields that a later release added', async () => {
    const codec = documentCodec(null, [])
    const text = await codec.encode({ id: sky, revision: 2, grant: fullGrant() })
    const value = JSON.parse(text) as { tokens: object; history: object[] }
    const later = {
      ...value,
      mood: 'fine',
      tokens: { ...value.tokens, colour: 1 },
      history: value.history.map((record) => ({ ...record, x: [] })),
    }
    assert.deepEqual((await codec.decode(JSON.stringify(later), 'sky', 'here')).grant, fullGrant())
  })

  it('are damaged when a field has another type, and the message names the field and not its value', async () => {
    const codec = documentCodec(null, [])
    const value = JSON.parse(await codec.encode({ id: sky, revision: 2, grant: fullGrant() })) as Record<string, object>
    for (const [change, path] of [
      [{ tokens: { ...value['tokens'], accessToken: { SECRET: 1 } } }, 'tokens.accessToken'],
      [{ tokens: { ...value['tokens'], expiresAt: 'SECRET' } }, 'tokens.expiresAt'],
      [{ tokens: 'SECRET' }, 'tokens'],
      [{ revision: 'SECRET' }, 'revision'],
      [{ history: [{ at: 'SECRET' }] }, 'history.0.at'],
      [{ usedSeeds: 'SECRET' }, 'usedSeeds'],
      [{ attempt: { at: 'SECRET' } }, 'attempt.at'],
    ] as const) {
      const error = await rejectsWith(
        'damaged',
        codec.decode(JSON.stringify({ ...value, ...change }), 'sky', 'the place'),
      )
      assert.ok(error.message.includes('the place') && error.message.includes(path), error.message)
      assert.doesNotMatch(error.message, /SECRET/)
    }
  })
})

describe('sealed documents', () => {
  it('show no token, no subject and no credential', async () => {
    const text = await sealedText(key, { credential: 'sky', subject: 'person@example.org' })
    assert.doesNotMatch(text, /SECRET|person|accessToken|invalid_grant/)
    const { version, sealed } = JSON.parse(text) as { version: number; sealed: Record<string, unknown> }
    assert.equal(version, 1)
    assert.deepEqual(Object.keys(sealed).sort(), ['alg', 'data', 'iv', 'kdf', 'keyId', 'salt', 'tag'])
    assert.equal(sealed['alg'], 'AES-256-GCM')
  })

  it('never repeat an IV', async () => {
    const codec = documentCodec(key, [])
    const ivs = new Set<unknown>()
    for (let save = 0; save < 200; save++) {
      const text = await codec.encode({ id: sky, revision: 1, grant: fullGrant() })
      ivs.add((JSON.parse(text) as { sealed: { iv: string } }).sealed.iv)
    }
    assert.equal(ivs.size, 200)
  })

  it('refuse to open after any single bit was flipped', async () => {
    const bytes = Buffer.from((await sealedText()).trimEnd())
    const codec = documentCodec(key, [])
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      await assert.rejects(codec.decode(flipped.toString('utf8'), 'sky', 'here'), `bit ${bit}`)
    }
  })

  it('refuse to open in the place of another grant, or with another revision', async () => {
    const codec = documentCodec(key, [])
    const text = await sealedText()
    await rejectsWith('damaged', codec.decode(text, 'other', 'here'))
    await rejectsWith('damaged', codec.decode(text, grantName({ credential: 'sky', subject: 'x' }), 'here'))
    await rejectsWith('damaged', codec.decode(text.replace('"revision":3', '"revision":4'), 'sky', 'here'))
  })

  it('have their place authenticated, not only compared', async () => {
    const seal = new Seal([key])
    const sealed = await seal.seal('text', 'sky 3')
    assert.equal(await seal.open(sealed, 'sky 3'), 'text')
    await assert.rejects(seal.open(sealed, 'sky 4'), { name: 'SealError', fault: 'damaged' })
    await assert.rejects(seal.open({ ...sealed, kdf: 'scrypt-32768-8-3', salt: 'A'.repeat(22) + '==' }, 'sky 3'), {
      fault: 'wrong-key',
    })
  })

  it('take 32 bytes in hex, base64 and base64url as the same key', async () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index))
    const forms = [
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      bytes.toString('base64'),
      bytes.toString('base64url'),
    ]
    const text = await sealedText(forms[0])
    for (const form of forms) {
      const { grant } = await documentCodec(form, []).decode(text, 'sky', 'here')
      assert.equal(grant.tokens?.accessToken, 'access-SECRET')
    }
    assert.match(text, /"kdf":"none"/)
  })

  it('stretch a passphrase with scrypt, once for all saves', async () => {
    const codec = documentCodec('correct horse battery staple', [])
    const began = performance.now()
    const first = await codec.encode({ id: sky, revision: 1, grant: fullGrant() })
    const derived = performance.now()
    const second = await codec.encode({ id: sky, revision: 2, grant: fullGrant() })
    assert.ok(performance.now() - derived < (derived - began) / 3, 'no second derivation')
    const saltOf = (text: string) => (JSON.parse(text) as { sealed: { salt: string; kdf: string } }).sealed
    assert.match(saltOf(first).kdf, /^scrypt-32768-/)
    assert.equal(saltOf(first).salt, saltOf(second).salt)

    const elsewhere = documentCodec('correct horse battery staple', [])
    assert.deepEqual((await elsewhere.decode(second, 'sky', 'here')).grant, fullGrant())
    const third = await elsewhere.encode({ id: sky, revision: 3, grant: fullGrant() })
    assert.equal(saltOf(third).salt, saltOf(first).salt, 'processes come to share a salt')
    await rejectsWith('wrong-key', documentCodec('another passphrase', []).decode(third, 'sky', 'here'))
  })

  it('say what to do when the key is missing or another one', async () => {
    const text = await sealedText()
    const none = await rejectsWith('wrong-key', documentCodec(null, []).decode(text, 'sky', 'the place'))
    assert.match(none.message, /^the place is sealed.*store\.encryptionKey/)
    const wrong = await rejectsWith('wrong-key', documentCodec('cd'.repeat(32), []).decode(text, 'sky', 'the place'))
    assert.match(wrong.message, /previousEncryptionKeys/)
    for (const { message } of [none, wrong]) assert.doesNotMatch(message, /abab|cdcd|SECRET/)
  })

  it('open with a previous key and are sealed with the current one at the next save', async () => {
    const text = await sealedText()
    const codec = documentCodec('cd'.repeat(32), ['a passphrase', key])
    const { grant } = await codec.decode(text, 'sky', 'here')
    const next = await codec.encode({ id: sky, revision: 4, grant })
    assert.deepEqual((await documentCodec('cd'.repeat(32), []).decode(next, 'sky', 'here')).grant, grant)
    await rejectsWith('wrong-key', documentCodec(key, []).decode(next, 'sky', 'here'))
  })

  it('replace plain ones at the next save once a key is set, and give way to plain ones once it is taken away', async () => {
    const plain = documentCodec(null, [])
    const sealing = documentCodec(key, [])
    const text = await plain.encode({ id: sky, revision: 1, grant: markedGrant('SECRET') })
    const { grant } = await sealing.decode(text, 'sky', 'here')
    const sealed = await sealing.encode({ id: sky, revision: 2, grant })
    assert.doesNotMatch(sealed, /SECRET/)
    const leaving = documentCodec(null, [key])
    assert.equal(leaving.sealed, false)
    assert.deepEqual((await leaving.decode(sealed, 'sky', 'here')).grant, grant)
    assert.match(await leaving.encode({ id: sky, revision: 3, grant }), /SECRET/)
  })

  it('of a kind that is not known are from a newer release', async () => {
    const text = await sealedText()
    await rejectsWith('newer', documentCodec(key, []).decode(text.replace('AES-256-GCM', 'AES-512-XYZ'), 'sky', 'here'))
    await rejectsWith('newer', documentCodec(key, []).decode(text.replace('"version":1', '"version":2'), 'sky', 'here'))
  })
})
