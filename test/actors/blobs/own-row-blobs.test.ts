/** Large values in the rows that durable actors keep: everything that follows references finds them. */
import { expect, test } from 'vitest'
import { type App, call, type DurableContext } from '../../../src/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { blobFiles, options as blobOptions, swept } from '../../support/worlds/blob-instance.ts'
import { caughtUp } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { restore } from '../../support/worlds/restored.ts'
import {
  type Act,
  type KeeperMessages,
  keepers,
  keeperTree,
} from '../../support/worlds/row-keeper.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import { folders, options } from '../../support/worlds/snapshot-instance.ts'

const blob = (at: number): Buffer => Buffer.from(payload(at, 9_000))
const put =
  (key: string, value: unknown): Act =>
  ({ rows }) =>
    rows.put(key, value)

const all = {
  ...options,
  ...blobOptions,
  snapshot: { minLogBytes: 2 ** 40, keep: 1 },
  app: keeperTree,
}

const started = async (given: Parameters<typeof machine>[0] = {}) => {
  const world = machine(given)
  const app = await world.start(all)
  /** Gives back the log before a snapshot. */
  const giveBack = async (of: App = app): Promise<void> => {
    for (let at = 0; at < 160; at++)
      await world.during(of.store.put('filler', `${at}`.padEnd(900, 'x')))
    await world.during(of.control.snapshot(0))
  }
  return { world, app, giveBack }
}

const act = ({ during }: Machine, app: App, does: Act, id = 'a') =>
  during(call(app.entity(keepers).ref(id), 'act', does))

test('a sweep keeps them without the log, and over a projection that was lost; a deletion frees them', async () => {
  const { world, app, giveBack } = await started()
  await act(world, app, put('k', blob(1)))
  await act(world, app, put('k', blob(1)), 'b')
  await giveBack()
  expect(await swept(world, app)).toMatchObject({ freedBytes: 0 })
  await world.during(app.close())
  world.projections.remove(folders.lmdb)
  const again = await world.start(all)
  expect(await swept(world, again)).toMatchObject({ freedBytes: 0 })
  expect(again.entity(keepers).rows('a').get('k')).toEqual(blob(1))
  await world.during(again.entity(keepers).delete('a'))
  await act(world, again, ({ rows }) => rows.delete('k'), 'b')
  await world.clock.advance(5_000)
  await giveBack(again)
  await swept(world, again)
  expect(blobFiles(world)).toEqual([])
  await world.during(again.close())
})

test('the blobs of a refused turn are freed, and its actor goes on', async () => {
  const { world, app } = await started()
  const key = '{keeper/a}:locked'
  await world.during(app.store.lock([key], { owner: 'other', leaseMs: 600_000 }))
  const refused = act(world, app, ({ rows, writes }) => {
    rows.put('k', blob(1))
    writes.put(key, 1)
  })
  expect(await codeOf(refused)).toBe('LOCKED')
  expect(blobFiles(world)).toHaveLength(1)
  await swept(world, app)
  expect(blobFiles(world)).toEqual([])
  // A large turn and small ones behind it keep their order.
  const ref = app.entity(keepers).ref('a')
  const works = [
    put('k', blob(2)),
    put('k', 1),
    ({ rows }: DurableContext<KeeperMessages>) => rows.get('k'),
  ]
  const answers = works.map((does) => call(ref, 'act', does))
  expect((await world.during(Promise.all(answers)))[2]).toBe(1)
  expect(app.entity(keepers).state('a')).toBe(3)
  await world.during(app.close())
})

test.each([
  ['a text', 'x'.repeat(300_000)],
  ['bytes', Buffer.alloc(300_000, 3)],
  ['an object', { list: ['y'.repeat(300_000)] }],
])('a turn sees those of an earlier one that are on their way (%s)', async (_, value) => {
  const { world, app } = await started({ syncMs: 50 })
  const ref = app.entity(keepers).ref('a')
  await act(world, app, put('k', 1))
  const first = call(ref, 'act', put('k', value))
  const later: unknown[] = []
  const reads: Act = ({ rows }) => later.push(rows.get('k'))
  for (let at = 0; at < 10; at++) {
    await world.clock.advance(20)
    void call(ref, 'act', reads)
  }
  await world.during(first)
  expect(later).toEqual(Array.from({ length: 10 }, () => value))
  await world.during(app.close())
})

test('a turn whose blob was not written is written again with it', async () => {
  const { world, app } = await started()
  await act(world, app, put('k', 1))
  const [path, operation] = ['/blobs/', 'sync'] as const
  world.disk.inject({ at: 1, operation, path, fault: { kind: 'error', code: 'EIO' } })
  const answer = call(app.entity(keepers).ref('a'), 'act', put('k', 'x'.repeat(300_000)), {
    timeoutMs: 60_000,
  })
  await world.during(answer)
  expect(app.entity(keepers).rows('a').get('k')).toBe('x'.repeat(300_000))
  await world.during(app.close())
})

test('a backup has those of its snapshot and those of the log behind it', async () => {
  const { world, app, giveBack } = await started()
  await act(world, app, put('old', blob(1)))
  await giveBack()
  await act(world, app, put('new', blob(2)))
  const report = await world.during(app.backup('/backup'))
  expect(report.shards.map(({ missing }) => missing)).toEqual([[]])
  await world.during(app.close())
  restore(world, '/backup', '/restored')
  const dir = '/restored'
  const back = await world.start({ ...all, dir, instance: 'restored', app: keeperTree, acts: true })
  const rows = back.entity(keepers).rows('a')
  expect([rows.get('old'), rows.get('new')]).toEqual([blob(1), blob(2)])
  await world.during(back.close())
})

test('a replica gets them with frames, and with the snapshot when it follows later', async () => {
  const { world, app, giveBack } = await started()
  await act(world, app, put('old', blob(1)))
  await giveBack()
  await world.during(app.close())
  const replica = new MemoryReplica(world.clock)
  const again = await world.start({ ...all, replication: [{ client: replica }] })
  const kept = () => [...replica.kept.blobs.values()].map((bytes) => Buffer.from(bytes))
  await caughtUp(world, again)
  expect(replica.pieces.length).toBeGreaterThan(0)
  expect(kept()).toEqual([blob(1)])
  await act(world, again, put('new', blob(2)))
  await caughtUp(world, again)
  expect(kept()).toEqual([blob(1), blob(2)])
  await world.during(again.close())
})
