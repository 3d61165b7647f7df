import assert from 'node:assert/strict'
import test from 'node:test'
import type { ProxyError } from '../../src/errors.ts'
import { Governor, type Waiting } from '../../src/proxy/rate-limit.ts'
import type { TokenSet } from '../../src/tokens/token-set.ts'
import { TestClock } from '../helpers/clock.ts'
import { code, dial, get, raw, startProxy, startUpstream, type FakeSource } from './harness.ts'

function governor(clock: TestClock, config: Partial<Governor['config']>): Governor {
  return new Governor({ queue: 100, maxWait: 10_000, ...config }, clock)
}

class Waiter implements Waiting {
  readonly name: string
  readonly order: string[]
  refused: ProxyError | undefined

  constructor(name: string, order: string[] = []) {
    this.name = name
    this.order = order
  }

  onTurn(): void {
    this.order.push(this.name)
  }

  onRefused(error: ProxyError): void {
    this.refused = error
  }
}

test('no sliding second holds more than perSecond starts', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 3 })
  const starts: number[] = []
  const waiting = () => ({ onTurn: () => void starts.push(clock.monotonic()), onRefused: () => assert.fail('refused') })
  for (let count = 0; count < 12; count++) {
    if (limiter.enter('a', waiting())) starts.push(clock.monotonic())
    await clock.advance(90)
  }
  await clock.advance(10_000)
  assert.equal(starts.length, 12)
  for (const start of starts) {
    assert.ok(starts.filter((other) => other >= start && other <= start + 1010).length <= 3)
  }
})

test('the day ends at 00:00 UTC, and until then a caller is told how long', async () => {
  const clock = new TestClock(Date.parse('2026-01-01T23:59:30Z'))
  const limiter = governor(clock, { perDay: 2 })
  assert.ok(limiter.enter('a', new Waiter('1')))
  assert.ok(limiter.enter('a', new Waiter('2')))
  assert.throws(() => limiter.enter('a', new Waiter('3')), { code: 'rate_limited', retryAfter: 30 })
  await clock.advance(30_000)
  assert.ok(limiter.enter('a', new Waiter('4')))
})

test('callers take turns, and a caller with many requests does not starve one with two', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 1 })
  assert.ok(limiter.enter('greedy', new Waiter('first')))
  const order: string[] = []
  for (let count = 1; count <= 4; count++) assert.equal(limiter.enter('greedy', new Waiter(`g${count}`, order)), false)
  for (let count = 1; count <= 2; count++) assert.equal(limiter.enter('modest', new Waiter(`m${count}`, order)), false)
  await clock.advance(9_000)
  assert.deepEqual(order, ['g1', 'm1', 'g2', 'm2', 'g3', 'g4'])
})

test('the queue is bounded, patience too, and who leaves frees its place', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 1, queue: 2, maxWait: 1500 })
  limiter.enter('a', new Waiter('now'))
  const [second, third] = [new Waiter('2'), new Waiter('3')]
  limiter.enter('a', second)
  limiter.enter('a', third)
  assert.throws(() => limiter.enter('a', new Waiter('4')), { code: 'rate_limited' })
  limiter.leave(second)
  const fourth = new Waiter('4', third.order)
  assert.equal(limiter.enter('a', fourth), false)
  await clock.advance(1500)
  assert.deepEqual(third.order, ['3'])
  assert.equal(fourth.refused?.code, 'rate_limited')
  assert.ok((fourth.refused.retryAfter ?? 0) >= 1)
  assert.deepEqual([second.order, second.refused], [[], undefined])
})

test('a replay goes before everybody else', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 1, queue: 1 })
  limiter.enter('a', new Waiter('now'))
  const order: string[] = []
  limiter.enter('a', new Waiter('queued', order))
  assert.equal(limiter.enter('b', new Waiter('replay', order), true), false)
  await clock.advance(5_000)
  assert.deepEqual(order, ['replay', 'queued'])
})

for (const [status, headers, pause] of [
  [429, ['Retry-After', '3'], 3],
  [429, ['retry-after', '2'], 2],
  [403, ['Retry-After', '4'], 4],
  [429, ['Retry-After', 'Thu, 01 Jan 2026 00:00:05 GMT'], 5],
  [429, ['X-RateLimit-Reset', String(Date.parse('2026-01-01T00:00:06Z') / 1000)], 6],
  [429, ['X-Ratelimit-Reset', '7'], 7],
  [429, ['Retry-After', '999999999'], 300],
  [200, ['Retry-After', '9'], 0],
  [429, ['Retry-After', 'soon'], 0],
  [403, [], 0],
  [503, ['Retry-After', '60'], 0],
] as const) {
  test(`an answer ${status} with ${headers.join(': ') || 'nothing'} holds requests back for ${pause} s`, async () => {
    const clock = new TestClock()
    const limiter = governor(clock, { perSecond: 100, maxWait: 0 })
    limiter.observe(status, headers)
    if (pause === 0) {
      assert.ok(limiter.enter('a', new Waiter('x')))
      return
    }
    assert.throws(() => limiter.enter('a', new Waiter('x')), { retryAfter: pause })
    await clock.advance(pause * 1000)
    assert.ok(limiter.enter('a', new Waiter('x')))
  })
}

test('a refusal says whether the limit or the upstream is the reason', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 1, maxWait: 500 })
  limiter.enter('a', new Waiter('1'))
  assert.throws(() => limiter.enter('a', new Waiter('2')), { detail: /rateLimit is used up/ })
  limiter.observe(403, ['Retry-After', '60'])
  assert.throws(() => limiter.enter('a', new Waiter('3')), {
    retryAfter: 60,
    detail: /^The upstream answered 403 and asked for a pause/,
  })
  limiter.observe(429, ['Retry-After', '5'])
  assert.throws(() => limiter.enter('a', new Waiter('4')), { retryAfter: 60, detail: /answered 403/ })
  await clock.advance(60_000)
  assert.ok(limiter.enter('a', new Waiter('5')))
  assert.throws(() => limiter.enter('a', new Waiter('6')), { detail: /rateLimit is used up/ })
})

test('what is given back goes to others, and who gave it back keeps a place', async () => {
  const clock = new TestClock()
  const limiter = governor(clock, { perSecond: 1, queue: 1 })
  const order: string[] = []
  const [away, second, other] = [new Waiter('away', order), new Waiter('second', order), new Waiter('other', order)]
  assert.ok(limiter.enter('a', away))
  limiter.giveBack(away)
  assert.ok(limiter.enter('a', second))
  limiter.giveBack(second)
  const third = new Waiter('third')
  assert.ok(limiter.enter('a', third))
  assert.throws(() => limiter.giveBack(third), { code: 'rate_limited' })
  assert.ok(limiter.enter('b', other), 'a token at hand needs nobody to wait')
  assert.equal(limiter.enter('a', away), false)
  assert.equal(limiter.enter('a', second), false, 'its place is not counted again')
  await clock.advance(3000)
  assert.deepEqual(order, ['away', 'second'])
})

test('who leaves while it waits for a token frees its place', () => {
  const limiter = governor(new TestClock(), { perSecond: 1, queue: 0 })
  const away = new Waiter('away')
  limiter.enter('a', away)
  limiter.giveBack(away)
  const next = new Waiter('next')
  assert.ok(limiter.enter('a', next))
  assert.throws(() => limiter.giveBack(next), { code: 'rate_limited' })
  limiter.leave(away)
  assert.ok(limiter.enter('a', next))
  limiter.giveBack(next)
})

test('of the day, no more wait for a token than may still go', () => {
  const limiter = governor(new TestClock(Date.parse('2026-01-01T23:59:00Z')), { perDay: 2 })
  const waiters = ['1', '2', '3'].map((name) => new Waiter(name))
  for (const waiter of waiters.slice(0, 2)) {
    limiter.enter('a', waiter)
    limiter.giveBack(waiter)
  }
  const last = waiters[2] as Waiter
  assert.ok(limiter.enter('a', last))
  assert.throws(() => limiter.giveBack(last), { code: 'rate_limited', retryAfter: 60 })
})

test('requests that waited for a token go out no faster than the limit, and a full queue is told at once', async (t) => {
  const clock = new TestClock()
  const upstream = await startUpstream(t)
  const { port, sources } = await startProxy(t, {
    routes: [{ upstream: upstream.url, rateLimit: { perSecond: 2, queue: 3 } }],
    clock,
  })
  const source = sources['sky'] as FakeSource
  let arrive: (token: TokenSet) => void = () => undefined
  const token = new Promise<TokenSet>((resolve) => (arrive = resolve))
  source.answer = () => token
  const callers = []
  for (let count = 1; count <= 5; count++) {
    callers.push(dial(t, port).write(get(`/${count}`)))
    while (source.asked.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  const refused = await raw(t, port, get('/6'))
  assert.equal(code(refused), 'rate_limited')
  assert.equal(upstream.seen.length, 0)
  source.answer = undefined
  arrive(source.current)
  const counts: number[] = []
  for (let elapsed = 0; elapsed < 3; elapsed++) {
    await clock.advance(0)
    await Promise.all(callers.slice(elapsed * 2, elapsed * 2 + 2).map((caller) => caller.answer()))
    counts.push(upstream.seen.length)
    await clock.advance(1100)
  }
  assert.deepEqual(counts, [2, 4, 5])
  assert.deepEqual(
    upstream.seen.map(({ headers }) => headers.authorization),
    Array.from({ length: 5 }, () => 'Bearer sky-1'),
  )
})

test('over the limit a caller is answered 429 with Retry-After, before any token is asked for', async (t) => {
  const upstream = await startUpstream(t)
  const { port, sources } = await startProxy(t, {
    routes: [{ upstream: upstream.url, rateLimit: { perDay: 1 } }],
    clock: new TestClock(Date.parse('2026-01-01T12:00:00Z')),
  })
  assert.equal((await raw(t, port, get('/'))).status, 200)
  const refused = await raw(t, port, get('/'))
  assert.equal(refused.status, 429)
  assert.equal(code(refused), 'rate_limited')
  assert.match(refused.head, /Retry-After: 43200/)
  assert.equal(upstream.seen.length, 1)
  assert.equal(sources['sky']?.asked.length, 1)
})

test('a waiting caller that leaves costs nothing of the limit, and replays count', async (t) => {
  const clock = new TestClock()
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(request.headers.authorization === 'Bearer sky-1' ? 401 : 200).end()
  })
  const { port, nextRecord, records } = await startProxy(t, {
    routes: [{ upstream: upstream.url, rateLimit: { perSecond: 2 } }],
    clock,
  })
  assert.equal((await raw(t, port, get('/'))).status, 200)
  assert.equal(upstream.seen.length, 2)
  const started = records.length
  const timers = clock.pending
  const record = nextRecord()
  const leaving = dial(t, port).write(get('/leaves'))
  const staying = dial(t, port).write(get('/stays'))
  while (clock.pending < timers + 2) await new Promise((resolve) => setImmediate(resolve))
  leaving.close()
  assert.equal((await record).status, 499)
  assert.equal(records.length, started + 1)
  const answer = staying.answer()
  await clock.advance(1100)
  assert.equal((await answer).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/', '/', '/stays'],
  )
})
