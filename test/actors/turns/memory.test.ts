/** What a durable actor remembers, in rows: it comes back as it was, and a turn changes only the rows that differ. */
import { describe, expect, test } from 'vitest'
import {
  type Alarm,
  type Memory,
  mainRow,
  nothing,
  readAlarm,
  readBody,
  rowChanges,
  type Step,
  stepsName,
} from '../../../src/actors/turns/memory.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  alarmRowKey,
  dueRowKey,
  encodeIndexValue,
  encodeList,
  indexRowKey,
} from '../../../src/storage/index.ts'
import { entityRow, readEntityRow } from '../../../src/storage/values/entity-row.ts'

const identity = { kind: 'order', id: '7', entity: 'order/7' }
const mark = { incarnation: '0123456789abcdef', seq: 3 }
const step = (payload: unknown, wakeAt = 9): Step => ({
  ...{ step: 's', name: 'pay', payload, tries: 2, notBefore: 5, wakeAt, failure: undefined },
})
const alarm = (dueAt: number, payload?: unknown): Alarm => ({
  ...{ setting: 'x', payload, at: 4, tries: 1, dueAt, failure: undefined },
})
const failing: Step = {
  ...step(1),
  failure: { next: 'retry', at: 8, error: { name: 'Error', message: 'no' } },
}
const remembered = (changes: Partial<Memory>): Memory => ({ ...nothing, ...changes })
const written = (memory: Memory) => readEntityRow(entityRow(mainRow(memory, mark, 6, 'shape')))

describe('a main row', () => {
  test.each<[string, Partial<Memory>]>([
    ['nothing', {}],
    ['a state', { state: { n: 1 } }],
    ['a state of null', { state: null }],
    ['steps', { state: 1, steps: [step({ a: 1 }), step(undefined)] }],
    ['fields', { fields: { total: 5, open: true } }],
    ['own rows', { state: 1, birth: 'b' }],
    ['own rows without a state', { birth: 'b' }],
    ['own rows and failures', { state: 1, birth: 'b', steps: [failing] }],
  ])('with %s comes back as it was, with its mark', (_, changes) => {
    const memory = remembered(changes)
    const { mark: found, body } = written(memory)
    const { state, steps, fields, birth } = memory
    expect(found).toEqual(mark)
    expect(readBody(body)).toEqual({ version: 6, shape: 'shape', state, steps, fields, birth })
  })

  test('of a later layout is UNSUPPORTED_VERSION', () => {
    expect(() => readBody(encodeList([9, 1, '', [], {}]))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
    )
  })
})

describe('what cannot be stored', () => {
  const pathOf = (write: () => unknown): unknown => {
    try {
      write()
    } catch (error) {
      if (isKeelsonError(error, 'INVALID_ARGUMENT')) return error.details.path
      throw error
    }
    return 'stored'
  }
  const unsaid = () => 1

  test.each<[string, Partial<Memory>, readonly (string | number)[]]>([
    ['in a state', { state: { list: [unsaid] } }, ['state', 'list', 0]],
    ['in a state beside own rows', { state: unsaid, birth: 'b' }, ['state']],
    ['in a step', { steps: [step(1), step({ a: unsaid })] }, ['steps', 1, 'payload', 'a']],
    ['in the index', { fields: { total: unsaid as never } }, ['index', 'total']],
  ])('%s is named by its path', (_, changes, path) => {
    expect(pathOf(() => mainRow(remembered(changes), mark, 1, ''))).toEqual(path)
  })

  test('in an alarm is named by its path', () => {
    const after = remembered({ alarms: new Map([['ring', alarm(4, { a: unsaid })]]) })
    expect(pathOf(() => rowChanges(identity, nothing, after))).toEqual(['alarms', 'ring', 'a'])
  })
})

/** The changes between two memories: keys with `+` or `-`. */
const changed = (before: Partial<Memory>, after: Partial<Memory>): string[] =>
  rowChanges(identity, remembered(before), remembered(after)).map(
    ([key, bytes]) => `${bytes ? '+' : '-'}${key}`,
  )
const due = (at: number, name: string) => dueRowKey(at, 'order/7', name)
const index = (field: string, value: number | string | null) =>
  indexRowKey('order', field, encodeIndexValue(value), '7')

describe('the rows beside a main row', () => {
  test('of an alarm are its own, and when it is due', () => {
    const [early, late] = [alarm(4, 'p'), alarm(8, 'p')]
    const key = alarmRowKey('order/7', 'ring')
    const alarms = (one?: Alarm) => ({ alarms: new Map(one ? [['ring', one]] : []) })
    expect(changed(alarms(), alarms(early))).toEqual([`+${key}`, `+${due(4, 'ring')}`])
    expect(changed(alarms(early), alarms(late))).toEqual([
      ...[`+${key}`, `-${due(4, 'ring')}`, `+${due(8, 'ring')}`],
    ])
    expect(changed(alarms(early), alarms({ ...early, tries: 9 }))).toEqual([`+${key}`])
    expect(changed(alarms(early), alarms(early))).toEqual([])
    expect(changed(alarms(early), alarms())).toEqual([`-${key}`, `-${due(4, 'ring')}`])
    for (const each of [early, alarm(8)]) {
      const [[, bytes] = []] = rowChanges(identity, nothing, remembered(alarms(each)))
      expect(bytes && readAlarm(bytes)).toEqual(each)
    }
  })

  test('of steps say when the first of them must be woken', () => {
    const steps = (...wakeAts: readonly number[]) => ({
      steps: wakeAts.map((wakeAt) => step(1, wakeAt)),
    })
    expect(changed(steps(), steps(9, 5, 7))).toEqual([`+${due(5, stepsName)}`])
    expect(changed(steps(9, 5), steps(5))).toEqual([])
    expect(changed(steps(5, 9), steps(9))).toEqual([
      `-${due(5, stepsName)}`,
      `+${due(9, stepsName)}`,
    ])
    expect(changed(steps(9), steps())).toEqual([`-${due(9, stepsName)}`])
  })

  test('of the index are those of values that differ', () => {
    const before = { fields: { total: 5, name: 'a', gone: 1, none: null } }
    const after = { fields: { total: 6, name: 'a', gone: undefined, none: null, born: 'b' } }
    expect(changed(before, after)).toEqual([
      ...[`-${index('total', 5)}`, `+${index('total', 6)}`, `-${index('gone', 1)}`],
      `+${index('born', 'b')}`,
    ])
    expect(changed(before, before)).toEqual([])
  })

  test('do not change when nothing of them did', () => {
    const memory = remembered({ alarms: new Map([['ring', alarm(4)]]), steps: [step(1)] })
    expect(rowChanges(identity, memory, { ...memory, state: 'other' })).toEqual([])
  })
})
