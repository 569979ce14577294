import { describe, expect, test } from 'vitest'
import { Applier, WalWriter } from '../../../src/actors/index.ts'
import { suspend } from '../../../src/runtime/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

describe('a put', () => {
  test('is answered only after its group is synced', async () => {
    const { clock, disk, app } = await started({}, { syncMs: 5 })
    const before = disk.syncs
    let answered = false

    const put = app.store.put('a', 1).then(() => {
      answered = true
    })
    await clock.settle()
    expect(disk.syncs).toBe(before + 1)
    expect(answered).toBe(false)
    expect(app.store.get('a')).toBeUndefined()

    await clock.advance(5)
    await put
    expect(app.store.get('a')).toBe(1)
    expect(disk.syncs).toBe(before + 1)
  })

  test('that arrives during a sync is in the next group, with all others of that time', async () => {
    const { clock, disk, during, app } = await started({}, { syncMs: 5 })
    const first = app.store.put('first', 0)
    await clock.settle()
    const before = disk.syncs

    const rest = Array.from({ length: 500 }, (_, at) => app.store.put(`k${at}`, at))
    await during(Promise.all([first, ...rest]))

    expect(disk.syncs).toBe(before + 1)
  })

  test('takes effect in the order of the calls, even behind a full gate', async () => {
    const { during, app } = await started({ wal: { queueBytes: 1_000 } }, { syncMs: 5 })

    const puts = Array.from({ length: 100 }, (_, at) => app.store.put('counter', at))
    const lsns = (await during(Promise.all(puts))).map(({ position }) => position.lsn)

    expect(lsns).toEqual([...lsns].sort((a, b) => a - b))
    expect(app.store.get('counter')).toBe(99)
  })

  test('with a deadline that passes in the queue never reaches the disk, and is not there later', async () => {
    const { clock, during, app } = await started({}, { syncMs: 100 })
    const slow = app.store.put('slow', 1)
    await clock.settle()

    const late = codeOf(app.store.put('late', 1, { deadlineMs: 20 }))
    await clock.advance(20)
    expect(await late).toBe('NOT_SUBMITTED')

    await during(slow)
    await during(app.store.put('after', 1))
    expect(app.store.get('late')).toBeUndefined()
  })

  test('with a deadline that passes on its way has an unknown outcome', async () => {
    const { clock, during, app } = await started({}, { syncMs: 100 })

    const put = codeOf(app.store.put('a', 1, { deadlineMs: 20 }))
    await clock.advance(20)
    expect(await put).toBe('UNKNOWN_OUTCOME')

    await during(app.store.put('b', 1))
    expect(app.store.get('a')).toBe(1)
  })

  test('is refused with BUSY if it must not wait', async () => {
    const { during, app } = await started({ wal: { queueBytes: 256 } }, { syncMs: 5 })
    const first = app.store.put('a', 1)

    expect(await codeOf(app.store.put('b', 1, { whenFull: 'refuse' }))).toBe('BUSY')
    await during(first)
  })

  test.each([
    ['', 1, {}],
    [7, 1, {}],
    ['a\0b', 1, {}],
    ['x'.repeat(1_025), 1, {}],
    ['a', undefined, {}],
    ['a', () => 1, {}],
    ['a', 1, { ttlMs: 0 }],
    ['a', 1, { ttlMs: 1, expiresAt: 1 }],
    ['a', 1, { expiresAt: -1 }],
    ['a', 1, { ack: 'replicated' }],
    ['a', 1, { windowMs: 0.5 }],
    ['a', 1, { windowMs: 10_001 }],
    ['a', 1, { deadlineMs: 0 }],
    ['a', 1, null],
  ])(
    'of %j, %j with %j is refused at the caller, and nothing is written',
    async (key, value, options) => {
      const { disk, app } = await started()
      const before = disk.writes

      expect(await codeOf(app.store.put(key as string, value, options as object))).toBe(
        'INVALID_ARGUMENT',
      )
      expect(disk.writes).toBe(before)
    },
  )

  test('that no segment can hold is TOO_LARGE without blobs', async () => {
    const { app } = await started({ blobs: { threshold: 0 } })

    expect(await codeOf(app.store.put('a', 'x'.repeat(200_000)))).toBe('TOO_LARGE')
  })

  test('expires after a time from the stamp, or at a moment', async () => {
    const { clock, during, app } = await started()
    await during(app.store.put('ttl', 1, { ttlMs: 1_000 }))
    await during(app.store.put('at', 1, { expiresAt: clock.now() + 500 }))
    await during(app.store.put('past', 1, { expiresAt: 1 }))
    await during(app.store.put('ever', 1, { expiresAt: 0 }))
    expect(['ttl', 'at', 'past', 'ever'].map((key) => app.store.has(key))).toEqual([
      true,
      true,
      false,
      true,
    ])
    expect(app.store.ttl('ever')).toBe(Number.POSITIVE_INFINITY)

    await clock.advance(600)
    expect(app.store.get('at')).toBeUndefined()
    expect(app.store.ttl('ttl')).toBeLessThan(1_000)

    await clock.advance(600)
    expect(app.store.range().entries).toEqual([['ever', 1]])
    expect(await during(app.store.delete('ttl'))).toMatchObject({ existed: false })
  })
})

describe('a killed actor', () => {
  test('of the log: the next one answers what it had handed to the disk, and takes what waited', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    const submitted = codeOf(app.store.put('submitted', 1))
    await clock.settle()
    const queued = codeOf(app.store.put('queued', 1))
    await clock.settle()

    app.system.kill(WalWriter.name(0))
    expect(await during(Promise.all([submitted, queued]))).toEqual(['ok', 'ok'])
    expect(app.store.get('queued')).toBe(1)

    // A write that arrives during recovery waits at the gate.
    await during(app.store.put('after', 1))
    expect(app.store.get('after')).toBe(1)
  })

  test('of the log ends the actors after it, and they restart in order', async () => {
    const { clock, during, app } = await started()
    const begun: (string | undefined)[] = []
    app.system.events.on('process.started', ({ name }) => begun.push(name))

    app.system.kill(WalWriter.name(0))
    await clock.advance(50)
    await during(app.store.put('a', 1))

    // A supervisor has started when its children have.
    expect(begun).toEqual([
      'wal_writer(0)',
      'applier(0)',
      'batcher(0)',
      'journal(0)',
      'lmdb_writer(0)',
      'expirer(0)',
      'alarms(0)',
      'snapshotter(0)',
      'followers(0)',
    ])
  })

  test('that applies: the next one answers a write that is in the log', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    const applier = app.system.to(Applier.name(0))
    await during(suspend(applier))
    const put = app.store.append('a', 'x')
    await clock.advance(5)

    app.system.kill(applier)
    expect(await during(put)).toEqual({ position: { shard: 0, lsn: 1 }, length: 1 })
    expect(app.store.get('a')).toBe('x')
  })

  test('that applies misses no write on its way to the disk: the next one answers it', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    const put = app.store.put('a', 1)
    await clock.settle()

    app.system.kill(Applier.name(0))

    await during(put)
    expect(app.store.get('a')).toBe(1)
  })

  test('that applies: no read is answered from a stale view meanwhile', async () => {
    const { clock, during, app } = await started({}, { syncMs: 5 })
    await during(app.store.put('a', 1))

    app.system.kill(Applier.name(0))
    expect(() => app.store.get('a')).toThrow(
      expect.objectContaining({ code: 'SHARD_DOWN', details: { shard: 0, state: 'recovering' } }),
    )
    expect(() => app.store.range()).toThrow(expect.objectContaining({ code: 'SHARD_DOWN' }))

    await clock.advance(100)
    expect(app.store.get('a')).toBe(1)
  })
})
