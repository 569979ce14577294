/**
 * One seed of the simulation of members that share the shards of an engine: they are killed, stop for longer than their
 * leases, lose the engine or each other, close and begin again under calls.
 */
import { expect } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { featuresOn } from '../../../src/members/leases/log-features.ts'
import { leasedIn } from '../../../src/members/leases/shard-holds.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { fillFor, unevenClock } from '../worlds/nasty-machine.ts'
import { leaseMs, SpreadWorld } from '../worlds/spread-world.ts'
import { sumOf, type Tally } from './seed-lives.ts'
import { SharingLife } from './sharing-life.ts'

const names = ['a', 'b', 'c']

/** What a call may end with while its owner, or the engine, is away. */
const codes = [
  ...['TIMEOUT', 'UNKNOWN_OUTCOME', 'NOT_SUBMITTED', 'SHARD_DOWN', 'BUSY', 'refused', 'NO_SPACE'],
]
// docs/members-reference.md: without an id a call that a closing owner cuts off is EXITED. Its answer waits for the engine here.
const lost = { withId: codes, plain: [...codes, 'EXITED'] }

/** Something happens to a member, or to all. */
const strike = (life: SharingLife, world: SpreadWorld): void => {
  const [name, app] = life.pick([...life.apps]) as [string, App]
  // In every third case longer than the patience of those who ask an engine.
  const ms = Math.floor(life.random() * (life.random() < 0.3 ? 9 : 3) * leaseMs)
  const roll = life.random()
  // Its cache has no room while it gives or takes a shard.
  if (life.happens(0.3)) fillFor(world.machineOf(name).disk, world.clock, ms)
  if (roll < 0.25) {
    life.left(name, app, true)
    world.kill(name)
  } else if (roll < 0.5) world.pause(name, ms)
  else if (roll < 0.65) world.engine.restart(ms)
  else if (roll < 0.85) world.cutOff(name, ms)
  else world.links.cut()
}

/** The features that builds read: each one reads what an older one does. */
const builds = [0, 1, 3]

/** Members of any build begin. One that does not read what is on is refused, and the newest begins in its place. */
const begin = async (
  life: SharingLife,
  world: SpreadWorld,
  of: readonly string[],
): Promise<number> => {
  try {
    await life.begin(of)
    return 0
  } catch (error) {
    if (!isKeelsonError(error, 'UNSUPPORTED_VERSION')) throw error
    const on = featuresOn(world.engine.inside('shop'))
    const read = of.map((member) => world.reads.get(member) ?? 0)
    expect(read.some((each) => (on & ~each) !== 0)).toBe(true)
    for (const member of of) world.reads.set(member, 3)
    await life.begin(of)
    return 1
  }
}

/** No log has a feature that a member with a lease cannot read (invariant M11). */
const allIsRead = (seed: number, { apps }: SharingLife, { engine }: SpreadWorld): void => {
  const inside = engine.inside('shop')
  const marks = [...inside.logs.values()].reduce((all, { head }) => all | head.features, 0)
  for (const { member, reads } of leasedIn(inside))
    if (apps.has(member)) expect(marks & ~reads, `seed ${seed}, ${member}`).toBe(0)
}

/** Lives the life of `seed`. Rejects with what was promised and did not hold. */
export const liveSpread = async (seed: number): Promise<Tally> => {
  // Without losses no call of a member that stays fails.
  const hasLosses = seed % 2 === 0
  const copies = seed % 5 < 2 ? 1 : 2
  const world = new SpreadWorld(names, { seed, delayMs: 5, copies, clock: unevenClock(seed) })
  // A copy begins when its member has waited for seven leases.
  const pauseMs = copies === 1 ? 3_000 : 9_000
  const life = new SharingLife(seed, names, world)
  const first = life.pick(builds)
  for (const name of names) world.reads.set(name, first)
  let refused = 0
  const beginAgain = async (name: string): Promise<void> => {
    // A start on a full disk is refused.
    world.machineOf(name).disk.capacityBytes = Number.POSITIVE_INFINITY
    world.reads.set(name, life.pick(builds))
    refused += await begin(life, world, [name])
  }
  // In every third life one of them begins later: shards move to it.
  refused += await begin(life, world, seed % 3 === 0 ? names.slice(0, 2) : names)
  for (let act = 0; act < 60; act++) {
    const roll = life.random()
    const { gone, apps } = life
    if (apps.size === 0) await beginAgain(life.pick(names))
    else if (roll < 0.7) life.work(4)
    else if (roll < 0.8 && gone.length > 0) await beginAgain(life.pick(gone))
    else if (roll < 0.9 && (hasLosses || apps.size > 1)) {
      // They are under way.
      life.work(8)
      await world.clock.advance(Math.floor(life.random() * 8))
      const strikes = hasLosses && life.random() < 0.7
      // The last one may have ended since.
      if (apps.size > 0 && strikes) strike(life, world)
      else if (apps.size > 0) await life.close(...(life.pick([...apps]) as [string, App]))
    }
    await world.clock.advance(Math.floor(life.random() * (life.random() < 0.1 ? pauseMs : 60)))
    allIsRead(seed, life, world)
  }
  await world.clock.advance(30_000)
  if (life.apps.size === 0) await beginAgain(names[0] as string)
  // A call with an id that was lost with a cut link is made again: casts of its sender may come before it.
  await life.holds(hasLosses ? lost : undefined, { hasCasts: !hasLosses })
  await world.close()
  const features = featuresOn(world.engine.inside('shop'))
  return sumOf([life.tally(), { 'builds.refused': refused, [`features.${features}`]: 1 }])
}
