import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { Http1Parser, maxHead } from '../../src/upstream/http1-parser.ts'

interface Outcome {
  status?: number
  statusText?: string
  headers?: readonly string[]
  length?: number | undefined
  hasBody?: boolean
  persistent?: boolean
  body: string
  end: 'complete' | 'failed' | 'open'
  fault?: string
  surplus?: number
}

/** Parses `bytes` given in pieces that end at `cuts`; `fin` closes the upstream's side afterwards. */
function parse(bytes: string | Buffer, options: { cuts?: number[]; head?: boolean; fin?: boolean } = {}): Outcome {
  const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
  const parser = new Http1Parser()
  parser.begin(options.head ?? false)
  const outcome: Outcome = { body: '', end: 'open' }
  const edges = [
    0,
    ...(options.cuts ?? []).filter((cut) => cut > 0 && cut < all.length).sort((a, b) => a - b),
    all.length,
  ]
  let payload = Buffer.alloc(0)
  for (let piece = 1; piece < edges.length && outcome.end === 'open'; piece++) {
    // A piece of its own: the parser may rearrange what it was given, and nothing else.
    const input = Buffer.from(all.subarray(edges[piece - 1], edges[piece]))
    parser.feed(input, 0, input.length)
    for (let event = parser.next(); event !== 'more'; event = parser.next()) {
      if (event === 'head') {
        Object.assign(outcome, parser.head, { persistent: parser.persistent })
      } else if (event === 'data') {
        payload = Buffer.concat([payload, input.subarray(parser.dataStart, parser.dataEnd)])
      } else {
        outcome.end = event
        if (event === 'complete') outcome.surplus = parser.surplus + all.length - (edges[piece] as number)
        break
      }
    }
  }
  if (outcome.end === 'open' && options.fin === true) outcome.end = parser.finish()
  if (outcome.end === 'failed') outcome.fault = parser.fault
  return { ...outcome, body: payload.toString('latin1') }
}

/** Cuts a text of up to `length` bytes into single bytes. */
function everywhere(length: number): number[] {
  return Array.from({ length }, (_, at) => at)
}

const status = 'HTTP/1.1 200 OK\r\n'

suite('the head of an answer', () => {
  test('is read as it was sent: order, spelling, repeated fields and bytes above 0x7f', () => {
    const outcome = parse(
      'HTTP/1.1 207 Multi-Status \xe9\r\nX-B: 1\r\nset-cookie: a=1\r\nSET-COOKIE: b=2\r\nX-Caf\x65:\t \xe9t\xe9 \t\r\nEmpty:\r\nContent-Length: 0\r\n\r\n',
    )
    assert.equal(outcome.status, 207)
    assert.equal(outcome.statusText, 'Multi-Status \xe9')
    assert.deepEqual(outcome.headers, [
      ...[
        'X-B',
        '1',
        'set-cookie',
        'a=1',
        'SET-COOKIE',
        'b=2',
        'X-Cafe',
        '\xe9t\xe9',
        'Empty',
        '',
        'Content-Length',
        '0',
      ],
    ])
    assert.equal(outcome.end, 'complete')
  })

  for (const line of ['HTTP/1.1 200 ', 'HTTP/1.1 200']) {
    test(`may lack its reason phrase: ${JSON.stringify(line)}`, () => {
      const outcome = parse(`${line}\r\nContent-Length: 0\r\n\r\n`)
      assert.deepEqual([outcome.status, outcome.statusText, outcome.end], [200, '', 'complete'])
    })
  }

  for (const [story, bytes] of Object.entries({
    garbage: 'SSH-2.0-OpenSSH_9.9\r\n',
    'an empty line first': `\r\n${status}\r\n`,
    'HTTP/0.9': '<html>hello</html>',
    'HTTP/2 in clear text': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
    'HTTP/1.10': 'HTTP/1.10 200 OK\r\n\r\n',
    'a lower-case version': 'http/1.1 200 OK\r\n\r\n',
    'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'status 000': 'HTTP/1.1 000 Zero\r\n\r\n',
    'status 099': 'HTTP/1.1 099 Low\r\n\r\n',
    'status 600': 'HTTP/1.1 600 High\r\n\r\n',
    'status 999': 'HTTP/1.1 999 Denied\r\n\r\n',
    'a negative status': 'HTTP/1.1 -20 OK\r\n\r\n',
    'an unsolicited 101': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
    'a bare LF after the status line': 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
    'a bare LF after a field': `${status}A: 1\nContent-Length: 0\r\n\r\n`,
    'a bare LF at the end of the head': `${status}Content-Length: 0\r\n\nx`,
    'a bare CR in the status line': 'HTTP/1.1 200 O\rK\r\n\r\n',
    'a bare CR in a value': `${status}A: 1\rB: 2\r\n\r\n`,
    'a NUL in a value': `${status}A: 1\0\r\n\r\n`,
    'a NUL in a name': `${status}A\0: 1\r\n\r\n`,
    'a control character in a value': `${status}A: \x1b[31m\r\n\r\n`,
    'DEL in a value': `${status}A: \x7f\r\n\r\n`,
    'obs-fold': `${status}A: 1\r\n 2\r\n\r\n`,
    'obs-fold by a tab': `${status}A: 1\r\n\t2\r\n\r\n`,
    'a first line that is folded': `${status} A: 1\r\n\r\n`,
    'a space before the colon': `${status}Content-Length : 5\r\n\r\nhello`,
    'a line without a colon': `${status}hello\r\n\r\n`,
    'an empty name': `${status}: 1\r\n\r\n`,
    'a name with a space': `${status}A B: 1\r\n\r\n`,
    'a name with a byte above 0x7f': `${status}\xe9: 1\r\n\r\n`,
    'more than 1000 fields': `${status}${'a: 1\r\n'.repeat(1001)}\r\n`,
    'a head over 64 KiB': `${status}A: ${'x'.repeat(maxHead)}\r\n\r\n`,
    'a head without an end': `${status}A: ${'x'.repeat(maxHead)}`,
    'a flood of interim answers': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33),
  })) {
    test(`is refused, whole or byte by byte, when it is ${story}`, () => {
      for (const cuts of [[], everywhere(500)]) {
        const outcome = parse(bytes, { cuts })
        assert.equal(outcome.end, 'failed')
        assert.equal(outcome.status, undefined, 'no head may have been reported')
      }
    })
  }

  test('of 60 KiB and 1000 fields is still taken', () => {
    const outcome = parse(`${status}${`a: ${'x'.repeat(52)}\r\n`.repeat(999)}Content-Length: 0\r\n\r\n`, {
      cuts: [7, 1000, 40_000],
    })
    assert.equal(outcome.end, 'complete')
    assert.equal(outcome.headers?.length, 2000)
  })

  test('of 60 KiB in pieces is taken although the last piece goes on beyond 64 KiB', () => {
    const body = 'y'.repeat(20_000)
    const bytes = `${status}A: ${'x'.repeat(60_000)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const outcome = parse(bytes, { cuts: [30_000] })
    assert.deepEqual([outcome.end, outcome.body === body], ['complete', true])
  })

  test('follows any interim answers, whose fields have no meaning', () => {
    const outcome = parse(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102\r\n\r\n' +
        `${status}Content-Length: 2\r\n\r\nok`,
    )
    assert.deepEqual([outcome.status, outcome.body, outcome.end], [200, 'ok', 'complete'])
    assert.deepEqual(outcome.headers, ['Content-Length', '2'])
  })
})

suite('the length of a body', () => {
  const refused: Record<string, string> = {
    'Content-Length and Transfer-Encoding': 'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding and Content-Length': 'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'two different Content-Length': 'Content-Length: 5\r\nContent-Length: 6',
    'two equal Content-Length': 'Content-Length: 5\r\ncontent-length: 5',
    'a list of Content-Length': 'Content-Length: 5, 5',
    'a signed Content-Length': 'Content-Length: +5',
    'a negative Content-Length': 'Content-Length: -5',
    'a hexadecimal Content-Length': 'Content-Length: 0x5',
    'a fraction': 'Content-Length: 5.0',
    'an empty Content-Length': 'Content-Length:',
    'a Content-Length beyond 2^53': 'Content-Length: 9007199254740993',
    'Transfer-Encoding twice': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'chunked twice': 'Transfer-Encoding: chunked, chunked',
    'chunked not last': 'Transfer-Encoding: chunked, identity',
    identity: 'Transfer-Encoding: identity',
    'a coding that nobody offered': 'Transfer-Encoding: gzip, chunked',
    xchunked: 'Transfer-Encoding: xchunked',
    'a vertical tab before chunked': 'Transfer-Encoding: \x0bchunked',
    'quoted chunked': 'Transfer-Encoding: "chunked"',
    'chunked with a parameter': 'Transfer-Encoding: chunked;q=1',
    'an empty Transfer-Encoding': 'Transfer-Encoding:',
  }
  for (const [story, fields] of Object.entries(refused)) {
    test(`is not guessed: ${story}`, () => {
      assert.equal(parse(`${status}${fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`).end, 'failed')
    })
  }

  test('is not guessed: Transfer-Encoding in an HTTP/1.0 answer', () => {
    assert.equal(parse('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n').end, 'failed')
  })

  test('is the Content-Length; what follows is surplus', () => {
    const outcome = parse(`${status}Content-Length: 005\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n`)
    assert.deepEqual([outcome.body, outcome.length, outcome.end, outcome.surplus], ['hello', 5, 'complete', 19])
  })

  test('is what comes until the close when no field says more', () => {
    const outcome = parse(`${status}\r\nhello`, { fin: true })
    assert.deepEqual(
      [outcome.body, outcome.length, outcome.end, outcome.persistent],
      ['hello', undefined, 'complete', false],
    )
  })

  for (const [story, bytes, head] of [
    ['the answer to HEAD', `${status}Content-Length: 5\r\n\r\n`, true],
    ['the chunked answer to HEAD', `${status}Transfer-Encoding: chunked\r\n\r\n`, true],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', false],
    ['204 with Content-Length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', false],
    ['304', 'HTTP/1.1 304 Not Modified\r\n\r\n', false],
    [
      '304 with the Content-Length of the representation',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
      false,
    ],
  ] as const) {
    test(`is nothing for ${story}`, () => {
      const outcome = parse(bytes, { head })
      assert.deepEqual(
        [outcome.end, outcome.hasBody, outcome.length, outcome.body, outcome.persistent, outcome.surplus],
        ['complete', false, undefined, '', true, 0],
      )
    })
  }

  test('that was announced and did not come is a failure, as is a missing last chunk', () => {
    assert.equal(parse(`${status}Content-Length: 5\r\n\r\nhell`, { fin: true }).end, 'failed')
    assert.equal(parse(`${status}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, { fin: true }).end, 'failed')
    assert.equal(parse(`${status}Transfer-Encoding: chunked\r\n\r\n0\r\n`, { fin: true }).end, 'failed')
    assert.equal(parse(`${status}Content-Le`, { fin: true }).end, 'failed')
  })
})

suite('the connection', () => {
  for (const [fields, persistent] of [
    ['', true],
    ['Connection: keep-alive\r\n', true],
    ['Connection: x-close\r\n', true],
    ['Connection: close\r\n', false],
    ['connection: CLOSE\r\n', false],
    ['Connection: x-a, close ,x-b\r\n', false],
    ['Connection: x-a\r\nConnection: close\r\n', false],
  ] as const) {
    test(`${persistent ? 'stays open' : 'closes'} after ${JSON.stringify(fields)}`, () => {
      assert.equal(parse(`${status}${fields}Content-Length: 0\r\n\r\n`).persistent, persistent)
    })
  }

  test('closes after HTTP/1.0, whatever it says', () => {
    assert.equal(parse('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n').persistent, false)
  })
})

suite('the chunked coding', () => {
  const chunked = (body: string) => `${status}Transfer-Encoding: Chunked\r\n\r\n${body}`

  for (const [story, body, expected] of [
    ['chunks of any size', '5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n', 'hello 0123456789'],
    ['leading zeros', '005\r\nhello\r\n000\r\n\r\n', 'hello'],
    ['extensions', '5;a;b=c;d="e;f"\r\nhello\r\n0;last\r\n\r\n', 'hello'],
    ['white space before an extension', '5 \t;a=b\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['trailer fields, which are dropped', '5\r\nhello\r\n0\r\nAuthorization: evil\r\nX: 1\r\n\r\n', 'hello'],
  ] as const) {
    test(`may have ${story}`, () => {
      const whole = parse(chunked(body))
      assert.deepEqual([whole.body, whole.end, whole.length, whole.surplus], [expected, 'complete', undefined, 0])
      assert.ok(!whole.headers?.includes('evil'))
    })
  }

  for (const [story, body] of [
    ['no size', '\r\nhello'],
    ['a size that is no hexadecimal number', 'g\r\nhello'],
    ['a signed size', '+5\r\nhello'],
    ['a negative size', '-1\r\nhello'],
    ['a prefixed size', '0x5\r\nhello'],
    ['a space before the size', ' 5\r\nhello'],
    ['a space behind the size', '5 \r\nhello'],
    ['a size beyond 2^53', '20000000000000\r\nhello'],
    ['a size of 2^64 + 5, which 64 bits would cut to 5', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
    ['a bare CR after the size', '5\rhello\r\n0\r\n\r\n'],
    ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n'],
    ['data that is longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
    ['a bare LF in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
    ['a NUL in an extension', '5;\0\r\nhello\r\n0\r\n\r\n'],
    ['an extension without end', `5;${'a'.repeat(2000)}`],
    ['a trailer line that is folded', '0\r\nA: 1\r\n 2\r\n\r\n'],
    ['a trailer line without a colon', '0\r\nGET / HTTP/1.1\r\n\r\n'],
    ['a bare LF in the trailer', '0\r\nA: 1\n\r\n'],
    ['a trailer without end', `0\r\nA: ${'x'.repeat(70_000)}`],
  ] as const) {
    test(`may not have ${story}`, () => {
      for (const cuts of [[], everywhere(3000)]) {
        assert.equal(parse(chunked(body), { cuts }).end, 'failed')
      }
    })
  }

  test('gives one run of payload for a piece however small its chunks are', () => {
    const parser = new Http1Parser()
    parser.begin(false)
    const input = Buffer.from(chunked(`${'1\r\nx\r\n'.repeat(5000)}0\r\n\r\n`))
    parser.feed(input, 0, input.length)
    const events = [parser.next(), parser.next(), parser.next()]
    assert.deepEqual(events, ['head', 'data', 'complete'])
    assert.equal(input.toString('latin1', parser.dataStart, parser.dataEnd), 'x'.repeat(5000))
  })
})

suite('properties', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/)
  const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,40}[\x21-\x7e\x80-\xff])?$/)
  const framing = new Set(['content-length', 'transfer-encoding', 'connection'])
  const fields = fc
    .array(fc.tuple(token, value), { maxLength: 12 })
    .map((list) => list.filter(([name]) => !framing.has(name.toLowerCase())))
  const payload = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).map(latin1), { maxLength: 8 })
  const answer = fc.record({
    status: fc.integer({ min: 200, max: 599 }).filter((code) => code !== 204 && code !== 304),
    fields,
    payload,
    coding: fc.constantFrom('sized', 'chunked', 'until-close'),
    interim: fc.integer({ min: 0, max: 3 }),
  })

  function latin1(text: string): string {
    return Buffer.from(text).toString('latin1')
  }

  function write(sample: typeof answer extends fc.Arbitrary<infer T> ? T : never): string {
    const body = sample.payload.join('')
    const lines = sample.fields.map(([name, text]) => `${name}: ${text}\r\n`).join('')
    const head = `${'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'.repeat(sample.interim)}HTTP/1.1 ${sample.status} Text\r\n${lines}`
    if (sample.coding === 'sized') return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
    if (sample.coding === 'until-close') return `${head}\r\n${body}`
    const chunks = sample.payload.map((chunk) => `${chunk.length.toString(16)};x=y\r\n${chunk}\r\n`).join('')
    return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\nT: 1\r\n\r\n`
  }

  test('a valid answer is the same wherever it is cut', () => {
    fc.assert(
      fc.property(answer, fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 12 }), (sample, cuts) => {
        const bytes = write(sample)
        const whole = parse(bytes, { fin: true })
        assert.equal(whole.end, 'complete')
        assert.equal(whole.status, sample.status)
        assert.equal(whole.body, sample.payload.join(''))
        assert.deepEqual(whole.headers?.slice(0, sample.fields.length * 2), sample.fields.flat())
        assert.deepEqual(parse(bytes, { fin: true, cuts }), whole)
        assert.deepEqual(parse(bytes, { fin: true, cuts: everywhere(bytes.length) }), whole)
      }),
      { numRuns: 300 },
    )
  })

  test('a damaged answer never throws, and is judged the same wherever it is cut', () => {
    const damage = fc.array(
      fc.tuple(fc.nat(2000), fc.constantFrom('set', 'drop', 'add'), fc.integer({ min: 0, max: 255 })),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    fc.assert(
      fc.property(
        answer,
        damage,
        fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 8 }),
        (sample, changes, cuts) => {
          const bytes = [...Buffer.from(write(sample), 'latin1')]
          for (const [where, what, byte] of changes) {
            const at = where % bytes.length
            if (what === 'set') bytes[at] = byte
            else bytes.splice(at, what === 'drop' ? 1 : 0, ...(what === 'add' ? [byte] : []))
          }
          const damaged = Buffer.from(bytes)
          const whole = parse(damaged, { fin: true })
          const cut = parse(damaged, { fin: true, cuts })
          assert.deepEqual([cut.end, cut.status, cut.headers], [whole.end, whole.status, whole.headers])
          if (whole.end === 'complete') assert.equal(cut.body, whole.body)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
