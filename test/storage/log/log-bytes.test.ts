import { expect, test } from 'vitest'
import { logBytesAfter } from '../../../src/storage/log/log-bytes.ts'

const segment = (baseLsn: number, lastLsn: number, usedBytes: number) => ({
  file: `${baseLsn}.wal`,
  baseLsn,
  lastLsn,
  usedBytes,
  allocatedBytes: 10_000,
})

const segments = [segment(11, 20, 1_000), segment(21, 30, 500), segment(31, 30, 4_096)]

test.each([
  [0, 1_500],
  [10, 1_500],
  [15, 1_000],
  [20, 500],
  [25, 250],
  [30, 0],
  [40, 0],
])('after lsn %i lie %i bytes of frames: borders of segments are exact', (lsn, bytes) => {
  expect(logBytesAfter({ segments }, lsn)).toBe(bytes)
})
