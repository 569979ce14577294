/**
 * Large values of a folder that was restored. Its log names places of blobs that it does not have, and its replica has noted
 * them: no new value comes to such a place.
 */
import { expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { caughtUp, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { restore, restoreReplica } from '../../support/worlds/restored.ts'
import { type Machine, started } from '../../support/worlds/simulated-instance.ts'
import { overwrite, options as snapshotOptions } from '../../support/worlds/snapshot-instance.ts'

const blobs = { threshold: 100_000 }
const large = (letter: string): string => letter.repeat(200_000)

/** Puts a large value that is refused. Its frame stays in the log. */
const refusedPut = async (world: Machine, app: App): Promise<void> => {
  await world.during(app.store.lock(['k'], { owner: 'other', leaseMs: 60_000 }))
  const refused = app.store.put('k', large('r')).catch(({ code }) => code)
  expect(await world.during(refused)).toBe('LOCKED')
}

/** Restores what the replica has, and goes on there with it. */
const goneOn = async (world: Machine, replica: MemoryReplica, dir: string): Promise<App> => {
  await restoreReplica(world, replica, dir)
  const replication = [{ client: replica }]
  return world.start({ dir, instance: dir.slice(1), acts: true, blobs, replication })
}

/** The large value that a folder writes after a restore, and has after the next one. */
const writtenAndRestored = async (world: Machine, replica: MemoryReplica): Promise<unknown> => {
  const second = await goneOn(world, replica, '/second')
  await world.during(second.store.put('next', large('n'), { ack: 'replicated' }))
  await world.during(second.close())
  const third = await goneOn(world, replica, '/third')
  return world.during(third.store.load('next'))
}

test('a replica that has noted a refused one has the next one of the restored folder', {
  tags: ['slow'],
}, async () => {
  const { world, replica, app } = await following({}, { blobs })
  await refusedPut(world, app)
  await caughtUp(world, app)
  await world.during(app.close())
  expect([...replica.kept.blobs.values()].map(({ length }) => length)).toEqual([0])

  expect(await writtenAndRestored(world, replica)).toBe(large('n'))
})

test('a replica that has one from before its snapshot has the next one of the restored folder', {
  tags: ['slow'],
}, async () => {
  const { world, replica, app } = await following({}, { ...snapshotOptions, blobs })
  await world.during(app.store.put('old', large('o')))
  await caughtUp(world, app)
  replica.isAway = true
  await world.during(app.store.delete('old'))
  await overwrite(world, app, 100)
  await world.during(app.control.snapshot(0))
  replica.isAway = false
  await caughtUp(world, app)
  await world.during(app.close())
  expect(replica.pieces.length).toBeGreaterThan(0)
  expect(replica.kept.blobs.size).toBe(1)

  expect(await writtenAndRestored(world, replica)).toBe(large('n'))
})

test('a folder from a backup without a refused one can be replicated with its next one', async () => {
  const { world, app } = await started({ blobs })
  await refusedPut(world, app)
  await world.clock.advance(30 * 60_000)
  await world.during(app.control.sweepAll())
  await world.during(app.backup('/backup'))
  await world.during(app.close())
  restore(world, '/backup', '/copy')
  const replica = new MemoryReplica(world.clock)
  const replication = [{ client: replica }]
  const copy = await world.start({ dir: '/copy', acts: true, blobs, replication })
  await world.during(copy.store.put('next', large('n')))

  await caughtUp(world, copy)

  expect(ofReplica(copy)).toMatchObject({ state: 'following', reason: undefined })
  expect([...replica.kept.blobs.values()].map(({ length }) => length)).toEqual([0, 200_000])
})
