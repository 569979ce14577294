/** Large values of a cluster: they are in the engine, and the data folder of each member is a cache of them. */
import { expect, test } from 'vitest'
import { BlobStore } from '../../../src/actors/index.ts'
import type { App, KeelsonError } from '../../../src/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const blobs = { threshold: 1_000, graceMs: 1_000, sweepMs: 0 }
const value = Buffer.from(payload(1, 50_000))
const streamed = Buffer.from(payload(2, 700_000))
const dir = '/data/shard-0/blobs'

/** A cluster whose member `a` has large values. */
const world = async () => {
  const members = new Members()
  const app = await members.start('a', { blobs })
  await members.during(app.store.put('value', value))
  await members.during(app.store.putStream('streamed', [streamed]))
  return { members, app }
}

const loaded = (members: Members, app: App): Promise<unknown[]> =>
  members.during(Promise.all([app.store.load('value'), app.store.load('streamed')]))

test('every large value is read after the folder was deleted, and by another member', async () => {
  const { members, app } = await world()
  await members.during(app.close())
  members.machine('a').disk.remove('/data')

  for (const member of ['a', 'b']) {
    const again = await members.start(member, { blobs })
    expect(again.store.get('value')).toEqual(value)
    expect(await loaded(members, again)).toEqual([value, streamed])
    await members.during(again.close())
  }
})

test('a standby has the large values that it applies, before its turn comes', async () => {
  const { members, app } = await world()
  const standby = members.begin('b', { blobs })
  const { swapped } = await members.during(app.store.compareAndSet('value', value, 'small'))
  await members.during(app.store.put('last', value))
  await members.clock.advance(3 * leaseMs)

  const { disk } = members.machine('b')
  const { disk: own } = members.machine('a')
  expect(disk.list(dir).filter((name) => name.endsWith('.bloblog'))).toEqual(
    own.list(dir).filter((name) => name.endsWith('.bloblog')),
  )
  await members.during(app.close())
  const next = await members.during(standby)
  expect([swapped, next.store.get('value'), next.store.get('last')]).toEqual([true, 'small', value])
})

/** Members `a`, which owns, and `b`, which waits; the folder of one of them has lost its blobs. */
const lacking = async (member: string, options: object = {}) => {
  const { members, app } = await world()
  const text = 'large'.repeat(10_000)
  await members.during(app.store.put('compared', { text, number: 1 }))
  const standby = members.begin('b', { blobs, ...options }).catch((error: KeelsonError) => error)
  await members.clock.advance(3 * leaseMs)
  const { disk } = members.machine(member)
  for (const name of disk.list(dir)) disk.remove(`${dir}/${name}`)
  // Only the bytes say that they are equal.
  const swap = app.store.compareAndSet('compared', { number: 1, text }, 'new')
  return { members, app, standby, swap }
}

test.each([
  ['in memory', {}],
  ['in its projection, as the log is long', { lmdb: { lagBytesMax: 1_024 } }],
])(
  'a standby that lacks a value which is compared %s ends, and has the outcome when it starts again',
  async (_, options) => {
    const { members, app, standby, swap } = await lacking('b', options)
    expect(await members.during(swap)).toMatchObject({ swapped: true })
    // The last group of a log is not counted.
    for (const key of ['one', 'two', 'three'])
      await members.during(app.store.put(key, Buffer.alloc(900)))
    await members.clock.advance(3 * leaseMs)
    expect(await members.during(standby)).toMatchObject({ code: 'SHARD_DOWN' })

    const again = members.begin('b', { blobs })
    await members.clock.advance(3 * leaseMs)
    await members.during(app.close())
    expect((await members.during(again)).store.get('compared')).toBe('new')
  },
)

test('an owner that lacks a value which is compared decides nothing, and the next one does', async () => {
  const { members, app, standby, swap } = await lacking('a')
  expect(await members.during(codeOf(swap))).toBe('UNKNOWN_OUTCOME')
  expect(app.health().shards[0]?.phase).toBe('down')
  await members.during(app.close())
  const next = (await members.during(standby)) as App
  expect(next.store.get('compared')).toBe('new')

  await members.during(next.close())
  const again = await members.start('a', { blobs })
  expect(again.store.get('compared')).toBe('new')
})

test('a standby frees the large values that the owner has freed', async () => {
  const members = new Members()
  const options = { blobs: { ...blobs, sweepMs: leaseMs } }
  const owner = await members.start('a', options)
  const standby = members.begin('b', options)
  const written = 30
  for (let at = 1; at <= written; at++) {
    await members.during(owner.store.put('value', Buffer.from(payload(at, 50_000))))
    // The log is given back.
    await members.during(owner.control.snapshot(0))
    await members.clock.advance(leaseMs)
  }

  const kept = ['a', 'b'].map((member) => {
    const { disk } = members.machine(member)
    const sizes = disk.list(dir).map((name) => disk.entry(`${dir}/${name}`)?.size ?? 0)
    return sizes.reduce((sum, size) => sum + size, 0)
  })
  for (const bytes of kept) expect(bytes).toBeLessThan((written / 2) * 50_000)
  await members.during(owner.close())
  const next = await members.during(standby)
  expect(next.store.get('value')).toEqual(Buffer.from(payload(written, 50_000)))
})

test('a sweep after a start without a folder frees only what is dead', async () => {
  const { members, app } = await world()
  await members.during(app.store.delete('value'))
  await members.during(app.close())
  members.machine('a').disk.remove('/data')
  const again = await members.start('a', { blobs: { ...blobs, sweepMs: 2 * leaseMs } })

  // Nothing is written: the sweep comes by itself.
  await members.clock.advance(5 * leaseMs)

  const { lastSweep } = await members.during(
    BlobStore.describe(again.system.to(BlobStore.name('default', 0))),
  )
  expect(lastSweep?.segments).toBeGreaterThan(0)
  expect(await loaded(members, again)).toEqual([undefined, streamed])
})

test('a write of a large value ends with NOT_SUBMITTED when the engine is away', async () => {
  const { members, app } = await world()
  members.sessions.get('a')?.pause(20 * leaseMs)

  const put = app.store.put('late', value).catch((error: { code: string }) => error.code)
  await members.clock.advance(4 * leaseMs)

  expect(await put).toBe('NOT_SUBMITTED')
})
