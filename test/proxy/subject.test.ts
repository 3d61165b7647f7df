import assert from 'node:assert/strict'
import test from 'node:test'
import { code, get, raw, startProxy, startUpstream, values } from './harness.ts'

const credentials = { tenant: { subjectHeader: 'X-Tenant' } }

test('each value of the subject header has its own token, and the header goes no further', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
  await raw(t, port, get('/', 'x-tenant: a b\r\nX_Tenant: c\r\n'))
  await raw(t, port, get('/', 'X-Tenant: b\r\n'))
  assert.deepEqual(
    upstream.seen.map(({ rawHeaders }) => values(rawHeaders, 'authorization')),
    [['Bearer tenant/a b-1'], ['Bearer tenant/b-1']],
  )
  assert.ok(!upstream.seen.some(({ rawHeaders }) => rawHeaders.some((item) => /tenant$/i.test(item))))
})

for (const [headers, status, expected] of [
  ['', 400, 'subject_required'],
  ['X-Tenant:\r\n', 400, 'subject_required'],
  ['X-Tenant: a\r\nx-tenant: b\r\n', 400, 'bad_request'],
  [`X-Tenant: ${'a'.repeat(257)}\r\n`, 400, 'bad_request'],
  ['X-Tenant: a\tb\r\n', 400, 'bad_request'],
  ['X-Tenant: caf\xe9\r\n', 400, 'bad_request'],
] as const) {
  test(`a request with ${JSON.stringify(headers.slice(0, 40))} is refused and nothing is sent`, async (t) => {
    const upstream = await startUpstream(t)
    const { port, subjects } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
    const answer = await raw(t, port, get('/', headers))
    assert.equal(answer.status, status)
    assert.equal(code(answer), expected)
    assert.equal(upstream.seen.length, 0)
    assert.equal(subjects.size, 0)
  })
}
