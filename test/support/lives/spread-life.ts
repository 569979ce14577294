/**
 * One seed of the simulation of members that share the shards of an engine: they are killed, stop for longer than their
 * leases, lose the engine or each other, close and begin again under calls.
 */
import type { App } from '../../../src/supervisors/index.ts'
import { leaseMs, SpreadWorld } from '../worlds/spread-world.ts'
import type { Tally } from './seed-lives.ts'
import { SharingLife } from './sharing-life.ts'

const names = ['a', 'b', 'c']

/** What a call may end with while its owner, or the engine, is away. */
const codes = ['TIMEOUT', 'UNKNOWN_OUTCOME', 'NOT_SUBMITTED', 'SHARD_DOWN', 'BUSY', 'refused']
// docs/members.md: without an id a call that a closing owner cuts off is EXITED. Its answer waits for the engine here.
const lost = { withId: codes, plain: [...codes, 'EXITED'] }

/** Something happens to a member, or to all. */
const strike = (life: SharingLife, world: SpreadWorld): void => {
  const [name, app] = life.pick([...life.apps]) as [string, App]
  const ms = Math.floor(life.random() * 3 * leaseMs)
  const roll = life.random()
  if (roll < 0.25) {
    life.left(name, app)
    world.kill(name)
  } else if (roll < 0.5) world.pause(name, ms)
  else if (roll < 0.65) world.engine.restart(ms)
  else if (roll < 0.85) world.cutOff(name, ms)
  else world.links.cut()
}

/** Lives the life of `seed`. Rejects with what was promised and did not hold. */
export const liveSpread = async (seed: number): Promise<Tally> => {
  // Without losses no call of a member that stays fails.
  const hasLosses = seed % 2 === 0
  const world = new SpreadWorld(names, { seed, delayMs: 5 })
  const life = new SharingLife(seed, names, world)
  // In every third life one of them begins later: shards move to it.
  await life.begin(seed % 3 === 0 ? names.slice(0, 2) : names)
  for (let act = 0; act < 60; act++) {
    const roll = life.random()
    const { gone, apps } = life
    if (apps.size === 0) await life.begin([life.pick(names)])
    else if (roll < 0.7) life.work(4)
    else if (roll < 0.8 && gone.length > 0) await life.begin([life.pick(gone)])
    else if (roll < 0.9 && (hasLosses || apps.size > 1)) {
      // They are under way.
      life.work(8)
      await world.clock.advance(Math.floor(life.random() * 8))
      if (hasLosses && life.random() < 0.7) strike(life, world)
      else if (apps.size > 0) await life.close(...(life.pick([...apps]) as [string, App]))
    }
    await world.clock.advance(Math.floor(life.random() * (life.random() < 0.1 ? 3_000 : 60)))
  }
  await world.clock.advance(30_000)
  if (life.apps.size === 0) await life.begin([names[0] as string])
  // A call with an id that was lost with a cut link is made again: casts of its sender may come before it.
  await life.holds(hasLosses ? lost : undefined, !hasLosses)
  await world.close()
  return life.tally()
}
