/** Past turns, made of what the log has of them: their causes, their steps and alarms, and what runs recorded. */
import { describe, expect, test } from 'vitest'
import { pastTurn } from '../../../src/actors/entities/past-turns.ts'
import {
  type Alarm,
  type Identity,
  type Memory,
  mainRow,
  nothing,
  rowChanges,
  type Step,
} from '../../../src/actors/turns/memory.ts'
import { type Failure, failureOf } from '../../../src/actors/turns/retry-policy.ts'
import { encodeValue, type LoggedTurn } from '../../../src/storage/index.ts'
import { callIdRowKey } from '../../../src/storage/values/entity-key.ts'

const order: Identity = { kind: 'order', id: '7', entity: 'order/7' }
const run: Identity = { kind: '$flow-order', id: '7', entity: '$flow-order/7' }
const incarnation = '0123456789abcdef'
const time = 1_000

const step = (name: string, tries = 0, failure?: Failure): Step => ({
  ...{ step: `${incarnation}/1/${name}`, name, payload: undefined, tries },
  ...{ notBefore: 0, wakeAt: 5_000, failure },
})
const alarm = (at: number, tries = 0, failure?: Failure): Alarm => ({
  ...{ setting: `${incarnation}/1`, payload: undefined, at, dueAt: at, tries, failure },
})
const failed = (next: Failure['next'], message = 'no') =>
  failureOf({ next, error: new Error(message) }, time)
const stack = expect.stringContaining('past-turns.test.ts')
const error = { name: 'Error', message: 'no', stack }

const memory = (more: Partial<Memory> = {}): Memory => ({ ...nothing, state: {}, ...more })
const withSteps = (...steps: readonly Step[]): Memory => memory({ steps })
const withAlarms = (alarms: Readonly<Record<string, Alarm>>): Memory =>
  memory({ alarms: new Map(Object.entries(alarms)) })

/** The turn that leads from one memory to the next, as the log has it; `undefined`: there is none. */
const logged = (
  before: Memory | undefined,
  after: Memory | undefined,
  more: Partial<LoggedTurn> = {},
  identity = order,
): LoggedTurn => {
  const mark = { incarnation, seq: 2 }
  return {
    ...{ lsn: 9, unit: 0, time, cause: undefined, writes: [], entries: [], own: [], ownValues: [] },
    mark: after && mark,
    follows: before && { incarnation, seq: 1 },
    row: after && mainRow(after, mark, 1, ''),
    rows: rowChanges(identity, before ?? nothing, after ?? nothing),
    ...more,
  }
}

/** That turn as people look at it, behind the turn that made the memory before. */
const shown = (
  before: Memory | undefined,
  after: Memory | undefined,
  more: Partial<LoggedTurn> = {},
  identity = order,
) => {
  const earlier = before && logged(undefined, before, {}, identity)
  const turn = logged(before, after, more, identity)
  return pastTurn(identity.entity, turn, earlier, after?.state, undefined)
}
const causeOf = (...turn: Parameters<typeof shown>) => shown(...turn).cause

describe('the cause of a turn that recorded it', () => {
  const told = (what: string, by?: string) => ({
    cause: by === undefined ? { what } : { what, by },
  })

  test.each<[string, string, unknown]>([
    ['a call', 'call place', { kind: 'call' }],
    ['a cast', 'cast drop', { kind: 'message' }],
    ['a cast that is called like work', 'cast continue pay', { kind: 'message' }],
    ['a message that has the word in it', 'uncall me', { kind: 'message' }],
  ])('%s is no work', (_, message, cause) => {
    expect(causeOf(memory(), memory(), told(message))).toEqual({ ...(cause as object), message })
    expect(causeOf(undefined, memory(), told(message))).toEqual({ kind: 'birth', message })
    expect(causeOf(memory(), undefined, told(message))).toEqual({ kind: 'end', message })
  })

  test('names the process that called', () => {
    expect(causeOf(memory(), memory(), told('call place', 'clerk'))).toEqual({
      ...{ kind: 'call', message: 'call place', by: 'clerk' },
    })
  })

  test('has the error of the step or the alarm that it names, of several', () => {
    const steps = [step('mail', 1, failed('retry', 'mail')), step('pay', 1, failed('retry'))]
    const before = [step('mail'), step('pay')]
    const message = 'continue pay'
    expect(causeOf(withSteps(...before), withSteps(...steps), told(message))).toEqual({
      ...{ kind: 'step', name: 'pay', message, error },
    })
    const alarms = { early: alarm(1), late: alarm(5, 1, failed('unblock')) }
    const ofAlarm = 'onFailed of alarm late'
    expect(causeOf(memory(), withAlarms(alarms), told(ofAlarm))).toEqual({
      ...{ kind: 'alarm', name: 'late', message: ofAlarm, error },
    })
    const gone = 'onFailed of continue pay'
    expect(causeOf(withSteps(step('pay', 1)), memory(), told(gone))).toEqual({
      ...{ kind: 'step', name: 'pay', message: gone },
    })
  })

  test('an id of a call that is remembered is of a call, and one that is forgotten is not', () => {
    const key = callIdRowKey('order/7', 'request 7')
    const rows = (bytes?: Uint8Array) => ({ rows: [[key, bytes]] as const })
    expect(causeOf(memory(), memory(), rows(Uint8Array.of(1)))).toEqual({
      ...{ kind: 'call', name: 'request 7' },
    })
    expect(causeOf(undefined, memory(), rows(Uint8Array.of(1)))).toMatchObject({ kind: 'call' })
    expect(causeOf(memory(), memory(), rows())).toEqual({ kind: 'message' })
  })
  test.each<[string, Memory, Memory, unknown]>([
    [
      'a step with another try has failed',
      withSteps(step('pay', 1, failed('retry', 'earlier'))),
      withSteps(step('pay', 2, failed('retry'))),
      { kind: 'step', name: 'pay', error },
    ],
    [
      'a step whose onFailed has failed is parked at the same try',
      withSteps(step('pay', 2, failed('onFailed', 'earlier'))),
      withSteps(step('pay', 2, failed('unblock'))),
      { kind: 'step', name: 'pay', error },
    ],
    [
      'a failure of before is no news',
      withSteps(step('pay', 2, failed('retry'))),
      withSteps(step('pay', 2, failed('retry'))),
      { kind: 'step', name: 'pay' },
    ],
  ])('%s', (_, before, after, cause) => {
    const message = 'continue pay'
    expect(causeOf(before, after, told(message))).toEqual({ ...(cause as object), message })
  })

  test('has its whole name from the rows, and what it says where the turn before is not known', () => {
    const long = 'x'.repeat(100)
    const message = `continue ${'x'.repeat(48)}…`
    const cause = told(message)
    expect(causeOf(withSteps(step(long)), memory(), cause)).toMatchObject({ name: long })
    const turn = logged(memory(), memory(), cause)
    expect(pastTurn('order/7', turn, undefined, {}, undefined).cause).toEqual({
      ...{ kind: 'step', name: `${'x'.repeat(48)}…`, message },
    })
    expect(causeOf(memory(), memory(), told('alarm two\nlines'))).toMatchObject({
      name: 'two\nlines',
    })
  })
})

describe('a past turn', () => {
  test('has the mark that it left, and an end that of the turn before', () => {
    expect(shown(memory(), memory())).toMatchObject({ lsn: 9, time, incarnation, seq: 2 })
    expect(shown(memory(), undefined)).toMatchObject({ incarnation, seq: 1, state: undefined })
    const neither = logged(undefined, undefined)
    expect(pastTurn('order/7', neither, undefined, 1, undefined)).toMatchObject({ seq: 0 })
  })

  test('has the paths of what it changed, unless they are not known', () => {
    const turn = logged(memory(), memory())
    const changes = [{ path: 'a', before: 1 }, { path: 'b[0]' }]
    expect(pastTurn('order/7', turn, undefined, {}, changes).changed).toEqual(['a', 'b[0]'])
    expect(shown(memory(), memory())).not.toHaveProperty('changed')
  })

  test('has the steps that waited after it, and the alarms that it changed', () => {
    const before = withAlarms({ gone: alarm(10), kept: alarm(20) })
    const kept = before.alarms.get('kept') as Alarm
    const after = memory({
      steps: [step('mail'), step('pay', 3, failed('retry'))],
      alarms: new Map([
        ['kept', kept],
        ['set', alarm(30)],
        ['failing', alarm(40, 2, failed('retry'))],
      ]),
    })
    const { steps, alarms } = shown(before, after)
    expect(steps).toEqual([
      { name: 'mail', step: `${incarnation}/1/mail`, tries: 0 },
      { name: 'pay', step: `${incarnation}/1/pay`, tries: 3, error },
    ])
    expect(alarms).toEqual([
      { name: 'gone' },
      { name: 'set', at: 30, tries: 0 },
      { name: 'failing', at: 40, tries: 2, error },
    ])
    expect(shown(after, undefined).steps).toEqual([])
  })

  test('of a run has the operations that it recorded, and says which have failed', () => {
    const operation = (kind: unknown, key: unknown, outcome?: unknown) =>
      encodeValue({ kind, key, ...(outcome !== undefined && { outcome }) })
    const ownValues = [
      operation('step', 'charge', { kind: 'ok' }),
      operation('step', 'mail', { kind: 'error' }),
      operation('sleep', 'a day'),
      operation('step', 7),
      operation(7, 'step'),
      encodeValue('step charge'),
      encodeValue(Uint8Array.of(1)),
      encodeValue(null),
    ]
    expect(shown(memory(), memory(), { ownValues }, run).operations).toEqual([
      ...['step charge', 'step mail failed', 'sleep a day'],
    ])
  })

  test('of a run has the status that it set, and that of no other actor', () => {
    const status = (state: unknown): Memory => memory({ state })
    const [running, done] = [status({ status: 'running' }), status({ status: 'completed' })]
    const operations = (...turn: Parameters<typeof shown>) => shown(...turn).operations
    expect(operations(running, done, {}, run)).toEqual(['run completed'])
    expect(operations(running, running, {}, run)).toEqual([])
    expect(operations(running, done, {}, order)).toEqual([])
    expect(operations(undefined, running, {}, run)).toEqual([])
    expect(operations(running, undefined, {}, run)).toEqual([])
    expect(operations(running, status({ status: 7 }), {}, run)).toEqual([])
    expect(operations(running, status(undefined), {}, run)).toEqual([])
    expect(operations(status(undefined), running, {}, run)).toEqual(['run running'])
  })
})
