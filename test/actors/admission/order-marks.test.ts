import { describe, expect, test } from 'vitest'
import {
  type Mark,
  type MarkedKeys,
  OrderMarks,
} from '../../../src/actors/admission/order-marks.ts'
import { seededRandom } from '../../../src/clock.ts'

/** Marks whose turns and hurries are written down by name. */
const world = () => {
  const marks = new OrderMarks()
  const turns: string[] = []
  const hurries: string[] = []
  const enter = (name: string, keys: MarkedKeys, slot?: string): Mark =>
    marks.enter({
      keys,
      slot,
      turn: () => turns.push(name),
      hurry: () => hurries.push(name),
    })
  return { marks, turns, hurries, enter }
}

describe('marks of keys', () => {
  test('leave keys free that nobody marked, and stand before a write to those that are', () => {
    const { marks, turns, enter } = world()

    const first = enter('first', ['a'])
    enter('second', ['a', 'b'])

    expect(turns).toEqual(['first'])
    expect([marks.isFree(['c']), marks.isFree(['a']), marks.isFree(['b'])]).toEqual([
      true,
      false,
      false,
    ])
    marks.pass(first)
    expect(turns).toEqual(['first', 'second'])
  })

  test('are gone when the last write has passed, however often it says so', () => {
    const { marks, enter } = world()
    const mark = enter('a', ['a'])

    marks.pass(mark)
    marks.pass(mark)

    expect([marks.isEmpty, marks.isFree(['a']), marks.isFree('all')]).toEqual([true, true, true])
  })

  test('let writes of one slot go without waiting for each other, and ask for no hurry', () => {
    const { turns, hurries, enter } = world()

    enter('one', ['a'], 'slot')
    enter('two', ['a'], 'slot')

    expect(turns).toEqual(['one', 'two'])
    expect(hurries).toEqual([])
  })

  test('hurry what stands in a slot when a write has to wait behind it, once', () => {
    const { marks, turns, hurries, enter } = world()
    const one = enter('one', ['a'], 'slot')

    enter('two', ['a'], 'other')
    enter('three', ['a'])

    expect(hurries).toEqual(['one'])
    marks.pass(one)
    // The second waits for its own slot now, and somebody waits behind it.
    expect(turns).toEqual(['one', 'two'])
  })

  test('name the slot that all marks of the keys stand in, if there is one', () => {
    const { marks, enter } = world()
    enter('one', ['a'], 'x')
    enter('two', ['b'], 'y')
    enter('blob', ['c'])

    expect([
      marks.slotBefore(['a']),
      marks.slotBefore(['a', 'free']),
      marks.slotBefore(['a', 'b']),
      marks.slotBefore(['a', 'c']),
      marks.slotBefore(['free']),
    ]).toEqual(['x', 'x', undefined, undefined, undefined])
  })

  test('stay when a write behind others gives up: whoever comes later still waits for those', () => {
    const { marks, turns, enter } = world()
    const first = enter('first', ['a'], 'slot')
    const impatient = enter('impatient', ['a'], 'slot')
    marks.pass(impatient)

    enter('later', ['a'])
    expect(marks.isFree(['a'])).toBe(false)
    expect(turns).toEqual(['first', 'impatient'])

    marks.pass(first)
    expect(turns).toEqual(['first', 'impatient', 'later'])
  })

  test('of all keys wait for every other, and every later write waits for them', () => {
    const { marks, turns, enter } = world()
    const [a, b] = [enter('a', ['a'], 'x'), enter('b', ['b'])]
    const all = enter('all', 'all')
    enter('c', ['c'])
    expect(turns).toEqual(['a', 'b'])
    expect(marks.isFree(['d'])).toBe(false)

    marks.pass(b)
    marks.pass(a)
    expect(turns).toEqual(['a', 'b', 'all'])

    marks.pass(all)
    expect(turns).toEqual(['a', 'b', 'all', 'c'])
  })

  test('of a hundred thousand writes to one key end without a deep stack', () => {
    const { marks } = world()
    let turns = 0
    const held = marks.enter({
      keys: ['a'],
      slot: undefined,
      turn: () => undefined,
      hurry: () => undefined,
    })
    for (let at = 0; at < 100_000; at++)
      marks.enter({
        keys: ['a'],
        slot: undefined,
        turn: (mark) => {
          turns++
          marks.pass(mark)
        },
        hurry: () => undefined,
      })

    marks.pass(held)

    expect(turns).toBe(100_000)
    expect(marks.isEmpty).toBe(true)
  })

  test('keep the order of every key in 2,000 random crowds, and forget every mark', () => {
    for (let seed = 1; seed <= 2_000; seed++) {
      const random = seededRandom(seed)
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
      const marks = new OrderMarks()
      const open: Mark[] = []
      const issued = new Map<string, number[]>()
      const took = new Map<string, number[]>()
      const note = (into: Map<string, number[]>, keys: MarkedKeys, id: number) => {
        for (const key of keys === 'all' ? 'abcd' : keys)
          into.set(key, [...(into.get(key) ?? []), id])
      }
      for (let id = 0; id < 30; id++) {
        const keys: MarkedKeys =
          random() < 0.05 ? 'all' : [...new Set([pick([...'abcd']), pick([...'abcd'])])]
        const slot = pick([undefined, undefined, 'x', 'y'])
        note(issued, keys, id)
        open.push(
          marks.enter({ keys, slot, turn: () => note(took, keys, id), hurry: () => undefined }),
        )
        // A slot passes its writes in the order in which they came to it, as the batcher does.
        if (random() < 0.5) {
          const ready = open.filter(({ hasTurn }) => hasTurn)
          const chosen = pick(ready)
          const before = chosen?.terms.slot
            ? ready.filter(({ terms }) => terms.slot === chosen.terms.slot)
            : [chosen]
          for (const mark of before.slice(0, before.indexOf(chosen) + 1))
            if (mark) {
              marks.pass(mark)
              open.splice(open.indexOf(mark), 1)
            }
        }
      }
      while (open.length > 0) {
        const at = open.findIndex(({ hasTurn }) => hasTurn)
        const [mark] = open.splice(at, 1)
        if (mark) marks.pass(mark)
      }
      expect(took, `seed ${seed}`).toEqual(issued)
      expect(marks.isEmpty, `seed ${seed}`).toBe(true)
    }
  })
})
