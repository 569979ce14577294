/** A durable server as its process reads it: what it leaves out, and what its index may give. */
import { describe, expect, test } from 'vitest'
import { durableTable } from '../../../src/actors/turns/durable-table.ts'
import { isKeelsonError } from '../../../src/errors.ts'

const init = () => ({})

test('a server that says nothing has version 1, no handlers, and states that are neither busy nor final', () => {
  const table = durableTable({ init })
  expect(table).toMatchObject({ version: 1, shape: '', kind: undefined, onFailed: undefined })
  expect([table.isBusy({}), table.isFinal({}), table.fieldsOf({})]).toEqual([false, false, {}])
  for (const section of [table.calls, table.casts, table.infos, table.alarms])
    expect(Object.keys(section)).toEqual([])
})

test('a promise that a state is final is refused: it would be true', () => {
  const table = durableTable({ init, isFinal: async () => false })
  expect(() => table.isFinal({})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

test('a message that is named like a method of every object finds no handler', () => {
  const calls = { add: () => 1 }
  const table = durableTable({ init, calls })
  expect(table.calls['add']).toBe(calls.add)
  for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty'])
    expect(table.calls[name], name).toBeUndefined()
})

describe('the index of a server', () => {
  const faultOf = (index: (state: unknown) => unknown): unknown => {
    try {
      return durableTable({ init, index }).fieldsOf({ total: 5 })
    } catch (error) {
      if (isKeelsonError(error, 'INVALID_ARGUMENT')) return 'INVALID_ARGUMENT'
      throw error
    }
  }

  test('gives fields of a state; a field that is undefined is left out of the index', () => {
    const fields = { total: 5, open: true, name: 'Ada', gone: undefined }
    expect(faultOf(() => fields)).toEqual(fields)
    expect(faultOf((state) => state)).toEqual({ total: 5 })
  })

  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a text', () => 'total'],
    ['a list', () => [5]],
    ['a promise', () => Promise.resolve({ total: 5 })],
    ['a name of our own', () => ({ $total: 5 })],
    ['an object as a value', () => ({ total: { of: 5 } })],
    ['a function as a value', () => ({ total: () => 5 })],
    [
      'a throw',
      () => {
        throw new Error('no index')
      },
    ],
  ])('that gives %s is refused', (_, index) => {
    expect(faultOf(index)).toBe('INVALID_ARGUMENT')
  })
})
