import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { load, minimal, refusal } from './config-file.ts'

const message =
  'is not the address of a proxy: http://HOST:PORT, https://HOST:PORT or HOST:PORT, with USER:PASSWORD@ (percent-encoded) before HOST; other schemes, socks5:// among them, are not understood'

void suite('a proxy variable that cannot be used', () => {
  for (const value of ['socks5://user:hunter2@proxy:1080', 'http://', 'http://user:hunter2@']) {
    void test(`is a fault of the configuration: ${value}`, async (t) => {
      const { lines } = await refusal(t, { files: minimal(), env: { HTTPS_PROXY: value } })
      assert.deepEqual(lines, [`$HTTPS_PROXY: ${message}`])
    })
  }

  void test('is told beside the other faults', async (t) => {
    const files = minimal({ route: 'colour: red' })
    const { lines } = await refusal(t, { files, env: { all_proxy: 'socks5://proxy:1080' } })
    assert.equal(lines.length, 2)
    assert.ok(lines.includes(`$all_proxy: ${message}`))
  })

  for (const [story, change] of [
    ['a route', 'https://api.example.com'],
    ['a token endpoint', 'https://auth.example.com/token'],
  ] as const) {
    void test(`is a fault when ${story} alone needs it`, async (t) => {
      const env = { HTTPS_PROXY: 'socks5://proxy:1080', NO_PROXY: 'example.com' }
      await load(t, { files: minimal(), env })
      const { lines } = await refusal(t, { files: minimal().replace(change, 'https://far.test/x'), env })
      assert.deepEqual(lines, [`$HTTPS_PROXY: ${message}`])
    })
  }

  void test('is a fault when the webhook alone needs it', async (t) => {
    const env = { HTTPS_PROXY: 'socks5://proxy:1080', NO_PROXY: 'example.com' }
    const files = minimal({ top: 'notify: { webhook: https://far.test/x }' })
    assert.deepEqual((await refusal(t, { files, env })).lines, [`$HTTPS_PROXY: ${message}`])
  })

  void test('harms nobody who does not need it', async (t) => {
    await load(t, { files: minimal(), env: { HTTP_PROXY: 'socks5://proxy:1080' } })
    await load(t, { files: minimal(), env: { ALL_PROXY: 'socks5://proxy:1080', HTTPS_PROXY: 'http://proxy:3128' } })
    await load(t, { files: minimal(), env: { HTTPS_PROXY: '', ALL_PROXY: '' } })
    const local = minimal().replaceAll(/https:\/\/(api|auth)\.example\.com/g, 'http://127.0.0.1:9')
    await load(t, { files: local, env: { ALL_PROXY: 'socks5://proxy:1080' } })
  })
})
