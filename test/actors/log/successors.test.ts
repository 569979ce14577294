/** What a killed actor still had pending must change nothing for the next one. */
import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { machine } from '../../support/simulated-instance.ts'

describe('a writer that is killed again while its predecessor still ends', () => {
  test('never writes beside it: everything acknowledged is there, in this process and in the next', async () => {
    for (const gapMs of [0, 1, 3, 7, 12, 20]) {
      const { clock, start, during } = machine({ syncMs: 2, endMs: 10 })
      const app = await start()
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

  test('does not put the shard down when its opening is cut off', async () => {
    const { clock, start, during } = machine({ syncMs: 5, endMs: 5 })
    const app = await start()
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
  test('never shows its view: a later read sees what was acknowledged', async () => {
    for (const gapMs of [0, 1, 2, 4, 6]) {
      const { clock, start, during } = machine({ syncMs: 2 })
      const app = await start()
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
  test('an applier that starts again still shows what was acknowledged', async () => {
    const { clock, start, during } = machine()
    const app = await start({ wal: { enableFsync: false } })
    await during(app.store.put('a', 1))

    app.system.kill(Applier.name(0))
    await clock.advance(50)

    expect(app.store.get('a')).toBe(1)
  })

  test('a projection whose writer starts again takes what it lacks, and then rests', async () => {
    const { clock, disk, start, during } = machine()
    const app = await start({ wal: { enableFsync: false } })
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
