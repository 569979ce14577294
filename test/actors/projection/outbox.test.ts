import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Outbox } from '../../../src/actors/projection/outbox.ts'
import {
  encodeFrame,
  encodeValue,
  markOf,
  noExpiry,
  type RowChange,
  type Unit,
} from '../../../src/storage/index.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { appliedFrames } from '../../support/worlds/pending-frames.ts'

const unitsOf = (lsn: number): readonly Unit[] => [
  { kind: 'put', key: `k${lsn}`, value: encodeValue('v'), expiry: noExpiry },
]

const bytesOf = (lsn: number): number => encodeFrame(unitsOf(lsn)).length

/** All frames of an outbox, as it shows them, with the rows that each changes. */
const shown = (outbox: Outbox) =>
  Array.from({ length: outbox.size }, (_, at) => {
    const rows: RowChange[] = []
    outbox.apply(at, new MapRows(), { set: (rowKey, row) => rows.push([rowKey, row]) })
    return { lsn: outbox.lsn(at), time: outbox.time(at), rows }
  })

const rowsOf = (lsn: number): RowChange[] => [
  [`k${lsn}`, { value: encodeValue('v'), expiresAt: 0 }],
]

describe('the outbox', () => {
  test('shows frames one by one in any order, however they were grouped', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 5 }), skip: fc.nat(2) }),
      fc.record({ drop: fc.nat(4) }),
      fc.record({ ask: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const outbox = new Outbox(1_000, 1_000_000)
        const model: { lsn: number; time: number }[] = []
        let lsn = 0
        for (const each of steps) {
          if ('push' in each) {
            const time = lsn + 1_000
            const lsns = Array.from({ length: each.push + each.skip }, () => ++lsn)
            expect(outbox.push(appliedFrames(lsns, unitsOf, time), each.skip, time)).toBe(true)
            for (const one of lsns.slice(each.skip)) model.push({ lsn: one, time })
          } else if ('drop' in each) {
            const count = Math.min(each.drop, outbox.size)
            outbox.drop(count)
            model.splice(0, count)
          } else if (each.ask < model.length)
            expect(outbox.lsn(each.ask)).toBe(model[each.ask]?.lsn)
        }
        expect(shown(outbox)).toEqual(model.map((one) => ({ ...one, rows: rowsOf(one.lsn) })))
        expect(outbox.bytes).toBe(model.reduce((sum, one) => sum + bytesOf(one.lsn), 0))
        expect(outbox.oldestAt).toBe(model[0]?.time ?? 0)
      }),
    )
  })

  test('drops all frames if a group has no room, by frames or by bytes', () => {
    const group = appliedFrames([4, 5], unitsOf)
    for (const outbox of [new Outbox(4, 1_000_000), new Outbox(1_000, 4 * bytesOf(1))]) {
      expect(outbox.push(appliedFrames([1, 2, 3], unitsOf), 0, 0)).toBe(true)
      expect(outbox.push(group, 1, 0)).toBe(true)
      outbox.drop(1)
      expect(outbox.push(group, 0, 0)).toBe(false)
      expect([outbox.size, outbox.bytes]).toEqual([0, 0])
      expect(outbox.push(group, 0, 0)).toBe(true)
      expect(shown(outbox).map(({ lsn }) => lsn)).toEqual([4, 5])
    }
  })

  test('counts the rows of a short unit if they have more bytes than its frame', () => {
    const outbox = new Outbox(10, 1_000_000)
    const long = encodeValue('x'.repeat(10_000))
    const unitOf = (lsn: number): Unit =>
      lsn === 1
        ? { kind: 'put', key: 'k', value: long, expiry: noExpiry }
        : { kind: 'append', key: 'k', suffix: encodeValue('x') }
    outbox.push(appliedFrames([1, 2, 3], unitOf), 0, 0)
    expect(outbox.bytes).toBeGreaterThan(30_000)
    expect(outbox.bytes).toBeLessThan(30_500)
  })

  test('counts the commands of a group until all of it is dropped', () => {
    const outbox = new Outbox(10, 1_000_000)
    const many = { kind: 'deleteMany', keys: ['a', 'b', 'c'] } as const
    outbox.push(
      appliedFrames([1, 2, 3], (lsn) => (lsn === 2 ? many : unitsOf(lsn))),
      1,
      0,
    )
    outbox.push(appliedFrames([4], unitsOf), 0, 0)
    expect(outbox.commands).toBe(3 + 1 + 1)
    outbox.drop(1)
    expect(outbox.commands).toBe(3 + 1 + 1)
    outbox.drop(1)
    expect(outbox.commands).toBe(1)
    outbox.clear()
    expect(outbox.commands).toBe(0)
  })

  test('marks a frame as its bytes in the log do', () => {
    const outbox = new Outbox(10, 1_000_000)
    outbox.push(appliedFrames([1, 2], unitsOf, 7), 0, 0)
    expect(outbox.mark(1)).toEqual(markOf(7, encodeFrame(unitsOf(2))))
  })
})
