import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { smoke } from '../../scripts/smoke.ts'

/**
 * The image and the npm package, as far as they can be tried without a container engine: the RUN lines of the Dockerfile's build stage run
 * in a clean folder, and what they leave is run as the image would run it. Packages come from npm's cache where it has them.
 */

const root = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string; files: string[] }
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ')
const nonRoot = 65532

interface Package {
  readonly name: string
  readonly version: string
  readonly license: string
}
const isRoot = process.getuid?.() === 0

/** Lines of one stage of the Dockerfile that begin with an instruction, without that word. */
function instructions(stage: number, name: string): string[] {
  const lines = dockerfile.split(/^FROM /m)[stage + 1]?.split('\n') ?? []
  return lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim())
}

describe('image and package', { timeout: 240_000 }, () => {
  let work: string
  let app: string
  let node: string

  before(async () => {
    work = mkdtempSync(join(tmpdir(), 'bearer-sidecar-package-'))
    chmodSync(work, 0o755)
    app = join(work, 'app')
    mkdirSync(app)
    // A Node that another user can reach too: the one in node_modules may lie below a private home folder.
    node = join(work, 'node')
    copyFileSync(process.execPath, node)
    chmodSync(node, 0o755)
    for (const copied of instructions(0, 'COPY').flatMap((line) => line.split(/\s+/).slice(0, -1))) {
      cpSync(join(root, copied), join(app, copied), { recursive: true })
    }
    for (const command of instructions(0, 'RUN')) {
      await run('sh', ['-euc', command], { cwd: app, env: environment(), maxBuffer: 1 << 24 })
    }
  })
  after(() => {
    spawnSync('chmod', ['-R', 'u+w', work])
    rmSync(work, { recursive: true, force: true })
  })

  function environment(): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(
      ([name]) => !/^(npm_|INIT_CWD|NODE_(ENV|OPTIONS|TEST_|V8_))/i.test(name),
    )
    return { ...Object.fromEntries(kept), npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' }
  }

  it('has a build stage whose commands were run', () => {
    assert.ok(instructions(0, 'RUN').length >= 3)
    assert.ok(existsSync(join(app, 'dist/cli/main.js')))
    assert.ok(!existsSync(join(app, 'node_modules/typescript')), 'no development dependency is left')
  })

  it('runs in the image as a user that is not root, from files it cannot write', () => {
    assert.deepEqual(instructions(1, 'USER'), [`${nonRoot}:${nonRoot}`])
    assert.equal(spawnSync('chmod', ['-R', 'a-w', app]).status, 0)
    const { status, stdout, stderr } = spawnSync(node, [join(app, 'dist/cli/main.js'), '--version'], {
      encoding: 'utf8',
      cwd: '/',
      env: { NODE_ENV: 'production' },
      ...(isRoot ? { uid: nonRoot, gid: nonRoot } : {}),
    })
    assert.deepEqual({ status, stdout: stdout.trim(), stderr }, { status: 0, stdout: manifest.version, stderr: '' })
  })

  it('carries a request in that state, with every option the image sets', async () => {
    const options = /NODE_OPTIONS=(\S+)/.exec(dockerfile)?.[1]
    assert.equal(spawnSync(node, ['--version'], { env: { NODE_OPTIONS: options } }).status, 0)
    const { version } = await smoke({ node, main: join(app, 'dist/cli/main.js'), uid: isRoot ? nonRoot : undefined })
    assert.equal(version, manifest.version)
  })

  it('answers its health check by the program, and only when it lives', () => {
    const [, json = ''] = /^HEALTHCHECK .*?CMD (\[.*\])$/m.exec(dockerfile) ?? []
    const [command, ...parameters] = JSON.parse(json) as string[]
    assert.equal(command, 'node')
    const dead = spawnSync(node, parameters, { env: { HEALTH_URL: 'http://127.0.0.1:9/livez' } })
    assert.equal(dead.status, 1)
  })

  it("plays the demo as the image's build does", () => {
    const [json = ''] = instructions(1, 'RUN').filter((line) => line.includes('demo'))
    const [command, ...parameters] = JSON.parse(json) as string[]
    assert.equal(command, 'node')
    const run = spawnSync(node, parameters, {
      encoding: 'utf8',
      cwd: app,
      env: { NODE_ENV: 'production', TMPDIR: tmpdir() },
      ...(isRoot ? { uid: nonRoot, gid: nonRoot } : {}),
    })
    assert.equal(run.status, 0, run.stdout + run.stderr)
  })

  it('installs at most 110 packages and 35 MB for production', () => {
    const packages = globSync('**/node_modules/{*,@*/*}/package.json', { cwd: app })
    const { bytes } = size(join(app, 'node_modules'))
    assert.ok(packages.length > 40 && packages.length <= 110, `${packages.length} packages`)
    assert.ok(bytes <= 35e6, `${Math.round(bytes / 1e6)} MB`)
  })

  it('packs the program, the licence and the example, and nothing else', async () => {
    for (const file of [
      'README.md',
      'LICENSE',
      ...manifest.files.filter((name) => !name.startsWith('!') && name !== 'dist'),
    ]) {
      spawnSync('chmod', ['u+w', app])
      if (existsSync(join(root, file))) copyFileSync(join(root, file), join(app, file))
    }
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], {
      cwd: app,
      env: environment(),
    })
    const [packed] = JSON.parse(stdout) as [{ files: { path: string }[]; filename: string }]
    const paths = packed.files.map(({ path }) => path)
    const odd = paths.filter((path) => !/^dist\/.*\.js$/.test(path))
    assert.deepEqual(odd.sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'config.example.yaml',
      'config.schema.json',
      'package.json',
    ])
    assert.ok(paths.includes('dist/cli/main.js'))
  })

  it('installs from the tarball and works from there', async () => {
    const [tarball = ''] = globSync('bearer-sidecar-*.tgz', { cwd: work })
    const target = join(work, 'installed')
    mkdirSync(target)
    writeFileSync(join(target, 'package.json'), '{ "name": "installed", "version": "1.0.0", "private": true }')
    const install = ['install', '--no-audit', '--no-fund', '--omit=dev', '--prefix', target, join(work, tarball)]
    await run('npm', install, { cwd: target, env: environment() })
    const bin = join(target, 'node_modules/.bin/bearer-sidecar')
    assert.equal((await run(process.execPath, [bin, '--version'])).stdout.trim(), manifest.version)
    const { version } = await smoke({ node, main: join(target, 'node_modules/bearer-sidecar/dist/cli/main.js') })
    assert.equal(version, manifest.version)
  })

  it('brings only packages whose licences allow any use, and lists all of them in its bill of materials', async () => {
    const target = join(work, 'installed')
    const sbom = ['sbom', '--sbom-format=cyclonedx']
    const { stdout } = await run('npm', sbom, { cwd: target, env: environment(), maxBuffer: 1 << 24 })
    const { components } = JSON.parse(stdout) as { components: Package[] }
    const listed = new Set(components.map(({ name, version }) => `${name}@${version}`))
    const permissive = /^\(?(MIT|ISC|Apache-2\.0|BSD-[23]-Clause|0BSD|BlueOak-1\.0\.0|MIT-0)\b/
    const files = globSync('**/node_modules/{*,@*/*}/package.json', { cwd: target })
    assert.ok(files.length > 40)
    for (const file of files) {
      const { name, version, license } = JSON.parse(readFileSync(join(target, file), 'utf8')) as Package
      assert.match(license, permissive, name)
      assert.ok(listed.has(`${name}@${version}`), `${name} is not in the bill of materials`)
    }
  })
})

function size(path: string): { bytes: number } {
  const stats = lstatSync(path)
  if (!stats.isDirectory()) return { bytes: stats.size }
  return { bytes: readdirSync(path).reduce((sum, name) => sum + size(join(path, name)).bytes, 0) }
}
