import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { findCommand } from '../../scripts/debian-packages.ts'
import { loadConfig } from '../../src/config/load.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { root } from './manifests.ts'

const read = (file: string) => readFileSync(join(root, file), 'utf8')
const analyze = findCommand('systemd-analyze')

/** Sections of a unit file; a key may be given several times. */
function readUnit(text: string): Map<string, string[]> {
  const keys = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [, key, value = ''] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (key !== undefined) keys.set(key, [...(keys.get(key) ?? []), value])
  }
  return keys
}

/** Loads a config whose secrets lie in `folder` on the real machine. */
async function load(t: TestContext, file: string, folder: string) {
  const directory = tempDir(t)
  const text = read(file)
  const names = [...text.matchAll(/(?<=\/)[a-z_-]+(?=\}?$)/gm)].map(([name]) => name)
  for (const name of names) writeFileSync(join(directory, name), randomBytes(32).toString('base64'))
  writeFileSync(join(directory, 'config.yaml'), text.replaceAll(folder, directory))
  return await loadConfig({ file: join(directory, 'config.yaml'), env: { NODE_ENV: 'production' }, cwd: directory })
}

describe('systemd unit', () => {
  const unit = readUnit(read('deploy/systemd/bearer-sidecar.service'))

  it('restarts after a crash but not for a config that cannot work', () => {
    assert.deepEqual(unit.get('Restart'), ['on-failure'])
    assert.deepEqual(unit.get('RestartPreventExitStatus')?.[0]?.split(' ').sort(), ['2', '78'])
  })

  it('keeps tokens in a state folder of a user of its own, on an otherwise read-only system', () => {
    const expected = {
      DynamicUser: 'yes',
      StateDirectory: 'bearer-sidecar',
      StateDirectoryMode: '0700',
      ProtectSystem: 'strict',
    }
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(unit.get(key), [value], key)
  })

  it('passes every secret that the example config reads, and waits for running requests', async (t) => {
    const folder = '/run/credentials/bearer-sidecar.service'
    const { config, warnings } = await load(t, 'deploy/systemd/config.yaml', folder)
    assert.deepEqual(warnings, [])
    const passed = unit
      .get('LoadCredential')
      ?.map((line) => line.split(':')[0])
      .sort()
    const used = [...read('deploy/systemd/config.yaml').matchAll(/bearer-sidecar\.service\/([a-z-]+)/g)].map(
      ([, name]) => name,
    )
    assert.deepEqual(passed, used.sort())
    assert.equal(config.store.directory, `/var/lib/${unit.get('StateDirectory')?.[0]}`)
    assert.ok(parseInt(unit.get('TimeoutStopSec')?.[0] ?? '0') * 1000 > config.proxy.shutdownGrace)
  })

  it(
    'is understood by systemd and rated as well confined',
    { skip: analyze === undefined && 'systemd-analyze was not found' },
    (t) => {
      const file = join(root, 'deploy/systemd/bearer-sidecar.service')
      const verified = spawnSync(analyze ?? '', ['verify', file], { encoding: 'utf8' })
      assert.deepEqual(
        [verified.status, verified.stderr.split('\n').filter((line) => line.includes('bearer-sidecar.service'))],
        [0, []],
      )
      const rated = spawnSync(analyze ?? '', ['security', '--offline=yes', '--threshold=20', '--no-pager', file], {
        encoding: 'utf8',
      })
      if (/unrecognized|invalid option/i.test(rated.stderr)) t.skip('this systemd cannot rate a unit file offline')
      else assert.equal(rated.status, 0, rated.stdout.split('\n').at(-2) ?? '')
    },
  )
})

describe('compose file', () => {
  interface Service {
    readonly read_only: boolean
    readonly cap_drop: readonly string[]
    readonly security_opt: readonly string[]
    readonly ports?: readonly string[]
    readonly network_mode?: string
    readonly stop_grace_period?: string
    readonly secrets?: readonly string[]
    readonly volumes?: readonly string[]
  }
  const compose = parse(read('deploy/compose/compose.yaml')) as {
    services: Record<'sidecar' | 'app', Service>
    secrets: object
  }
  const { sidecar, app } = compose.services

  it('confines both services and publishes nothing but the admin port, to this machine', () => {
    for (const service of [sidecar, app]) {
      assert.deepEqual(
        [service.read_only, service.cap_drop, service.security_opt],
        [true, ['ALL'], ['no-new-privileges:true']],
      )
    }
    assert.deepEqual(sidecar.ports, ['127.0.0.1:9090:9090'])
    assert.equal(app.network_mode, 'service:sidecar')
    assert.equal(app.ports, undefined)
  })

  it('has a valid config whose secrets and store are those of the services', async (t) => {
    const { config } = await load(t, 'deploy/compose/bearer-sidecar.yaml', '/run/secrets')
    const used = [...read('deploy/compose/bearer-sidecar.yaml').matchAll(/\/run\/secrets\/([a-z_]+)/g)].map(
      ([, name]) => name,
    )
    assert.deepEqual(used.sort(), [...(sidecar.secrets ?? [])].sort())
    assert.deepEqual(Object.keys(compose.secrets).sort(), used)
    assert.ok(sidecar.volumes?.includes(`tokens:${config.store.directory}`))
    assert.ok(parseInt(sidecar.stop_grace_period ?? '0') * 1000 > config.proxy.shutdownGrace)
    assert.deepEqual(config.proxy.listen, ['127.0.0.1:8080'], 'the network namespace is shared')
  })
})
