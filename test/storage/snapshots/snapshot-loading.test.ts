/** Which interrupted loads of a snapshot go on. */
import { expect, test } from 'vitest'
import { isLoadOf } from '../../../src/storage/snapshots/snapshot-loading.ts'

const snapshot = { lsn: 10, bytes: 5_000, sum: 77 }
const place = { walId: 'here', snapshot, offset: 64, rows: 2 }
const facts = {
  ...{ position: { walId: 'here', epoch: 1, lsn: 10 }, rows: 9, blocks: 1 },
  ...snapshot,
}

test('a load goes on if it was of this file', () => {
  expect(isLoadOf(place, facts)).toBe(true)
})

// Two snapshots of one LSN may differ: one was lost, and the log went another way.
test.each([
  ['another log', { position: { ...facts.position, walId: 'there' } }],
  ['another LSN', { lsn: 11 }],
  ['another size', { bytes: 5_001 }],
  ['another sum', { sum: 78 }],
])('a load does not go on with the file of %s', (_, other) => {
  expect(isLoadOf(place, { ...facts, ...other })).toBe(false)
})
