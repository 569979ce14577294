/**
 * One seed of the simulation of members that share a folder: they are killed, close and begin again under calls.
 */

import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import { FolderWorld } from '../worlds/folder-world.ts'
import { fillFor, seldomDying, unevenClock } from '../worlds/nasty-machine.ts'
import { sumOf, type Tally } from './seed-lives.ts'
import { SharingLife } from './sharing-life.ts'

const names = ['a', 'b', 'c']

/** So long that what waits behind a call goes to the next owner of a shard that leaves, in ms. */
const slowMs = 2_500

/** What a call may end with whose owner was killed, or has a full disk: a shard that it takes is down until there is room. */
const lost = {
  withId: ['TIMEOUT', 'UNKNOWN_OUTCOME', 'NO_SPACE', 'SHARD_DOWN'],
  plain: ['TIMEOUT', 'UNKNOWN_OUTCOME', 'NOT_SUBMITTED', 'SHARD_DOWN', 'NO_SPACE'],
}

/** A member that closes on a full disk cannot give its shards: it ends their actors, as a lone instance does. */
const lostOnFullDisk = { withId: lost.withId, plain: [...lost.plain, 'EXITED'] }

/** Lives the life of `seed`. Rejects with what was promised and did not hold. */
export const liveFolder = async (seed: number): Promise<Tally> => {
  // Without kills no call of a member that stays fails.
  const hasKills = seed % 2 === 0
  const clock = unevenClock(seed)
  const dyingAt = seldomDying(seed, clock)
  /** Threads of logs that were to die. */
  let doomed = 0
  const on: MachineOptions = {
    ...{ seed, clock },
    dyingAt: (role) => {
      const at = dyingAt(role)
      if (role === 'log' && at !== undefined) doomed++
      return at
    },
  }
  const world = new FolderWorld(names, { seed, delayMs: 5 }, {}, on)
  const { disk } = world.machine
  let filled = 0
  const life = new SharingLife(seed, names, world, slowMs)
  // In every third life one of them begins later: shards move to it.
  await life.begin(seed % 3 === 0 ? names.slice(0, 2) : names)
  for (let act = 0; act < 60; act++) {
    const roll = life.random()
    const { gone, apps } = life
    if (roll < 0.7) life.work(4)
    else if (roll < 0.8 && gone.length > 0) {
      // A start on a full disk is refused.
      disk.capacityBytes = Number.POSITIVE_INFINITY
      await life.begin([life.pick(gone)])
    } else if (roll < 0.9 && apps.size > 1) {
      // They are under way.
      life.work(8)
      await world.clock.advance(Math.floor(life.random() * 8))
      const [name, app] = life.pick([...apps])
      if (hasKills && life.happens(0.4)) {
        filled++
        fillFor(disk, clock, life.pick([200, 1_500, 6_000]))
      }
      if (hasKills && life.random() < 0.5) {
        life.left(name, app, true)
        await world.kill(name)
      } else await life.close(name, app)
    }
    // Shards move to a member that has been there for two seconds.
    await world.clock.advance(Math.floor(life.random() * (life.random() < 0.1 ? 3_000 : 60)))
  }
  await world.clock.advance(30_000)
  const mayLose = filled > 0 ? lostOnFullDisk : lost
  await life.holds(hasKills ? mayLose : undefined, { doomed })
  await world.close()
  return sumOf([life.tally(), { 'disks.filled': filled }])
}
