import { expect, test } from 'vitest'
import { featuresOn, joining, turningOn } from '../../../src/members/leases/log-features.ts'
import type { SetStep } from '../../../src/members/leases/member-lease.ts'
import { DirectoryEntry, type DirectoryView, entryText } from '../../../src/storage/index.ts'

const empty: DirectoryView = { revision: 0, entries: new Map() }

const put = ({ revision, entries }: DirectoryView, name: string, value: string): DirectoryView => ({
  revision: revision + 1,
  entries: new Map(entries).set(name, new DirectoryEntry(value, revision + 1)),
})

/** The directory after the lease of a member. */
const leased = (view: DirectoryView, member: string, more: object): DirectoryView =>
  put(view, `member/${member}`, entryText(`member/${member}`, { incarnation: member, ...more }))

/** The directory after a change; `undefined`: it is refused. */
const made = (view: DirectoryView, step: SetStep): DirectoryView | undefined =>
  step.revision === (view.entries.get(step.name)?.revision ?? 0)
    ? put(view, step.name, step.value)
    : undefined

const [older, newer] = [
  { incarnation: 'older', reads: 1 },
  { incarnation: 'newer', reads: 3 },
]

test('a feature is turned on when all members with a lease read it, and stays on', () => {
  const both = leased(leased(empty, 'newer', { reads: 3 }), 'older', { reads: 1 })
  const first = made(both, turningOn(both, newer) as SetStep) as DirectoryView
  expect(featuresOn(first)).toBe(1)
  expect(turningOn(first, newer)).toBeUndefined()
  const alone = leased(first, 'older', { reads: 1, ended: true })
  const all = made(alone, turningOn(alone, newer) as SetStep) as DirectoryView
  expect(featuresOn(all)).toBe(3)
  const without = leased(all, 'oldest', {})
  expect(turningOn(without, newer)).toBeUndefined()
  expect(featuresOn(without)).toBe(3)
})

test('a member that does not read what is on is refused', () => {
  const view = put(empty, 'features', entryText('features', { on: 3, by: 'newer' }))
  expect(() => joining(view, older)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_VERSION', details: { features: 3, reads: 1 } }),
  )
  expect(featuresOn(made(view, joining(view, newer)) as DirectoryView)).toBe(3)
})

test('in each order of a join and a change, no member joins that cannot read what is on', () => {
  const start = leased(empty, 'newer', { reads: 3 })
  const joined = made(start, joining(start, newer)) as DirectoryView
  // The steps of the member that joins, and of the one that turns a feature on, each in its order.
  const steps = ['lease', 'view', 'join'] as const
  const others = ['see', 'turn'] as const
  let cut = 0
  for (const [seeAt, turnAt] of [0, 1, 2, 3].flatMap((at) =>
    [0, 1, 2, 3].filter((to) => to >= at).map((to) => [at, to] as const),
  )) {
    let view = joined
    let seen: SetStep | undefined
    let step: SetStep | undefined
    let hasJoined = false
    const act = (name: (typeof steps)[number] | (typeof others)[number]): void => {
      if (name === 'see') seen = turningOn(view, newer)
      if (name === 'turn' && seen) view = made(view, seen) ?? view
      if (name === 'lease') view = leased(view, 'older', { reads: 1 })
      if (name === 'view') step = (featuresOn(view) & ~1) === 0 ? joining(view, older) : undefined
      if (name === 'join' && step) {
        const after = made(view, step)
        hasJoined = after !== undefined
        view = after ?? view
      }
    }
    for (const [at, name] of [...steps, undefined].entries()) {
      if (seeAt === at) act('see')
      if (turnAt === at) act('turn')
      if (name) act(name)
    }
    const isOn = (featuresOn(view) & 2) !== 0
    expect([hasJoined, isOn]).not.toEqual([true, true])
    if (!hasJoined && isOn) cut++
  }
  expect(cut).toBeGreaterThan(0)
})
