import { describe, expect, test } from 'vitest'
import {
  dueBytes,
  reasonNow,
  type SnapshotSituation,
  snapshotPauses,
} from '../../../src/actors/snapshots/snapshot-policy.ts'
import { backoffMs } from '../../../src/clock.ts'

const MiB = 1024 * 1024

describe('a snapshot is due', () => {
  test.each([
    [0, 256 * MiB],
    [100 * MiB, 256 * MiB],
    [300 * MiB, 300 * MiB],
    [50_000 * MiB, 50_000 * MiB],
  ])('after a last one of %i bytes when the log has %i', (last, due) => {
    expect(dueBytes({ minLogBytes: 256 * MiB, ratio: 1 }, last)).toBe(due)
  })

  test('by the ratio to the size of the last one', () => {
    expect(dueBytes({ minLogBytes: 1, ratio: 0.5 }, 300)).toBe(150)
    expect(dueBytes({ minLogBytes: 1, ratio: 0 }, 300)).toBe(1)
  })
})

const quiet: SnapshotSituation = {
  isAsked: false,
  isDamaged: false,
  isShort: false,
  logBytes: 99,
  dueBytes: 100,
  helpfulBytes: 50,
  retryAt: 0,
  now: 1_000,
}

describe('a snapshot is made', () => {
  test.each([
    ['never without a reason', {}, undefined],
    ['when the log is long', { logBytes: 100 }, 'log'],
    ['when it is asked for', { isAsked: true, logBytes: 0 }, 'asked'],
    ['when the last one is damaged', { isDamaged: true }, 'damaged'],
    ['when the disk is full and it helps', { isShort: true }, 'disk'],
    ['not for a full disk that it does not help', { isShort: true, logBytes: 49 }, undefined],
    ['not before the time of the next try', { logBytes: 500, retryAt: 1_001 }, undefined],
    ['at the time of the next try', { logBytes: 500, retryAt: 1_000 }, 'log'],
    ['at once when it is asked for after a failure', { isAsked: true, retryAt: 9_999 }, 'asked'],
  ] as const)('%s', (_, more, reason) => {
    expect(reasonNow({ ...quiet, ...more })).toBe(reason)
  })

  test('again after a delay that doubles from a second to ten minutes', () => {
    expect([1, 2, 3, 10, 11, 50].map((failures) => backoffMs(snapshotPauses, failures))).toEqual([
      1_000, 2_000, 4_000, 512_000, 600_000, 600_000,
    ])
  })
})
