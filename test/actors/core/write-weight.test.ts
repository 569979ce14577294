/** What a write counts at every bound. */
import { expect, test } from 'vitest'
import { bytesCounted, commandsIn, refuseMany } from '../../../src/actors/core/write-weight.ts'
import { alarmRowKey, type Command, type Turn, type Unit } from '../../../src/storage/index.ts'

test('a turn counts its main row, each other row and each entry of its writes', () => {
  const turn = (rows: Turn['rows'], writes: readonly Command[]): Turn => ({
    kind: 'turn',
    entity: 'order/42',
    follows: undefined,
    row: undefined,
    rows,
    writes,
  })
  const alarm = [alarmRowKey('order/42', 'a'), undefined] as const
  const many: Command = { kind: 'deleteMany', keys: ['a', 'b', 'c'] }
  expect(commandsIn(turn([], []))).toBe(1)
  expect(commandsIn(turn([alarm, alarm], [many, { kind: 'delete', key: 'd' }]))).toBe(7)
  expect(commandsIn([turn([alarm], []), many])).toBe(5)
})

test('an entry of the journal counts one', () => {
  expect(commandsIn([{ kind: 'entry' } as Unit])).toBe(1)
})

test('a command counts 256 bytes, or what its frame takes', () => {
  expect([bytesCounted(3, 100), bytesCounted(3, 1_000)]).toEqual([768, 1_000])
})

test('a write has 10,000 keys, and no more', () => {
  expect(() => refuseMany(10_000)).not.toThrow()
  expect(() => refuseMany(10_001)).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE', details: { keys: 10_001, keysMax: 10_000 } }),
  )
})
