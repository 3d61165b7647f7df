import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { HeldAnswer } from '../../src/proxy/held-answer.ts'
import { Pieces } from '../../src/proxy/pieces.ts'
import { dial, host, startProxy, startUpstream, startWireUpstream } from './harness.ts'

/** Bytes of memory behind the blocks. */
function memory(blocks: readonly Buffer[]): number {
  return [...new Set(blocks.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

test('a million pieces of one byte become a few blocks, of no more than twice their bytes', () => {
  const pieces = new Pieces()
  for (let count = 0; count < 1_000_000; count++) pieces.add(Buffer.of(count & 0xff))
  const blocks = pieces.blocks()
  assert.ok(blocks.length < 30, String(blocks.length))
  assert.ok(memory(blocks) < 2_000_000)
  assert.ok(Buffer.concat(blocks).every((byte, index) => byte === (index & 0xff)))
})

test('large pieces and the only piece are kept as they came, not copied', () => {
  const [small, large, larger] = [Buffer.from('a'), Buffer.alloc(4096, 'b'), Buffer.alloc(100_000, 'c')]
  const pieces = new Pieces()
  pieces.add(small)
  assert.equal(pieces.blocks()[0], small)
  pieces.add(large)
  pieces.add(larger)
  assert.deepEqual(
    pieces.blocks().map((block) => [small, large, larger].findIndex((piece) => piece === block)),
    [0, 1, 2],
  )
})

test('pieces of any sizes keep their bytes and their order, whenever they are looked at or taken', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 5000 }), fc.constant(2048))
  fc.assert(
    fc.property(fc.array(fc.tuple(sizes, fc.constantFrom('add', 'look', 'take')), { maxLength: 60 }), (steps) => {
      const pieces = new Pieces()
      const wanted: Buffer[] = []
      const taken: Buffer[] = []
      for (const [index, [size, step]] of steps.entries()) {
        const piece = Buffer.alloc(size, index + 1)
        pieces.add(piece)
        wanted.push(piece)
        if (step === 'look') pieces.blocks()
        if (step === 'take') taken.push(...pieces.take())
      }
      taken.push(...pieces.take())
      assert.deepEqual(Buffer.concat(taken), Buffer.concat(wanted))
      assert.equal(pieces.size, 0)
    }),
  )
})

test('an answer that is held back costs no more memory for coming byte by byte', () => {
  const held = new HeldAnswer({ status: 401, statusText: '', headers: [], length: undefined, hasBody: true })
  let more = true
  for (let count = 0; count < 64 * 1024; count++) more = held.add(Buffer.from('x'))
  assert.equal(more, false)
  assert.ok(held.chunks.length < 10)
  assert.ok(memory(held.chunks) < 256 * 1024)
  assert.equal(Buffer.concat(held.chunks).toString(), 'x'.repeat(64 * 1024))
})

const head = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`

test('chunks that came in few packets go on in few chunks, the replay too', async (t) => {
  const sent = 'abcdefghij'.repeat(3000)
  const chunks = [0, 0]
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(request.headers.authorization === 'Bearer sky-1' ? 401 : 200).end()
  })
  upstream.server.prependListener('request', (request) => {
    const attempt = request.headers.authorization === 'Bearer sky-1' ? 0 : 1
    request.on('data', () => (chunks[attempt] = (chunks[attempt] ?? 0) + 1))
  })
  const { port, replays } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port)
  caller.write(`${head}${sent.replaceAll(/./g, '1\r\n$&\r\n')}0\r\n\r\n`)
  assert.equal((await caller.answer()).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ body }) => body.toString()),
    [sent, sent],
  )
  assert.deepEqual(replays, ['success'])
  assert.ok((chunks[0] ?? 0) >= 1 && (chunks[0] ?? 0) <= 60, String(chunks[0]))
  assert.ok((chunks[1] ?? 0) >= 1 && (chunks[1] ?? 0) <= 5, String(chunks[1]))
})

test('a small piece of a stream goes on before the next one comes', async (t) => {
  let arrived: (text: string) => void = () => undefined
  const upstream = await startWireUpstream(t, (_socket, text) => arrived(text))
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(head)
  for (const piece of ['one', 'two', 'three']) {
    const there = new Promise<void>((resolve) => {
      arrived = (text) => {
        if (text.endsWith(`${piece.length}\r\n${piece}\r\n`)) resolve()
      }
    })
    caller.write(`${piece.length}\r\n${piece}\r\n`)
    await there
  }
  assert.ok(upstream.received[0]?.endsWith('3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n'))
})
