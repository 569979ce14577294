import { describe, expect, test } from 'vitest'
import {
  inTurn,
  type KeyMark,
  KeyMarks,
  type MarkedKeys,
  markedKeys,
} from '../../../src/actors/writing/key-marks.ts'
import { seededRandom, virtualClock } from '../../../src/clock.ts'
import { type Command, entityRowKey, type Turn } from '../../../src/storage/index.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** Marks whose turns are written down by name. */
const world = () => {
  const marks = new KeyMarks()
  const turns: string[] = []
  const enter = (name: string, keys: MarkedKeys): KeyMark =>
    marks.enter(keys, () => turns.push(name))
  return { marks, turns, enter }
}

test('a write marks the keys that it names, a turn its main row, and a clear marks all', () => {
  const put = { kind: 'putMany', entries: [{ key: 'a' }, { key: 'b' }] } as unknown as Command
  const turn = { kind: 'turn', entity: 'a/1', rows: [], writes: [put] } as unknown as Turn
  const [deleted, many] = [
    { kind: 'delete', key: 'c' },
    { kind: 'deleteMany', keys: ['d', 'e'] },
  ] as const
  expect(markedKeys([put, deleted, many])).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(markedKeys(turn)).toEqual([entityRowKey('a/1'), 'a', 'b'])
  expect(markedKeys([deleted, { kind: 'clear' } as Command])).toBe('all')
})

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

  test('stay when a write behind others gives up: later writes still wait for those', () => {
    const { marks, turns, enter } = world()
    const first = enter('first', ['a'])
    const impatient = enter('impatient', ['a', 'b'])
    marks.pass(impatient)

    enter('later', ['b'])
    expect(marks.isFree(['b'])).toBe(false)
    expect(turns).toEqual(['first'])

    marks.pass(first)
    expect(turns).toEqual(['first', 'later'])
  })

  test('are settled when those that were there have ended, whatever came later', async () => {
    const { marks, enter } = world()
    const [first, second] = [enter('first', ['a']), enter('second', ['b'])]
    let isSettled = false
    const settled = marks.settled().then(() => {
      isSettled = true
    })
    const later = enter('later', ['c'])
    marks.pass(first)
    await Promise.resolve()
    expect(isSettled).toBe(false)

    marks.pass(second)
    await settled
    expect([marks.isFree(['c']), marks.isEmpty]).toEqual([false, false])
    marks.pass(later)
    expect(marks.isEmpty).toBe(true)
    await marks.settled()
  })

  test('of all keys wait for every other, and every later write waits for them', () => {
    const { marks, turns, enter } = world()
    const [a, b] = [enter('a', ['a']), enter('b', ['b'])]
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

  test('of a hundred thousand writes to one key end without a deep stack', {
    tags: ['slow'],
  }, () => {
    const { marks } = world()
    let turns = 0
    const held = marks.enter(['a'], () => undefined)
    for (let at = 0; at < 100_000; at++)
      marks.enter(['a'], (mark) => {
        turns++
        marks.pass(mark)
      })

    marks.pass(held)

    expect(turns).toBe(100_000)
    expect(marks.isEmpty).toBe(true)
  })

  test('keep the order of every key in 2,000 random crowds, and forget every mark', {
    tags: ['slow'],
  }, () => {
    for (let seed = 1; seed <= 2_000; seed++) {
      const random = seededRandom(seed)
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
      const marks = new KeyMarks()
      const open: { readonly mark: KeyMark; readonly hasTurn: boolean }[] = []
      const issued = new Map<string, number[]>()
      const took = new Map<string, number[]>()
      const note = (into: Map<string, number[]>, keys: MarkedKeys, id: number) => {
        for (const key of keys === 'all' ? 'abcd' : keys)
          into.set(key, [...(into.get(key) ?? []), id])
      }
      const passOne = () => {
        const ready = open.filter(({ hasTurn }) => hasTurn)
        const chosen = pick(ready)
        open.splice(open.indexOf(chosen), 1)
        marks.pass(chosen.mark)
      }
      for (let id = 0; id < 30; id++) {
        const keys: MarkedKeys =
          random() < 0.05 ? 'all' : [...new Set([pick([...'abcd']), pick([...'abcd'])])]
        note(issued, keys, id)
        let hasTurn = false
        const mark = marks.enter(keys, () => {
          note(took, keys, id)
          hasTurn = true
        })
        open.push({
          mark,
          get hasTurn() {
            return hasTurn
          },
        })
        if (random() < 0.5) passOne()
      }
      while (open.length > 0) passOne()
      expect(took, `seed ${seed}`).toEqual(issued)
      expect(marks.isEmpty, `seed ${seed}`).toBe(true)
    }
  })
})

describe('a write in turn', () => {
  const terms = (marks: KeyMarks, clock: ReturnType<typeof virtualClock>) => ({
    marks,
    clock,
    keys: ['a'],
    endsAt: clock.monotonic() + 50,
    deadlineMs: 50,
  })

  test('begins at once where nothing is marked, and holds later ones until it has settled', async () => {
    const [marks, clock] = [new KeyMarks(), virtualClock()]
    const order: string[] = []
    let end = (): void => undefined
    const first = inTurn(terms(marks, clock), () => {
      order.push('first')
      return new Promise((resolve) => {
        end = resolve
      })
    })
    const second = inTurn(terms(marks, clock), async () => void order.push('second'))
    await clock.settle()
    expect(order).toEqual(['first'])

    end()
    await Promise.all([first, second])
    expect([order, marks.isEmpty, clock.untilNext()]).toEqual([
      ['first', 'second'],
      true,
      undefined,
    ])
  })

  test('is NOT_SUBMITTED when its turn does not come in time, and is not done later', async () => {
    const [marks, clock] = [new KeyMarks(), virtualClock()]
    const held = marks.enter(['a'], () => undefined)
    let isDone = false
    const code = codeOf(
      inTurn(terms(marks, clock), async () => {
        isDone = true
      }),
    )
    await clock.advance(50)
    expect(await code).toBe('NOT_SUBMITTED')

    marks.pass(held)
    expect([isDone, marks.isEmpty]).toEqual([false, true])
  })

  test('that fails lets those behind it go', async () => {
    const [marks, clock] = [new KeyMarks(), virtualClock()]
    const failed = inTurn(terms(marks, clock), () => Promise.reject(new Error('no')))
    const next = inTurn(terms(marks, clock), async () => undefined)

    await expect(failed).rejects.toThrow('no')
    await next
    expect(marks.isEmpty).toBe(true)
  })
})
