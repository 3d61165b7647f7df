import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder of mode 0700 that is removed after the test. */
export function tempDir(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'bearer-sidecar-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
