import assert from 'node:assert/strict'
import test from 'node:test'
import { matchingRule, needsBody, tokensToRenew, type Rule } from '../../src/tokens/rejection.ts'

const sky: Rule[] = [{ status: 401, unlessBody: ['subscription key', '"errors":'] }]
const body = (text: string) => Buffer.from(text)

for (const [text, rejected] of [
  [
    '{"statusCode":401,"message":"The required Authorization header was missing or invalid, or the token has expired"}',
    true,
  ],
  ['{"message":"Access denied due to invalid subscription key. Make sure ..."}', false],
  ['{"errors":[{"message":"You do not have access to this route."}]}', false],
  ['something unfamiliar', true],
  ['', true],
] as const) {
  test(`a 401 that says ${JSON.stringify(text.slice(0, 50))} ${rejected ? 'means' : 'does not mean'} that the token is no good`, () => {
    assert.equal(matchingRule(sky, 401, body(text)) !== undefined, rejected)
  })
}

test('another status is never judged by the rule, whatever its body says', () => {
  assert.equal(matchingRule(sky, 403, body('the token has expired')), undefined)
})

test('onlyBody needs one of its texts, and unlessBody beside it still has the last word', () => {
  const rules: Rule[] = [{ status: 403, onlyBody: ['expired', 'INVALID_SESSION_ID'], unlessBody: ['quota'] }]
  assert.ok(matchingRule(rules, 403, body('session expired')))
  assert.ok(matchingRule(rules, 403, body('[{"errorCode":"INVALID_SESSION_ID"}]')))
  assert.equal(matchingRule(rules, 403, body('no permission')), undefined)
  assert.equal(matchingRule(rules, 403, body('expired quota')), undefined)
})

test('without a body (HEAD) onlyBody finds nothing and unlessBody forbids nothing', () => {
  assert.equal(matchingRule([{ status: 401, onlyBody: ['x'] }], 401, undefined), undefined)
  assert.ok(matchingRule(sky, 401, undefined))
})

test('the first rule that fits is the one that counts', () => {
  const rules = [
    { status: 403, onlyBody: ['expired'], when: 'always' },
    { status: 403, when: 'expired-or-once' },
  ]
  assert.equal(matchingRule(rules, 403, body('expired'))?.when, 'always')
  assert.equal(matchingRule(rules, 403, body('denied'))?.when, 'expired-or-once')
})

test('the body is waited for only where a rule of that status asks about it', () => {
  assert.equal(needsBody(sky, 401), true)
  assert.equal(needsBody(sky, 403), false)
  assert.equal(needsBody([{ status: 401 }], 401), false)
  assert.equal(needsBody([{ status: 401, onlyBody: [], unlessBody: [] }], 401), false)
})

test('of several rejected tokens those past their expiry are renewed, or all when none is', () => {
  const token = (name: string, expiresAt: number) => ({ name, expired: (now: number) => now >= expiresAt })
  const [old, fresh] = [token('old', 10), token('fresh', 100)]
  assert.deepEqual(tokensToRenew([old, fresh], 50), [old])
  assert.deepEqual(tokensToRenew([old, fresh], 5), [old, fresh])
  assert.deepEqual(tokensToRenew([fresh], 50), [fresh])
})
