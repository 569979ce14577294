/** The turns of a run, as pure changes of its state and its rows. All of both is compared. */
import { describe, expect, test } from 'vitest'
import type { Present, RunEnd } from '../../../src/flow/runs/messages.ts'
import type { RunState } from '../../../src/flow/runs/record.ts'
import {
  beginningAgain,
  blocking,
  clearing,
  delivering,
  ended,
  endOf,
  placing,
  recordIn,
  recording,
  resting,
} from '../../../src/flow/runs/turns.ts'
import {
  apart,
  contextWith,
  error,
  ok,
  op,
  run,
  signal,
  unreadable,
} from '../../support/worlds/run-rows.ts'

const over = ['completed', 'failed', 'cancelled'] as const

describe('recording', () => {
  const step = { kind: 'step', key: 'a', recorded: undefined } as const

  test('gives an operation the next number, and a place with its outcome', () => {
    const { context, rows } = contextWith()
    const before = run({ operations: 4, outcomes: 2 })

    const [begun, next] = recording(before, context, step, { dueAt: 9 })
    expect(begun).toEqual({ kind: 'step', key: 'a', dueAt: 9, at: 1, number: 5 })
    expect(next).toEqual({ ...before, operations: 5 })

    const [done, last] = recording(next, context, { ...step, recorded: begun }, ok(7))
    expect(done).toEqual({ kind: 'step', key: 'a', dueAt: 9, at: 1, place: 3, number: 5, ...ok(7) })
    expect(last).toEqual({ ...before, operations: 5, outcomes: 3 })
    expect(rows()).toEqual({
      [op(5)]: { kind: 'step', key: 'a', dueAt: 9, at: 1, place: 3, ...ok(7) },
    })
  })

  test('keeps the place of an operation that runs again, and counts nothing twice', () => {
    const { context } = contextWith({ [op(2)]: { kind: 'step', key: 'a', at: 0, place: 1 } })
    const recorded = { kind: 'step', key: 'a', at: 0, place: 1, number: 2 } as const
    const before = run({ operations: 4, outcomes: 3 })

    const [done, next] = recording(before, context, { ...step, recorded }, ok(1))

    expect([done?.place, done?.number, next]).toEqual([1, 2, before])
  })

  test('follows the row where it has lost the place that its life knows', () => {
    const { context } = contextWith({ [op(2)]: { kind: 'step', key: 'a', at: 0 } })
    const recorded = { kind: 'step', key: 'a', at: 0, place: 1, number: 2 } as const
    const before = run({ operations: 4, outcomes: 3 })

    const [tried] = recording(before, context, { ...step, recorded }, { tries: 1 })
    expect(tried).toEqual({ kind: 'step', key: 'a', at: 1, tries: 1, number: 2 })
    expect(recording(before, context, { ...step, recorded }, ok(1))[0]?.place).toBe(4)
  })

  test('gives an operation one outcome, also from a life that does not know of the first yet', () => {
    const { context, rows } = contextWith()
    const wait = { kind: 'wait', key: 'approval' } as const
    const [begun, waiting] = recording(
      run(),
      context,
      { ...wait, recorded: undefined },
      { dueAt: 5 },
    )
    const known = { ...wait, recorded: begun }
    const [received, state] = recording(waiting, context, known, ok('yes'))

    const lateToKnow = recording(state, context, known, { outcome: { kind: 'ok' } })
    const late = recording(state, context, { ...wait, recorded: received }, ok('no'))

    expect([lateToKnow, late]).toEqual([
      [undefined, state],
      [undefined, state],
    ])
    expect(Object.values(rows())).toMatchObject([{ place: 1, ...ok('yes') }])
  })

  test.each(over)('records nothing in a run that is %s', (status) => {
    const { context, rows } = contextWith()
    expect(recording(run({ status }), context, step, ok(1))).toEqual([undefined, run({ status })])
    expect(rows()).toEqual({})
  })

  test('puts a long value into a row of its own, and its life has it at once', () => {
    const { context, rows } = contextWith()
    const long = { outcome: { kind: 'ok', value: 'long', isApart: true } } as const

    expect(recording(run(), context, step, long)[0]).toMatchObject(long)
    expect(rows()).toEqual({
      [op(1)]: { kind: 'step', key: 'a', at: 1, place: 1, outcome: { kind: 'ok', isApart: true } },
      [apart(1)]: 'long',
    })
  })
})

/** Nobody waits for an answer. */
const none = new Map()

describe('delivering', () => {
  const wait = (key: string, name?: string) => ({
    ...({ kind: 'wait', key, type: undefined, recorded: undefined } as const),
    parts: name === undefined ? {} : { signal: name },
  })

  test('hands each signal to one wait for its name, in order, while there are unread ones', () => {
    const { context, rows } = contextWith({
      ...{ [signal('s', 1)]: ['one'], [signal('s', 2)]: [], [signal('t', 3)]: ['three'] },
      // An operation that waits for no signal is handed none, whatever its name.
      [signal('undefined', 4)]: ['four'],
    })
    const waits = [wait('x', 'none'), wait('step'), wait('a', 's'), wait('b', 's'), wait('c', 's')]

    const [delivered, next] = delivering(run({ unread: 4 }), context, waits, none)

    expect(delivered.map(({ key, place, outcome }) => [key, place, outcome])).toEqual([
      ['a', 1, { kind: 'ok', value: 'one' }],
      ['b', 2, { kind: 'ok' }],
    ])
    expect(next).toEqual(run({ unread: 2, operations: 2, outcomes: 2 }))
    expect(Object.keys(rows())).toEqual([signal('t', 3), signal('undefined', 4), op(1), op(2)])
  })

  test('leaves a signal for the next wait where one has its outcome already', () => {
    const { context, rows } = contextWith({ [signal('s', 1)]: ['one'] })
    const recorded = { ...wait('a'), ...ok(0), at: 0, place: 1, number: 1 } as never

    const [delivered] = delivering(
      run({ unread: 1 }),
      context,
      [{ ...wait('a', 's'), recorded }, wait('b', 's')],
      none,
    )

    expect(delivered.map(({ key }) => key)).toEqual(['b'])
    expect(Object.keys(rows())).toEqual([op(1)])
  })

  test('reads no row without an unread signal', () => {
    const { context, rows } = contextWith({ [signal('s', 1)]: ['one'] })
    expect(delivering(run(), context, [wait('a', 's')], none)).toEqual([[], run()])
    expect(Object.keys(rows())).toEqual([signal('s', 1)])
  })
})

describe('placing', () => {
  const asked = new Map([
    ['a', 0],
    ['b', 0],
  ])
  const cancel = { reason: 'rain', isPlaced: false }
  const marker = { kind: 'cancel', key: '$cancel', outcome: { kind: 'ok' }, at: 1 }

  test('gives a cancel the next place, with what the body has asked for', () => {
    const { context, rows } = contextWith()
    const before = run({ cancel, operations: 3, outcomes: 2 })

    const [row, next] = placing(before, context, { asked, reopened: undefined })

    expect(row).toEqual({ ...marker, asked: 2, place: 3, number: 4 })
    expect(next).toEqual({
      ...before,
      ...{ status: 'cancelling', since: 1, operations: 4, outcomes: 3 },
      cancel: { reason: 'rain', isPlaced: true },
    })
    expect(rows()).toEqual({ [op(4)]: { ...marker, asked: 2, place: 3 } })
  })

  test('gives a cancel the place of an operation that runs again, and ends the record there', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((key) => ({ kind: 'step', key, at: 0 }) as const)
    const { context, rows } = contextWith({
      ...{ [op(1)]: { ...a, place: 1, ...ok(1) }, [op(2)]: { ...b, place: 2 } },
      ...{ [op(3)]: { ...c, place: 3, ...ok(3) } },
    })
    const before = run({ cancel, operations: 3, outcomes: 3 })

    const [row, next] = placing(before, context, { asked, reopened: 2 })

    expect(row).toEqual({ ...marker, asked: 2, place: 2, number: 4 })
    expect([next.operations, next.outcomes, next.cancel?.isPlaced]).toEqual([4, 3, true])
    expect(rows()).toEqual({
      ...{ [op(1)]: { ...a, place: 1, ...ok(1) }, [op(2)]: b },
      [op(4)]: { ...marker, asked: 2, place: 2 },
    })
  })

  test('takes no place of an operation that has its outcome by now, and no row changes', () => {
    const row = { kind: 'step', key: 'a', at: 0, place: 1, ...ok(1) }
    const { context, rows } = contextWith({ [op(1)]: row, [op(2)]: { ...row, key: 'z', place: 2 } })
    const before = run({ cancel, operations: 2, outcomes: 2 })

    expect(placing(before, context, { asked, reopened: 1 })).toEqual([undefined, before])
    expect(Object.keys(rows())).toEqual([op(1), op(2)])
  })

  const noPlace: readonly (readonly [string, Partial<RunState>])[] = [
    ['without a cancel', {}],
    ['with a cancel that has its place', { cancel: { reason: 'rain', isPlaced: true } }],
    ...([...over, 'blocked'] as const).map(
      (status) => [`that is ${status}`, { cancel, status }] as const,
    ),
  ]
  test.each(noPlace)('places nothing in a run %s', (_, changes) => {
    const { context, rows } = contextWith()
    expect(placing(run(changes), context, { asked, reopened: undefined })).toEqual([
      ...[undefined, run(changes)],
    ])
    expect(rows()).toEqual({})
  })
})

describe('resting', () => {
  const waitsFor = { kind: 'timer', name: 't' } as const
  const seen = { outcomes: 2, signals: 1, at: 9, waitsFor, open: [] } as const
  const known = run({ outcomes: 2, signals: 1, waitsFor: { kind: 'signal' } })

  test('lets a run wait that is as its life knows it, with an alarm for its timer', () => {
    const { context, done } = contextWith()
    expect(resting(known, context, seen)).toEqual([
      ...[true, { ...known, status: 'waiting', since: 1, waitsFor: seen.waitsFor }],
    ])
    expect(done).toEqual([['timer', { inMs: 8 }]])
  })

  test('sets no alarm without a timer, and forgets what the run waited for before', () => {
    const { context, done } = contextWith()
    const { waitsFor: _, ...others } = known
    const none = { ...seen, at: Number.POSITIVE_INFINITY, waitsFor: undefined }
    expect(resting(known, context, none)).toEqual([
      ...[true, { ...others, status: 'waiting', since: 1 }],
    ])
    expect(done).toEqual([])
  })

  test.each([
    ['has another outcome', { outcomes: 3 }],
    ['has another signal', { signals: 2 }],
    ['does not run', { status: 'cancelling' }],
    ['is to be cancelled', { cancel: { reason: '', isPlaced: false } }],
  ] as const)('lets no run wait that %s', (_, changes) => {
    const { context, done } = contextWith()
    expect(resting({ ...known, ...changes }, context, seen)).toEqual([
      ...[false, { ...known, ...changes }],
    ])
    expect(done).toEqual([])
  })
})

describe('the end of a run', () => {
  test('is kept, and found again: an output in a row, an error in the state', () => {
    const { context, rows } = contextWith()
    const before = run({ error, status: 'undoing' })
    const { error: _, ...others } = before

    const completed = ended(before, context, { status: 'completed', output: 7 })
    expect(completed).toEqual({ ...others, status: 'completed', since: 1 })
    expect(rows()).toEqual({ output: 7 })
    expect(endOf(completed, context)).toEqual({ status: 'completed', output: 7 })

    const nothing = contextWith()
    ended(before, nothing.context, { status: 'completed', output: undefined })
    expect(nothing.rows()).toEqual({})
    expect(endOf(completed, nothing.context)).toEqual({ status: 'completed', output: undefined })

    for (const status of ['failed', 'cancelled', 'blocked'] as const) {
      const state = ended(run(), context, { status, error })
      expect(state).toEqual(run({ status, since: 1, error }))
      expect(endOf(state, context)).toEqual({ status, error })
      expect(endOf(run({ status }), context)).toMatchObject({
        ...{ status, error: { message: 'no reason was kept' } },
      })
    }
    for (const status of ['running', 'waiting', 'cancelling', 'undoing'] as const)
      expect(endOf(run({ status }), context)).toBe(undefined)
  })

  test('is not there yet when it is blocked: those that wait and its parent hear it', () => {
    const parent = { type: 't', id: '1', birth: 'b', lap: 0, number: 1 }
    const heard: RunEnd[] = []
    const present = (told: string[]) =>
      ({
        waiting: new Set([{ reply: (end: RunEnd) => heard.push(end) }]),
        updates: new Map(),
        failing: { end: () => told.push('no step fails') },
      }) as unknown as Present

    for (const [state, expected] of [
      [run(), ['no step fails']],
      [run({ parent }), ['no step fails', 'notifyParent']],
    ] as const) {
      const { context, done } = contextWith()
      expect(blocking(state, context, present(done as string[]), error)).toEqual([
        ...[true, { ...state, status: 'blocked', since: 1, error }],
      ])
      expect(done).toEqual(expected)
    }
    expect(heard).toEqual([
      { status: 'blocked', error },
      { status: 'blocked', error },
    ])
    for (const status of over) {
      const { context, done } = contextWith()
      const state = run({ status, parent })
      const found = blocking(state, context, present(done as string[]), error)
      expect(found).toEqual([false, state])
      expect(done).toEqual([])
    }
  })
})

describe('a lap', () => {
  test('begins with its input and version, without a record, under other keys', () => {
    const { context, rows } = contextWith({ input: 1 })
    const before = run({ outcomes: 3, operations: 4, lap: 1, round: 2, signals: 5 })
    const next = { ...before, version: 7, outcomes: 0, operations: 0, lap: 2, round: 3 }

    expect(beginningAgain(before, context, 2, 7)).toEqual(next)
    expect(rows()).toEqual({ input: 2 })
    beginningAgain(before, context, undefined, 7)
    expect(Object.keys(rows())).toEqual([])
  })

  test('clears the rows of those before it, 500 in a turn, and none of its own', () => {
    const keys = Array.from({ length: 600 }, (_, at) => op(at + 1, at % 2))
    const own = [op(1, 2), 'input', signal('s', 1)]
    // What cannot be read goes too.
    const all = [...keys, ...own].map((key) => [key, unreadable])
    const { context, rows } = contextWith(Object.fromEntries(all))

    expect(clearing(run({ lap: 2 }), context)).toBe(true)
    expect(Object.keys(rows())).toHaveLength(103)
    expect(clearing(run({ lap: 2 }), context)).toBe(false)
    expect(Object.keys(rows()).sort()).toEqual(own.sort())
  })

  test('has its own operations alone in its record, more than a page of them', () => {
    const rows = [...Array(1_200).keys()].map((at) => [op(at + 1, 1), { key: `${at}` }])
    const { context } = contextWith({ ...Object.fromEntries(rows), [op(1)]: {}, [op(1, 2)]: {} })

    const found = [...recordIn({ lap: 1 } as RunState, context.rows)]

    expect(found).toEqual([...Array(1_200).keys()].map((at) => ({ key: `${at}`, number: at + 1 })))
  })
})
