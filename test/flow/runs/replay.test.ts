/** The replay of a run, without a run: which outcome comes next, what may start, and what diverges. */
import { describe, expect, test } from 'vitest'
import type { OperationKind, Recorded } from '../../../src/flow/runs/record.ts'
import { type Asked, Replay } from '../../../src/flow/runs/replay.ts'

const asking = (key: string, kind: OperationKind = 'step', type?: string): Asked => ({
  ...{ key, kind, type },
  recorded: undefined,
})

/** A row: with a place it has an outcome too, unless that was taken back. */
const row = (number: number, key: string, place?: number, more: object = {}): Recorded => ({
  ...{ kind: 'step', number, key, at: number },
  ...(place !== undefined && { place, outcome: { kind: 'ok', value: key } }),
  ...more,
})
const reopenedRow = (number: number, key: string, place: number): Recorded => ({
  ...row(number, key),
  place,
})

/** Asks for these keys, and gives outcomes until there is none. Returns the keys in that order. */
const given = (replay: Replay): string[] => {
  const keys: string[] = []
  for (let next = replay.next(); next; next = replay.next()) {
    keys.push(next.asked.key)
    replay.delivered(next.asked)
    replay.turns()
  }
  return keys
}

const keysOf = (all: Iterable<Asked>): string[] => [...all].map(({ key }) => key)

describe('outcomes', () => {
  test('come in the order of their places, each when the body has asked for it', () => {
    const record = [row(1, 'a', 3), row(2, 'b', 1), row(3, 'c', 2)]
    const replay = new Replay(record, 3)
    replay.ask(asking('a'))
    expect(given(replay)).toEqual([])
    replay.ask(asking('b'))
    expect(given(replay)).toEqual(['b'])
    replay.ask(asking('c'))
    expect(given(replay)).toEqual(['c', 'a'])
    expect(keysOf(replay.inFlight)).toEqual([])
  })

  test('that are new come behind those of the record, in the order of their turns', () => {
    const replay = new Replay([row(1, 'a', 4)], 6)
    const [a, b, c] = ['a', 'b', 'c'].map((key) => replay.ask(asking(key)))
    expect(replay.known).toBe(6)
    replay.record(row(3, 'c', 8))
    expect(replay.known).toBe(8)
    replay.record(row(2, 'b', 7))
    expect(replay.known).toBe(8)
    expect([b?.recorded?.place, c?.recorded?.place]).toEqual([7, 8])
    expect(given(replay)).toEqual(['a', 'b', 'c'])
    expect(a?.recorded?.place).toBe(4)
  })

  test('of tries are none: a row without a place is known, and gives nothing', () => {
    const replay = new Replay([], 0)
    const a = replay.ask(asking('a'))
    replay.record(row(1, 'a', undefined, { tries: 2 }))
    // A row of a key that the body has not asked for changes nothing.
    replay.record(row(2, 'z'))
    expect(a.recorded?.tries).toBe(2)
    expect([replay.next(), replay.known]).toEqual([undefined, 0])
    expect([replay.missing(), replay.ask(asking('z')).recorded]).toEqual([[], undefined])
  })

  test('of an operation that the body has let go keep their place: later ones come after them', () => {
    const replay = new Replay([], 0)
    const a = replay.ask(asking('a'))
    replay.ask(asking('b'))
    replay.record(row(1, 'a', 1))
    replay.drop(a)
    replay.record(row(2, 'b', 2))
    expect(given(replay)).toEqual(['a', 'b'])
  })

  test('that come before the body asks for their operations are known to them', () => {
    const replay = new Replay([row(1, 'a', 1), row(2, 'c')], 1)
    replay.ask(asking('a'))
    replay.record(row(2, 'c', 2))
    const c = replay.ask(asking('c'))
    expect([c.recorded?.place, replay.missing()]).toEqual([2, []])
    expect(given(replay)).toEqual(['a', 'c'])
  })

  test('of a cancel come when the body has asked for as many operations as at that time', () => {
    const replay = new Replay([row(1, '$cancel', 1, { kind: 'cancel', asked: 2 })], 1)
    replay.ask(asking('$cancel', 'cancel'))
    replay.ask(asking('a'))
    expect(given(replay)).toEqual([])
    replay.ask(asking('b'))
    expect(given(replay)).toEqual(['$cancel'])
  })
})

describe('a replay', () => {
  test('is complete when the body has asked for every recorded key and has every outcome', () => {
    const replay = new Replay([row(1, 'a', 1), row(2, 'b')], 1)
    const states = [replay.isComplete]
    replay.ask(asking('a'))
    states.push(replay.isComplete)
    replay.ask(asking('b'))
    states.push(replay.isComplete)
    const next = replay.next()
    if (next) replay.delivered(next.asked)
    // The body acts on this outcome: it may ask for more before anything starts.
    states.push(replay.isComplete)
    replay.turns()
    states.push(replay.isComplete)
    // It stays so.
    replay.ask(asking('c'))
    replay.record(row(3, 'c', 2))
    states.push(replay.isComplete)
    expect(states).toEqual([false, false, false, false, true, true])
    expect(new Replay([], 0).isComplete).toBe(true)
  })

  test('is complete before outcomes that no body can have got, and stays so while one is given', () => {
    const replay = new Replay([row(1, 'a', 1), row(2, 'b', 2)], 1)
    expect(replay.known).toBe(2)
    const [a, b] = ['a', 'b'].map((key) => replay.ask(asking(key)))
    replay.delivered(a as Asked)
    expect(replay.isComplete).toBe(false)
    replay.turns()
    expect(replay.next()?.asked).toBe(b)
    replay.delivered(b as Asked)
    expect(replay.isComplete).toBe(true)
    replay.turns()
    replay.ask(asking('c'))
    replay.record(row(3, 'c', 3))
    expect(given(replay)).toEqual(['c'])
  })

  test('is at its end from its last outcome on, and from a cancel on', () => {
    const replay = new Replay([row(1, 'a', 1), row(2, 'b')], 1)
    const a = replay.ask(asking('a'))
    replay.delivered(a)
    // The body has not asked for all.
    expect(replay.isAtEnd).toBe(false)
    replay.ask(asking('b'))
    expect([replay.isAtEnd, replay.isComplete]).toEqual([true, false])

    const cancel = row(2, '$cancel', 1, { kind: 'cancel', asked: 0 })
    const cancelled = new Replay([row(1, 'z', 2), cancel], 2)
    cancelled.delivered(cancelled.ask(asking('$cancel', 'cancel')))
    expect([cancelled.isAtEnd, cancelled.isComplete]).toEqual([true, false])
  })

  test('goes on with each operation and each outcome', () => {
    const replay = new Replay([row(1, 'a', 1), row(2, 'b', 2)], 2)
    const progress = [replay.progress]
    for (const key of ['a', 'b']) {
      replay.ask(asking(key))
      progress.push(replay.progress)
    }
    for (let next = replay.next(); next; next = replay.next()) {
      replay.delivered(next.asked)
      progress.push(replay.progress)
    }
    expect(progress).toEqual([0, 1, 2, 3, 4])
  })

  test('names the keys that the body has not asked for, but no cancel', () => {
    const cancel = row(3, '$cancel', 3, { kind: 'cancel', asked: 1 })
    const replay = new Replay([row(1, 'a', 1), row(2, 'b', 2), cancel], 3)
    expect(replay.missing()).toEqual(['a', 'b'])
    replay.ask(asking('b'))
    expect(replay.missing()).toEqual(['a'])
  })

  test('misses nothing and is complete after its cancel: the rest was never reached', () => {
    const cancel = row(2, '$cancel', 1, { kind: 'cancel', asked: 0 })
    const replay = new Replay([row(1, 'z', 2), cancel], 2)
    replay.ask(asking('$cancel', 'cancel'))
    expect([replay.isComplete, replay.missing()]).toEqual([false, ['z']])
    expect(given(replay)).toEqual(['$cancel'])
    expect([replay.isComplete, replay.missing()]).toEqual([true, []])
  })

  test('refuses a key that was used, and one that is recorded as something else', () => {
    const record = [
      ...[row(1, 'a', 1), row(2, 'c', 2, { kind: 'child', child: 'mail/7' })],
      row(3, 'd', 3, { kind: 'child' }),
    ]
    const replay = new Replay(record, 3)
    const refused = (asked: Asked): unknown[] => {
      try {
        replay.ask(asked)
      } catch (error) {
        const { code, message, details } = error as {
          code: string
          message: string
          details: object
        }
        return [code, message, details]
      }
      return []
    }
    const said = (key: string, recorded: string, now: string) =>
      `the run has recorded ${key} as a ${recorded}, now it is a ${now}`

    expect(refused(asking('a', 'sleep'))).toEqual([
      ...['DIVERGED', said('a', 'step', 'sleep'), { key: 'a', recorded: 'step', asked: 'sleep' }],
    ])
    expect(refused(asking('c', 'child', 'mails'))).toEqual([
      ...['DIVERGED', said('c', 'child mail/7', 'child mails')],
      { key: 'c', recorded: 'child', asked: 'child' },
    ])
    expect([keysOf(replay.inFlight), replay.missing()]).toEqual([[], ['a', 'c', 'd']])
    expect(refused(asking('c', 'child', 'mail'))).toEqual([])
    // A child that is tried again may be another one.
    expect(refused(asking('d', 'child', 'any'))).toEqual([])
    expect(refused(asking('a'))).toEqual([])
    expect(refused(asking('a'))[0]).toBe('INVALID_ARGUMENT')
  })
})

describe('an operation starts', () => {
  test('once, when the replay is complete, those with a time in their order', () => {
    const late = row(1, 'late', undefined, { dueAt: 9 })
    const soon = row(2, 'soon', undefined, { dueAt: 5 })
    const replay = new Replay([late, soon, row(3, 'a', 1)], 1)
    for (const key of ['late', 'soon']) replay.ask(asking(key))
    expect(keysOf(replay.starting())).toEqual([])
    replay.ask(asking('a'))
    replay.ask(asking('new'))
    expect(keysOf(replay.starting())).toEqual([])
    expect(given(replay)).toEqual(['a'])
    expect(keysOf(replay.starting())).toEqual(['new', 'soon', 'late'])
    expect(keysOf(replay.starting())).toEqual([])
  })

  test('after one with a start mark, which blocks the run', () => {
    const record = [row(1, 'a'), row(2, 'marked', undefined, { hasBegun: true })]
    const replay = new Replay(record, 0)
    for (const key of ['a', 'marked']) replay.ask(asking(key))
    expect(keysOf(replay.starting())).toEqual(['marked', 'a'])
  })

  test('within the record only where its outcome was taken back, at its place', () => {
    const record = [row(1, 'a', 1), reopenedRow(2, 'b', 2), row(3, 'c', 3)]
    const replay = new Replay(record, 3)
    for (const key of ['b', 'a', 'c']) replay.ask(asking(key))
    expect([keysOf(replay.starting()), replay.reopened]).toEqual([[], undefined])
    const next = replay.next()
    if (next) replay.delivered(next.asked)
    replay.turns()
    expect([keysOf(replay.starting()), replay.reopened]).toEqual([['b'], 2])
    // It is the one that may get its outcome, as a signal.
    expect(keysOf(replay.open)).toEqual(['b'])
    expect([keysOf(replay.starting()), replay.isComplete]).toEqual([[], false])
    replay.record(row(2, 'b', 2))
    replay.turns()
    expect([replay.reopened, replay.open]).toEqual([undefined, []])
    expect(given(replay)).toEqual(['b', 'c'])
    expect(replay.isComplete).toBe(true)
    const asked = replay.ask(asking('d'))
    expect(replay.open).toEqual([asked])
  })

  test('never if it has its outcome, though the replay is complete by a cancel', () => {
    const cancel = row(2, '$cancel', 2, { kind: 'cancel', asked: 1 })
    const replay = new Replay([row(1, 'a', 1), cancel, row(3, 'undo:a', 3)], 3)
    for (const key of ['$cancel', 'a']) replay.ask(asking(key, key === 'a' ? 'step' : 'cancel'))
    expect(given(replay)).toEqual(['a', '$cancel'])
    for (const key of ['undo:a', 'undo:b']) replay.ask(asking(key))
    expect([replay.isComplete, keysOf(replay.starting())]).toEqual([true, ['undo:b']])
    expect(given(replay)).toEqual(['undo:a'])
  })

  test('at no place that the body has not reached', () => {
    const replay = new Replay([reopenedRow(1, 'a', 1), row(2, 'b', 2)], 2)
    expect([replay.starting(), replay.reopened]).toEqual([[], undefined])
    replay.ask(asking('b'))
    expect([keysOf(replay.starting()), replay.reopened]).toEqual([[], undefined])
  })

  test('not while the body acts on the outcome before it: it may let it go', () => {
    const replay = new Replay([row(1, 'timer', 1), reopenedRow(2, 'step', 2)], 2)
    const [timer, step] = ['timer', 'step'].map((key) => replay.ask(asking(key)))
    replay.delivered(timer as Asked)
    expect([replay.starting(), replay.reopened]).toEqual([[], undefined])
    replay.drop(step as Asked)
    replay.turns()
    expect([replay.starting(), replay.reopened, replay.isComplete]).toEqual([[], undefined, true])
  })

  test('never after the body has let it go, and its place is no longer waited for', () => {
    const record = [reopenedRow(1, 'a', 1), row(2, 'b', 2), row(3, 'c', 3)]
    const replay = new Replay(record, 3)
    const [a, b] = ['a', 'b', 'c'].map((key) => replay.ask(asking(key)))
    if (a) replay.drop(a)
    // One with an outcome keeps its place: the outcome comes, and nobody waits.
    if (b) replay.drop(b)
    expect([keysOf(replay.starting()), keysOf(replay.inFlight)]).toEqual([[], ['c']])
    expect(given(replay)).toEqual(['b', 'c'])
    expect(replay.isComplete).toBe(true)
  })
})

test('a record that ends at a place has what the body asked for and an outcome of it', () => {
  const record = [
    ...[row(1, 'a', 1), reopenedRow(2, 'b', 2), row(3, 'c', 3)],
    ...[reopenedRow(4, 'd', 4), row(5, 'e', 5)],
  ]
  const replay = new Replay(record, 5)
  const [, b, , d] = ['a', 'b', 'c', 'd'].map((key) => replay.ask(asking(key)))
  const first = replay.next()
  if (first) replay.delivered(first.asked)
  replay.turns()
  expect(replay.reopened).toBe(2)

  replay.endAt(2)

  expect(replay.missing()).toEqual([])
  expect([b?.recorded, d?.recorded]).toEqual([row(2, 'b'), row(4, 'd')])
  // The cancel takes the place.
  replay.ask(asking('$cancel', 'cancel'))
  replay.record(row(6, '$cancel', 2, { kind: 'cancel', asked: 4 }))
  replay.turns()
  expect(given(replay)).toEqual(['$cancel', 'c'])
  expect(replay.isComplete).toBe(true)
})
