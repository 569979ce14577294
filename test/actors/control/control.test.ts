import { describe, expect, test } from 'vitest'
import { Control, LmdbWriter } from '../../../src/actors/index.ts'
import { sys } from '../../../src/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const ok = [
  { shard: 0, ok: true },
  { shard: 1, ok: true },
]

/** An instance of two shards with a row in each. */
const filled = async () => {
  const { world, app } = await started({ shards: 2 })
  const put = async (prefix: string) => {
    await world.during(Promise.all([...'abcdefgh'].map((key) => app.store.put(prefix + key, key))))
  }
  const lag = async () => {
    const writers = [0, 1].map((shard) => app.system.to(LmdbWriter.name(shard)))
    const found = await world.during(Promise.all(writers.map((each) => LmdbWriter.describe(each))))
    return found.map(({ lag }) => lag)
  }
  await put('1')
  return { ...world, app, put, lag }
}

/** A suspension of 10 s whose actors die, and then the clock is set. */
const leased = async (byMs: number) => {
  const { app, clock, during, put, lag } = await filled()
  await during(app.control.suspendAll({ leaseMs: 10_000 }))
  clock.set(clock.now() + byMs)
  app.system.kill(LmdbWriter.name(0))
  app.system.kill(Control.name())
  await clock.advance(100)
  await put('2')
  await clock.advance(5_000)
  expect((await lag()).every((each) => each > 0)).toBe(true)

  await clock.advance(5_000)
  expect(await lag()).toEqual([0, 0])
}

describe('control', () => {
  test('flushes every shard up to all frames applied before', async () => {
    const { app, during, lag } = await filled()

    expect(await during(app.control.flushAll(), 10)).toEqual({ outcomes: ok })
    expect(await lag()).toEqual([0, 0])
  })

  test('suspends every projection after a flush, and reads and writes continue', {
    tags: ['L38', 'M29'],
  }, async () => {
    const { app, clock, during, put, lag } = await filled()

    const { outcomes, token } = await during(app.control.suspendAll())
    expect(outcomes).toEqual(ok)
    expect(await lag()).toEqual([0, 0])

    await put('2')
    await clock.advance(5_000)
    expect((await lag()).every((each) => each > 0)).toBe(true)
    expect(app.store.range({ prefix: '2' }).entries.length).toBe(8)

    expect(await during(app.control.resumeAll({ token }))).toEqual({ outcomes: ok })
    await clock.advance(1_000)
    expect(await lag()).toEqual([0, 0])
  })

  test('releases a shard only when both of two suspensions have ended', async () => {
    const { app, clock, during, put, lag } = await filled()
    const one = await during(app.control.suspendAll())
    const two = await during(app.control.suspendAll({ flush: false }))
    await put('2')

    await during(app.control.resumeAll({ token: one.token }))
    await clock.advance(1_000)
    expect((await lag()).every((each) => each > 0)).toBe(true)

    await during(app.control.resumeAll({ token: two.token }))
    await clock.advance(1_000)
    expect(await lag()).toEqual([0, 0])
  })

  test('ends a suspension with its lease, with its owner, and by force', async () => {
    const { app, clock, during, put, lag } = await filled()
    const owner = await during(app.system.start({ init: () => 0 }, undefined))
    await during(app.control.suspendAll({ leaseMs: 500 }))
    await during(app.control.suspendAll({ owner }))
    await during(app.control.suspendAll({ flush: false }))
    await put('2')

    await clock.advance(500)
    app.system.kill(owner)
    await clock.advance(500)
    expect(app.health().shards.map(({ suspended }) => suspended)).toEqual([true, true])

    await during(app.control.resumeAll({ force: true }))
    await clock.advance(1_000)
    expect(await lag()).toEqual([0, 0])
  })

  test('keeps a suspension through the death of every actor in it, and still ends it with its lease', {
    tags: ['L37'],
  }, async () => {
    await leased(0)
  })

  test.each([3_600_000, -3_600_000])(
    'ends it with its lease though the clock is set by %i ms',
    leased,
  )

  test('holds writers with `writes`, whichever actor dies, and releases them with resume', async () => {
    const { app, clock, during } = await filled()
    await during(app.control.suspendAll({ writes: true }))
    const put = app.store.put('waits', 1)
    expect(await codeOf(app.store.put('refused', 1, { whenFull: 'refuse' }))).toBe('BUSY')
    app.system.kill(Control.name())
    await clock.advance(1_000)
    expect(app.store.has('waits')).toBe(false)

    await during(app.control.resumeAll({ force: true }))
    await during(put)
    expect(app.store.has('waits')).toBe(true)
  })

  test('discards waiting frames, fails waiting flushes with DISCARDED, and reads all frames from the log again', async () => {
    const { app, clock, during, put, lag } = await filled()
    const { token } = await during(app.control.suspendAll())
    await put('2')
    const flush = app.control.flushAll()
    await clock.settle()

    expect(await during(app.control.discardAll())).toEqual({ outcomes: ok })
    expect((await during(flush)).outcomes.map(({ error }) => error?.code)).toEqual([
      'DISCARDED',
      'DISCARDED',
    ])

    await during(app.control.resumeAll({ token }))
    await during(app.control.flushAll())
    expect(await lag()).toEqual([0, 0])
    expect(app.store.range({ prefix: '2' }).entries.length).toBe(8)
  })

  test('reports the error of each shard, and leaves none half suspended', {
    tags: ['L13', 'L14', 'M4', 'M37', 'M52'],
  }, async () => {
    const { app, clock, projections, during, put } = await filled()
    projections.failCommits('/data/shard-1/lmdb', Number.POSITIVE_INFINITY)
    await put('2')
    await clock.advance(500)

    const { outcomes } = await during(app.control.suspendAll({ timeoutMs: 1_000, writes: true }))

    expect(outcomes).toMatchObject([{ ok: true }, { ok: false, error: { code: 'DEGRADED' } }])
    expect(app.health().shards.map(({ suspended }) => suspended)).toEqual([true, false])
    expect(app.shards[1]?.gate.holds).toEqual([])
  })

  test('refuses unknown options at the caller', async () => {
    const { app } = await filled()
    const { control } = app

    expect(
      await Promise.all(
        [
          control.flush(7),
          control.suspend(0, { timeoutMs: 0 }),
          control.suspendAll({ leaseMs: -1 }),
          control.suspendAll({ typo: 1 } as object),
          control.resumeAll({ token: 7 as unknown as string }),
          control.reopen(0, 'nothing' as 'shard'),
        ].map(codeOf),
      ),
    ).toEqual(Array(6).fill('INVALID_ARGUMENT'))
  })
})

describe('a put with ack `projected`', () => {
  test('resolves when the projection shows the write', async () => {
    const { app, during, lag } = await filled()

    await during(app.store.put('a', 1, { ack: 'projected' }), 100)

    expect((await lag()).some((each) => each === 0)).toBe(true)
  })

  test('stands if that takes too long, and reports its position', async () => {
    const { app, during } = await filled()
    await during(app.control.suspendAll())

    const put = app.store.put('a', 1, { ack: 'projected', deadlineMs: 500 }).catch((error) => error)

    expect(await during(put)).toMatchObject({
      code: 'TIMEOUT',
      details: { position: expect.objectContaining({ lsn: expect.any(Number) }) },
    })
    expect(app.store.get('a')).toBe(1)
  })
})

test('a shard that cannot be suspended in time is named, and the others are not left suspended under no token', async () => {
  const { app, during, clock } = await filled()
  await during(sys.suspend(app.system.to(LmdbWriter.name(1)) as never))

  const { outcomes, token } = await during(app.control.suspendAll({ timeoutMs: 2_000 }), 2_500)

  expect(outcomes).toEqual([
    { shard: 0, ok: true },
    { shard: 1, ok: false, error: expect.objectContaining({ code: 'TIMEOUT' }) },
  ])
  const held = () => app.shards.map(({ suspensions }) => suspensions.byToken.size)
  expect(held()).toEqual([1, 0])
  await during(sys.resume(app.system.to(LmdbWriter.name(1)) as never))
  await during(app.control.resume(0, { token }))
  await clock.advance(1_000)
  expect(held()).toEqual([0, 0])
})
