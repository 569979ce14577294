/**
 * The sums that prove that a replica still has what it was sent. Each row of `frames` and
 * `snapshot_rows` has the CRC-32 of itself and of all rows before it. The progress has the last one.
 * So a row that is missing, changed or at another place is found, where it is. The sums find
 * accidents only: a user who can write to the database can compute them too.
 */

import { crc32 } from '../../bytes/crc32.ts'
import type { SnapshotRecord, StoredFrame } from '../../storage/index.ts'

/** The sum before the first row. */
export const noSum = 0

const numbers = new Uint8Array(8)
const view = new DataView(numbers.buffer)

const after = (sum: number, number: number): number => {
  view.setBigUint64(0, BigInt(number))
  return crc32(numbers, sum)
}

/** The sum with a frame, after the sum of all frames before it. */
export const frameSum = (before: number, { lsn, payload }: StoredFrame): number =>
  crc32(payload, after(before, lsn))

/** The sum with a row of the snapshot. */
export const recordSum = (before: number, { key, record }: SnapshotRecord): number =>
  crc32(record, crc32(key, after(before, key.length)))

/** The members of a list, each with the sum up to it. */
export const summed = <T extends object>(
  before: number,
  list: readonly T[],
  sumOf: (before: number, each: T) => number,
): readonly (T & { readonly sum: number })[] => {
  let sum = before
  return list.map((each) => {
    sum = sumOf(sum, each)
    return { ...each, sum }
  })
}
