/** While a projection's commit is under way, somewhere else, everybody else goes on; whatever happens then, nothing is lost or done twice. */
import { describe, expect, test } from 'vitest'
import { Applier, LmdbWriter } from '../../../src/actors/index.ts'
import { CommitDoor, type Moment } from '../../support/commit-door.ts'
import { codeOf, failNextSync, machine } from '../../support/simulated-instance.ts'

/** An instance whose projection shows nothing yet but a commit that is held up; appends tell what was done twice. */
const held = async (moment: Moment, options = {}) => {
  const door = new CommitDoor()
  const world = machine({ around: (projections) => door.around(projections) })
  const app = await world.start(options)
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

/** What the projection shows once it has caught up, whatever there was before. */
const flushed = async ({ app, during }: Awaited<ReturnType<typeof held>>) => {
  await during(app.control.flushAll())
  const { entries } = app.store.range()
  return Object.fromEntries(entries)
}

const moments: readonly Moment[] = ['before', 'after']

describe.each(moments)('a commit that is held up %s it is made', (moment) => {
  test('holds up no write and no read, and the next one takes all that came meanwhile', async () => {
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

  test('is over before a suspension holds', async () => {
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

  test('and whose answer is lost is looked for by the next incarnation', async () => {
    const world = await held(moment)
    const { door, clock, append, first, projected } = world
    const second = await append('b')
    door.lose()
    await clock.advance(1_000)

    expect(await flushed(world)).toEqual({ text: 'ab' })
    expect(door.made).toEqual(moment === 'after' ? [first, second] : [second])
    expect(await projected()).toBe(second)
  })

  test('is waited for by whoever comes after a writer that was killed', async () => {
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

  test('is waited for by whoever comes after an applier that was killed', async () => {
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

  test('is done with once, when what waits is discarded meanwhile', async () => {
    const world = await held(moment)
    const { app, door, during, append, first } = world
    const second = await append('b')
    await during(app.control.discardAll())

    door.release()
    expect(await flushed(world)).toEqual({ text: 'ab' })
    expect(door.made).toEqual([first, second])
  })

  test('is done with once, when the outbox overflows meanwhile', async () => {
    const world = await held(moment, { lmdb: { ringSlots: 1_024 } })
    const { app, door, during, append } = world
    const calls = Array.from({ length: 1_200 }, () => app.store.append('many', 'x'))
    await during(Promise.all(calls))
    await append('b')

    door.release()
    expect(await flushed(world)).toEqual({ text: 'ab', many: 'x'.repeat(1_200) })
  })

  test('is over before a shard that went down comes back', async () => {
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

  test('is over before a close is', async () => {
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

test('a full disk under a commit makes the shard DEGRADED, a suspension holds then too, and nothing is lost', async () => {
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
  // The next try takes what came meanwhile too.
  expect(door.made).toEqual([second])
})
