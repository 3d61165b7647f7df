import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { simulate, type SimulateOptions } from '../../src/cli/simulate.ts'
import { loadConfig } from '../../src/config/load.ts'
import { faultNames } from '../../src/simulator/faults.ts'
import { providerNames } from '../../src/simulator/settings.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { simulated } from './client.ts'

/** Runs the command; `during` gets what it printed while it still runs. */
async function run(options: SimulateOptions, during: (printed: string) => Promise<void> = () => Promise.resolve()) {
  const stop = Promise.withResolvers<undefined>()
  let out = ''
  let err = ''
  let started: Promise<void> | undefined
  const print = (text: string) => {
    out += text
    started = during(out).finally(() => stop.resolve(undefined))
  }
  const code = await simulate(options, { print, complain: (text) => (err += text), stopped: stop.promise })
  await started
  return { code, out, err }
}

interface Printed {
  url: string
  tokenUrl: string
  clientId: string
  clientSecret: string
  refreshToken: string
  config: string
}

test('it prints where it listens and a refresh token that works, and ends when told', async () => {
  let url = ''
  const { code } = await run(
    { provider: 'highq', tokenFormat: 'json', accessTokenTtl: '20s', json: true },
    async (text) => {
      const printed = JSON.parse(text) as Printed
      url = printed.url
      const body = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: printed.refreshToken,
        client_id: printed.clientId,
        client_secret: printed.clientSecret,
      })
      const answer = (await (await fetch(printed.tokenUrl, { method: 'POST', body })).json()) as { expires_in: string }
      assert.equal(answer.expires_in, '20')
    },
  )
  assert.equal(code, 0)
  await assert.rejects(fetch(url))
})

for (const provider of providerNames) {
  test(`the config it prints for ${provider} is one that the program takes`, async (t) => {
    const file = join(tempDir(t), 'bearer-sidecar.yaml')
    const { code } = await run({ provider, json: true }, async (text) => {
      writeFileSync(file, (JSON.parse(text) as Printed).config)
      const { config } = await loadConfig({ file, env: {}, cwd: '/' })
      assert.ok(Object.keys(config.credentials).length > 0)
      assert.ok(config.routes.length > 0)
    })
    assert.equal(code, 0)
  })
}

test('with a port and a refresh token of your choice the config can be written beforehand', async () => {
  await run({ provider: 'generic', refreshToken: 'in-the-config-already', json: true }, (text) => {
    const printed = JSON.parse(text) as Printed
    assert.equal(printed.refreshToken, 'in-the-config-already')
    assert.ok(printed.config.includes('refreshToken: "in-the-config-already"'))
    return Promise.resolve()
  })
})

test('for a person it prints the config and the commands to try', async () => {
  const { out } = await run({ provider: 'blackbaud-sky' })
  assert.match(out, /^Simulated blackbaud-sky on http:\/\/127\.0\.0\.1:\d+ /)
  assert.match(out, /^ {2}version: 1$/m)
  assert.match(out, /^ {2}curl -X POST http:.*\/__simulator\/revoke-access-tokens$/m)
})

test('faults given on the command line are in force', async () => {
  await run({ provider: 'generic', fault: ['token-500@1', 'api-429=3'], json: true }, async (text) => {
    const { url, tokenUrl } = JSON.parse(text) as Printed
    const stats = (await (await fetch(`${url}/__simulator/stats`)).json()) as { faults: unknown }
    assert.deepEqual(stats.faults, [
      { name: 'token-500', count: 1 },
      { name: 'api-429', value: '3' },
    ])
    assert.equal((await fetch(tokenUrl, { method: 'POST' })).status, 500)
    assert.equal((await fetch(url)).status, 429)
  })
})

test('--fault list names every fault', async () => {
  const { code, out } = await run({ fault: ['list'] })
  assert.equal(code, 0)
  for (const name of faultNames) assert.ok(out.includes(`  ${name}`), name)
})

test('wrong options end with 2 and one line that says what to write', async () => {
  const mistakes: [SimulateOptions, RegExp][] = [
    [{}, /--provider is missing; one of blackbaud-sky, /],
    [{ provider: 'nope' }, /--provider must be one of/],
    [{ provider: 'generic', port: '99999' }, /--port must be a number/],
    [{ provider: 'generic', fault: ['nope'] }, /--fault list/],
    [{ provider: 'generic', fault: ['api-401-key'] }, /this provider has no such answer/],
    [{ provider: 'generic', rotation: 'sometimes' }, /--rotation must be one of rotate, long-lived/],
    [{ provider: 'generic', tokenFormat: 'yaml' }, /--token-format must be one of/],
    [{ provider: 'generic', accessTokenTtl: '20' }, /--access-token-ttl: "20" is not a duration/],
  ]
  for (const [options, message] of mistakes) {
    const { code, out, err } = await run(options)
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, message)
    assert.equal(err.trim().includes('\n'), false)
  }
})

test('a port in use ends with 1', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const { port } = new URL(simulator.url)
  const { code, err } = await run({ provider: 'generic', port })
  assert.equal(code, 1)
  assert.match(err, new RegExp(`port ${port} cannot be used .*--port`))
})
