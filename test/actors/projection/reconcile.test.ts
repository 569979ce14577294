/** Marks, reconciles, retries, and what watchdogs see of a projection. */
import { describe, expect, test } from 'vitest'
import { LmdbWriter, type StorageEvents } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import type { ProjectionStore } from '../../../src/storage/index.ts'
import { CommitDoor, storeWith } from '../../support/worlds/commit-door.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const lmdb = '/data/shard-0/lmdb'

/** An instance with two rows, and the rows of each reconcile. */
const marked = async (options = {}) => {
  const { world, app } = await started(options)
  const put = async (key: string) => (await world.during(app.store.put(key, 1))).position.lsn
  const reconciled: number[] = []
  const bus = telemetry<StorageEvents>(app.system)
  bus.on('lmdb.reconciled', ({ rows }) => void reconciled.push(rows))
  await put('a')
  await put('b')
  await world.during(app.control.flush(0))
  const health = () => app.health().shards[0]?.projection
  return { ...world, app, bus, put, reconciled, health, projection: app.lmdbWriter(0) }
}

describe('a mark', () => {
  test('makes the projection degraded until a clean reconcile, and reads and writes go on', {
    tags: ['L43', 'M38', 'M51'],
  }, async () => {
    const { app, projection, put, reconciled, health, clock, during } = await marked()
    projection.markMirrorDegraded('a backup was restored')
    const request = codeOf(projection.request(1))
    expect(health()).toMatchObject({ mode: 'degraded', reason: 'a backup was restored' })
    await put('c')

    await clock.advance(1_000)

    expect(reconciled).toEqual([3])
    expect(health()).toMatchObject({ mode: 'following', reason: undefined })
    expect([app.store.get('a'), app.store.get('c')]).toEqual([1, 1])
    expect(await during(request)).toBe('DEGRADED')
    expect(projection.isDurable(await put('d'))).toBe(false)
  })

  test('refuses those who would wait, and what they asked for stays visible', {
    tags: ['M26'],
  }, async () => {
    const { app, projection, put, health, projections, clock, during } = await marked()
    projections.failCommits(lmdb, Number.POSITIVE_INFINITY)
    const lsn = await put('c')
    await clock.advance(1_000)

    expect(await during(codeOf(projection.request(lsn)))).toBe('DEGRADED')
    expect(await during(codeOf(app.control.flush(0)))).toBe('DEGRADED')
    expect(health()?.requestedLsn).toBe(lsn)
    expect([projection.isDurable(lsn), projection.durableIndex < lsn]).toEqual([false, true])

    projections.failCommits(lmdb, 0)
    await clock.advance(6_000)
    expect(projection.isDurable(lsn)).toBe(true)
  })

  test('that is made during a reconcile needs another one', { tags: ['M55'] }, async () => {
    const { projection, reconciled, health, clock } = await marked()
    const epochs = [projection.markMirrorDegraded('one')]
    const marks = [...'twothree'].map(
      () => () => epochs.push(projection.markMirrorDegraded('more')),
    )
    marks[0]?.()
    await clock.settle()
    marks[1]?.()
    await clock.advance(1_000)

    expect(epochs).toEqual([1, 2, 3])
    expect(reconciled.length).toBeGreaterThan(1)
    expect(health()).toMatchObject({ mode: 'following', reason: undefined })
  })

  test('survives the death of the writer, and so does the request for a reconcile', {
    tags: ['L17', 'M58'],
  }, async () => {
    const { app, projection, reconciled, health, clock } = await marked()
    projection.markMirrorDegraded('one')
    app.system.kill(LmdbWriter.name(0))
    expect(health()?.reason).toBe('one')

    await clock.advance(1_000)

    expect(reconciled.length).toBeGreaterThan(0)
    expect(health()?.reason).toBeUndefined()
  })
})

describe('a reconcile', () => {
  test('is one for many requests, and changes nothing', {
    tags: ['L23', 'L26', 'L31', 'M43', 'M64'],
  }, async () => {
    const { app, projection, reconciled, clock, during } = await marked()
    projection.begin('p')
    projection.enqueue([{ kind: 'put', key: 'x', value: 1 }], { producer: 'p', lsn: 1 })
    await during(app.control.flush(0))
    const before = [app.store.range().entries, projection.entries('p'), projection.durableIndex]
    const commits: string[] = []
    telemetry<StorageEvents>(app.system).on(
      'lmdb.flushed',
      ({ result }) => void commits.push(result),
    )

    for (let again = 0; again < 5; again++) projection.markProjectionDirty()
    await clock.advance(1_000)

    expect(reconciled).toEqual([5])
    expect([app.store.range().entries, projection.entries('p'), projection.durableIndex]).toEqual(
      before,
    )
    expect(commits).toEqual([])
  })

  test('finds a damaged row that no reader has met, and the projection is rebuilt', {
    tags: ['L24', 'M49'],
  }, async () => {
    const { app, projection, projections, clock, during } = await marked()
    projections.damageRow(lmdb, 'b')
    projection.markProjectionDirty()
    await clock.advance(1_000)

    await during(app.control.flush(0))

    expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 1])
    expect(await projections.examine(lmdb)).toMatchObject({ state: 'sound' })
  })
})

test('a reconcile that fails for another reason than damage begins again with its writer, and sets nothing aside', async () => {
  let [failures, removals] = [0, 0]
  const { world, app } = await started(
    {},
    {
      around: (projections) => ({
        ...projections,
        remove: (dir) => {
          removals++
          projections.remove(dir)
        },
        open: (dir, mapBytesMax) => {
          const store = projections.open(dir, mapBytesMax)
          const range: ProjectionStore['range'] = (rows) => {
            if (failures-- > 0) throw new Error('the disk is away')
            return store.range(rows)
          }
          return storeWith(store, { range })
        },
      }),
    },
  )
  await world.during(app.store.put('a', 1))
  await world.during(app.control.flush(0))
  const reconciled: unknown[] = []
  telemetry<StorageEvents>(app.system).on('lmdb.reconciled', ({ rows }) => reconciled.push(rows))
  failures = 1
  app.lmdbWriter(0).markProjectionDirty()
  await world.clock.advance(1_000)

  expect([reconciled, removals]).toEqual([[2], 0])
})

describe('a projection whose disk is full', () => {
  test('is tried again after delays that double up to 5 s, whatever arrives meanwhile', {
    tags: ['L41', 'M61'],
  }, async () => {
    const { bus, projections, put, clock, health } = await marked()
    const tries: number[] = []
    bus.on('lmdb.flushed', ({ result }) => {
      if (result === 'NO_SPACE') tries.push(clock.monotonic())
    })
    projections.failCommits(lmdb, Number.POSITIVE_INFINITY)
    for (let second = 0; second < 60; second++) {
      await put(`k${second}`)
      await clock.advance(1_000)
    }
    const delays = tries.slice(1).map((at, index) => at - (tries[index] ?? 0))

    for (const [at, delay] of delays.entries()) {
      const longest = Math.min(5_000, 50 * 2 ** at)
      expect(delay).toBeGreaterThanOrEqual(Math.floor(longest / 2))
      expect(delay).toBeLessThanOrEqual(longest + 2)
    }
    expect(new Set(delays.slice(-4)).size).toBeGreaterThan(1)
    expect(health()).toMatchObject({ mode: 'degraded', failures: tries.length })
  })

  test('shows in health that its writer lives and makes no progress', {
    tags: ['M40'],
  }, async () => {
    const { projections, put, clock, health } = await marked()
    expect(health()).toMatchObject({ behindMs: 0, flushedAt: expect.any(Number) })
    projections.failCommits(lmdb, Number.POSITIVE_INFINITY)
    const { flushedAt } = health() ?? {}
    await put('c')
    await clock.advance(20_000)

    expect(health()?.flushedAt).toBe(flushedAt)
    expect(health()?.behindMs).toBeGreaterThanOrEqual(20_000)
    projections.failCommits(lmdb, 0)
    await clock.advance(10_000)
    expect(health()?.behindMs).toBe(0)
  })
})

describe('a file that takes no commit for damage', () => {
  /** Projections that break, and are mended when the file is removed, or never. */
  const breaking = async (isMendedBy: 'removal' | 'nothing') => {
    let isBroken = false
    const { world, app } = await started(
      {},
      {
        around: (projections) => ({
          ...projections,
          remove: (dir) => {
            if (isMendedBy === 'removal') isBroken = false
            projections.remove(dir)
          },
          open: (dir, mapBytesMax) => refusing(projections.open(dir, mapBytesMax), () => isBroken),
        }),
      },
    )
    await world.during(app.store.put('a', 1))
    await world.during(app.control.flush(0))
    isBroken = true
    await world.during(app.store.put('b', 2))
    await world.clock.advance(1_000)
    return { ...world, app, health: () => app.health().shards[0] }
  }

  test('is set aside after a while, and rebuilt', async () => {
    const { app, clock, during, health } = await breaking('removal')
    expect(health()).toMatchObject({ phase: 'open', projection: { mode: 'degraded' } })

    await clock.advance(5_000)
    await during(app.control.flush(0))

    expect(health()).toMatchObject({ phase: 'open', projection: { mode: 'following' } })
    expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 2])
  })

  test('takes no shard down, also when every new file is damaged', { tags: ['slow'] }, async () => {
    const { app, clock, health } = await breaking('nothing')
    await clock.advance(120_000)

    expect(health()).toMatchObject({ phase: 'open', projection: { mode: 'degraded' } })
    expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 2])
  })
})

/** A store whose commits are `CORRUPT` while it is broken, as LMDB's are for a damaged page. */
const refusing = (store: ProjectionStore, isBroken: () => boolean): ProjectionStore =>
  storeWith(store, {
    async commit(changes, position) {
      if (isBroken()) throw new KeelsonError('CORRUPT', 'a page is damaged')
      await store.commit(changes, position)
    },
  })

describe('the events of a projection', () => {
  test('tell how long each commit took and how it ended, and the age of what waits', {
    tags: ['M40'],
  }, async () => {
    const door = new CommitDoor()
    const { world, app } = await started({}, { around: (projections) => door.around(projections) })
    const told: unknown[] = []
    const ages: number[] = []
    const bus = telemetry<StorageEvents>(app.system)
    bus.on('lmdb.flushed', (event) => void told.push(event))
    bus.on('lmdb.lag', ({ ageMs }) => void ages.push(ageMs))
    door.hold('before')
    await world.during(app.store.put('a', 1))
    await world.clock.advance(500)
    await world.during(app.store.put('b', 1))
    door.release()
    await world.during(app.control.flush(0))

    expect(told[0]).toMatchObject({ frames: 1, rows: 2, operations: 0, result: 'ok' })
    expect((told[0] as { durationMs: number }).durationMs).toBeGreaterThan(400)
    expect(ages[0]).toBe(0)
    expect(Math.max(...ages)).toBeGreaterThanOrEqual(500)
    expect(ages.at(-1)).toBe(0)
  })
})

describe('a flush', () => {
  test('of all shards commits them side by side', { tags: ['L6', 'M3', 'M19'] }, async () => {
    const door = new CommitDoor()
    const { world, app } = await started(
      { shards: 2 },
      { around: (projections) => door.around(projections) },
    )
    await world.during(Promise.all([...'abcdefgh'].map((key) => app.store.put(key, 1))))
    door.hold('before')
    const flushed = app.control.flushAll()
    await world.clock.advance(5)
    expect(door.waiting).toBe(2)

    door.release()
    expect((await world.during(flushed)).outcomes.map(({ ok }) => ok)).toEqual([true, true])
  })

  test('of one shard leaves the others as they were, as a suspension does', {
    tags: ['L36', 'M18'],
  }, async () => {
    const { world, app } = await started({ shards: 2 })
    const putAll = () =>
      world.during(Promise.all([...'abcdefgh'].map((key) => app.store.put(key, 1))))
    const behind = () =>
      app.health().shards.map(({ appliedLsn, projectedLsn }) => appliedLsn > projectedLsn)
    await putAll()
    await world.during(app.control.flush(0), 5)
    expect(behind()).toEqual([false, true])

    await world.during(app.control.suspend(0))
    await putAll()
    await world.clock.advance(1_000)

    expect(behind()).toEqual([true, false])
  })

  test('answers at once when nothing waits', { tags: ['L2'] }, async () => {
    const { app, during, bus } = await marked()
    let commits = 0
    bus.on('lmdb.flushed', () => void commits++)
    expect((await during(app.control.flushAll(), 1)).outcomes).toEqual([{ shard: 0, ok: true }])
    expect(commits).toBe(0)
  })
})
