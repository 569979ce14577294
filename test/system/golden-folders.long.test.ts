/**
 * Folders that 1.0 has written are read for ever, and what a later build writes beside them is of formats that 1.0 knows: it can
 * open them again. `test/golden/README.md` says how the folders were made.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { runKeelson } from '../support/commands/keelson-command.ts'
import { unpacked } from '../support/golden/golden-archive.ts'
import { formatsOf } from '../support/golden/golden-formats.ts'
import {
  goldenLog,
  goldenOptions,
  verifyGolden,
  writeGolden,
} from '../support/golden/golden-life.ts'
import { tempFolder } from '../support/temp-folder.ts'

const home = 'test/golden/1.0'
const known = new Set(readFileSync(join(home, 'formats.txt'), 'utf8').trim().split('\n'))
const unknownIn = (dir: string): string[] => formatsOf(dir).filter((fact) => !known.has(fact))

const openedIn = (dir: string, isOver = true) =>
  start({ dir, ...goldenOptions(isOver), wal: goldenLog, acts: true })

describe.each(['closed', 'killed'])('the folder of 1.0 that was %s', (name) => {
  test('has all of its content, and nothing that 1.0 does not know after it was written to', async () => {
    const dir = unpacked(join(home, `${name}.br`), join(tempFolder(), 'data'))

    const app = await openedIn(dir)
    await verifyGolden(app)
    await app.control.snapshotAll()
    await app.close()

    expect(unknownIn(dir)).toEqual([])
  })
})

test('the backup of 1.0 can be restored, and has all of its content', async () => {
  const backup = unpacked(join(home, 'backup.br'), join(tempFolder(), 'backup'))
  const dir = join(tempFolder(), 'data')

  const { status } = await runKeelson(['restore', backup, '--to', dir], '.')
  expect(status).toBe(0)
  const app = await openedIn(dir)
  await verifyGolden(app)
  await app.close()

  expect(unknownIn(dir)).toEqual([])
})

test('a new folder and its backup have nothing that 1.0 does not know', async () => {
  const [dir, backup] = [join(tempFolder(), 'data'), join(tempFolder(), 'backup')]

  const app = await openedIn(dir, false)
  await writeGolden(app)
  await app.backup(backup)
  await app.close({ deadlineMs: 100 })

  expect([...unknownIn(dir), ...unknownIn(backup)]).toEqual([])
})
