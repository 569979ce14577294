/** What members of an engine have ended under: each end counts once, for an hour, until it is forgotten. */
import { expect, test } from 'vitest'
import {
  type EndsStep,
  endsIn,
  forgetting,
  noting,
} from '../../../src/members/leases/ended-work.ts'
import { isBlaming } from '../../../src/members/placement/work-notes.ts'
import { DirectoryEntry, type DirectoryView } from '../../../src/storage/index.ts'

const hour = 3_600_000

/** A directory, and its changes. */
const directory = () => {
  let view: DirectoryView = { revision: 0, entries: new Map() }
  const make = (step: EndsStep | undefined): void => {
    if (!step) return
    const revision = view.revision + 1
    const entries = new Map(view.entries)
    if (step.value === undefined) entries.delete(step.name)
    else entries.set(step.name, new DirectoryEntry(step.value, revision))
    view = { revision, entries }
  }
  const note = (member: string, work: string, at: number, now = at): void =>
    make(noting(view, member, { work, at }, (then) => isBlaming(then, now)))
  const forget = (work: string): void => {
    for (const step of forgetting(view, work)) make(step)
  }
  const under = (work: string, now: number): number =>
    [...endsIn(view, (at) => isBlaming(at, now)).values()].filter((each) => each === work).length
  return { note, forget, under, names: () => [...view.entries.keys()] }
}

test('an end counts once, also if its member says it twice, and each of its ends does', () => {
  const { note, under } = directory()
  note('a', 'bomb/1 step', 1)
  note('a', 'bomb/1 step', 1, 5)
  expect(under('bomb/1 step', 6)).toBe(1)
  note('a', 'bomb/1 step', 7)
  note('b', 'bomb/1 step', 8)
  note('b', 'bomb/2 step', 9)
  expect(under('bomb/1 step', 10)).toBe(3)
})

test('an end of an hour ago blames no work, and what is forgotten counts from zero', () => {
  const { note, forget, under, names } = directory()
  note('a', 'bomb/1 step', 1)
  expect(under('bomb/1 step', hour)).toBe(1)
  expect(under('bomb/1 step', hour + 1)).toBe(0)
  note('b', 'bomb/1 step', 2)
  note('b', 'bomb/2 step', 3)
  forget('bomb/1 step')
  expect(names()).toEqual(['ended/b'])
  expect(under('bomb/1 step', 4)).toBe(0)
  expect(under('bomb/2 step', 4)).toBe(1)
})

test('an end of a clock that was hours ahead blames no work, and goes with the next one', () => {
  const { note, under } = directory()
  note('a', 'bomb/1 step', 9 * hour)
  expect(under('bomb/1 step', 2 * hour)).toBe(0)
  note('a', 'bomb/2 step', 2 * hour)
  expect(under('bomb/1 step', 9 * hour)).toBe(0)
})

test('a member that ends again and again leaves a few ends', () => {
  const { note, under } = directory()
  for (let at = 1; at <= 100; at++) note('a', 'bomb/1 step', at)
  expect(under('bomb/1 step', 100)).toBe(8)
})
