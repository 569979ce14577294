/** What is known of a projection: how each event changes its mark. */
import { expect, test } from 'vitest'
import {
  haltedMark,
  type ProjectionMark,
  preparedMark,
  projectionMarkOf,
  projectionMarkRow,
  rebuilding,
  rebuilt,
  stoppedMark,
} from '../../../src/storage/projections/projection-mark.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'

const live: ProjectionMark = { state: 'live', version: 2, generation: 3, lsn: 0 }
const building = { version: 2, generation: 4, cursor: 'k', rows: 7 }
const stopped: ProjectionMark = { state: 'stopped', version: 1, generation: 3, lsn: 8 }
const halted: ProjectionMark = {
  ...{ state: 'halted', version: 2, generation: 3, lsn: 8, error: 'Error: no' },
}
const asConfigured = { version: 2, keeps: false }
const begun = { version: 2, generation: 4, cursor: '', rows: 0 }

test('a rebuild shows the rows as they are, and counts its generation from those before', () => {
  expect(rebuilding(live, 2, 9)).toEqual({ ...live, state: 'stopped', lsn: 9, building: begun })
  expect(rebuilding(halted, 2, 9)).toEqual({
    ...{ state: 'halted', version: 2, generation: 3, lsn: 8 },
    building: begun,
  })
})

test('a rebuild that takes the place of another one leaves its rows to be removed', () => {
  expect(rebuilding({ ...stopped, building, garbage: [2] }, 2, 9)).toEqual({
    ...stopped,
    building: { ...begun, generation: 5 },
    garbage: [2, 4],
  })
})

test('a complete rebuild shows its rows, and leaves those before to be removed', () => {
  const whole: ProjectionMark = { state: 'live', version: 2, generation: 4, lsn: 0 }
  expect(rebuilt({ ...stopped, building }, building)).toEqual({ ...whole, garbage: [3] })
  expect(rebuilt({ ...stopped, building, garbage: [2] }, building)).toEqual({
    ...{ ...whole, garbage: [2, 3] },
  })
  const absent: ProjectionMark = { state: 'absent', version: 0, generation: 0, lsn: 0 }
  expect(rebuilt({ ...absent, building }, building)).toEqual(whole)
})

test('a projection that is not configured keeps the position of its rows, and ends its rebuild', () => {
  expect(stoppedMark(live, 9)).toEqual({ ...live, state: 'stopped', lsn: 9 })
  expect(stoppedMark({ ...halted, building }, 9)).toEqual({ ...halted, garbage: [4] })
  expect(stoppedMark({ ...stopped, building, garbage: [2] }, 9)).toEqual({
    ...stopped,
    garbage: [2, 4],
  })
})

test('a projection that throws in a rebuild keeps the rows before it, and names its version', () => {
  expect(haltedMark(live, 2, 8, { error: 'Error: no' })).toEqual(halted)
  expect(haltedMark({ ...stopped, building }, 2, 9, { error: 'Error: no' })).toEqual({
    ...{ state: 'halted', version: 1, generation: 3, lsn: 8 },
    ...{ thrownBy: 2, error: 'Error: no', garbage: [4] },
  })
})

test.each<[string, ProjectionMark | undefined, object]>([
  ['that follows goes on', live, live],
  ['under way goes on', { ...stopped, building }, { ...stopped, building }],
  ['of another version is built anew', { ...live, version: 1 }, { state: 'stopped', lsn: 9 }],
  ['that was stopped is built anew', { ...stopped, version: 2 }, { building: begun }],
  ['that is new is built from the rows', undefined, { state: 'absent', generation: 0 }],
  ['that was halted is tried again', halted, { state: 'halted', building: begun }],
])('a projection %s', (_, mark, expected) => {
  expect(preparedMark(mark, asConfigured, 9, true)).toMatchObject(expected)
})

test('a projection that was halted stays so in the same life, and always if it keeps its rows', () => {
  expect(preparedMark(halted, asConfigured, 9, false)).toBe(halted)
  expect(preparedMark(halted, { ...asConfigured, keeps: true }, 9, true)).toBe(halted)
  const thrown: ProjectionMark = { ...halted, version: 1, thrownBy: 2 }
  expect(preparedMark(thrown, asConfigured, 9, false)).toBe(thrown)
  // Another version has not thrown yet.
  expect(preparedMark(thrown, { version: 1, keeps: false }, 9, false).building).toBeDefined()
})

test('a projection that keeps its rows goes on with them, and says what it missed', () => {
  const kept = { ...stopped, version: 2 }
  const goesOn = preparedMark(kept, { version: 2, keeps: true }, 12, true)
  expect(goesOn).toEqual({ ...kept, state: 'live', missed: [9, 12] })
})

test('a projection that was left out again says from its first gap on what it missed', () => {
  const again = stoppedMark({ ...live, missed: [9, 12] }, 20)
  expect(preparedMark(again, { version: 2, keeps: true }, 30, true)).toEqual({
    ...{ ...live, lsn: 20, missed: [9, 30] },
  })
})

test('a projection without rows before it follows from the first frame on', () => {
  expect(preparedMark(undefined, asConfigured, 0, true)).toEqual({
    ...{ state: 'live', version: 2, generation: 1, lsn: 0 },
  })
})

test('a mark is read as it was written, and what is none is CORRUPT', () => {
  const mark = { ...stopped, building, garbage: [2] }
  expect(projectionMarkOf('k', projectionMarkRow(mark))).toEqual(mark)
  for (const wrong of [null, 7, {}, { generation: 1 }, { state: 'live' }]) {
    const row = { value: encodeValue(wrong), expiresAt: 0 }
    expect(() => projectionMarkOf('k', row)).toThrow(
      expect.objectContaining({ code: 'CORRUPT', details: { key: 'k' } }),
    )
  }
})

test('a projection of another version keeps no rows', () => {
  expect(preparedMark(stopped, { version: 2, keeps: true }, 12, true)).toEqual({
    ...stopped,
    building: begun,
  })
})

test('rows that are kept go on after another version was tried and given up, or threw', () => {
  const one = { version: 1, keeps: true }
  const missed = [9, 12]
  const live = { state: 'live', version: 1, generation: 3, lsn: 8, missed }
  expect(preparedMark({ ...stopped, building, garbage: [2] }, one, 12, true)).toEqual({
    ...{ ...live, garbage: [2, 4] },
  })
  const thrown: ProjectionMark = { ...halted, version: 1, thrownBy: 2 }
  expect(preparedMark(thrown, one, 12, true)).toEqual(live)
})
