import { styleText } from 'node:util'
import { parseDuration } from '../config/scalars.ts'
import { demoProviders, echoPaths, type DemoProvider } from '../demo/providers.ts'
import { scenes, type Scene } from '../demo/scenes.ts'
import { Stage } from '../demo/stage.ts'
import { describeError } from '../errors.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

export interface DemoOptions {
  readonly once?: boolean
  readonly json?: boolean
  readonly provider?: string
  readonly accessTokenTtl?: string
}

export interface DemoResult {
  readonly scene: string
  readonly ok: boolean
  readonly detail: string
}

const ttlOnce = '3s'
const ttlInteractive = '20s'

/**
 * Plays the scenes against the embedded simulator. With `once` it ends after them: 0 when each came out, 1 naming the one that did not; else it goes
 * on until `interrupted` resolves, for the reader to try the commands that it shows. 2 for an unknown provider or a bad duration.
 */
export async function demo(options: DemoOptions, io: Io, interrupted: Promise<unknown>): Promise<number> {
  // Maya's two tokens travel on one request, so both its names play the same scenes.
  const wanted = options.provider === 'maya-partner' ? 'maya-customer' : (options.provider ?? 'blackbaud-sky')
  const provider = demoProviders.find((name) => name === wanted)
  if (provider === undefined) return usage(io, `--provider must be one of ${demoProviders.join(', ')}`)
  const ttl = parseDuration(options.accessTokenTtl ?? (options.once === true ? ttlOnce : ttlInteractive))
  if (ttl === undefined || ttl < 1_000)
    return usage(io, '--access-token-ttl must be a duration of at least 1s, such as 20s')

  const stage = await Stage.open(provider, ttl, version)
  try {
    const say = options.json === true ? () => undefined : (line: string) => io.stdout(`${line}\n`)
    introduce(say, stage, provider)
    const results = await playAll(stage, say)
    const failed = results.filter(({ ok }) => !ok)
    if (options.json === true)
      io.stdout(`${JSON.stringify({ ok: failed.length === 0, provider, scenes: results }, null, 2)}\n`)
    if (failed.length > 0) {
      io.stderr(`demo failed: ${failed.map(({ scene, detail }) => `${scene} (${detail})`).join('; ')}\n`)
      return 1
    }
    if (options.once === true) return 0
    invite(say, stage, provider)
    await interrupted
    return 0
  } finally {
    await stage.close()
  }
}

async function playAll(stage: Stage, say: (line: string) => void): Promise<DemoResult[]> {
  const results: DemoResult[] = []
  for (const [index, scene] of scenes.entries()) {
    say(styleText('bold', `\n${index + 1}. ${scene.title}`))
    const result = await playOne(scene, stage, (line) => say(`   ${styleText('dim', line)}`))
    results.push(result)
    if (result.ok) for (const line of result.detail.split('\n')) say(`   ${line}`)
    say(result.ok ? `   ${styleText('green', 'ok')}` : `   ${styleText('red', `failed: ${result.detail}`)}`)
  }
  return results
}

async function playOne(scene: Scene, stage: Stage, say: (line: string) => void): Promise<DemoResult> {
  try {
    return { scene: scene.name, ok: true, detail: (await scene.play(stage, say)).join('\n') }
  } catch (error) {
    return { scene: scene.name, ok: false, detail: describeError(error) }
  }
}

function introduce(say: (line: string) => void, stage: Stage, provider: DemoProvider): void {
  say(styleText('bold', `bearer-sidecar ${version}`) + `, against a simulated ${provider}`)
  say(`   provider  ${stage.simulator.url}  (token endpoint and API, on this machine)`)
  say(`   sidecar   ${stage.proxyUrl}  (what your service calls instead)`)
  say(`   admin     ${stage.adminUrl}  (status page, probes, metrics)`)
}

function invite(say: (line: string) => void, stage: Stage, provider: DemoProvider): void {
  const call = `curl ${stage.proxyUrl}${echoPaths[provider]}`
  say(styleText('bold', '\nNow you (Ctrl-C ends it):'))
  say(`   ${call}`)
  say(`   curl -X POST ${stage.simulator.url}/__simulator/revoke-access-tokens   # then the first one again`)
  say(`   curl ${stage.adminUrl}/status`)
  say(`   open ${stage.adminUrl}/`)
}

function usage(io: Io, message: string): number {
  io.stderr(`${message}\n`)
  return 2
}
