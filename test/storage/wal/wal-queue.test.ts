/** What waits for a log that is used alone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { entryHeaderBytes } from '../../../src/storage/frames/wal-entry.ts'
import type { Appended } from '../../../src/storage/wal/wal-append.ts'
import { type WalGroup, type WatchedEntry, weightOf } from '../../../src/storage/wal/wal-group.ts'
import { WalQueue } from '../../../src/storage/wal/wal-queue.ts'

type Outcome = Appended | KeelsonError

/** A queue with what came of its entries, by name: `add(name, size)` adds one of so many payload bytes. */
const queueOf = (bytesMax = 100) => {
  const queue = new WalQueue<string>(bytesMax)
  const outcomes = new Map<number, Outcome[]>()
  const add = (name: number, size = 40): { group: WalGroup; entry: WatchedEntry } => {
    const own = size - entryHeaderBytes
    const group = queue.groupFor(own)
    const heard: Outcome[] = []
    outcomes.set(name, heard)
    const reject = (error: KeelsonError) => void heard.push(error)
    group.add(name, new Uint8Array(own).fill(name), (appended) => void heard.push(appended), reject)
    return { group, entry: group.watchLast(reject) }
  }
  return { queue, outcomes, add }
}

/** The names of a group's entries: the types and the bytes have to agree. */
const namesOf = ({ bytes, lengths }: ReturnType<WalGroup['take']>): number[] => {
  const names: number[] = []
  let at = 0
  for (const length of lengths) {
    const name = bytes[at + 10] ?? 0
    const own = bytes.subarray(at + entryHeaderBytes, at + length)
    expect(own.every((byte) => byte === name)).toBe(true)
    names.push(name)
    at += length
  }
  expect(at).toBe(bytes.length)
  return names
}

const next = (queue: WalQueue<string>): number[] | string | undefined => {
  const turn = queue.next()
  return turn?.kind === 'group' ? namesOf(turn.group.take()) : turn?.step
}

describe('a queue', () => {
  test('gives nothing when nothing waits', () => {
    const { queue } = queueOf()
    expect(next(queue)).toBeUndefined()
    expect([queue.length, queue.isEmpty]).toEqual([0, true])
  })

  test('gives entries in order, as many as fit together', () => {
    const { queue, add } = queueOf(100)
    for (const name of [1, 2, 3]) add(name)
    expect([queue.length, queue.isEmpty]).toEqual([3, false])
    expect([next(queue), next(queue), next(queue)]).toEqual([[1, 2], [3], undefined])
  })

  test('gives an entry that is larger than a group alone', () => {
    const { queue, add } = queueOf(100)
    add(1, 200)
    add(2, 20)
    expect([next(queue), next(queue)]).toEqual([[1], [2]])
  })

  test('gives a step alone, behind what came before and before what comes behind', () => {
    const { queue, add } = queueOf()
    add(1)
    queue.pushStep('sync')
    add(2)
    expect(queue.hasStep).toBe(true)
    expect([next(queue), next(queue)]).toEqual([[1], 'sync'])
    expect(queue.hasStep).toBe(false)
    expect(next(queue)).toEqual([2])
  })

  test('adds nothing to a group that was taken', () => {
    const { queue, add } = queueOf()
    const { group } = add(1)
    expect(next(queue)).toEqual([1])
    expect(add(2).group).not.toBe(group)
  })

  test('passes over what was withdrawn, and withdraws nothing that was taken', () => {
    const { queue, add } = queueOf(200)
    const [first, second, third] = [add(1), add(2), add(3)]
    expect(first.group.withdraw(first.entry)).toBe(true)
    expect(first.group.withdraw(first.entry)).toBe(false)
    expect(queue.length).toBe(2)
    expect(next(queue)).toEqual([2, 3])
    for (const { group, entry } of [second, third]) expect(group.withdraw(entry)).toBe(false)
  })

  test('of withdrawn entries alone gives nothing', () => {
    const { queue, add } = queueOf()
    for (const { group, entry } of [add(1), add(2)]) group.withdraw(entry)
    expect(queue.isEmpty).toBe(true)
    expect(next(queue)).toBeUndefined()
  })

  test('lets go of the bytes of withdrawn entries though nobody takes from it', () => {
    const { queue, add } = queueOf(4096)
    const groups = new Set([add(1, 2000).group])
    for (let at = 0; at < 10_000; at++) {
      const { group, entry } = add(2, 2000)
      groups.add(group)
      group.withdraw(entry)
    }
    const held = [...groups].reduce((sum, { size }) => sum + size, 0)
    expect(held).toBeLessThanOrEqual(4000)
    expect(queue.length).toBe(1)
    expect(next(queue)).toEqual([1])
  })

  test('writes the next group into the memory of one that was written, and into no other', () => {
    const { queue, add } = queueOf(100_000)
    const fill = (names: readonly number[]) => {
      for (const name of names) add(name, 10_000)
      const turn = queue.next()
      if (turn?.kind !== 'group') throw new Error('no group')
      const payloads = turn.group.take()
      expect(namesOf(payloads)).toEqual(names)
      return payloads.bytes
    }
    const first = fill([1, 2, 3])
    const second = fill([4, 5, 6])
    expect(second.buffer).not.toBe(first.buffer)
    queue.reuse(first)
    expect(fill([7, 8, 9]).buffer).toBe(first.buffer)
    expect(fill([10, 11]).buffer).not.toBe(first.buffer)
  })

  test('keeps no large memory for small groups', () => {
    const { queue, add } = queueOf(100_000)
    add(1, 12)
    expect(next(queue)).toEqual([1])
    const large = new Uint8Array(100_000)
    queue.reuse(large)
    const { group } = add(2, 12)
    expect(group.take().bytes.buffer).not.toBe(large.buffer)
  })

  test('gives exactly what was added and not withdrawn, and counts its weight', () => {
    const step = fc.record({ size: fc.integer({ min: 12, max: 700 }), drops: fc.nat({ max: 400 }) })
    const orders = fc.array(step, { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(orders, (steps) => {
        const { queue, add } = queueOf(1024)
        const alive = new Map<number, { group: WalGroup; entry: WatchedEntry; size: number }>()
        for (const [name, { size, drops }] of steps.entries()) {
          alive.set(name, { ...add(name, size), size })
          const dropped = alive.get(drops)
          if (dropped) expect(dropped.group.withdraw(dropped.entry)).toBe(true)
          alive.delete(drops)
        }
        const groups = new Set([...alive.values()].map(({ group }) => group))
        const weight = [...groups].reduce((sum, group) => sum + group.weight, 0)
        const sizes = [...alive.values()].map(({ size }) => weightOf(size - entryHeaderBytes))
        expect(weight).toBe(sizes.reduce((sum, each) => sum + each, 0))
        expect(queue.length).toBe(alive.size)
        const given: number[] = []
        for (let got = next(queue); Array.isArray(got); got = next(queue)) given.push(...got)
        expect(given).toEqual([...alive.keys()])
      }),
    )
  })
})

describe('a group', () => {
  const appended = (lsn: number): Appended => ({ lsn })
  const refusal = new KeelsonError('NO_SPACE', 'full')

  test('answers each entry with its lsn, and those that were refused with the refusal', () => {
    const { add, outcomes } = queueOf()
    const { group } = add(1, 20)
    for (const name of [2, 3]) add(name, 20)
    group.take()
    group.answer([7, 9], appended, () => refusal)
    expect([...outcomes.values()]).toEqual([[{ lsn: 7 }], [{ lsn: 9 }], [refusal]])
  })

  test('settles nothing that was withdrawn, and forgets what watches the others', () => {
    for (const settle of ['answer', 'reject'] as const) {
      const { add, outcomes } = queueOf(200)
      const entries = [1, 2, 3, 4].map((name) => add(name, 20))
      const forgotten: number[] = []
      for (const [at, { entry }] of entries.entries()) entry.forget = () => forgotten.push(at + 1)
      const group = entries[0]?.group
      for (const at of [0, 2, 3]) {
        const each = entries[at]
        if (each && at !== 3) each.group.withdraw(each.entry)
      }
      if (settle === 'answer') {
        group?.take()
        group?.answer([5, 6], appended, () => refusal)
      } else group?.reject(refusal)
      const settled = settle === 'answer' ? [{ lsn: 5 }, { lsn: 6 }] : [refusal, refusal]
      expect([...outcomes.values()].flat()).toEqual(settled)
      expect([outcomes.get(1), outcomes.get(3)]).toEqual([[], []])
      expect(forgotten).toEqual(expect.arrayContaining([2, 4]))
    }
  })

  test('has its payloads in memory that may be given away', () => {
    const { add } = queueOf(100_000)
    const { group } = add(1, 30_000)
    add(2, 30_000)
    const { bytes, lengths } = group.take()
    expect([...lengths]).toEqual([30_000, 30_000])
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] })
    expect(bytes.length).toBe(0)
  })
})
