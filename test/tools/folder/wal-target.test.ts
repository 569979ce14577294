/** The logs of a folder that is closed, and the locks of all of them. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lockFileName, nodeDisk, shareLock, writeDataFolder } from '../../../src/storage/index.ts'
import { lockAll, shareAll, walTarget } from '../../../src/tools/index.ts'
import { codeOf } from '../../support/error-codes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const disk = nodeDisk()
const facts = {
  instanceId: 'shop',
  shards: 2,
  logs: ['ab'.repeat(16), 'cd'.repeat(16)],
  created: 1,
}
const cache = { cluster: 'shop', engine: 'nats://localhost' }

test('the folder of a log and the folder of a shard are one log, and a data folder has one for each shard', () => {
  const dir = tempFolder()
  const [shard, data] = [join(dir, 'shard'), join(dir, 'data')] as const
  mkdirSync(join(shard, 'wal'), { recursive: true })
  mkdirSync(data)
  writeDataFolder(disk, data, facts)

  const log = { dir: join(shard, 'wal'), isDataFolder: false, logs: [{ dir: join(shard, 'wal') }] }
  expect([walTarget(disk, shard), walTarget(disk, join(shard, 'wal'))]).toEqual([log, log])
  const target = walTarget(disk, data)
  expect(target).toMatchObject({ dir: data, isDataFolder: true, facts })
  expect(target.logs.map(({ known }) => known?.shard)).toEqual([0, 1])
})

test('what is no folder has no logs, and the logs of a cache are elsewhere', () => {
  const dir = tempFolder()
  expect(codeOf(() => walTarget(disk, join(dir, 'none')))).toBe('INVALID_ARGUMENT')
  writeDataFolder(disk, dir, { ...facts, cache })
  expect(codeOf(() => walTarget(disk, dir))).toBe('CONFIG')
})

test('folders are locked together or not at all, and one that is open is named', () => {
  const [free, open] = [tempFolder(), tempFolder()]
  disk.lock(join(free, lockFileName), 'an instance that has ended').release()
  const holder = disk.lock(join(open, lockFileName), 'the shop')

  expect(codeOf(() => lockAll([free, open]))).toBe('LOCKED_DIR')
  expect(shareAll([free, open]).heldBy).toContain(open)
  // Nothing is left of the lock of the first folder.
  disk.lock(join(free, lockFileName), 'another').release()

  holder.release()
  const { heldBy, release } = shareAll([free, open])
  expect(heldBy).toBeUndefined()
  expect(codeOf(() => disk.lock(join(free, lockFileName), 'another'))).toBe('LOCKED_DIR')
  release()
  expect(() => shareLock(join(free, lockFileName)).release()).not.toThrow()
})
