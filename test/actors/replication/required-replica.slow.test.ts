/** A required replica holds the log; another one gets a snapshot. */
import { describe, expect, test } from 'vitest'
import { caughtUp, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica, valuesOf } from '../../support/worlds/memory-replica.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import {
  heard,
  namesIn,
  overwrite,
  options as snapshotOptions,
  textOf,
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

describe('an optional replica has what it is being sent, however the log goes on:', () => {
  const large = 'x'.repeat(200_000)

  /** An instance whose unused blobs go with the next sweep. Chunks are of one write. */
  const begun = async () => {
    const blobs = { threshold: 100_000, graceMs: 0 }
    const terms = { required: false, chunkBytes: 1_024 }
    const made = await following(terms, { ...snapshotOptions, blobs })
    const { world, replica, app } = made
    await caughtUp(world, app)
    const events = heard(app, 'replication.refused', 'blobs.corrupt')
    /** Overwrites the large value, and lets go the log, snapshots and blobs that had it. */
    const letGo = async (): Promise<void> => {
      await world.during(app.store.put('large', 'small'))
      for (let at = 0; at < 3; at++) {
        await overwrite(world, app, 100)
        await world.during(app.control.snapshot(0))
      }
      await world.during(app.control.sweepAll())
    }
    const ended = async (): Promise<void> => {
      replica.answerMs = 1
      await caughtUp(world, app)
      expect(events).toEqual([])
      expect(replica.pieces.length).toBeGreaterThan(0)
      expect(valuesOf(replica)).toMatchObject({ large: 'small', k3: app.store.get('k3') })
    }
    return { ...made, letGo, ended }
  }

  test('a large value of a chunk', async () => {
    const { world, replica, app, letGo, ended } = await begun()
    replica.answerMs = 10_000
    await world.during(app.store.put('large', large))
    await world.clock.advance(100)
    await letGo()
    await ended()
    expect([...replica.kept.blobs.values()].map(({ length }) => length)).toEqual([200_000])
  })

  test('a chunk that was read ahead, with a large value, is replaced by a snapshot', async () => {
    const { world, replica, app, letGo, ended } = await begun()
    replica.answerMs = 10_000
    await world.during(app.store.put('slow', 1))
    await world.clock.advance(100)
    await world.during(app.store.put('slower', textOf(1)))
    await world.during(app.store.put('large', large))
    await world.clock.advance(10_000)
    await letGo()
    await ended()
  })

  test('a large value of a snapshot', async () => {
    const { world, replica, app, letGo, ended } = await begun()
    replica.answerMs = 10_000
    await world.during(app.store.put('slow', 1))
    await world.clock.advance(100)
    await world.during(app.store.put('large', large))
    await overwrite(world, app, 100)
    await world.during(app.control.snapshot(0))
    await world.clock.advance(10_000)
    expect(ofReplica(app).state).toBe('loading')
    await letGo()
    await ended()
  })
})
