/**
 * The decisions of members about one lease and one ownership, in random interleavings: requests are lost, late and repeated,
 * answers are lost, members pause, die and begin again, and their clocks run at rates that differ by less than 10 %.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import {
  afterLook,
  afterSet,
  closing,
  type LeaseState,
  type LeaseStep,
  leaseStart,
  nextStep,
  phaseAt,
  toLook,
} from '../../../src/members/leases/member-lease.ts'
import { DirectoryEntry } from '../../../src/storage/index.ts'
import { seedsOf } from '../../support/tier.ts'

const leaseMs = 1_000
/** The fastest of two clocks is 9.9 % faster than the slowest. */
const [slowest, fastest] = [0.953, 1.0474]

type Troubles = { readonly lost: number; readonly late: number; readonly paused: number }
const none: Troubles = { lost: 0, late: 0, paused: 0 }

type Due = { readonly at: number; readonly act: () => void }

/** What happens at which time, and one directory. */
class World {
  now = 0
  readonly random: () => number
  troubles: Troubles
  /** A member that waits looks after so long, or half as often. */
  newsMs = 200
  readonly members: Member[] = []
  readonly refuted: string[] = []
  readonly count = { lost: 0, unsure: 0, owners: 0 }
  #entries: ReadonlyMap<string, DirectoryEntry> = new Map()
  #revision = 0
  #number = 0
  readonly #queue: Due[] = []

  constructor(seed: number, troubles: Troubles) {
    this.random = seededRandom(seed)
    this.troubles = troubles
  }

  after(ms: number, act: () => void): void {
    this.#queue.push({ at: this.now + ms, act })
  }

  run(ms: number): void {
    const end = this.now + ms
    for (;;) {
      let next: Due | undefined
      for (const due of this.#queue) if (!next || due.at < next.at) next = due
      if (!next || next.at > end) break
      this.#queue.splice(this.#queue.indexOf(next), 1)
      this.now = next.at
      next.act()
      const owners = this.owners
      if (owners.length > 1) this.refuted.push(`${owners.length} owners at ${this.now}`)
    }
    this.now = end
  }

  /** Members that take themselves for the owner, also while they are paused. */
  get owners(): Member[] {
    return this.members.filter((member) => member.isAlive && member.phase === 'owner')
  }

  view() {
    return { revision: this.#revision, entries: this.#entries }
  }

  /** The new revision; `undefined` if it is refused. */
  set(name: string, revision: number, value: string): number | undefined {
    if ((this.#entries.get(name)?.revision ?? 0) !== revision) return undefined
    this.#revision++
    this.#entries = new Map(this.#entries).set(name, new DirectoryEntry(value, this.#revision))
    return this.#revision
  }

  begin(name: string, rate = slowest + (fastest - slowest) * this.random()): Member {
    const member = new Member(this, name, this.#number++, rate)
    this.members.push(member)
    return member
  }

  /** Runs until a member owns, and returns after how long. */
  untilOwned(mostMs: number): number {
    const from = this.now
    while (this.owners.length === 0 && this.now - from < mostMs) this.run(1)
    return this.now - from
  }
}

/** One start of a member. */
class Member {
  readonly name: string
  isAlive = true
  state: LeaseState
  readonly #world: World
  readonly #rate: number
  #pausedUntil = 0

  constructor(world: World, name: string, number: number, rate: number) {
    this.name = name
    this.#world = world
    this.#rate = rate
    this.state = leaseStart({ member: name, incarnation: `${name}-${number}`, leaseMs })
    this.#step()
  }

  get clock(): number {
    return this.#world.now * this.#rate
  }

  get phase() {
    return phaseAt(this.state, this.clock).phase
  }

  close(): void {
    this.state = closing(this.state)
  }

  /** Nothing runs in it for `ms`. Its clock goes on. */
  pause(ms: number): void {
    this.#pausedUntil = this.#world.now + ms
  }

  /** Runs `act` in this member after `ms` of its clock, not while it is paused. */
  #later(ms: number, act: () => void): void {
    const run = (): void => {
      const heldMs = this.#pausedUntil - this.#world.now
      if (heldMs > 0) this.#world.after(heldMs, run)
      else if (this.isAlive) act()
    }
    this.#world.after(ms / this.#rate + 1e-6, run)
  }

  #step(): void {
    const { random, troubles, count, newsMs } = this.#world
    if (random() < troubles.paused) this.pause(3 * leaseMs * random())
    if (this.phase === 'unsure') count.unsure++
    if (this.state.end === 'lost') count.lost++
    const step = nextStep(this.state, this.clock)
    if (step.kind === 'end') this.#end()
    else if (step.kind !== 'wait') this.#ask(step)
    else {
      // It hears of changes at times, and at the latest when the time has come.
      const ms = Math.min(step.until - this.clock, newsMs * random())
      this.#later(ms, () => {
        if (random() < 0.5) this.state = toLook(this.state)
        this.#step()
      })
    }
  }

  #ask(step: Exclude<LeaseStep, { kind: 'wait' | 'end' }>): void {
    const { count } = this.#world
    let isAnswered = false
    const answer = (act: () => void): void => {
      if (isAnswered) return
      isAnswered = true
      const before = this.phase
      act()
      if (before !== 'owner' && this.phase === 'owner') count.owners++
      this.#step()
    }
    const sentAt = this.clock
    this.#send(() => {
      if (step.kind === 'look') {
        const view = this.#world.view()
        return () =>
          answer(() => {
            this.state = afterLook(this.state, view, this.clock)
          })
      }
      const revision = this.#world.set(step.name, step.revision, step.value)
      return () =>
        answer(() => {
          this.state = revision
            ? afterSet(this.state, step, revision, sentAt, this.clock)
            : toLook(this.state)
        })
    })
    this.#later(0.2 * leaseMs, () =>
      answer(() => {
        this.state = toLook(this.state)
      }),
    )
  }

  #send(arrive: () => () => void): void {
    const { random, troubles } = this.#world
    const deliver = (): void => {
      const heard = arrive()
      if (random() >= troubles.lost) this.#later(20 * random(), heard)
    }
    if (random() >= troubles.lost) this.#world.after(20 * random(), deliver)
    if (random() < troubles.late) this.#world.after(3 * leaseMs * random(), deliver)
  }

  /** A new incarnation begins. */
  #end(): void {
    this.isAlive = false
    this.#world.after(500 * this.#world.random(), () => void this.#world.begin(this.name))
  }

  /** The process ends without a word. */
  die(): void {
    this.isAlive = false
  }
}

const names = ['a', 'b', 'c']

/** A life with troubles, then a calm. */
const lived = (seed: number): World => {
  const world = new World(seed, { lost: 0.1, late: 0.1, paused: 0.03 })
  for (const name of names) world.begin(name)
  for (let round = 0; round < 8; round++) {
    world.run(2 * leaseMs * world.random())
    const living = world.members.filter(({ isAlive }) => isAlive)
    const member = living[Math.floor(living.length * world.random())]
    if (!member) continue
    if (world.random() < 0.3) {
      member.close()
      continue
    }
    member.die()
    // At times the member begins again at once, under the same name.
    const name = member.name
    world.after(2 * leaseMs * world.random(), () => void world.begin(name))
  }
  world.troubles = none
  // The longest pause ends, and what is late arrives.
  world.run(4 * leaseMs)
  return world
}

test('never do two members own the instance at one moment, and one does when troubles end', {
  tags: ['slow'],
}, () => {
  const count = { lost: 0, unsure: 0, owners: 0 }
  const seeds = seedsOf(80, 20_000)
  for (const seed of seeds) {
    const world = lived(seed)
    world.untilOwned(3 * leaseMs)

    expect(world.refuted, `seed ${seed}`).toEqual([])
    expect(world.owners.length, `seed ${seed}`).toBe(1)

    for (const key of ['lost', 'unsure', 'owners'] as const) count[key] += world.count[key]
  }
  // The lives had what they are about. Of a few lives that is no claim.
  for (const [what, times] of Object.entries(count))
    expect(times, what).toBeGreaterThanOrEqual(Math.floor(seeds.length / 8))
})

test('a paused owner with the slowest clock has ended for itself before a claimant with the fastest one owns', () => {
  for (const seed of seedsOf(20, 2_000)) {
    const world = new World(seed, none)
    const owner = world.begin('a', slowest)
    world.untilOwned(leaseMs)
    world.newsMs = 5
    world.begin('b', fastest)
    world.run((1 + world.random()) * leaseMs)

    owner.pause(3 * leaseMs)
    world.run(2 * leaseMs)

    expect(world.refuted, `seed ${seed}`).toEqual([])
    expect(world.owners.map(({ name }) => name)).toEqual(['b'])
  }
})

/** Two members, one of which owns the instance. */
const calm = (seed: number) => {
  const world = new World(seed, none)
  world.begin('a')
  world.begin('b')
  world.untilOwned(leaseMs)
  world.run(3 * leaseMs * world.random())
  const [owner] = world.owners
  if (!owner) throw new Error('nobody owns')
  return { world, owner }
}

test('when the owner dies, another member owns the instance after two leases at the latest', () => {
  // Two leases of the slowest clock, and some messages.
  const mostMs = (2 * leaseMs) / slowest + 100
  for (const seed of seedsOf(20, 5_000)) {
    const { world, owner } = calm(seed)

    owner.die()

    expect(world.untilOwned(5 * leaseMs), `seed ${seed}`).toBeLessThan(mostMs)
  }
})

test('an owner that gives its lease back is followed as soon as the directory shows it', () => {
  for (const seed of seedsOf(20, 5_000)) {
    const { world, owner } = calm(seed)

    owner.close()
    expect(world.owners).toEqual([])

    // The owner hears of its close within 200 ms, the other one of the change a few looks later.
    expect(world.untilOwned(5 * leaseMs), `seed ${seed}`).toBeLessThan(leaseMs)
  }
})

test('a second holder of a name has no lease before that of the first one ends', () => {
  for (const seed of seedsOf(20, 5_000)) {
    const { world, owner } = calm(seed)
    const second = world.begin(owner.name)
    world.run(10 * leaseMs)

    expect(second.state.holds).toBe(false)
    expect(world.owners).toEqual([owner])

    owner.die()
    world.run(3 * leaseMs)

    expect(second.state.holds, `seed ${seed}`).toBe(true)
  }
})

test('an owner that was cut off is unsure after 90 % of its lease, and goes on in its epoch if nobody took it', () => {
  const world = new World(1, none)
  const only = world.begin('a')
  world.run(leaseMs)
  const { epoch } = phaseAt(only.state, only.clock)
  world.troubles = { ...none, lost: 1 }
  world.run(1.2 * leaseMs)
  expect(only.phase).toBe('unsure')

  world.troubles = none
  world.run(leaseMs)

  expect(phaseAt(only.state, only.clock)).toEqual({ phase: 'owner', epoch })
})
