/** Puts of large values share writes and syncs: one group is written while the next one fills. */
import { describe, expect, test } from 'vitest'
import type { BlobHost } from '../../../src/storage/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { startedWithBlobs } from '../../support/worlds/blob-instance.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** An instance, the payloads of each group, and the most groups at a time. */
const watched = async () => {
  const { world, app } = await startedWithBlobs()
  const blobs = app.shards[0]?.blobs
  if (!blobs) throw new Error('no shard')
  const groups: number[] = []
  const load = { now: 0, most: 0 }
  const lease = blobs.lease.bind(blobs)
  blobs.lease = async (signal) => {
    const host = await lease(signal)
    const run: BlobHost['run'] = (kind, request) => {
      if (kind !== 'put') return host.run(kind, request)
      groups.push((request as { payloads: unknown[] }).payloads.length)
      load.now += 1
      load.most = Math.max(load.most, load.now)
      return host.run(kind, request).finally(() => {
        load.now -= 1
      })
    }
    return { run, end: () => host.end() }
  }
  return { world, app, groups, load }
}

describe('groups of large puts', () => {
  test('are at most two at a time, the second submitted before the first is answered; later puts share the next one', async () => {
    const { world, app, groups, load } = await watched()
    const answered: number[] = []
    const puts = Array.from({ length: 8 }, async (_, at) => {
      await app.store.put(`k${at}`, Buffer.from(payload(at, 5000)))
      answered.push(at)
    })
    await world.during(Promise.all(puts))
    expect(groups).toEqual([1, 1, 6])
    expect(load.most).toBe(2)
    expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    for (let at = 0; at < 8; at++)
      expect(app.store.get(`k${at}`)).toEqual(Buffer.from(payload(at, 5000)))
  })

  test('fail only their own puts', async () => {
    const { world, app, groups } = await watched()
    await world.during(app.store.put('first', Buffer.alloc(5000, 1)))
    world.disk.inject({
      at: 1,
      operation: 'sync',
      path: '/blobs/',
      fault: { kind: 'error', code: 'ENOSPC' },
    })
    const puts = [0, 1, 2].map((at) => codeOf(app.store.put(`k${at}`, Buffer.alloc(5000 + at))))
    expect(await world.during(Promise.all(puts))).toEqual(['NO_SPACE', 'ok', 'ok'])
    expect(groups).toEqual([1, 1, 1, 1])
    expect(['k0', 'k1', 'k2'].map((key) => app.store.get(key))).toEqual([
      undefined,
      Buffer.alloc(5001),
      Buffer.alloc(5002),
    ])
  })

  test('fail all their puts if the thread of the files dies', async () => {
    const { world, app } = await watched()
    await world.during(app.store.put('first', Buffer.alloc(5000, 1)))
    const puts = [0, 1, 2].map((at) => codeOf(app.store.put(`k${at}`, Buffer.alloc(5000 + at))))
    await app.shards[0]?.blobs.end()
    const codes = await world.during(Promise.all(puts))
    expect(codes).not.toContain('ok')
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })
})
