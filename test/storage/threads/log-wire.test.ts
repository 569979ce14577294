/** Answers of a log as they cross between threads. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import type { Commit, ReadAnswer } from '../../../src/storage/ports/log-host.ts'
import { packed, unpacked } from '../../../src/storage/threads/log-wire.ts'

const lsn = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

/** LSNs as a commit gives them: upwards, with gaps where a roll took numbers. */
const lsns = fc
  .array(fc.record({ gap: fc.integer({ min: 1, max: 5 }), count: fc.nat({ max: 50 }) }))
  .map((runs) => {
    let last = 2 ** 40
    return runs.flatMap(({ gap, count }) => {
      last += gap - 1
      return Array.from({ length: count }, () => ++last)
    })
  })

const commitOf = (numbers: readonly number[]): Commit => ({
  firstLsn: numbers[0] ?? 1,
  count: numbers.length,
  lsns: numbers,
  time: 5,
  durableLsn: 9,
  syncMs: 0.25,
  bytesWritten: 512,
  rolled: false,
})

describe('an answer that crosses', () => {
  test('of a commit comes back equal, whatever its numbers are', () => {
    fc.assert(
      fc.property(lsns, (numbers) => {
        const commit = commitOf(numbers)
        expect(unpacked(structuredClone(packed(commit)))).toEqual(commit)
      }),
    )
  })

  test('of a commit takes two numbers for each run, not one for each frame', () => {
    const numbers = [...Array(1_000).keys()].map((at) => at + (at < 600 ? 1 : 3))
    expect(packed(commitOf(numbers))).toMatchObject({ runs: [1, 600, 603, 400] })
    expect(packed(commitOf(numbers))).not.toHaveProperty('lsns')
  })

  test('of a commit keeps why the rest was refused', () => {
    const refused = new KeelsonError('NO_SPACE', 'full')
    const commit = { ...commitOf([3]), refused }
    expect(unpacked(packed(commit))).toEqual(commit)
  })

  test('of a commit gives the memory back under the name that is given away', () => {
    const commit = { ...commitOf([3]), spent: Uint8Array.of(1, 2) }
    expect(packed(commit)).toMatchObject({ bytes: commit.spent })
    expect(unpacked(packed(commit))).toEqual(commit)
  })

  test('of a reading comes back equal', () => {
    const number = fc.nat({ max: 2 ** 31 - 1 })
    const time = fc.integer({ min: 0, max: 8.64e15 })
    const frame = fc.record({
      lsn,
      type: fc.nat({ max: 255 }),
      time,
      startsGroup: fc.boolean(),
      offset: number,
      length: number,
    })
    fc.assert(
      fc.property(fc.array(frame), (frames) => {
        const bytes = Uint8Array.of(1, 2, 3)
        const read: ReadAnswer = { frames, bytes, next: 8, durableLsn: 9 }
        const crossed = structuredClone(packed(read))
        expect(crossed).not.toHaveProperty('frames')
        expect(unpacked(crossed)).toEqual(read)
      }),
    )
  })

  test('of any other kind is left as it is', () => {
    for (const answer of [null, { durableLsn: 4 }, { pin: 1 }])
      expect(unpacked(packed(answer))).toEqual(answer)
  })
})
