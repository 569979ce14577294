/** A required replica holds the log; another one gets a snapshot. */
import { describe, expect, test } from 'vitest'
import { caughtUp, following } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica, valuesOf } from '../../support/worlds/memory-replica.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import {
  namesIn,
  overwrite,
  options as snapshotOptions,
} from '../../support/worlds/snapshot-instance.ts'

describe('a required replica', () => {
  const segments = (world: Machine): string[] => namesIn(world, '/data/shard-0/wal', '.wal')

  test.each([
    [true, 'holds the log until it has it'],
    [false, 'does not hold the log if it is optional'],
  ])('(required: %s) %s', async (required) => {
    const { world, replica, app, log } = await following({ required }, snapshotOptions)
    await caughtUp(world, app)
    replica.isAway = true
    const [first] = segments(world)
    await overwrite(world, app, 100)
    await world.during(app.control.snapshot(0))
    expect(segments(world)[0] === first).toBe(required)
    replica.isAway = false
    await caughtUp(world, app)
    await overwrite(world, app, 4)
    await world.during(app.control.snapshot(0))
    expect(segments(world)[0] === first).toBe(false)
    await caughtUp(world, app)
    expect(valuesOf(replica).k3).toBe(app.store.get('k3'))
    expect(replica.pieces.length > 0).toBe(!required)
    const told = log.messages('warn').filter((line) => line.includes('are missing there'))
    expect(told).toHaveLength(required ? 0 : 1)
  })

  test('(required: false) gets a snapshot if the log gives back its next frames during a commit', async () => {
    const { world, replica, app } = await following({ required: false }, snapshotOptions)
    await caughtUp(world, app)
    const [first] = segments(world)
    replica.answerMs = 10_000
    const { position } = await world.during(app.store.put('slow', 1))
    await world.clock.advance(100)
    replica.answerMs = 1
    await overwrite(world, app, 100)
    await world.during(app.control.snapshot(0))
    expect(segments(world)[0]).not.toBe(first)
    expect(replica.kept.progress.lsn).toBeLessThan(position.lsn)
    const { opened } = replica
    await caughtUp(world, app)
    // The session that sent it goes on.
    expect(replica.opened).toBe(opened)
    expect(replica.pieces.length).toBeGreaterThan(0)
    expect(valuesOf(replica)).toMatchObject({ slow: 1, k3: app.store.get('k3') })
  })

  test('holds the log from the start on, before it could be asked', { tags: ['D34'] }, async () => {
    const world = machine()
    const replica = new MemoryReplica(world.clock)
    replica.isAway = true
    const replication = [{ client: replica, required: true }]
    const app = await world.start({ ...snapshotOptions, replication })
    const [first] = segments(world)
    await overwrite(world, app, 100)
    await world.during(app.control.snapshot(0))
    expect(segments(world)[0]).toBe(first)
  })

  test.each([
    [true, 'holds the log while an instance with app: false, which does not write it, is open'],
    [false, 'does not hold the log of an instance with app: false if it is optional'],
  ])('(required: %s) %s', async (required) => {
    const world = machine()
    const replica = new MemoryReplica(world.clock)
    const replication = [{ client: replica, required }]
    const app = await world.start({ ...snapshotOptions, app: false, replication })
    const [first] = segments(world)
    await overwrite(world, app, 100)
    await world.during(app.control.snapshot(0))
    expect(segments(world)[0] === first).toBe(required)
    expect([...replica.logs]).toEqual([])
    // Nothing is sent, so nobody can wait for it.
    const write = app.store.put('k', 1, { ack: 'replicated' })
    expect(await codeOf(world.during(write))).toBe('INVALID_ARGUMENT')
  })
})
