/** A snapshot in a real folder, with LMDB and threads: the log before it goes, and a lost projection comes back. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'

import { tempFolder } from '../support/temp-folder.ts'

const KiB = 1024
const options = { wal: { maxFileSize: 128 * KiB }, blobs: { threshold: 4 * KiB } }
const text = (at: number): string => `${at}:`.padEnd(1_000, 'x')

test('a folder whose log was given back opens without its projection, with every value', async () => {
  const dir = tempFolder()
  const app = await start({ dir, ...options })
  for (let round = 0; round < 4; round++)
    await Promise.all(
      Array.from({ length: 200 }, (_, at) => app.store.put(`k${at}`, text(1_000 * round + at))),
    )
  await app.store.put('large', Buffer.alloc(100 * KiB, 'l'))
  const made = await app.control.snapshot(0)
  const { log } = await app.wal(0).describe()
  expect(log?.segments[0]?.baseLsn).toBeGreaterThan(1)
  expect(readdirSync(join(dir, 'shard-0', 'snapshot'))).toHaveLength(1)
  await app.store.put('k7', 'behind it')
  expect(app.health().shards[0]?.snapshot.last).toEqual(made)
  await app.close()

  rmSync(join(dir, 'shard-0', 'lmdb'), { recursive: true })
  const again = await start({ dir, ...options })
  try {
    for (let at = 0; at < 200; at++)
      expect(again.store.get(`k${at}`)).toBe(at === 7 ? 'behind it' : text(3_000 + at))
    expect(again.store.get('large')).toEqual(Buffer.alloc(100 * KiB, 'l'))
    expect(again.store.range({ limit: 1_000 }).entries).toHaveLength(201)
  } finally {
    await again.close()
  }
})
