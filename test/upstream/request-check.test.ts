import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { answering, call, ok, open, request, start } from './support.ts'

const host = ['Host', 'upstream.test']

suite('a request that could become two', () => {
  for (const [story, part] of Object.entries({
    'a line break in a value': { headers: [...host, 'A', 'b\r\nC: d'] },
    'a CR in a value': { headers: [...host, 'A', 'b\rc'] },
    'an LF in a value': { headers: [...host, 'A', 'b\n'] },
    'a NUL in a value': { headers: [...host, 'A', 'b\0'] },
    'a control character in a value': { headers: [...host, 'A', '\x1b'] },
    'a char whose low byte is LF in a value': { headers: [...host, 'A', 'b\u010ac'] },
    'a line break in a name': { headers: [...host, 'A\r\nB', 'c'] },
    'a colon in a name': { headers: [...host, 'A:B', 'c'] },
    'a space in a name': { headers: [...host, 'A ', 'c'] },
    'an empty name': { headers: [...host, '', 'c'] },
    'a name above ASCII': { headers: [...host, '\xe9', 'c'] },
    'no Host': { headers: ['A', 'b'] },
    'no fields': { headers: [] },
    'Host not first': { headers: ['A', 'b', ...host] },
    'two Hosts': { headers: [...host, 'hOST', 'evil.example'] },
    'a line break in Host': { headers: ['Host', 'a\r\nB: c'] },
    'a name without a value': { headers: [...host, 'A'] },
    'its own Content-Length': { headers: [...host, 'content-length', '5'] },
    'its own Transfer-Encoding': { headers: [...host, 'Transfer-Encoding', 'chunked'] },
    'its own Connection': { headers: [...host, 'Connection', 'authorization'] },
    'its own Upgrade': { headers: [...host, 'Upgrade', 'h2c'] },
    'a space in the target': { target: '/a HTTP/1.1' },
    'a line break in the target': { target: '/a\r\n' },
    'a NUL in the target': { target: '/\0' },
    'a char above one byte in the target': { target: '/\u010a' },
    'no target': { target: '' },
    'a target in absolute-form': { target: 'http://evil.example/' },
    'a target in authority-form': { target: 'evil.example:443' },
    'an asterisk without OPTIONS': { target: '*' },
    'a space in the method': { method: 'GET /evil' },
    'no method': { method: '' },
    CONNECT: { method: 'CONNECT', target: '/' },
  })) {
    test(`is refused at once: ${story}`, async (t) => {
      const server = await answering(t, ok)
      const upstream = open(t, server.origin)
      assert.throws(() => start(upstream, part), TypeError)
      await call(upstream)
      assert.equal(server.received[0]!.toString(), 'GET / HTTP/1.1\r\nHost: upstream.test\r\n\r\n')
    })
  }

  test('is refused without its values in the message, which may be credentials', (t) => {
    const upstream = open(t, 'http://127.0.0.1:9')
    assert.throws(
      () => start(upstream, { headers: [...host, 'Authorization', 'Bearer secret\r\n'] }),
      (error: Error) => /Authorization/.test(error.message) && !/secret/.test(error.message),
    )
  })

  test('never leaves, whatever the parts are made of', async (t) => {
    const server = await answering(t, ok)
    const upstream = open(t, server.origin)
    const units = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ':', ' ', '\r', '\n', '\0', '\u010d', '\u010a', '\xff', '\t']
    const text = fc.string({ unit: fc.constantFrom(...units), maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (method, path, name, value) => {
        const sample = request({ method: `M${method}`, target: `/${path}`, headers: [...host, `N${name}`, value] })
        const before = server.received[0]?.length ?? 0
        try {
          await call(upstream, sample)
        } catch (error) {
          assert.ok(error instanceof TypeError)
          return
        }
        const sent = server.received[0]!.subarray(before).toString('latin1')
        assert.equal(
          sent,
          `${sample.method} ${sample.target} HTTP/1.1\r\nHost: upstream.test\r\nN${name}: ${value}\r\n\r\n`,
        )
        assert.equal(sent.split('\r\n').length, 5)
      }),
      { numRuns: 500 },
    )
    assert.equal(server.sockets.length, 1)
  })
})
