/** What a shard remembers of its blobs is bounded by the blobs that it has. */
import { expect, test } from 'vitest'
import { sweepBlobs } from '../../../src/actors/blobs/blob-sweep.ts'
import { ShardBlobs } from '../../../src/actors/index.ts'
import { virtualClock } from '../../../src/clock.ts'
import type { Extent } from '../../../src/storage/index.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { startedWithBlobs } from '../../support/worlds/blob-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

test('blobs past their grace are forgotten with the next one, although no sweep asks', async () => {
  const clock = virtualClock(1)
  const settings = { segmentBytes: 64 * 1024, graceMs: 100, sweepMs: 0 }
  const blobs = new ShardBlobs({ clock, settings } as unknown as ShardBlobs['parts'])
  for (let segment = 0; segment < 1_000; segment++) {
    blobs.born([{ segment, offset: 48, size: 300, sha256: new Uint8Array(32) }])
    await clock.advance(10)
  }

  // All that it remembers: with this grace every blob of the second half is young.
  settings.graceMs = 5_000
  expect([...(blobs.young()?.segments ?? [])].length).toBeLessThanOrEqual(11)
})

test('a segment that a sweep removed is forgotten', async () => {
  const { world, app } = await startedWithBlobs()
  await world.during(app.store.lock(['locked'], { owner: 'me', leaseMs: 600_000 }))
  expect(await codeOf(world.during(app.store.put('locked', Buffer.alloc(9_000))))).toBe('LOCKED')
  const shard = app.shards[0] as Shard
  const { signal } = new AbortController()
  const host = await world.during(shard.blobs.lease(signal))
  await world.clock.advance(61_000)
  const cleared = new Map<number, readonly Extent[]>()

  const report = await world.during(sweepBlobs({ shard, host, cleared, signal }))

  expect(report).toMatchObject({ cleared: 1 })
  expect(cleared.size).toBe(0)
})
