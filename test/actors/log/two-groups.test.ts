/** Many writes at once: one group is on the disk while the next one is on its way. */
import { describe, expect, test } from 'vitest'
import { Applier, type StorageEvents, WalWriter } from '../../../src/actors/index.ts'
import { suspend, telemetry } from '../../../src/runtime/index.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

/** An instance with a log that answers in `syncMs`, and the frames of each commit from now on. */
const world = async (syncMs = 1) => {
  const { during, clock, disk, app } = await started(
    { wal: { maxFileSize: 1024 * 1024, idleMarkerMs: 0 } },
    { syncMs },
  )
  await during(app.store.put('k', 0))
  const commits: number[] = []
  telemetry<StorageEvents>(app.system).on('wal.commit', ({ frames }) => commits.push(frames))
  /** The writes in flight now, although the log answers after them. */
  const inFlight = async () => {
    const writer = app.system.to(WalWriter.name(0))
    return (await WalWriter.describe(writer)).inFlight
  }
  const putMany = (count: number, key = 'k') =>
    Array.from({ length: count }, (_, at) => app.store.put(`${key}${at % 7}`, at))
  /** 600 writes, and 700 more while they are in flight: two groups. */
  const putInTwo = async () => {
    const first = putMany(600)
    await clock.settle()
    return [...first, ...putMany(700)]
  }
  return { app, during, clock, disk, commits, inFlight, putMany, putInTwo }
}

describe('many writes at once', () => {
  test('in two groups in flight are answered in order', async () => {
    const { during, clock, commits, putInTwo, app } = await world()
    const answered: number[] = []
    const puts = (await putInTwo()).map(async (put) => void answered.push((await put).position.lsn))
    await clock.advance(1)
    expect(commits).toEqual([600])
    await clock.advance(1)
    expect(commits).toEqual([600, 700])
    await during(Promise.all(puts))
    expect(answered).toEqual(answered.toSorted((a, b) => a - b))
    expect(app.store.get('k6')).toBe(699)
  })

  test('leave as one group if nothing is in flight', async () => {
    const { during, commits, putMany } = await world()
    await during(Promise.all(putMany(1_300)))
    expect(commits).toEqual([1_300])
  })

  test('join a second group while the first is in flight; it leaves when they are many', async () => {
    const { during, clock, inFlight, putMany, commits } = await world(3)
    const puts = []
    const found = []
    for (const count of [10, 500, 100, 700]) {
      puts.push(...putMany(count))
      await clock.settle()
      found.push(inFlight())
      await clock.settle()
    }
    await during(Promise.all(puts))
    expect(await Promise.all(found)).toEqual([10, 10, 610, 610])
    expect(commits).toEqual([10, 600, 700])
  })

  test('have unknown outcomes if the disk fails under the first of two groups, and none is lost', async () => {
    const { app, during, disk, clock, putInTwo } = await world()
    failNextSync(disk)
    const codes = (await putInTwo()).map(codeOf)
    await clock.settle()
    const late = codeOf(app.store.put('late', 1))
    const outcomes = await during(Promise.all(codes))
    expect(new Set(outcomes)).toEqual(new Set(['UNKNOWN_OUTCOME']))
    expect(await during(late)).toBe('NOT_SUBMITTED')
    await during(app.control.reopen(0))
    await during(app.store.settled())
    expect(app.store.has('late')).toBe(false)
    await during(app.store.put('late', 1))
  })

  test.each([
    ['writer', WalWriter.name(0)],
    ['applier', Applier.name(0)],
  ])('are answered in order if the %s is killed with two groups in flight', async (_, victim) => {
    const { app, during, clock, putInTwo, commits } = await world(2)
    const puts = await putInTwo()
    await clock.settle()
    app.system.kill(victim as never)
    const lsns = (await during(Promise.all(puts))).map(({ position }) => position.lsn)
    expect(lsns).toEqual(lsns.toSorted((a, b) => a - b))
    expect(new Set(lsns).size).toBe(1_300)
    expect(commits).toEqual([600, 700])
    expect(app.store.get('k6')).toBe(699)
  })

  test('are answered in order if the applier is killed with two groups in the log that it did not apply', async () => {
    const { app, during, clock, putInTwo } = await world()
    const applier = app.system.to(Applier.name(0))
    await during(suspend(applier))
    const puts = await putInTwo()
    await clock.advance(5)
    app.system.kill(Applier.name(0))
    const lsns = (await during(Promise.all(puts))).map(({ position }) => position.lsn)
    expect(lsns).toEqual(lsns.toSorted((a, b) => a - b))
    expect(new Set(lsns).size).toBe(1_300)
    expect(app.store.get('k6')).toBe(699)
  })
})

test('writes wait in one group until the thread of their log is free, while another log commits', async () => {
  let isBusy = false
  const told: (() => void)[] = []
  const { during, clock, app } = await started(
    {},
    {
      aroundLog: (host) => ({
        run: (kind, request) => host.run(kind, request),
        end: () => host.end(),
        isFree(whenFree) {
          if (isBusy) told.push(whenFree)
          return !isBusy
        },
      }),
    },
  )
  const commits: number[] = []
  telemetry<StorageEvents>(app.system).on('wal.commit', ({ frames }) => commits.push(frames))
  await during(app.store.put('k', 0))
  isBusy = true
  const first = app.store.put('a', 1)
  await clock.settle()
  const second = app.store.put('b', 2)
  await clock.settle()
  expect(commits).toEqual([1])
  isBusy = false
  told.at(-1)?.()
  await during(Promise.all([first, second]))
  expect(commits).toEqual([1, 2])
})

test('settled is answered under a steady stream of writes', async () => {
  const { app, during, clock, commits } = await world(3)
  let isOver = false
  const stream = (async () => {
    while (!isOver) {
      const puts = Array.from({ length: 4 }, (_, at) => app.store.put(`s${at}`, at))
      await Promise.race(puts)
    }
  })()
  await clock.advance(10)
  await during(WalWriter.settled(app.system.to(WalWriter.name(0)), 1_000), 20)
  isOver = true
  await during(stream)
  expect(commits.length).toBeGreaterThan(3)
})
