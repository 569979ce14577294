/**
 * Leftovers of a process that was killed while locking. The next holder removes them and no other
 * file.
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lockLeftovers } from '../../../src/storage/disk/lock-holder.ts'
import { lockBy, ways } from '../../support/harm/folder-locks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const left = [
  'LOCK.4711-0.tmp',
  'LOCK.1a2b3c4d',
  'LOCK.1a2b3c4d.4711-12.tmp',
  'LOCK.1a2b3c4d.9f8e7d',
  'LOCK.1a2b3c4d.9f8e7d.4711-0.tmp',
]

const others = [
  'LOCK',
  'LOCK.tmp',
  'LOCK.bad',
  'LOCK.txt',
  'LOCKED',
  'MANIFEST',
  'a.LOCK.4711-0.tmp',
]

test('a leftover is told from the lock and from other files by its name', () => {
  expect(lockLeftovers([...others, ...left], 'LOCK')).toEqual(left)
  expect(lockLeftovers(left, 'LOCK2')).toEqual([])
})

test.each(ways)('a lock by %s removes leftovers', (way) => {
  const dir = tempFolder()
  for (const name of [...others, ...left]) writeFileSync(join(dir, name), '')

  const lock = lockBy(way, join(dir, 'LOCK'))

  const names = readdirSync(dir).filter((name) => !name.endsWith('.sock'))
  expect(names.sort()).toEqual([...others].sort())
  lock.release()
})
