/** A whole shard is made new of what can be read of a damaged one: its log, snapshots, rows, blobs and saved states. */
import { expect, test } from 'vitest'
import type { LogKnowledge } from '../../../src/storage/examination/log-damage.ts'
import {
  type Progress,
  readDataFolder,
  shardFolder,
  stepsAs,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import { finish } from '../../../src/storage/ports/steps.ts'
import { type SalvagedShard, salvagingShard } from '../../../src/tools/restore/shard-salvage.ts'
import { verifyLog } from '../../support/verify-log.ts'
import { type Machine, started } from '../../support/worlds/simulated-instance.ts'

const [from, to] = [shardFolder('/data', 0), shardFolder('/rescued', 0)]

const [early, large] = ['x'.repeat(4_000), 'L'.repeat(20_000)]

/** A closed folder with a blob, a snapshot at `snapshot`, and a log of some segments. */
const written = async () => {
  const world = await started({ blobs: { threshold: 4_096 }, wal: { maxFileSize: 128 * 1024 } })
  const { app, during } = world
  await during(app.store.put('large', large))
  for (let at = 0; at < 40; at++) await during(app.store.put(`k${at}`, early))
  const { lsn } = await during(app.control.snapshot(0))
  for (let at = 0; at < 5; at++) await during(app.store.put(`later${at}`, at))
  await during(app.close())
  return { ...world, snapshot: lsn }
}

type World = Awaited<ReturnType<typeof written>>

/** Salvages the shard into another folder, and answers what was made. */
const salvage = (
  { disk, clock, projections }: World,
  more: LogKnowledge = {},
  show?: (progress: Progress) => void,
): SalvagedShard => {
  const reading = readDataFolder(disk, '/data')
  if (reading.state !== 'sound') throw new Error('there is a folder')
  const walId = reading.facts.logs[0] as string
  const store = projections.open(from.lmdb)
  const pin = store.pin()
  const shown = store.position()
  const knowledge = { walId, holdsUnits: true, ...(shown && { shown }), ...more }
  const hasLog = disk.list(from.wal).length > 0
  const salvaging = salvagingShard({
    disk,
    clock,
    from: from.wal,
    to: to.wal,
    shard: { from, to, rows: () => projections.source(from.lmdb) },
    found: hasLog ? verifyLog(disk, from.wal, knowledge) : undefined,
    knowledge,
  })
  const made = finish(stepsAs(salvaging, (progress) => show?.(progress)))
  pin.release()
  const { instanceId, created } = reading.facts
  writeDataFolder(disk, '/rescued', { instanceId, created, shards: 1, logs: [made.salvaged.walId] })
  return made
}

/** What a start of the new folder has, under these keys. */
const rescued = async (world: Pick<Machine, 'start' | 'during'>) => {
  const app = await world.start({ dir: '/rescued', blobs: { threshold: 4_096 } })
  const { store } = app
  const found = {
    early: store.get('k39'),
    later: store.get('later4'),
    large: await world.during(store.load('large')).catch((error) => error.code),
  }
  await world.during(app.close())
  return found
}

const filesIn = ({ disk }: World, folder: string, ending: string): string[] =>
  disk.list(folder).flatMap((name) => (name.endsWith(ending) ? [`${folder}/${name}`] : []))

test('of a sound shard it has all, and the snapshot that the log names', async () => {
  const world = await written()
  const { salvaged, snapshots, uncopied } = salvage(world)

  expect(snapshots.map(({ lsn }) => lsn)).toEqual([world.snapshot])
  expect([salvaged.lost, uncopied]).toEqual([[], []])
  expect(await rescued(world)).toEqual({ early, later: 4, large })
})

test('a snapshot that is damaged is left out: one is made of the rows, as the log has not all frames', async () => {
  const world = await written()
  const [file = ''] = filesIn(world, from.snapshots, '.snap')
  world.disk.flipBit(file, 8_000)
  const { snapshots } = salvage(world)

  expect(snapshots).toHaveLength(1)
  expect(snapshots[0]?.lsn).toBeGreaterThan(world.snapshot)
  expect(filesIn(world, to.snapshots, '')).toHaveLength(1)
  expect(await rescued(world)).toEqual({ early, later: 4, large })
})

test('a projection of another log gives no rows', async () => {
  const world = await written()
  for (const file of filesIn(world, from.wal, '')) world.disk.remove(file)
  const { salvaged, snapshots } = salvage(world, { walId: 'ab'.repeat(16) })

  expect(snapshots).toEqual([])
  expect(salvaged).toMatchObject({ walId: 'ab'.repeat(16), frames: 0 })
})

test('without a log it has the rows of the projection, by a snapshot that is made of them', async () => {
  const world = await written()
  for (const file of filesIn(world, from.wal, '')) world.disk.remove(file)
  const { salvaged, snapshots } = salvage(world)

  expect(snapshots).toHaveLength(1)
  expect(salvaged).toMatchObject({ frames: 0, firstLsn: (snapshots[0]?.lsn ?? 0) + 1 })
  expect(await rescued(world)).toEqual({ early, later: 4, large })
})

test('of neither a log nor rows an empty shard is made, of the same id', async () => {
  const world = await written()
  for (const file of filesIn(world, from.wal, '')) world.disk.remove(file)
  world.projections.remove(from.lmdb)
  const { salvaged, snapshots } = salvage(world)

  expect(snapshots).toEqual([])
  expect(salvaged).toMatchObject({ frames: 0, firstLsn: 1, lost: [] })
  expect(await rescued(world)).toEqual({ early: undefined, later: undefined, large: undefined })
})

test('while a snapshot is made of the rows, its size is estimated from the rows that are in it', async () => {
  const world = await written()
  for (const file of filesIn(world, from.wal, '')) world.disk.remove(file)
  const seen: Progress[] = []
  const { snapshots } = salvage(world, {}, (progress) => {
    if (progress.what.startsWith('making a snapshot')) seen.push(progress)
  })

  const bytes = snapshots[0]?.bytes ?? 0
  expect(seen).not.toEqual([])
  for (const { totalBytes } of seen) {
    expect(totalBytes).toBeGreaterThan(bytes / 2)
    expect(totalBytes).toBeLessThan(bytes * 2)
  }
})
