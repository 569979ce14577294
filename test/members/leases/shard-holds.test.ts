import { expect, test } from 'vitest'
import {
  afterLook,
  afterSet,
  type LeaseState,
  leaseStart,
  nextStep,
  phaseAt,
} from '../../../src/members/leases/member-lease.ts'
import {
  giving,
  holdIn,
  leasedIn,
  shardHold,
  taking,
} from '../../../src/members/leases/shard-holds.ts'
import { DirectoryEntry, type DirectoryView, entryText } from '../../../src/storage/index.ts'

const name = shardHold(3)
const [a, b] = ['a', 'b'].map((member) => ({ member, incarnation: `${member}1` })) as [
  { member: string; incarnation: string },
  { member: string; incarnation: string },
]

/** A directory with these entries. Each change has the next revision. */
class Entries {
  view: DirectoryView = { revision: 0, entries: new Map() }

  put(entry: string, value: string): this {
    const revision = this.view.revision + 1
    const entries = new Map(this.view.entries).set(entry, new DirectoryEntry(value, revision))
    this.view = { revision, entries }
    return this
  }

  lease(member: string, content: object): this {
    return this.put(`member/${member}`, entryText(`member/${member}`, content))
  }

  make(step: ReturnType<typeof taking>): this {
    if (!step) throw new Error('there is no change to make')
    expect(step.revision).toBe(this.view.entries.get(step.name)?.revision ?? 0)
    return this.put(step.name, step.value)
  }
}

const both = (): Entries =>
  new Entries().lease('a', { incarnation: 'a1' }).lease('b', { incarnation: 'b1' })

test('a shard is taken by one member, and by another one when it was given', () => {
  const entries = both()
  entries.make(taking(entries.view, name, a))
  expect(holdIn(entries.view, name)).toEqual({ ...a, epoch: 1 })
  expect(taking(entries.view, name, b)).toBe(undefined)
  expect(giving(entries.view, name, b)).toBe(undefined)
  entries.make(giving(entries.view, name, a))
  expect(holdIn(entries.view, name)).toBe(undefined)
  expect(giving(entries.view, name, a)).toBe(undefined)
  entries.make(taking(entries.view, name, b))
  expect(holdIn(entries.view, name)).toEqual({ ...b, epoch: 2 })
})

test('a member takes anew what it holds: an earlier change of it has another revision then', () => {
  const entries = both()
  entries.make(taking(entries.view, name, a))
  const unanswered = giving(entries.view, name, a)
  entries.make(taking(entries.view, name, a))
  expect(holdIn(entries.view, name)).toEqual({ ...a, epoch: 2 })
  expect(unanswered?.revision).toBeLessThan(entries.view.entries.get(name)?.revision ?? 0)
})

test('a member whose lease was ended holds nothing, and takes nothing', () => {
  const entries = both()
  entries.make(taking(entries.view, name, a))
  entries.lease('a', { incarnation: 'a1', ended: true })
  expect(holdIn(entries.view, name)).toBe(undefined)
  expect(taking(entries.view, shardHold(4), a)).toBe(undefined)
  entries.make(taking(entries.view, name, b))
  expect(holdIn(entries.view, name)).toEqual({ ...b, epoch: 2 })
})

test('a later start of a member does not hold what an earlier one held', () => {
  const entries = both()
  entries.make(taking(entries.view, name, a)).lease('a', { incarnation: 'a2' })
  expect(holdIn(entries.view, name)).toBe(undefined)
  expect(giving(entries.view, name, { ...a, incarnation: 'a2' })).toBe(undefined)
})

test('a hold that a member took after its lease was ended does not count', () => {
  const entries = both()
  const late = taking(entries.view, name, a)
  entries.lease('a', { incarnation: 'a1', ended: true }).make(late)
  expect(holdIn(entries.view, name)).toBe(undefined)
  expect(taking(entries.view, name, b)).toBeDefined()
})

test('a damaged entry is CORRUPT', () => {
  const entries = both().put(name, '{"member":"a","incarnation":"a1","epoch":1,"sum":7}')
  expect(() => holdIn(entries.view, name)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test('the members with a lease are shown with their addresses', () => {
  const about = { host: 'h', pid: 1, since: 1, listen: '10.0.0.5:7400' }
  const { view } = new Entries()
    .lease('a', { incarnation: 'a1', about, reads: 5 })
    .lease('b', { incarnation: 'b1', ended: true })
  expect(leasedIn(view)).toEqual([{ ...a, listen: '10.0.0.5:7400', reads: 5, closes: false }])
})

test('a member beside others owns by its lease alone, and ends the leases of others when they have expired', () => {
  const entries = both()
  const [leaseMs, mine] = [1_000, 'member/a']
  let state = leaseStart({ ...a, leaseMs, isSpread: true })
  expect(phaseAt(state, 0).phase).toBe('standby')
  state = afterLook(state, new Entries().lease('b', { incarnation: 'b1', leaseMs }).view, 0)
  const own = nextStep(state, 0)
  expect(own).toMatchObject({ kind: 'set', name: mine, revision: 0 })
  state = afterSet(state, own as never, 2, 0, 1)
  expect(phaseAt(state, 1).phase).toBe('owner')
  expect(phaseAt(state, 900).phase).toBe('unsure')
  // It waits for its renewal first, and then for the end of the other lease.
  expect(nextStep(state, 1)).toMatchObject({ kind: 'wait', until: 300 })
  for (const [now, revision] of [
    [301, 3],
    [602, 4],
    [903, 5],
  ] as const) {
    const renewal = nextStep(state, now)
    expect(renewal).toMatchObject({ kind: 'set', name: mine })
    state = afterSet(state, renewal as never, revision, now, now)
  }
  expect(nextStep(state, 999)).toMatchObject({ kind: 'wait', until: 1_000 })
  expect(nextStep(state, 1_000)).toMatchObject({ kind: 'set', name: 'member/b', revision: 1 })
  expect(entries.view.entries.size).toBe(2)
})

test('time in which the engine was away does not count for the leases of others', () => {
  const leaseMs = 1_000
  const { view } = new Entries().lease('b', { incarnation: 'b1', leaseMs })
  const looked = afterLook(leaseStart({ ...a, leaseMs, isSpread: true }), view, 0)
  const own = nextStep(looked, 0) as never
  const held = afterSet(looked, own, 2, 0, 1)
  const renewed = (state: LeaseState, times: readonly number[]): LeaseState =>
    times.reduce((each, now, at) => afterSet(each, own, 3 + at, now, now), state)
  const endsOfB = (state: LeaseState, at: number): void => {
    expect(nextStep(state, at - 1)).toMatchObject({ kind: 'wait', until: at })
    expect(nextStep(state, at)).toMatchObject({ kind: 'set', name: 'member/b' })
  }
  // The first answer after 699 ms is one to a renewal, or to a look.
  endsOfB(renewed(held, [700, 1_000, 1_300, 1_600]), 1_699)
  endsOfB(renewed(afterLook(held, held.view as never, 700), [1_000, 1_300, 1_600]), 1_699)
  // Answers come late, and the engine is there.
  endsOfB(renewed(held, [500, 900]), 1_000)
})
