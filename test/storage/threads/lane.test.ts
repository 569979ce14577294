/** The shared memory that carries commits to the log's thread. */
import { describe, expect, test } from 'vitest'
import type { CommitRequest } from '../../../src/storage/ports/log-host.ts'
import {
  type LaneSlot,
  laneMemory,
  laneSlots,
  signalMemory,
  signalsIn,
} from '../../../src/storage/threads/lane.ts'

const request = (lengths: readonly number[]): CommitRequest => ({
  bytes: Uint8Array.from(
    { length: lengths.reduce((sum, length) => sum + length, 0) },
    (_, at) => at,
  ),
  lengths,
  now: 1_700_000_000_123,
  sync: true,
  projectedLsn: 2 ** 40,
  features: 1,
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
  const view = () => laneSlots(memory)[0] as LaneSlot
  return { host: view(), thread: view() }
}

describe('a commit in a slot', () => {
  test('is taken as it was offered', () => {
    const { host, thread } = views()
    const offered = request([9, 200, 8])
    expect(host.offer(7, offered, true)).toBe(true)
    const taken = thread.take(7)
    expect(taken).toMatchObject({ id: 7, hostPolls: true })
    expect({ ...taken?.request, lengths: Array.from(taken?.request.lengths ?? []) }).toEqual(
      offered,
    )
  })

  test('is a copy: its caller may change the bytes afterwards', () => {
    const { host, thread } = views()
    const offered = request([8])
    host.offer(1, offered, false)
    offered.bytes.fill(255)
    expect(thread.take(1)?.request.bytes).toEqual(request([8]).bytes)
  })

  test('is taken once, and only when its number is next', () => {
    const { host, thread } = views()
    host.offer(3, request([8]), false)
    expect(thread.take(2)).toBeUndefined()
    expect(thread.take(3)?.id).toBe(3)
    expect(thread.take(3)).toBeUndefined()
  })

  test('is answered once, with every number whole', () => {
    const { host, thread } = views()
    host.offer(1, request([8]), false)
    thread.take(1)
    expect(host.collect()).toBeUndefined()
    expect(thread.answer(answer)).toBe(true)
    expect(host.collect()).toEqual({ id: 1, commit: answer })
    expect(host.collect()).toBeUndefined()
  })

  test('has the slot to itself until it is answered, by the slot or by a message', () => {
    const { host, thread } = views()
    host.offer(1, request([8]), false)
    expect(host.offer(2, request([8]), false)).toBe(false)
    thread.take(1)
    expect(host.offer(2, request([8]), false)).toBe(false)
    thread.answer(answer)
    host.collect()
    expect(host.offer(2, request([8]), false)).toBe(true)
    host.free()
    expect(host.offer(3, request([8]), false)).toBe(true)
  })

  test('must be a message if it is too large or has too many frames, and its answer if it has too many runs', () => {
    const { host, thread } = views()
    expect(host.offer(1, request([2 ** 20 + 1]), false)).toBe(false)
    expect(host.offer(1, request(new Array(4_097).fill(8)), false)).toBe(false)
    expect(host.offer(1, request([2 ** 20]), false)).toBe(true)
    thread.take(1)
    const runs = Array.from({ length: 18 }, (_, at) => at)
    expect(thread.answer({ ...answer, runs })).toBe(false)
    expect(host.collect()).toBeUndefined()
  })
})

describe('a signal', () => {
  const views = () => {
    const memory = signalMemory()
    return { own: signalsIn(memory).thread, others: signalsIn(memory).thread, memory }
  }

  test('asks for one message, however often it is raised before its side sleeps again', () => {
    const { own, others } = views()
    expect([others.raise(), others.raise(), others.raise()]).toEqual([true, false, false])
    own.sleep()
    expect([others.raise(), others.raise()]).toEqual([true, false])
  })

  test('asks for no message while its side looks by itself', () => {
    const { own, others } = views()
    own.stayAwake()
    expect(others.raise()).toBe(false)
  })

  test('counts each raise for its side, and none for the other one', () => {
    const { own, others, memory } = views()
    for (let time = 0; time < 3; time++) others.raise()
    expect(own.raised).toBe(3)
    expect(signalsIn(memory).host.raised).toBe(0)
    expect(signalsIn(memory).host.raise()).toBe(true)
  })
})
