/** The repairs of a run, as pure changes of its state and its rows: decisions, and outcomes that are taken back. */
import { describe, expect, test } from 'vitest'
import { LargeValue } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { RunContext } from '../../../src/flow/runs/messages.ts'
import { type Operation, padded, type RunState, updateKey } from '../../../src/flow/runs/record.ts'
import { readable, reopening, settled, wholeEnd, wholeOf } from '../../../src/flow/runs/turns.ts'
import {
  contextWith,
  corrupt,
  error,
  ok,
  op,
  run,
  signal,
  thrown,
  unreadable,
} from '../../support/worlds/run-rows.ts'

describe('settling', () => {
  const step = { kind: 'step', key: 'a', at: 0, hasBegun: true } as const

  test('decides an operation without an outcome, and nothing else', async () => {
    const { context, rows } = contextWith({
      [op(1)]: step,
      [op(2)]: { ...step, key: 'b', ...ok(1) },
    })
    const before = run({ operations: 2, outcomes: 1, status: 'blocked' })
    const decide = (key: string) => settled(before, { key, ...ok('yes') }, context)

    expect(await decide('b')).toBe(undefined)
    expect(await decide('none')).toBe(undefined)
    expect(await decide('a')).toEqual({ ...before, outcomes: 2 })
    expect(rows()[op(1)]).toEqual({ ...step, at: 1, place: 2, ...ok('yes') })
    expect(rows()[op(2)]).toEqual({ ...step, key: 'b', ...ok(1) })
  })

  test('decides no input that can be read, and none by an error', async () => {
    const { context, rows } = contextWith({ input: 1 })

    expect(await settled(run(), { key: '$input', ...ok(2) }, context)).toBe(undefined)
    await expect(settled(run(), { key: '$input', ...thrown }, context)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect(rows()).toEqual({ input: 1 })
  })
})

describe('what cannot be read', () => {
  test('is named, with the reason, and another error stays as it is', async () => {
    const said = { code: 'CORRUPT', message: 'the input cannot be read: it is damaged' }
    const error = { ...said, details: { file: 'f', what: 'the input' } }
    expect(() => readable('the input', corrupt)).toThrow(expect.objectContaining(error))
    expect(readable('the input', () => 7)).toBe(7)
    const other = new KeelsonError('CLOSED', 'closed')
    const closed = (): never => {
      throw other
    }
    expect(() => readable('the input', closed)).toThrow(other)

    const large = (load: () => Promise<unknown>) =>
      Object.assign(Object.create(LargeValue.prototype), { load })
    expect(await wholeOf('the input', 7)).toBe(7)
    expect(
      await wholeOf(
        'the input',
        large(async () => 'all'),
      ),
    ).toBe('all')
    await expect(
      wholeOf(
        'the input',
        large(async () => corrupt()),
      ),
    ).rejects.toMatchObject(error)
    await expect(
      wholeOf(
        'the input',
        large(async () => closed()),
      ),
    ).rejects.toBe(other)
    expect(await wholeEnd({ status: 'completed', output: large(async () => 8) })).toEqual({
      ...{ status: 'completed', output: 8 },
    })
    const failed = { status: 'failed', error: { name: 'Error', message: 'no' } } as const
    expect(await wholeEnd(failed)).toBe(failed)
  })

  test('is settled: the input, the first signal, or the first row, and nothing beside it', async () => {
    const before = run({ operations: 4, outcomes: 3, status: 'blocked' })
    const given = {
      ...{ input: unreadable, [signal('s', 1)]: ['one'], [signal('s', 2)]: unreadable },
      ...{
        [signal('s', 3)]: unreadable,
        [op(1)]: { kind: 'step', key: 'a', at: 0, place: 1, ...ok(1) },
      },
      ...{ [op(2)]: unreadable, [op(3)]: { kind: 'step', key: 'c', at: 0, place: 3, ...ok(3) } },
      [op(4)]: unreadable,
    }
    const { context, rows } = contextWith(given)
    const decide = (key: string, value: unknown = 'new') =>
      settled(before, { key, outcome: { kind: 'ok', value } }, context)

    expect(await decide('$signal/s')).toBe(before)
    expect(rows()).toEqual({ ...given, [signal('s', 2)]: ['new'] })
    expect(await decide('$input')).toBe(before)
    expect(rows().input).toBe('new')
    expect(await decide('b')).toEqual(before)
    expect(rows()[op(2)]).toEqual({ kind: 'settled', key: 'b', at: 1, place: 2, ...ok('new') })
    // No place is left for the next one: it is new.
    expect(await decide('d')).toEqual({ ...before, outcomes: 4 })
    expect(rows()[op(4)]).toEqual({ kind: 'settled', key: 'd', at: 1, place: 4, ...ok('new') })
    expect(await decide('e')).toBe(undefined)
    for (const key of ['$signal/s', '$signal/none', '$input'])
      expect(await decide(key)).toBe(key === '$signal/s' ? before : undefined)
    expect(await decide('$signal/s')).toBe(undefined)
  })

  test('of an update: it keeps its id if that is known, and may be sent again if it is not', async () => {
    const before = run({ status: 'blocked' })
    const update = (name: string, number: number) => `signal/$${name}/${padded(number)}`
    const known = { [updateKey('=done')]: { lap: 0 }, [updateKey('=read')]: {} }
    const read = { [update('v', 1)]: { update: '=read', value: 1 } }
    const decide = (context: RunContext) =>
      settled(before, { key: '$update/u', outcome: { kind: 'ok', value: 'new' } }, context)

    const one = contextWith({
      ...known,
      ...read,
      [updateKey('=a')]: {},
      [update('u', 2)]: unreadable,
    })
    expect(await decide(one.context)).toBe(before)
    expect(one.rows()[update('u', 2)]).toEqual({ update: '=a', value: 'new' })
    expect(one.rows()[updateKey('=a')]).toEqual({})
    expect(await decide(one.context)).toBe(undefined)

    // Which of the two had the id is not known.
    const two = contextWith({
      ...{ ...known, ...read, [updateKey('=a')]: {}, [update('u', 2)]: unreadable },
      [update('w', 3)]: unreadable,
    })
    expect(await decide(two.context)).toBe(before)
    expect(two.rows()[update('u', 2)]).toEqual({ update: '#2', value: 'new' })
    expect(two.rows()).not.toHaveProperty([updateKey('=a')])
    expect(two.rows()).toMatchObject(known)
  })

  test('is no input any more when it is settled as nothing', async () => {
    const { context, rows } = contextWith({ input: unreadable })
    const nothing = { key: '$input', outcome: { kind: 'ok' } } as const
    expect(await settled(run(), nothing, context)).toEqual(run())
    expect(Object.keys(rows())).toEqual([])
  })
})

describe('reopening', () => {
  const step = (key: string, place: number, more: object = ok(place)) =>
    ({ kind: 'step', key, at: 0, tries: 2, place, ...more }) as Operation
  const bare = (key: string, place?: number) => ({
    ...{ kind: 'step', key, at: 0 },
    ...(place !== undefined && { place }),
  })
  const reopened = (rows: Readonly<Record<string, unknown>>, changes: Partial<RunState>) => {
    const { context, rows: after } = contextWith(rows)
    const before = run({ status: 'failed', error, ...changes })
    const state = reopening(before, context, { type: 'p', id: '1' })
    return { state, rows: after() }
  }
  const failed = run({ status: 'failed' })

  test('takes back the failure that ended the run: the named one, or else the last outcome', () => {
    const rows = { [op(1)]: step('a', 1, thrown), [op(2)]: step('b', 2, thrown) }

    expect(reopened(rows, { failedBy: 1 })).toEqual({
      state: failed,
      rows: { ...rows, [op(1)]: bare('a', 1) },
    })
    expect(reopened(rows, {}).rows).toEqual({ ...rows, [op(2)]: bare('b', 2) })
    // The last outcome is that with the last place, whatever its number.
    const turned = { [op(1)]: step('a', 2, thrown), [op(2)]: step('b', 1, thrown) }
    expect(reopened(turned, {}).rows).toEqual({ ...turned, [op(1)]: bare('a', 2) })
  })

  test('keeps every outcome when the last one is no failure, but for a wait that ran out', () => {
    const good = { [op(1)]: step('a', 1, thrown), [op(2)]: step('b', 2) }
    expect(reopened(good, {}).rows).toEqual(good)

    const wait = { kind: 'wait', key: 'w', at: 5, dueAt: 5, place: 2 }
    const heard = { ...wait, ...ok('yes') }
    const ranOut = { ...wait, outcome: { kind: 'ok' } }
    expect(reopened({ [op(2)]: heard }, {}).rows).toEqual({ [op(2)]: heard })
    expect(reopened({ [op(2)]: ranOut }, {}).rows).toEqual({
      [op(2)]: { kind: 'wait', key: 'w', at: 5, place: 2 },
    })
    // A signal without a value came in time, or to a wait without one.
    for (const heard of [
      { ...ranOut, at: 4 },
      { ...ranOut, dueAt: undefined },
    ])
      expect(reopened({ [op(2)]: heard }, {}).rows).toEqual({ [op(2)]: heard })
    // What was undone since is no outcome of the body.
    const undone = { [op(2)]: ranOut, [op(3)]: step('undo:a', 3) }
    expect(reopened(undone, {}).rows).toEqual(reopened({ [op(2)]: ranOut }, {}).rows)
    const slept = { ...ranOut, kind: 'sleep' }
    expect(reopened({ [op(2)]: slept }, {}).rows).toEqual({ [op(2)]: slept })
  })

  test('forgets a cancel and its place, and no operation failed in it', () => {
    const cancel = { reason: 'rain', isPlaced: true }
    const rows = { [op(1)]: step('a', 1, thrown), [op(2)]: step('$cancel', 2) }

    expect(reopened(rows, { cancel, status: 'cancelled' })).toEqual({
      state: run({ status: 'cancelled' }),
      rows: { [op(1)]: step('a', 1, thrown) },
    })
  })

  test('runs steps again that were undone, under the keys of another round', () => {
    const rows = {
      ...{ [op(1)]: step('a', 1), [op(2)]: step('b', 2), [op(3)]: step('undo:a', 3) },
    }
    expect(reopened(rows, {})).toEqual({
      state: { ...failed, round: 1 },
      rows: { [op(1)]: bare('a', 1), [op(2)]: step('b', 2) },
    })
  })

  test('keeps the start mark of a step of once whose outcome nobody knows, unless it was undone', () => {
    const once = { kind: 'step', key: 'o', at: 0, hasBegun: true }
    const rows = { [op(1)]: once, [op(2)]: { ...once, key: 'p', place: 1, ...ok(1) } }
    expect(reopened(rows, {}).rows).toEqual(rows)

    const undone = { ...rows, [op(3)]: step('undo:o', 2) }
    expect(reopened(undone, {}).rows).toEqual({ ...rows, [op(1)]: bare('o') })
  })

  test('takes back no failure of a run that was ended by force, unless it was being undone', () => {
    const rows = { [op(1)]: step('a', 1, thrown), [op(2)]: step('b', 2, thrown) }
    expect(reopened(rows, { status: 'cancelled' }).rows).toEqual(rows)

    const undoing = { ...rows, [op(3)]: { kind: 'step', key: 'undo:c', at: 0, tries: 1 } }
    const left = { ...rows, [op(2)]: bare('b', 2) }
    expect(reopened(undoing, { status: 'cancelled' }).rows).toEqual(left)
    const named = reopened(undoing, { status: 'cancelled', failedBy: 1 })
    expect(named.rows).toEqual({ ...rows, [op(1)]: bare('a', 1) })
  })

  test('takes back the end of a child that was cancelled with this run, and its place, and no other end', () => {
    const child = (reason: string, place: number) => ({
      ...{ kind: 'child', key: `c${place}`, at: 0, child: `t/${place}`, place },
      outcome: { kind: 'error', error: { name: 'E', code: 'CANCELLED', message: reason } },
    })
    const rows = {
      ...{ [op(1)]: step('a', 1, thrown), [op(2)]: child('rain', 2) },
      ...{ [op(3)]: child('its parent p/2 has ended', 3) },
    }
    const own = { [op(4)]: child('its parent p/1 has ended', 4) }
    expect(reopened({ ...rows, ...own }, { failedBy: 1 }).rows).toEqual({
      ...{ ...rows, [op(1)]: bare('a', 1) },
      [op(4)]: { kind: 'child', key: 'c4', at: 0, child: 't/4' },
    })
    // The body never got it, so it has not ended the run.
    const last = reopened({ [op(1)]: step('a', 1, thrown), ...own }, {})
    expect(last.rows[op(1)]).toEqual(bare('a', 1))
  })
})
