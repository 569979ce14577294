/** A backup of a member of a cluster is a backup of one machine: its log comes out of the engine. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/index.ts'
import { Members } from '../../support/worlds/members.ts'
import { restore } from '../../support/worlds/restored.ts'

const keys = ['k0', 'k1', 'k2', 'k3']
const rowsOf = (app: App): readonly unknown[] => keys.map((key) => app.store.get(key))

/** Writes so many values, one after another. */
const write = async (members: Members, app: App, from: number, to: number): Promise<void> => {
  for (let at = from; at < to; at++) await members.during(app.store.put(`k${at % 4}`, at))
}

/** The rows of the backup, restored into a folder that is opened without a cluster. */
const rowsIn = async (
  members: Members,
  lsns: readonly number[] = [],
): Promise<readonly unknown[]> => {
  const machine = members.machine('a')
  machine.disk.remove('/restored')
  machine.projections.remove('/restored/shard-0/lmdb')
  restore(machine, '/backup', '/restored', lsns)
  const app = await machine.start({ dir: '/restored', instance: 'restored', app: false })
  const rows = rowsOf(app)
  await members.during(app.close())
  return rows
}

test('a backup restores to a folder of one machine, as of now or of an earlier LSN', async () => {
  const members = new Members()
  const first = await members.start('a')
  await write(members, first, 0, 10)
  await members.during(first.close())
  // A claim has an LSN, and no frame.
  const app = await members.start('a')
  await write(members, app, 10, 20)
  const { lastLsn = 0 } = (await members.during(app.wal(0).describe())).log ?? {}
  const earlier = rowsOf(app)
  await write(members, app, 20, 27)
  const now = rowsOf(app)

  const { shards } = await members.during(app.backup('/backup'))

  expect(shards).toMatchObject([{ shard: 0, fromLsn: 0, missing: [] }])
  expect(await rowsIn(members)).toEqual(now)
  expect(await rowsIn(members, [lastLsn])).toEqual(earlier)
  expect(members.machine('a').disk.list('/data/shard-0')).not.toContain('exported.tmp')
})

test('of a trimmed log it begins with a snapshot, which is fetched if the cache lost it', async () => {
  const members = new Members()
  const app = await members.start('a')
  for (const round of [0, 1, 2]) {
    await write(members, app, 10 * round, 10 * round + 10)
    await members.during(app.control.snapshot(0))
  }
  await write(members, app, 30, 35)
  const { disk } = members.machine('a')
  disk.remove('/data/shard-0/snapshot')

  const { shards } = await members.during(app.backup('/backup'))

  expect(shards[0]?.fromLsn).toBeGreaterThan(1)
  expect(await rowsIn(members)).toEqual(rowsOf(app))
})

test('a member with another cache brings the backup up to date', async () => {
  const members = new Members()
  const first = await members.start('a')
  await write(members, first, 0, 10)
  await members.during(first.backup('/backup'))
  await members.during(first.close())
  const next = await members.start('a', { dir: '/other' })
  await write(members, next, 10, 20)

  await members.during(next.backup('/backup'))

  expect(await rowsIn(members)).toEqual(rowsOf(next))
})
