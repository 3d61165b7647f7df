import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { Answer, type AnswerOwner } from '../../src/proxy/answer.ts'
import { RequestRecord } from '../../src/proxy/request-record.ts'
import { Watchdog } from '../../src/proxy/watchdog.ts'
import { systemClock } from '../../src/clock.ts'
import { code, get, raw } from './harness.ts'

/** Serves every request with an Answer that `play` drives. */
async function answering(
  t: test.TestContext,
  play: (answer: Answer) => void,
): Promise<{ port: number; record: () => RequestRecord }> {
  let last: RequestRecord | undefined
  const context = {
    clock: systemClock,
    events: {},
    watchdog: new Watchdog(systemClock, 1000),
    uploadLimits: { caller: 1, upstream: 1 },
    drainLimit: 1,
    closing: () => false,
    proxyOrigin: () => 'http://localhost',
    crossOrigin: () => false,
  }
  const server = createServer((request, response) => {
    const record = new RequestRecord(request, () => 'id', 0)
    last = record
    const owner: AnswerOwner = {
      onCallerReady: () => undefined,
      onTick: () => undefined,
      fail: (error) => answer.fail(error, false),
    }
    const answer = new Answer(context, request, response, record, owner)
    play(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    port: (server.address() as AddressInfo).port,
    record: () => last as RequestRecord,
  }
}

const plain = { status: 200, statusText: 'OK', headers: [], length: undefined, hasBody: true }

for (const [story, bad, play] of [
  ['with its body', { ...plain, length: 2 }, (answer: Answer) => answer.data(Buffer.from('ok'))],
  [
    'in the next turn',
    plain,
    (answer: Answer) => {
      answer.data(Buffer.from('a'))
      setImmediate(() => {
        answer.data(Buffer.from('b'))
        answer.end()
      })
    },
  ],
  [
    'with several pieces',
    plain,
    (answer: Answer) => 'abc'.split('').forEach((piece) => answer.data(Buffer.from(piece))),
  ],
  ['without a body', { ...plain, hasBody: false }, (answer: Answer) => answer.end()],
] as const) {
  test(`a head that Node would not write becomes a 502 when it would leave ${story}`, async (t) => {
    const { port, record } = await answering(t, (answer) => {
      answer.head({ ...bad, headers: ['X', 'a\nb'] }, undefined, undefined)
      play(answer)
    })
    const answer = await raw(t, port, get('/'))
    assert.match(answer.head, /^HTTP\/1\.1 502 Bad Gateway\r\n/)
    assert.equal(code(answer), 'upstream_protocol_error')
    assert.equal(record().status, 502)
    assert.match((record().error?.cause as Error).message, /Invalid character/)
  })
}

test('an answer in pieces, all in one turn or not, keeps their order', async (t) => {
  const { port } = await answering(t, (answer) => {
    answer.head(plain, undefined, undefined)
    answer.data(Buffer.from('one,'))
    answer.data(Buffer.from('two,'))
    setImmediate(() => {
      answer.data(Buffer.from('three,'))
      answer.data(Buffer.from('four'))
      answer.end()
    })
  })
  assert.equal((await raw(t, port, get('/'))).body, 'one,two,three,four')
})

test('a piece that came with the head does not wait for the next one', async (t) => {
  const { port } = await answering(t, (answer) => {
    answer.head(plain, undefined, undefined)
    answer.data(Buffer.from('first'))
  })
  const response = await fetch(`http://127.0.0.1:${port}`)
  const piece = await response.body?.getReader().read()
  assert.equal(Buffer.from(piece?.value ?? []).toString(), 'first')
})
