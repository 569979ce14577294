/** A member that keeps its lease in a directory, beside a standby. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { LeaseKeeper } from '../../../src/members/leases/lease-keeper.ts'
import type { LeasePhase } from '../../../src/members/leases/member-lease.ts'
import type { Directory } from '../../../src/storage/index.ts'
import { ProcessClock } from '../../support/worlds/process-clock.ts'
import { SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const leaseMs = 1_000
/** Requests take about 1 ms, and none is lost. */
const faults = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

const world = async () => {
  const base = virtualClock()
  const engine = new SimulatedEngine({ clock: base, faults })
  const begin = (member: string, ms = leaseMs) => {
    const clock = new ProcessClock(base, 1)
    const session = engine.connect('c')
    const phases: LeasePhase[] = []
    const onChange = (phase: LeasePhase): void => void phases.push(phase)
    const { directory } = session
    const keeper = new LeaseKeeper({ directory, clock, member, leaseMs: ms, onChange })
    const hold = (ms: number): void => {
      clock.stop(ms)
      session.pause(ms)
    }
    return { keeper, phases, session, hold }
  }
  const owner = begin('a')
  await base.advance(100)
  const standby = begin('b')
  await base.advance(100)
  return { clock: base, engine, begin, owner, standby }
}

test('the first member owns the instance, in epoch 1, and the second one waits', async () => {
  const { clock, owner, standby } = await world()

  await clock.advance(20 * leaseMs)

  expect(owner.phases).toEqual(['owner'])
  expect(owner.keeper.epoch).toBe(1)
  expect(standby.phases).toEqual([])
  expect(standby.keeper.holdsName).toBe(true)
})

test('an owner that closes is followed within some requests, and not after a lease', async () => {
  const { clock, owner, standby } = await world()

  const closed = owner.keeper.close()
  expect(owner.phases).toEqual(['owner', 'ended'])
  await clock.advance(20)
  await closed

  expect(standby.phases).toEqual(['owner'])
  expect(standby.keeper.epoch).toBe(2)
})

test('a member that closes while the engine is away ends well before its lease', async () => {
  const { clock, owner, standby } = await world()
  owner.session.pause(100 * leaseMs)

  let hasClosed = false
  void owner.keeper.close().then(() => {
    hasClosed = true
  })
  await clock.advance(0.25 * leaseMs)

  expect(hasClosed).toBe(true)
  expect(owner.phases).toEqual(['owner', 'ended'])
  expect(standby.phases).toEqual([])
  await clock.advance(2 * leaseMs)
  expect(standby.phases).toEqual(['owner'])
})

// The standby reaches the engine first, or the owner does.
for (const [first, second] of [
  ['standby', 'owner'],
  ['owner', 'standby'],
] as const)
  test(`an engine that was away for longer than a lease costs no owner its lease, if the ${first} is back first`, {
    tags: ['slow'],
  }, async () => {
    for (let after = 0; after < 10; after++) {
      const all = await world()
      const { clock, owner, standby } = all
      await clock.advance(leaseMs + after * 35)
      all[first].session.pause(4 * leaseMs)
      all[second].session.pause(4.2 * leaseMs)
      await clock.advance(8 * leaseMs)
      expect(owner.phases, `after ${after}`).toEqual(['owner', 'unsure', 'owner'])
      expect(standby.phases).toEqual([])
    }
  })

test('an owner that died while the engine was away is followed a lease after that at the latest', async () => {
  for (let after = 0; after < 10; after++) {
    const { clock, owner, standby } = await world()
    await clock.advance(leaseMs + after * 35)
    standby.session.pause(4 * leaseMs)
    owner.hold(100 * leaseMs)
    await clock.advance(4 * leaseMs)
    expect(standby.phases).toEqual([])
    await clock.advance(1.1 * leaseMs)
    expect(standby.phases, `after ${after}`).toEqual(['owner'])
  }
})

test('a second holder of a name waits no longer for a holder whose lease is longer than its own', async () => {
  const { clock, begin, standby } = await world()
  const second = begin('b', leaseMs / 10)
  await clock.advance(leaseMs)
  standby.hold(100 * leaseMs)
  await clock.advance(1.1 * leaseMs)
  expect(second.keeper.holdsName).toBe(true)
})

test('a name that is held has no second holder; when the first one closes, it has', async () => {
  const { clock, begin, standby } = await world()
  const second = begin('b')
  await clock.advance(5 * leaseMs)
  expect(second.keeper.holdsName).toBe(false)

  void standby.keeper.close()
  await clock.advance(50)

  expect(second.keeper.holdsName).toBe(true)
})

// A renewal is due after 30 % of a lease, and an owner counts on 90 %.
for (const [part, phases] of [
  [0.55, ['owner']],
  [1.1, ['owner', 'unsure', 'ended']],
] as const)
  test(`an owner whose loop is held for ${part} of a lease goes through: ${phases.join(', ')}`, async () => {
    for (let after = 0; after < 10; after++) {
      const { clock, owner } = await world()
      await clock.advance(leaseMs + after * 35)

      owner.hold(part * leaseMs)
      await clock.advance(2 * leaseMs)

      expect(owner.phases, `after ${after}`).toEqual(phases)
    }
  })

test('an owner counts its lease from before it sent its last acknowledged renewal', async () => {
  const clock = virtualClock()
  const { directory } = new SimulatedEngine({ clock }).connect('c')
  let isAway = false
  let sentAt = 0
  const slow: Directory = {
    ...directory,
    async set(name, revision, value) {
      if (isAway) throw new KeelsonError('UNKNOWN_OUTCOME', 'no answer')
      sentAt = clock.monotonic()
      const answer = await directory.set(name, revision, value)
      await new Promise<void>((resolve) => void clock.after(150, resolve))
      return answer
    },
  }
  let unsureAt = 0
  const onChange = (phase: LeasePhase): void => {
    if (phase === 'unsure') unsureAt = clock.monotonic()
  }
  void new LeaseKeeper({ directory: slow, clock, member: 'a', leaseMs, onChange })
  await clock.advance(5 * leaseMs)

  isAway = true
  await clock.advance(2 * leaseMs)

  expect(unsureAt - sentAt).toBeCloseTo(0.9 * leaseMs)
})

test('a member takes no ownership that a failover of the engine may lose', async () => {
  for (let part = 0.3; part < 1.2; part += 0.1) {
    const { clock, engine, owner, standby } = await world()
    owner.hold(4 * leaseMs)
    await clock.advance(part * leaseMs)
    const copy = engine.copy('c')
    engine.isAlone = true

    await clock.advance(leaseMs)
    const taken = [...standby.phases]
    engine.isAlone = false
    engine.promote('c', copy)
    engine.restart(10)
    await clock.advance(4 * leaseMs)

    // Later than that it had taken it before the engine was alone.
    if (part < 0.95) expect(taken).toEqual([])
    expect(standby.phases.filter((phase) => phase === 'standby')).toEqual([])
  }
})
