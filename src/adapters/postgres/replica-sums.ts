/**
 * What proves that a replica still has what it was sent: each row of `frames` and `snapshot_rows`
 * has the CRC-32 of itself and of all rows before it, and the progress has the last one. So a row
 * that is missing, changed or at another place is found, where it is. Against accidents: who may
 * write to the database can compute these too.
 */
import { crc32, type SnapshotRecord, type StoredFrame } from '../../storage/index.ts'

/** The sum before the first row. */
export const noSum = 0

const numbers = new Uint8Array(8)
const view = new DataView(numbers.buffer)

const after = (sum: number, number: number): number => {
  view.setBigUint64(0, BigInt(number))
  return crc32(numbers, sum)
}

/** The sum with a frame, behind the sum of what comes before it. */
export const frameSum = (before: number, { lsn, payload }: StoredFrame): number =>
  crc32(payload, after(before, lsn))

/** The sum with a row of the snapshot. */
export const recordSum = (before: number, { key, record }: SnapshotRecord): number =>
  crc32(record, crc32(key, after(before, key.length)))

/** The sums of a list, one for each member. */
export const sumsOf = <T>(
  before: number,
  list: readonly T[],
  sumOf: (before: number, each: T) => number,
): readonly number[] => {
  let sum = before
  return list.map((each) => {
    sum = sumOf(sum, each)
    return sum
  })
}
