/** The place in shared memory through which a commit goes to the log's thread: whole, one at a time, in its turn. */
import { describe, expect, test } from 'vitest'
import type { CommitRequest } from '../../../src/storage/ports/log-host.ts'
import { CommitLane, laneMemory } from '../../../src/storage/threads/commit-lane.ts'
import type { CommitSlot } from '../../../src/storage/threads/commit-slot.ts'

const request = (lengths: readonly number[]): CommitRequest => ({
  bytes: Uint8Array.from(
    { length: lengths.reduce((sum, length) => sum + length, 0) },
    (_, at) => at,
  ),
  lengths,
  now: 1_700_000_000_123,
  sync: true,
  projectedLsn: 2 ** 40,
})

const answer = {
  firstLsn: 2 ** 40 + 1,
  count: 5,
  time: 1_700_000_000_124,
  durableLsn: 2 ** 40 + 7,
  syncMs: 0.125,
  bytesWritten: 4_096,
  rolled: true,
  runs: [2 ** 40 + 1, 3, 2 ** 40 + 6, 2],
}

/** Both sides' views of the same slot. */
const views = () => {
  const memory = laneMemory()
  const view = () => new CommitLane(memory).slots[0] as CommitSlot
  return { asker: view(), thread: view() }
}

describe('a commit in a slot', () => {
  test('is taken as it was offered', () => {
    const { asker, thread } = views()
    const offered = request([9, 200, 8])
    expect(asker.offer(7, offered, true)).toBe(true)
    const taken = thread.take(7)
    expect(taken).toMatchObject({ id: 7, isAwake: true })
    expect({ ...taken?.request, lengths: Array.from(taken?.request.lengths ?? []) }).toEqual(
      offered,
    )
  })

  test('is a copy: what its caller does to the bytes afterwards changes nothing', () => {
    const { asker, thread } = views()
    const offered = request([8])
    asker.offer(1, offered, false)
    offered.bytes.fill(255)
    expect(thread.take(1)?.request.bytes).toEqual(request([8]).bytes)
  })

  test('is taken once, and only when it is next', () => {
    const { asker, thread } = views()
    asker.offer(3, request([8]), false)
    expect(thread.take(2)).toBeUndefined()
    expect(thread.take(3)?.id).toBe(3)
    expect(thread.take(3)).toBeUndefined()
  })

  test('is answered with every number whole, once', () => {
    const { asker, thread } = views()
    asker.offer(1, request([8]), false)
    thread.take(1)
    expect(asker.collect()).toBeUndefined()
    expect(thread.answer(answer)).toBe(true)
    expect(asker.collect()).toEqual({ id: 1, commit: answer })
    expect(asker.collect()).toBeUndefined()
  })

  test('is alone there until it was answered, by the slot or by a message', () => {
    const { asker, thread } = views()
    asker.offer(1, request([8]), false)
    expect(asker.offer(2, request([8]), false)).toBe(false)
    thread.take(1)
    expect(asker.offer(2, request([8]), false)).toBe(false)
    thread.answer(answer)
    asker.collect()
    expect(asker.offer(2, request([8]), false)).toBe(true)
    asker.free()
    expect(asker.offer(3, request([8]), false)).toBe(true)
  })

  test('goes another way when it is too large, has too many frames, or its answer too many runs', () => {
    const { asker, thread } = views()
    expect(asker.offer(1, request([2 ** 20 + 1]), false)).toBe(false)
    expect(asker.offer(1, request(new Array(4_097).fill(8)), false)).toBe(false)
    expect(asker.offer(1, request([2 ** 20]), false)).toBe(true)
    thread.take(1)
    const runs = Array.from({ length: 18 }, (_, at) => at)
    expect(thread.answer({ ...answer, runs })).toBe(false)
    expect(asker.collect()).toBeUndefined()
  })
})
