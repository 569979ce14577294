/**
 * A projection beside a log that was restored from a copy and has diverged since: the same log id,
 * and an LSN that the log also has.
 */
import { describe, expect, test } from 'vitest'
import { WalWriter } from '../../../src/actors/index.ts'
import { encodeValue } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

const wal = '/data/shard-0/wal'
const lmdb = '/data/shard-0/lmdb'

/**
 * Runs an instance that puts `keys` with `value`, then closes. `projected`: the projection shows
 * them.
 */
const life = async (world: Machine, keys: readonly string[], value: string, projected: boolean) => {
  const { start, during } = world
  const app = await start()
  if (!projected) await during(app.control.suspendAll())
  for (const key of keys) await during(app.store.put(key, value))
  if (projected) await during(app.control.flushAll())
  await during(app.close())
}

/** Replaces the log files of `to` by those of `from`, and `floor.json`, which knows how far the log had come. */
const restoreLog = (from: Machine['disk'], to: Machine['disk']): void => {
  const isFile = (disk: Machine['disk'], name: string) =>
    name !== 'LOCK' && disk.entry(`${wal}/${name}`)?.kind === 'file'
  const floor = '/data/shard-0/floor.json'
  to.remove(floor)
  for (const name of to.list(wal)) if (isFile(to, name)) to.remove(`${wal}/${name}`)
  const names = from.list(wal).filter((name) => isFile(from, name))
  for (const path of [floor, ...names.map((name) => `${wal}/${name}`)]) {
    const file = to.open(path, 'create')
    file.write(from.contents(path), 0)
    file.sync()
    file.close()
  }
}

/** The position and rows of the projection, as a copy of its files has them. */
const copied = async ({ projections }: Machine) => {
  const store = projections.open(lmdb)
  const copy = { position: store.position(), rows: [...store.range({})] }
  await store.close()
  return copy
}

/** Replaces the projection by a copy. */
const restoreProjection = async (
  { projections }: Machine,
  { position, rows }: Awaited<ReturnType<typeof copied>>,
) => {
  projections.remove(lmdb)
  if (!position) throw new Error('the projection that was copied shows nothing')
  const store = projections.open(lmdb)
  await store.commit(rows, position)
  await store.close()
}

const remarksOf = async ({ during }: Machine, app: App) =>
  (await during(WalWriter.describe(app.system.to(WalWriter.name(0))))).report?.remarks

const common = ['a', 'b', 'c']
const later = ['d', 'e', 'f', 'g']

/**
 * A log with one history (`one` under the later keys, projected) and, from a copy without them, a
 * second history (`two`).
 */
const forked = async () => {
  const world = machine()
  await life(world, common, 'common', true)
  const copy = world.disk.clone()
  await life(world, later, 'one', true)
  const projection = await copied(world)
  restoreLog(copy, world.disk)
  world.projections.remove(lmdb)
  await life(world, [...later, 'h', 'i'], 'two', false)
  return { ...world, projection }
}

describe('a projection of a diverged copy of the same log', () => {
  test('is rebuilt from the log, and none of its rows is used', async () => {
    const world = await forked()
    const { start, during } = world
    await restoreProjection(world, world.projection)

    const app = await start()

    expect([...common, ...later].map((key) => app.store.get(key))).toEqual([
      ...common.map(() => 'common'),
      ...later.map(() => 'two'),
    ])
    await during(app.control.flushAll())
    await during(app.close())
    const { position } = await copied(world)
    expect(position?.lsn).toBeGreaterThan(world.projection.position?.lsn ?? 0)
  })

  test('is reported in the remarks of the opening', async () => {
    const world = await forked()
    await restoreProjection(world, world.projection)

    const app = await world.start()

    expect(await remarksOf(world, app)).toEqual([expect.stringContaining('diverged copy')])
  })

  test('is replaced once: the next opening finds one of this log, and has no remark', async () => {
    const world = await forked()
    await restoreProjection(world, world.projection)
    const before = await world.start()
    await world.during(before.close())

    const app = await world.start()

    expect(await remarksOf(world, app)).toEqual([])
  })

  test('is distinguished from one that lags, which is kept and catches up', async () => {
    const world = machine()
    await life(world, common, 'common', true)
    const projection = await copied(world)
    await life(world, later, 'one', true)
    await restoreProjection(world, projection)
    // A row that the log does not have shows that the projection was not rebuilt.
    const { position } = projection
    if (!position) throw new Error('the projection shows nothing')
    const store = world.projections.open(lmdb)
    await store.commit([['kept', { value: encodeValue('as it was'), expiresAt: 0 }]], position)
    await store.close()

    const app = await world.start()

    expect(['kept', ...later].map((key) => app.store.get(key))).toEqual([
      'as it was',
      ...later.map(() => 'one'),
    ])
    expect(await remarksOf(world, app)).toEqual([])
  })

  test('of a version without marks is accepted by its id and LSN', async () => {
    const world = await forked()
    const { position } = world.projection
    if (!position) throw new Error('the projection shows nothing')
    const { frame: _, ...unmarked } = position
    await restoreProjection(world, { ...world.projection, position: unmarked })

    const app = await world.start()

    expect(app.store.get('d')).toBe('one')
  })
})
