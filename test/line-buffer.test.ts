import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'node:test'
import { LineBuffer } from '../src/line-buffer.ts'

class Written {
  readonly texts: string[] = []
  synced = 0
  write(text: string): void {
    this.texts.push(text)
  }
  flushSync(): void {
    this.synced++
  }
}

test('lines that come together are written together, in their order', async () => {
  const written = new Written()
  const lines = new LineBuffer(written)
  lines.write('one\n')
  lines.write('two\n')
  assert.deepEqual(written.texts, [])
  await delay(150)
  assert.deepEqual(written.texts, ['one\ntwo\n'])
})

test('many lines do not wait', () => {
  const written = new Written()
  const lines = new LineBuffer(written)
  for (let count = 0; count < 50; count++) lines.write(`${'x'.repeat(999)}\n`)
  assert.equal(written.texts.length, 2)
  assert.equal(written.texts.join('').length, 34_000)
})

test('before the process ends everything is handed on, once', async () => {
  const written = new Written()
  const lines = new LineBuffer(written)
  lines.write('last words\n')
  lines.flushSync()
  assert.deepEqual([written.texts, written.synced], [['last words\n'], 1])
  lines.flushSync()
  await delay(150)
  assert.deepEqual(written.texts, ['last words\n'])
})
