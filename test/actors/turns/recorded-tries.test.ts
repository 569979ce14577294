/** How rows keep the tries of steps and alarms, and rows that an earlier version wrote. */
import { describe, expect, test } from 'vitest'
import {
  type Alarm,
  mainRow,
  nothing,
  readAlarm,
  readBody,
  readParked,
  rowChanges,
  type Step,
} from '../../../src/actors/turns/memory.ts'
import { failureOf } from '../../../src/actors/turns/retry-policy.ts'
import { errorOf, KeelsonError } from '../../../src/errors.ts'
import { encodeList, markBytes } from '../../../src/storage/index.ts'

const identity = { kind: 'order', id: '1', entity: 'order/1' }
const mark = { incarnation: '0123456789abcdef', seq: 1 }

const step: Step = {
  ...{ step: 'a/1/0', name: 'charge', payload: { cents: 5 }, tries: 0, notBefore: 0, wakeAt: 7 },
  failure: undefined,
}
const alarm: Alarm = {
  ...{ setting: 'a/1', payload: undefined, at: 9, tries: 0, dueAt: 9, failure: undefined },
}

const bodyOf = (steps: readonly Step[]) =>
  readBody(mainRow({ ...nothing, state: 'state', mark, steps }, mark, 1, '').subarray(markBytes))

const alarmOf = (set: Alarm) => {
  const after = { ...nothing, mark, alarms: new Map([['ring', set]]) }
  const [, bytes] =
    rowChanges(identity, nothing, after).find(([key]) => key.startsWith('\0a')) ?? []
  return readAlarm(bytes as Uint8Array)
}

describe('rows that know no failures', () => {
  test('are read: steps with and without a payload', () => {
    const recorded = [
      ['a/1/0', 'charge', 3, 5, 7, { cents: 5 }],
      ['a/1/1', 'mail', 0, 0, 7],
    ]
    const body = readBody(encodeList([1, 2, '', recorded, {}, 'state']))

    expect(body).toMatchObject({ version: 2, state: 'state' })
    expect(body.steps).toEqual([
      { ...step, tries: 3, notBefore: 5 },
      { ...step, step: 'a/1/1', name: 'mail', payload: undefined },
    ])
  })

  test('are read: an alarm', () => {
    expect(readAlarm(encodeList(['a/1', 9, 2, 11, 'text']))).toEqual({
      ...alarm,
      ...{ tries: 2, dueAt: 11, payload: 'text' },
    })
  })

  test('of a version to come are refused', () => {
    const later = () => readBody(encodeList([9, 1, '', [], {}]))
    expect(later).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }))
  })
})

describe('a failure', () => {
  const errors: readonly (readonly [string, unknown])[] = [
    ['a KeelsonError', new KeelsonError('CONFLICT', 'gone', { details: { more: () => 1 } })],
    ['an error with a code', Object.assign(new TypeError('gone'), { code: 'ENOENT' })],
    ['an error with a numeric code', Object.assign(new Error('gone'), { code: 20 })],
    ['a text', 'gone'],
    ['nothing', undefined],
    ['an object without a text', Object.create(null)],
    ['a symbol', Symbol('gone')],
  ]

  test.each(errors)('with %s is kept, of a step and of an alarm', (_, thrown) => {
    for (const next of ['retry', 'onFailed', 'unblock'] as const) {
      const failure = failureOf({ next, error: thrown }, 5)
      const failed = { ...step, tries: 2, failure }
      expect(bodyOf([failed, step]).steps).toEqual([failed, step])
      expect(alarmOf({ ...alarm, tries: 2, failure })).toEqual({ ...alarm, tries: 2, failure })
      expect(errorOf(failure.error)).toBeInstanceOf(Error)
    }
  })

  test('keeps name, code and 500 characters of the message', () => {
    const thrown = new KeelsonError('CONFLICT', 'x'.repeat(1_000), { details: { card: 7 } })
    const kept = errorOf(failureOf({ next: 'retry', error: thrown }, 5).error)

    expect(kept).toBeInstanceOf(KeelsonError)
    expect([kept.message.length, (kept as KeelsonError).code]).toEqual([500, 'CONFLICT'])
    const gone = errorOf(
      failureOf({ next: 'retry', error: Object.assign(new TypeError('no'), { code: 'E1' }) }, 5)
        .error,
    )
    expect([gone.name, gone.message, (gone as { code?: string }).code]).toEqual([
      ...['TypeError', 'no', 'E1'],
    ])
  })
})

test('a parked step or alarm has no due row, and one row of the index says what is parked', () => {
  const failure = failureOf({ next: 'unblock', error: new Error('no') }, 5)
  const [parkedStep, parkedAlarm] = [
    { ...step, tries: 2, failure },
    { ...alarm, tries: 3, failure: { ...failure } },
  ]
  const before = { ...nothing, mark, steps: [step], alarms: new Map([['ring', alarm]]) }
  const after = { ...before, steps: [parkedStep], alarms: new Map([['ring', parkedAlarm]]) }

  const changes = rowChanges(identity, before, after)
  const kindsOf = changes.map(([key, bytes]) => [key[1], bytes !== undefined])
  expect(kindsOf.sort()).toEqual([
    ['a', true],
    ['d', false],
    ['d', false],
    ['x', true],
  ])
  const [, index] = changes.find(([key]) => key.startsWith('\0x')) ?? []
  expect(readParked(index as Uint8Array)).toEqual([
    { kind: 'continue', name: 'charge', step: 'a/1/0', tries: 2, failure },
    { kind: 'alarm', name: 'ring', step: 'a/1/alarm/ring', tries: 3, failure },
  ])
  const removed = rowChanges(identity, after, nothing)
  expect(removed.map(([key, bytes]) => [key[1], bytes])).toEqual([
    ['a', undefined],
    ['x', undefined],
  ])
})
