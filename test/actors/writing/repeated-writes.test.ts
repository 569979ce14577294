/**
 * The death of a storage actor is the store's to mend: a write goes on with the next one, within the
 * caller's deadline, in the order of the calls.
 */

import { describe, expect, test } from 'vitest'
import { Applier, BlobStore, WalWriter } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  name,
  restartChild,
  type SupervisorMessages,
  terminateChild,
} from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { seedsOf } from '../../support/tier.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { startedWithBlobs } from '../../support/worlds/blob-instance.ts'
import { codeOf, simulated, started } from '../../support/worlds/simulated-instance.ts'

const killed = { BlobStore, WalWriter, Applier }
const kill = (app: App, part: keyof typeof killed): void => app.system.kill(killed[part].name(0))

describe('a write that waits for the disk', () => {
  test('outlives two writers of the log, one after another', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    const first = codeOf(app.store.put('first', 1))
    await clock.settle()
    const waiting = codeOf(app.store.put('waiting', 1))
    kill(app, 'WalWriter')
    await clock.settle()
    kill(app, 'WalWriter')
    expect(await during(Promise.all([first, waiting]))).toEqual(['ok', 'ok'])
    expect(app.store.get('waiting')).toBe(1)
  })

  test('outlives the applier, and so does one that is written while there is none', async () => {
    const { clock, during, app } = await started({}, { syncMs: 50 })
    const written = codeOf(app.store.append('key', 'a'))
    await clock.settle()
    const waiting = codeOf(app.store.append('key', 'b'))
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'applier(0)'))
    await clock.advance(500)
    await during(restartChild(shard, 'applier(0)'))
    expect(await during(Promise.all([written, waiting]))).toEqual(['ok', 'ok'])
    expect(app.store.get('key')).toBe('ab')
    expect(await during(codeOf(app.store.put('after', 1, { ack: 'projected' })))).toBe('ok')
  })

  test('is NOT_SUBMITTED when its deadline ends before there is a writer again', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    const first = codeOf(app.store.put('first', 1))
    await clock.settle()
    const waiting = codeOf(app.store.put('waiting', 1, { deadlineMs: 50 }))
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'wal_writer(0)'))
    expect(await during(waiting)).toBe('NOT_SUBMITTED')
    await during(restartChild(shard, 'wal_writer(0)'))
    expect(await during(first)).toBe('ok')
    await clock.advance(500)
    expect(app.store.get('waiting')).toBeUndefined()
  })
})

describe('an update', () => {
  const add = (n = 0) => n + 1

  test('that is called while there is no applier waits for the next one', async () => {
    const { clock, during, app } = await started()
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'applier(0)'))
    const put = codeOf(app.store.put('other', 1))
    const updates = [1, 2].map(() => codeOf(app.store.update<number>('n', add)))
    await clock.advance(500)
    await during(restartChild(shard, 'applier(0)'))
    expect(await during(Promise.all([put, ...updates]))).toEqual(['ok', 'ok', 'ok'])
    expect(app.store.get('n')).toBe(2)
  })

  test('waits for it no longer than its deadline, and has then written nothing', async () => {
    const { clock, during, app } = await started()
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'applier(0)'))
    const update = codeOf(app.store.update<number>('n', add, { deadlineMs: 50 }))
    await clock.advance(49)
    expect(await Promise.race([update, 'pending'])).toBe('pending')
    await clock.advance(1)
    expect(await Promise.race([update, 'pending'])).toBe('SHARD_DOWN')
    await during(restartChild(shard, 'applier(0)'))
    await clock.advance(500)
    expect(app.store.has('n')).toBe(false)
  })
})

describe('a large value', () => {
  test('whose blob store dies is written by the next one, and later writes to its key follow', async () => {
    const { world, app } = await startedWithBlobs()
    const large = codeOf(app.store.put('key', Buffer.from(payload(1, 5_000))))
    const behind = codeOf(app.store.put('key', 'last'))
    await world.clock.settle()
    kill(app, 'BlobStore')
    expect(await world.during(Promise.all([large, behind]))).toEqual(['ok', 'ok'])
    expect(app.store.get('key')).toBe('last')
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('is NOT_SUBMITTED when its deadline ends before there is a blob store again', async () => {
    const { world, app } = await startedWithBlobs()
    const { clock, during } = world
    const put = codeOf(app.store.put('key', Buffer.from(payload(1, 5_000)), { deadlineMs: 50 }))
    await clock.settle()
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'blob_store(0)'))
    expect(await during(put)).toBe('NOT_SUBMITTED')
    await during(restartChild(shard, 'blob_store(0)'))
    await clock.advance(500)
    expect(app.store.has('key')).toBe(false)
  })

  test('that is streamed waits for a shard that recovers', async () => {
    const { world, app } = await startedWithBlobs()
    kill(app, 'WalWriter')
    const put = codeOf(app.store.putStream('key', [Buffer.from(payload(1, 5_000))]))
    expect(await world.during(put)).toBe('ok')
    expect(app.store.get('key')).toEqual(Buffer.from(payload(1, 5_000)))
  })
})

test.each(seedsOf(3, 60))(
  'writes of one caller to one key keep their order over kills (seed %i)',
  { tags: ['slow'] },
  async (seed) => {
    // Small groups: several wait when the writer dies.
    const batcher = { maxCommands: 3 }
    const world = await simulated({ seed, syncMs: 3, blobs: { threshold: 2_000 }, batcher })
    const { app } = world
    const random = seededRandom(seed)
    const parts = Object.keys(killed) as (keyof typeof killed)[]
    const codes: Promise<unknown>[] = []
    let kills = 0
    for (let round = 0; round < 200; round++) {
      // Every tenth is a blob, and each later one waits behind it.
      const suffix = `${round},`.padStart(round % 10 === 0 ? 2_500 : 0)
      codes.push(codeOf(app.store.append('key', suffix)))
      const part = parts[Math.floor(random() * parts.length)]
      // Five restarts of one supervisor in 10 s are its limit.
      if (part && random() < 0.02 && kills++ < 5) kill(app, part)
      if (random() < 0.5) await world.advance(Math.floor(random() * 4))
      if (round % 50 !== 49) continue
      await world.advance(10_000)
      kills = 0
    }
    const outcomes = await world.during(Promise.all(codes))
    await world.during(app.store.settled())
    const stored = (await world.during(app.store.load('key'))) as string
    const order = stored.split(',').slice(0, -1).map(Number)

    expect(new Set(outcomes)).toEqual(new Set(['ok']))
    expect(order).toEqual(outcomes.map((_, at) => at))
  },
)
