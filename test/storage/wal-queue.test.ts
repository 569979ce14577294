/** What waits for a log that is used alone. */
import { describe, expect, test } from 'vitest'
import { joined, type QueuedEntry, WalQueue } from '../../src/storage/wal-queue.ts'

const entry = (size = 10): QueuedEntry => ({
  payload: new Uint8Array(size).fill(size),
  state: 'queued',
})

const queueOf = (...entries: readonly QueuedEntry[]): WalQueue<QueuedEntry, string> => {
  const queue = new WalQueue<QueuedEntry, string>()
  for (const each of entries) queue.push(each)
  return queue
}

describe('a queue', () => {
  test('gives nothing when nothing waits', () => {
    expect(queueOf().next(100)).toBeUndefined()
    expect(queueOf().length).toBe(0)
  })

  test('gives entries in order, as many as fit, and marks them submitted', () => {
    const entries = [entry(40), entry(40), entry(40)]
    const queue = queueOf(...entries)
    expect(queue.next(100)).toEqual({ kind: 'group', entries: entries.slice(0, 2) })
    expect(entries.map(({ state }) => state)).toEqual(['submitted', 'submitted', 'queued'])
    expect(queue.next(100)).toEqual({ kind: 'group', entries: entries.slice(2) })
    expect(queue.next(100)).toBeUndefined()
  })

  test('gives an entry that is larger than a group alone', () => {
    const [large, small] = [entry(200), entry(10)]
    const queue = queueOf(large, small)
    expect(queue.next(100)).toEqual({ kind: 'group', entries: [large] })
    expect(queue.next(100)).toEqual({ kind: 'group', entries: [small] })
  })

  test('gives a step alone, behind what came before and before what comes behind', () => {
    const [first, second] = [entry(), entry()]
    const queue = queueOf(first)
    queue.pushStep('sync')
    queue.push(second)
    expect(queue.hasStep).toBe(true)
    expect(queue.next(100)).toEqual({ kind: 'group', entries: [first] })
    expect(queue.next(100)).toEqual({ kind: 'step', step: 'sync' })
    expect(queue.hasStep).toBe(false)
    expect(queue.next(100)).toEqual({ kind: 'group', entries: [second] })
  })

  test('passes over what was withdrawn, and withdraws nothing that was submitted', () => {
    const [first, second] = [entry(), entry()]
    const queue = queueOf(first, second)
    expect(queue.withdraw(first)).toBe(true)
    expect(queue.withdraw(first)).toBe(false)
    expect(queue.next(100)).toEqual({ kind: 'group', entries: [second] })
    expect(queue.withdraw(second)).toBe(false)
    expect(first.state).toBe('withdrawn')
  })

  test('of withdrawn entries alone gives nothing', () => {
    const entries = [entry(), entry()]
    const queue = queueOf(...entries)
    for (const each of entries) queue.withdraw(each)
    expect(queue.next(100)).toBeUndefined()
    expect(queue.length).toBe(0)
  })

  test('lets go of withdrawn entries though nobody takes from it', () => {
    const queue = queueOf(entry())
    for (let at = 0; at < 100_000; at++) {
      const each = entry()
      queue.push(each)
      queue.withdraw(each)
    }
    expect(queue.length).toBeLessThan(3000)
    expect(queue.next(100)).toMatchObject({ kind: 'group', entries: [{ state: 'submitted' }] })
  })
})

test('a group’s payloads stand one after another in memory of their own', () => {
  const { bytes, lengths } = joined([entry(2), entry(0), entry(3)])
  expect([...bytes]).toEqual([2, 2, 3, 3, 3])
  expect(lengths).toEqual([2, 0, 3])
  expect(bytes.byteLength).toBe(bytes.buffer.byteLength)
})
