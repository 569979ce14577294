/**
 * While a projection commits on another thread, everything else continues. No outcome of the commit
 * loses a write or applies one twice.
 */
import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter } from '../../../src/actors/index.ts'
import { CommitDoor, type Moment } from '../../support/worlds/commit-door.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

/**
 * An instance with an empty projection and a first commit that is held up. Appends reveal a frame
 * that was applied twice.
 */
const held = async (moment: Moment, options = {}) => {
  const door = new CommitDoor()
  const { world, app } = await started(options, {
    around: (projections) => door.around(projections),
  })
  const append = async (letter: string) => {
    const { position } = await world.during(app.store.append('text', letter))
    return position.lsn
  }
  door.hold(moment)
  const first = await append('a')
  await world.clock.advance(1_000)
  expect(door.waiting).toBe(1)
  const writer = () => app.system.to(LmdbWriter.name(0))
  const projected = async () => (await world.during(LmdbWriter.describe(writer()))).projectedLsn
  return { ...world, app, door, append, first, writer, projected }
}

/** The rows of the projection after it has caught up. */
const flushed = async ({ app, during }: Awaited<ReturnType<typeof held>>) => {
  await during(app.control.flushAll())
  const { entries } = app.store.range()
  return Object.fromEntries(entries)
}

const moments: readonly Moment[] = ['before', 'after']

describe.each(moments)('a commit that is held up %s it is made', (moment) => {
  test('delays no write and no read, and the next one takes all frames of the meantime', async () => {
    const world = await held(moment)
    const { app, door, append, projected, first } = world
    for (const letter of 'bc') await append(letter)
    const last = await append('d')

    expect(app.store.get('text')).toBe('abcd')
    expect(await projected()).toBe(0)
    expect(door.waiting).toBe(1)

    door.release()
    expect(await flushed(world)).toEqual({ text: 'abcd' })
    expect(door.made).toEqual([first, last])
  })

  test('is over before a suspension holds', { tags: ['M30', 'M31'] }, async () => {
    const { app, door, clock, during, first } = await held(moment)
    let isHeld = false
    const suspended = app.control.suspendAll({ flush: false }).then((answer) => {
      isHeld = true
      return answer
    })
    await clock.advance(1_000)
    expect(isHeld).toBe(false)

    door.release()
    expect((await during(suspended)).outcomes).toEqual([{ shard: 0, ok: true }])
    expect(door.made).toEqual([first])
    await clock.advance(1_000)
    expect(door.made).toEqual([first])
  })

  test('is waited for by no suspension whose lease has ended: it is DISCARDED, and holds nothing', async () => {
    const { app, door, clock, during, append } = await held(moment)
    const suspended = codeOf(app.control.suspend(0, { flush: false, leaseMs: 100 }))
    await clock.advance(200)
    door.release()

    expect(await during(suspended)).toBe('DISCARDED')
    await append('b')
    await during(app.control.flush(0))
    expect(app.health().shards[0]?.projection.mode).toBe('following')
  })

  test('with a lost answer is not repeated: the next incarnation reads its outcome', {
    tags: ['M27', 'M39'],
  }, async () => {
    const world = await held(moment)
    const { door, clock, append, first, projected } = world
    const second = await append('b')
    door.lose()
    await clock.advance(1_000)

    expect(await flushed(world)).toEqual({ text: 'ab' })
    expect(door.made).toEqual(moment === 'after' ? [first, second] : [second])
    expect(await projected()).toBe(second)
  })

  test('with a lost answer takes effect once, also if the log is read from there', async () => {
    const world = await held(moment)
    const { app, door, clock, append, during } = world
    await append('b')
    await during(app.control.discardAll())
    door.lose()
    await clock.advance(1_000)

    expect(app.health().shards[0]?.projection).toMatchObject({ mode: 'following', failures: 0 })
    expect(await flushed(world)).toEqual({ text: 'ab' })
  })

  test('is awaited by the successor of a killed writer', { tags: ['L32', 'M62'] }, async () => {
    const world = await held(moment)
    const { app, door, clock, append, first } = world
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(1_000)
    const second = await append('b')
    expect(door.waiting).toBe(1)

    door.release()
    expect(await flushed(world)).toEqual({ text: 'ab' })
    expect(door.made).toEqual([first, second])
  })

  test('is awaited by the successor of a killed applier', { tags: ['L21', 'M65'] }, async () => {
    const world = await held(moment)
    const { app, door, clock } = world
    app.system.kill(Applier.name(0))
    await clock.advance(1_000)
    expect(() => app.store.get('text')).toThrow(expect.objectContaining({ code: 'SHARD_DOWN' }))

    door.release()
    await clock.advance(1_000)
    expect(app.store.get('text')).toBe('a')
    expect(await flushed(world)).toEqual({ text: 'a' })
  })

  test('takes effect once if the outbox is discarded meanwhile', async () => {
    const world = await held(moment)
    const { app, door, during, append, first } = world
    const second = await append('b')
    await during(app.control.discardAll())

    door.release()
    expect(await flushed(world)).toEqual({ text: 'ab' })
    expect(door.made).toEqual([first, second])
  })

  test('takes effect once if the outbox overflows meanwhile', async () => {
    const world = await held(moment, { lmdb: { ringSlots: 1_024 } })
    const { app, door, during, append } = world
    const calls = Array.from({ length: 1_200 }, () => app.store.append('many', 'x'))
    await during(Promise.all(calls))
    await append('b')

    door.release()
    expect(await flushed(world)).toEqual({ text: 'ab', many: 'x'.repeat(1_200) })
  })

  test('has ended before a shard that went down reopens', async () => {
    const world = await held(moment)
    const { app, disk, door, clock, during } = world
    failNextSync(disk)
    expect(await codeOf(during(app.store.append('text', 'lost')))).toBe('UNKNOWN_OUTCOME')
    await clock.advance(100)
    const reopened = app.control.reopen(0)
    await clock.advance(1_000)
    expect(door.waiting).toBe(1)

    door.release()
    await during(reopened)
    await clock.advance(1_000)
    const { text } = await flushed(world)
    expect(['a', 'alost']).toContain(text)
    expect(door.made).toEqual([...new Set(door.made)].sort((a, b) => a - b))
  })

  test('has ended before close resolves', { tags: ['M33'] }, async () => {
    const { app, door, clock, during, first, start } = await held(moment)
    let isClosed = false
    const closed = app.close().then(() => {
      isClosed = true
    })
    await clock.advance(1_000)
    expect(isClosed).toBe(false)

    door.release()
    await during(closed)
    expect({ made: door.made, open: door.open }).toEqual({ made: [first], open: 0 })
    expect((await start()).store.get('text')).toBe('a')
  })
})

test('a full disk at a commit makes the projection DEGRADED; a suspension still holds, and no write is lost', async () => {
  const world = await held('before')
  const { app, door, projections, clock, during, append } = world
  projections.failCommits('/data/shard-0/lmdb', 1)
  const suspended = app.control.suspendAll({ flush: false })
  const second = await append('b')
  door.release()

  const { token } = await during(suspended)
  expect((await during(LmdbWriter.describe(world.writer()))).degraded).toBeDefined()
  await during(app.control.resumeAll({ token }))
  await clock.advance(10_000)
  expect(await flushed(world)).toEqual({ text: 'ab' })
  // The next attempt also takes the frames of the meantime.
  expect(door.made).toEqual([second])
})
