import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { SimulatorOptions } from '../../src/simulator/settings.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { Command } from '../helpers/command.ts'
import { skyStage } from '../helpers/start-app.ts'

interface Stage {
  readonly simulator: Simulator
  readonly paused: Command
  readonly other: Command
}

/** Two processes on one folder whose lease is short, so that a pause can outlast it. */
async function twoProcesses(t: TestContext, options: Partial<SimulatorOptions> = {}): Promise<Stage> {
  const over = { refresh: { preserveRefreshToken: false, timeout: '1s' } }
  const { simulator, directory, config } = await skyStage(t, options, over)
  const shared = { ...config, store: { directory: join(directory, 'tokens'), lease: '1500ms' } }
  const [paused, other] = ['paused', 'other'].map((name) => {
    const home = join(directory, name)
    mkdirSync(home)
    writeFileSync(join(home, 'bearer-sidecar.yaml'), JSON.stringify(shared))
    return new Command(t, home, ['start'])
  }) as [Command, Command]
  // Both have the first token.
  for (const replica of [paused, other]) assert.equal(await statusOf(replica), 200)
  return { simulator, paused, other }
}

async function statusOf(replica: Command): Promise<number> {
  const response = await fetch(`${await replica.url()}/echo`)
  await response.arrayBuffer()
  return response.status
}

async function refresh(replica: Command): Promise<void> {
  await fetch(`${await replica.url('admin')}/credentials/sky/refresh`, { method: 'POST' })
}

/** Stops the process in the middle of a refresh: the provider has the request, the process gets no answer. */
async function pauseInRefresh({ simulator, paused }: Stage): Promise<{ refreshed: Promise<void> }> {
  const before = simulator.tokenRequests.length
  const refreshed = refresh(paused)
  while (simulator.tokenRequests.length === before) await pause(2)
  paused.child.kill('SIGSTOP')
  return { refreshed }
}

/** The other one takes the lease over; then the paused one wakes. */
async function takeOverAndWake({ paused, other }: Stage, refreshed: Promise<void>): Promise<void> {
  await refresh(other)
  assert.equal(await statusOf(other), 200)
  paused.child.kill('SIGCONT')
  await refreshed
  await pause(500)
}

test('a replica paused before the provider spent anything costs no grant, and goes on with the one of the other', async (t) => {
  const stage = await twoProcesses(t)
  stage.simulator.inject('token-timeout@1')
  const { refreshed } = await pauseInRefresh(stage)
  await takeOverAndWake(stage, refreshed)
  stage.simulator.revokeAccessTokens()
  for (const replica of [stage.paused, stage.other]) assert.equal(await statusOf(replica), 200)
  assert.equal(stage.simulator.reuseEvents, 0)
})

test('a replica paused with its answer under way keeps the newer grant of the other, where the provider allows for it', async (t) => {
  const stage = await twoProcesses(t, { graceWindow: 60_000 })
  stage.simulator.inject('token-slow=300ms@1')
  const { refreshed } = await pauseInRefresh(stage)
  await pause(400)
  await takeOverAndWake(stage, refreshed)
  stage.simulator.revokeAccessTokens()
  for (const replica of [stage.paused, stage.other]) assert.equal(await statusOf(replica), 200)
  assert.equal(stage.simulator.reuseEvents, 0)
})

test('where the provider allows for nothing, the grant is lost to such a pause and both say when and how', async (t) => {
  const stage = await twoProcesses(t)
  stage.simulator.inject('token-slow=300ms@1')
  const { refreshed } = await pauseInRefresh(stage)
  await pause(400)
  await refresh(stage.other)
  stage.paused.child.kill('SIGCONT')
  await refreshed
  await stage.other.seen(/refresh sent at \d{4}-\d\d-\d\dT[\d:.]+Z ended without an answer that was saved/)
  assert.equal(stage.simulator.reuseEvents, 1)
})
