import { expect, test } from 'vitest'
import { frameOffsets } from '../../../src/storage/segments/log-limits.ts'

const request = (...lengths: number[]) => ({
  bytes: new Uint8Array(lengths.reduce((sum, length) => sum + length, 0)),
  lengths,
  now: 0,
  sync: true,
  projectedLsn: 0,
})

test('frames follow each other without gaps', () => {
  expect(frameOffsets(request(10, 20, 30), 100, 0)).toEqual([0, 10, 30])
})

test('a log refuses frames before its LSNs run out', { tags: ['D35'] }, () => {
  const room = (count: number) => Number.MAX_SAFE_INTEGER - 4 * count - 2

  expect(frameOffsets(request(8, 8), 100, room(2))).toEqual([0, 8])
  expect(() => frameOffsets(request(8, 8), 100, room(2) + 1)).toThrow(
    expect.objectContaining({
      code: 'NO_SPACE',
      details: expect.objectContaining({ reason: 'lsn' }),
    }),
  )
})
