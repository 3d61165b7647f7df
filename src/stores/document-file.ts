import { setTimeout as pause } from 'node:timers/promises'
import { constants, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { textVersion } from './document-codec.ts'
import { errorCode, fileFault, removeFile } from './file-system.ts'
import { damaged } from './grant-document.ts'
import { conflict } from './store-errors.ts'
import { isTrustedOwner, type StoreDirectory } from './store-directory.ts'
import { StoreError, type StoreLog, type Version } from './token-store.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** Ours are a few kilobytes; nothing larger is read into memory. */
const largestDocument = 1024 ** 2

export interface DocumentText {
  readonly text: string
  /** Of the very file that was read. */
  readonly stats: BigIntStats
}

/** undefined when there is none. Refuses what is no plain file of ours, and takes away rights that others have on it. */
export async function readDocument(
  directory: StoreDirectory,
  path: string,
  log: StoreLog,
): Promise<DocumentText | undefined> {
  try {
    // O_NONBLOCK: opening a named pipe would wait for a writer.
    const handle = await directory.files.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile()) throw refused(path, 'is no regular file')
      if (!isTrustedOwner(stats.uid)) throw refused(path, `belongs to uid ${stats.uid}`)
      if (stats.size > largestDocument) throw damaged(path, 'it is larger than any grant')
      if ((stats.mode & 0o077n) !== 0n) await tighten(handle, path, log)
      return { text: await handle.readFile('utf8'), stats }
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    // EMLINK is what FreeBSD says.
    if (['ELOOP', 'EMLINK'].includes(errorCode(error))) throw refused(path, 'is a symbolic link')
    throw fileFault(error, 'read', path)
  }
}

async function tighten(handle: { chmod(mode: number): Promise<void> }, path: string, log: StoreLog): Promise<void> {
  try {
    await handle.chmod(0o600)
    log('warn', 'the token file could be read by other users; its mode is now 600', { file: path })
  } catch (error) {
    // What was mounted read-only with wider rights was so by somebody's decision.
    if (errorCode(error) !== 'EROFS')
      throw refused(path, 'can be read by other users, and its mode could not be changed to 600')
  }
}

function refused(path: string, why: string): StoreError {
  return new StoreError(
    'unavailable',
    `${path} ${why}; it is not used. Put a plain file of mode 600 there, owned by the user of this process.`,
  )
}

export interface Replacement {
  readonly fileName: string
  readonly text: string
  /** Whether the version in place (undefined: no document) may be replaced. */
  isExpected(version: Version | undefined): boolean
  /** Called when all but the rename is done; from here on a failure leaves the outcome open. */
  onRename(): void
}

/**
 * Replaces a document, durably, when the version in place is an expected one; else rejects with StoreError `conflict`.
 *
 * rename(2) has no condition, so two savers must not both come to it from the same version. Each one first shows its temporary file, then
 * removes every other temporary file of this document, then looks at the version, then renames. Of two savers, the one that showed
 * its file later has removed the other's before it looked: that one's rename finds nothing. So a process that was stopped in the
 * middle of a save and wakes up after somebody else's can't overwrite it, however long it slept.
 */
export async function replaceDocument(
  directory: StoreDirectory,
  replacement: Replacement,
  log: StoreLog,
): Promise<void> {
  const path = join(directory.path, replacement.fileName)
  const current = async () => {
    const found = await readDocument(directory, path, log)
    return found && textVersion(found.text)
  }
  const assertExpected = async () => {
    if (!replacement.isExpected(await current())) throw conflict(path)
  }
  try {
    await assertExpected()
    for (let turn = 0; !(await tryReplace(directory, replacement, assertExpected)); turn++) {
      // A network file system may repeat a rename whose answer was lost, and then find the file gone that it renamed itself.
      if ((await current()) === textVersion(replacement.text)) break
      if (turn === 9) throw conflict(path)
      await pause(Math.random() * 5 * (turn + 1))
    }
    await directory.sync()
  } catch (error) {
    throw fileFault(error, 'write', path)
  }
}

/** False when another saver removed our temporary file. */
async function tryReplace(
  directory: StoreDirectory,
  replacement: Replacement,
  assertExpected: () => Promise<void>,
): Promise<boolean> {
  const { fileName, text } = replacement
  const temporary = directory.temporaryName(fileName)
  const temporaryPath = join(directory.path, temporary)
  await directory.create(temporaryPath, text, true)
  try {
    await withdrawOthers(directory, fileName, temporary)
    await assertExpected()
    replacement.onRename()
    await directory.files.rename(temporaryPath, join(directory.path, fileName))
    return true
  } catch (error) {
    await directory.files.unlink(temporaryPath).catch(() => undefined)
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Removes the temporary files of other saves of this document, so that those can't be completed any more. */
export async function withdrawOthers(directory: StoreDirectory, fileName: string, own?: string): Promise<void> {
  const names = await directory.files.readdir(directory.path)
  for (const name of names) {
    if (name === own || !name.startsWith(`.${fileName}.`) || !name.endsWith('.tmp')) continue
    await removeFile(directory.files, join(directory.path, name))
  }
}
