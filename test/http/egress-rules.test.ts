import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { egressRules, ProxyVariableError } from '../../src/http/egress-rules.ts'
import { isLoopback } from '../../src/http/loopback.ts'

type Environment = Readonly<Record<string, string>>

/** "PROXY from VARIABLE", or "directly". */
function way(origin: string, env: Environment): string {
  const choice = egressRules(env)(new URL(origin))
  return choice === undefined ? 'directly' : `${choice.proxy.href} from ${choice.variable}`
}

void suite('this machine', () => {
  const env = { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:1', ALL_PROXY: 'http://p:1', NO_PROXY: 'other.test' }
  for (const host of [
    'localhost',
    'LOCALHOST',
    'localhost.',
    'api.localhost',
    '127.0.0.1',
    '127.1',
    '127.255.255.254',
    '2130706433',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
  ]) {
    void test(`as ${host} is never reached through a proxy`, () => {
      for (const scheme of ['http', 'https']) {
        assert.equal(way(`${scheme}://${host}:8080`, env), 'directly')
        assert.equal(way(`${scheme}://${host}`, { ...env, HTTP_PROXY: 'socks5://p:1' }), 'directly')
      }
    })
  }

  for (const host of ['localhost.example.test', 'notlocalhost', '128.0.0.1', '[::2]', '0x7f.example.test']) {
    void test(`is not meant by ${host}`, () => {
      assert.equal(way(`http://${host}`, env), 'http://p:1/ from HTTP_PROXY')
    })
  }

  void test('is not meant by what only looks like an address', () => {
    for (const host of ['127.0.0', '127.0.0.1.2', '...', '']) assert.equal(isLoopback(host), false)
  })
})

void suite('the variables', () => {
  for (const [story, origin, env, expected] of [
    ['none', 'https://a.test', {}, 'directly'],
    ['of the other scheme', 'https://a.test', { http_proxy: 'http://p:1', HTTP_PROXY: 'http://p:2' }, 'directly'],
    ['for https', 'https://a.test', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/ from HTTPS_PROXY'],
    ['for http, in capitals too', 'http://a.test', { HTTP_PROXY: 'https://p:1' }, 'https://p:1/ from HTTP_PROXY'],
    [
      'in lower case before capitals',
      'https://a.test',
      { https_proxy: 'http://low:1', HTTPS_PROXY: 'http://up:1' },
      'http://low:1/ from https_proxy',
    ],
    [
      'empty in lower case, as if it were not there',
      'https://a.test',
      { https_proxy: '', HTTPS_PROXY: 'http://up:1' },
      'http://up:1/ from HTTPS_PROXY',
    ],
    ['all empty', 'https://a.test', { https_proxy: '', HTTPS_PROXY: '', all_proxy: '', ALL_PROXY: '' }, 'directly'],
    ['for all', 'https://a.test', { ALL_PROXY: 'http://p:1' }, 'http://p:1/ from ALL_PROXY'],
    [
      'for all in lower case before capitals',
      'http://a.test',
      { all_proxy: 'http://low:1', ALL_PROXY: 'http://up:1' },
      'http://low:1/ from all_proxy',
    ],
    [
      'of the scheme before that for all',
      'https://a.test',
      { all_proxy: 'socks5://p:1', HTTPS_PROXY: 'http://p:2' },
      'http://p:2/ from HTTPS_PROXY',
    ],
    ['without a scheme', 'https://a.test', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128/ from HTTPS_PROXY'],
    ['as a bare name', 'https://a.test', { HTTPS_PROXY: 'p.test' }, 'http://p.test/ from HTTPS_PROXY'],
    ['as an address', 'https://a.test', { HTTPS_PROXY: '[fd00::1]:3128' }, 'http://[fd00::1]:3128/ from HTTPS_PROXY'],
    [
      'with a password, without a scheme',
      'https://a.test',
      { HTTPS_PROXY: 'u%40x:p%2Fw@p:3128' },
      'http://u%40x:p%2Fw@p:3128/ from HTTPS_PROXY',
    ],
  ] as const) {
    void test(story, () => assert.equal(way(origin, env), expected))
  }

  for (const value of [
    'socks5://p:1080',
    'socks5h://user:secret@p:1080',
    'socks4://p',
    'ftp://p',
    'http://',
    'https://:3128',
    'http://user:secret@',
    'http://p:99999',
    'http://p:x',
    ' ',
    'user:sec/ret@p:3128',
    // Read by the letter, the host would be "user" and the port the beginning of the password.
    'http://user:12/secret@p:3128',
    'http://user:12#secret@p:3128',
    'http://user:12?secret@p:3128',
  ]) {
    void test(`${JSON.stringify(value)} cannot be used: the variable is named, its value is not`, () => {
      const fault = (error: unknown) => {
        assert.ok(error instanceof ProxyVariableError)
        assert.equal(error.variable, 'https_proxy')
        assert.match(error.message, /^is not the address of a proxy: http:\/\/HOST:PORT, .* not understood$/)
        assert.doesNotMatch(error.message, /sec|user:/)
        return true
      }
      const env = { https_proxy: value, HTTPS_PROXY: 'http://p:1', NO_PROXY: 'exempt.test' }
      assert.throws(() => way('https://a.test', env), fault)
      assert.equal(way('https://exempt.test', env), 'directly')
      assert.equal(way('http://a.test', env), 'directly')
    })
  }
})

void suite('NO_PROXY', () => {
  for (const [entries, exempt, through] of [
    [
      'example.test',
      ['example.test', 'api.example.test', 'a.b.example.test:8443', 'EXAMPLE.test', 'example.test.'],
      ['badexample.test', 'example.test.evil.test', 'test'],
    ],
    ['.example.test', ['example.test', 'api.example.test'], ['badexample.test']],
    ['*.example.test', ['example.test', 'api.example.test'], ['badexample.test']],
    ['EXAMPLE.TEST.', ['api.example.test'], []],
    ['*', ['a.test', '10.0.0.1', '[fd00::1]'], []],
    ['a.test, *', ['b.test'], []],
    ['a.test,b.test', ['a.test', 'b.test'], ['c.test']],
    ['a.test b.test\tc.test , d.test', ['a.test', 'b.test', 'c.test', 'd.test'], ['e.test']],
    ['a.test:8443', ['a.test:8443', 'api.a.test:8443'], ['a.test', 'a.test:8444']],
    ['a.test:443', ['a.test'], ['a.test:8443']],
    ['10.1.2.3', ['10.1.2.3', '[::ffff:10.1.2.3]'], ['10.1.2.4', '10.1.2.3.test']],
    ['10.1.2.3:8443', ['10.1.2.3:8443'], ['10.1.2.3']],
    ['10.0.0.0/8', ['10.0.0.1', '10.255.255.255:8443'], ['11.0.0.1', '10.test', '[fd00::1]']],
    ['192.168.16.0/20', ['192.168.31.1'], ['192.168.32.1']],
    ['0.0.0.0/0', ['8.8.8.8'], ['a.test']],
    ['fd00::/8', ['[fd12::1]'], ['[fe80::1]', '10.0.0.1']],
    ['[fd00::]/8', ['[fd12::1]'], []],
    ['fd00::1', ['[fd00::1]', '[fd00:0::1]:8443'], ['[fd00::2]']],
    ['[fd00::1]', ['[fd00::1]'], ['[fd00::2]']],
    ['[fd00::1]:8443', ['[fd00::1]:8443'], ['[fd00::1]']],
    // Nothing of these can be understood, and nothing else is harmed.
    [
      '10.0.0.0/33, fd00::/129, 10.0.0/8, <local>, ., *., :80, /8, a.test',
      ['a.test'],
      ['10.0.0.1', '[fd00::1]', 'b.test', 'local'],
    ],
    ['', [], ['a.test']],
  ] as const) {
    void test(`"${entries}"`, () => {
      const env = { ALL_PROXY: 'http://p:1' }
      for (const variable of ['NO_PROXY', 'no_proxy']) {
        const found = (host: string) => way(`https://${host}`, { ...env, [variable]: entries })
        assert.deepEqual(
          exempt.filter((host) => found(host) !== 'directly'),
          [],
        )
        assert.deepEqual(
          through.filter((host) => found(host) === 'directly'),
          [],
        )
      }
    })
  }

  void test('in lower case wins, unless it is empty', () => {
    const env = { ALL_PROXY: 'http://p:1', NO_PROXY: 'up.test' }
    assert.equal(way('https://up.test', { ...env, no_proxy: 'low.test' }), 'http://p:1/ from ALL_PROXY')
    assert.equal(way('https://low.test', { ...env, no_proxy: 'low.test' }), 'directly')
    assert.equal(way('https://up.test', { ...env, no_proxy: '' }), 'directly')
  })

  void test('means port 80 where an http:// origin names none', () => {
    const env = { ALL_PROXY: 'http://p:1', NO_PROXY: 'a.test:80' }
    assert.equal(way('http://a.test', env), 'directly')
    assert.equal(way('https://a.test', env), 'http://p:1/ from ALL_PROXY')
  })
})
