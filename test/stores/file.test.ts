import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore } from '../../src/stores/open.ts'
import { configSchema } from '../../src/config/schema.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { testStore } from './contract.ts'

const lease = 600

for (const [kind, encryptionKey] of [
  ['plain file', null],
  ['sealed file', 'ab'.repeat(32)],
] as const) {
  testStore(kind, (t) => {
    const directory = tempDir(t)
    const path = (id: Parameters<typeof grantName>[0]) => join(directory, `${grantName(id)}.json`)
    const store = configSchema.shape.store.parse({ type: 'file', directory, encryptionKey })
    return Promise.resolve({
      open: (clock) => openStore({ ...store, lease }, { clock }),
      lease,
      documents: {
        read: (id) => readFile(path(id), 'utf8'),
        write: async (id, text) => writeFile(path(id), text),
      },
    })
  })
}
