import { describe, expect, test } from 'vitest'
import { AppendGroup } from '../../../src/actors/queue/append-group.ts'
import { AppendQueue } from '../../../src/actors/queue/append-queue.ts'
import { virtualClock } from '../../../src/clock.ts'
import type { From } from '../../../src/runtime/index.ts'
import { TestAppend } from '../../support/test-append.ts'

const bounds = { commandsMax: 10_000, bytesMax: 4 * 1024 * 1024 }

const groupOf = (...appends: TestAppend[]) => {
  const group = new AppendGroup(Buffer.allocUnsafeSlow(64), bounds, virtualClock())
  for (const append of appends) group.add(append)
  return group
}

/** A call that counts its answers. */
const callOf = () => {
  const call = { answers: 0 }
  const from = {
    reply: () => {
      call.answers++
      return true
    },
  }
  return { call, from: from as unknown as From<void> }
}

const putOf = (key: string) => new TestAppend(key)

describe('a queue of groups', () => {
  test('gives groups in their order, each with the call that it came with', () => {
    const queue = new AppendQueue()
    const [first, second] = [callOf(), callOf()]
    queue.push({ group: groupOf(putOf('a'), putOf('b')), from: first.from })
    queue.push({ group: groupOf(putOf('c')), from: second.from })

    expect(queue.length).toBe(3)
    expect(queue.take()?.from).toBe(first.from)
    expect(queue.take()?.from).toBe(second.from)
    expect([queue.take(), queue.length]).toEqual([undefined, 0])
    expect([first.call.answers, second.call.answers]).toEqual([0, 0])
  })

  test('keeps a group that is not due, and those behind it', () => {
    const queue = new AppendQueue()
    const group = groupOf(new TestAppend('a', { departsAt: 500 }))
    queue.push({ group, from: callOf().from })
    queue.push({ group: groupOf(putOf('b')), from: callOf().from })
    expect([queue.isDue, queue.take(), queue.isEmpty]).toEqual([false, undefined, false])

    group.depart()
    expect([queue.isDue, queue.take()?.group]).toEqual([true, group])
  })

  test('passes over a group of which nothing is left, answers its call and lets nobody join it', () => {
    const queue = new AppendQueue()
    const { call, from } = callOf()
    const group = groupOf()
    queue.push({ group, from })

    expect(queue.take()).toBeUndefined()
    expect(call.answers).toBe(1)
    expect(group.takes(1, 1)).toBe(false)
  })

  test('lets go of groups of which nothing is left when another comes, so that a disk that hangs piles none up', () => {
    const queue = new AppendQueue()
    const calls = Array.from({ length: 1_000 }, callOf)
    for (const { from } of calls) {
      const group = groupOf(putOf('k'))
      queue.push({ group, from })
      group.fail(new Error('gone'))
    }

    expect(calls.map(({ call }) => call.answers)).toEqual([...Array(999).fill(1), 0])
  })
})
