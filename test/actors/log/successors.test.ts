/** Pending work of a killed actor must change nothing for its successor. */
import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

describe('a writer that is killed again while its predecessor still ends', () => {
  test('never writes at the same time: every acknowledged write is there, in this process and the next', {
    tags: ['slow'],
  }, async () => {
    for (const gapMs of [0, 1, 3, 7, 12, 20]) {
      const { clock, start, during, app } = await started({}, { syncMs: 2, endMs: 10 })
      await during(app.store.put('before', 1))

      app.system.kill(WalWriter.name(0))
      await clock.advance(gapMs)
      app.system.kill(WalWriter.name(0))
      const keys = Array.from({ length: 20 }, (_, at) => `k${at}`)
      await during(Promise.all(keys.map((key) => app.store.put(key, key))))
      expect(app.health().shards[0]?.phase).toBe('open')
      await during(app.close())

      const again = await start()
      expect(
        keys.filter((key) => again.store.get(key) !== key),
        `gap ${gapMs}`,
      ).toEqual([])
      await during(again.close())
    }
  })

  test('does not take the shard down if its opening is interrupted', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5, endMs: 5 })
    for (let round = 0; round < 4; round++) {
      app.system.kill(WalWriter.name(0))
      await clock.advance(8)
    }

    await during(app.store.put('a', 1))

    expect(app.health().shards[0]).toMatchObject({ phase: 'open' })
    expect(await during(app.control.reopen(0))).toMatchObject({ was: 'running' })
  })
})

describe('an applier that is killed again while it rebuilds', () => {
  test('never publishes its view: a later read sees every acknowledged write', async () => {
    for (const gapMs of [0, 1, 2, 4, 6]) {
      const { clock, during, app } = await started({}, { syncMs: 2 })
      await during(app.control.suspendAll())
      await during(app.store.put('a', 'old'))
      app.system.kill(Applier.name(0))
      await clock.advance(gapMs)
      app.system.kill(Applier.name(0))

      await during(app.store.put('a', 'new'))

      expect(app.store.get('a'), `gap ${gapMs}`).toBe('new')
      await during(app.close())
    }
  })
})

describe('at level `written`', () => {
  test('a restarted applier still shows every acknowledged write', async () => {
    const { clock, during, app } = await started({ wal: { enableFsync: false } })
    await during(app.store.put('a', 1))

    app.system.kill(Applier.name(0))
    await clock.advance(50)

    expect(app.store.get('a')).toBe(1)
  })

  test('a projection with a restarted writer catches up, then rests', async () => {
    const { clock, disk, during, app } = await started({ wal: { enableFsync: false } })
    await during(app.control.suspendAll({ leaseMs: 100 }))
    await during(app.store.put('a', 1))
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(1_000)
    expect(app.health().shards[0]?.projectedLsn).toBe(app.health().shards[0]?.appliedLsn)

    const before = disk.calls
    await clock.advance(10_000)
    expect(disk.calls).toBe(before)
  })
})
