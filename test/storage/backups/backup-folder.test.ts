/** Which folders a backup may be made in, and that none of them is a data folder. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { claimBackup } from '../../../src/storage/backups/backup-folder.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { claimFolder } from '../../../src/supervisors/starting/folder-claim.ts'
import { codeOf } from '../../support/error-codes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

test.each([
  ['data/backup', 'INVALID_ARGUMENT'],
  ['disk/data', 'INVALID_ARGUMENT'],
  ['disk/data/backup', 'INVALID_ARGUMENT'],
  ['disk/data/shard-0/wal/new/backup', 'INVALID_ARGUMENT'],
  ['disk', 'INVALID_ARGUMENT'],
  ['link/new/backup', 'INVALID_ARGUMENT'],
  // Elsewhere the claim goes on, and finds that the data folder has no description.
  ['disk/other', 'CORRUPT'],
  ['new/backup', 'CORRUPT'],
])('of a data folder that is opened through a link, a backup in %s is %s', (to, code) => {
  const root = tempFolder()
  mkdirSync(join(root, 'disk/data/shard-0/wal'), { recursive: true })
  symlinkSync(join(root, 'disk/data'), join(root, 'data'))
  symlinkSync(join(root, 'disk/data/shard-0'), join(root, 'link'))
  const claim = { dir: join(root, to), own: join(root, 'data'), holder: 'a backup' }
  expect(codeOf(() => claimBackup(nodeDisk(), claim))).toBe(code)
})

test('a start on the folder of a backup is CONFLICT, which names the command that restores it', () => {
  const dir = tempFolder()
  writeFileSync(join(dir, 'backup.json'), '{}')
  const claim = () =>
    claimFolder({ disk: nodeDisk(), clock: virtualClock(), dir, instance: 'a', shards: 1 })
  expect(claim).toThrow(
    expect.objectContaining({
      code: 'CONFLICT',
      message: expect.stringContaining(`keelson restore ${dir}`),
    }),
  )
})
