import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { completion, type CommandEntry } from '../../src/cli/completion.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { terminal } from './fixture.ts'

const table: CommandEntry[] = [
  { name: 'start', summary: "run: the sidecar's", options: ['--config', '--listen'], subcommands: [] },
  { name: 'status', summary: 'show', options: ['--config', '--json'], subcommands: [] },
  { name: 'config', summary: 'show the configuration', options: [], subcommands: ['print', 'schema'] },
]

function script(shell: string): string {
  const shown = terminal('/')
  assert.equal(completion(shell, table, shown.io), 0)
  return shown.out()
}

/** What bash offers for a command line whose last word is being typed. */
function offered(...words: string[]): string[] {
  const ask = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _bearer_sidecar; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', `${script('bash')}\n${ask}`], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return stdout.split('\n').filter((line) => line !== '')
}

test('bash completes commands, their options and what follows config', () => {
  assert.deepEqual(offered('bearer-sidecar', 'sta'), ['start', 'status'])
  assert.deepEqual(offered('bearer-sidecar', 'status', '--'), ['--config', '--json'])
  assert.deepEqual(offered('bearer-sidecar', '--config', 'start', 'con'), ['config'])
  assert.deepEqual(offered('bearer-sidecar', 'config', ''), ['print', 'schema'])
})

const missing = (shell: string) =>
  spawnSync(shell, ['--version']).error !== undefined && `no ${shell} here; on Debian: apt-get install ${shell}`

test('zsh can read its script', { skip: missing('zsh') }, () => {
  const { status, stderr } = spawnSync('zsh', ['-n'], { input: script('zsh'), encoding: 'utf8' })
  assert.equal(stderr, '')
  assert.equal(status, 0)
})

test('fish completes commands with their summaries, and their options', { skip: missing('fish') }, (t) => {
  const file = join(tempDir(t), 'completion.fish')
  writeFileSync(file, script('fish'))
  const offer = (line: string) => {
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', `source ${file}; complete -C "${line}"`], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    return stdout.split('\n').filter((text) => text !== '')
  }
  assert.deepEqual(offer('bearer-sidecar sta'), ["start\trun: the sidecar's", 'status\tshow'])
  assert.deepEqual(offer('bearer-sidecar status --j'), ['--json'])
  assert.deepEqual(offer('bearer-sidecar config '), ['print', 'schema'])
})

test('quotes and colons in a summary are written as each shell wants them', () => {
  assert.match(script('zsh'), /'start:run\\: the sidecar'\\''s'/)
  assert.match(script('fish'), /-a start -d 'run: the sidecar\\'s'/)
})

test('another shell is exit code 2', () => {
  const shown = terminal('/')
  assert.equal(completion('powershell', table, shown.io), 2)
  assert.equal(completion('constructor', table, shown.io), 2)
  assert.match(shown.err(), /bash, zsh, fish/)
})
