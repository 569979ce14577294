/** Which group a write joins, and which memory it fills. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { GroupFiller } from '../../../src/storage/groups/group-filler.ts'
import { manyFrom } from '../../../src/storage/groups/write-group.ts'
import { TestWrite } from '../../support/worlds/test-write.ts'

const fillerOf = (bytesMax = 100_000) => {
  const limits = { bytesMax, weightMax: Number.POSITIVE_INFINITY }
  const clock = virtualClock()
  const filler = new GroupFiller<TestWrite>(limits, clock)
  const add = (name: number, length = 40, departsAt = 0) => {
    const write = new TestWrite(name, { length, departsAt })
    const group = filler.groupFor(write) ?? filler.begin()
    group.add(write)
    return group
  }
  const addMany = (count: number) => Array.from({ length: count }, () => add(1, 1)).at(-1)
  return { filler, clock, add, addMany }
}

describe('a write', () => {
  test('joins the group that fills, as long as it fits', () => {
    const { add } = fillerOf(100)
    const group = add(1, 60)
    expect(add(2, 40)).toBe(group)
    expect(add(3, 1)).not.toBe(group)
  })

  test('that begins a group sends the one before it', () => {
    const { filler, add } = fillerOf(100)
    const group = add(1, 60, 50)
    expect(filler.last).toBe(group)
    expect(group.isDue).toBe(false)
    add(2, 60, 80)
    expect([group.isDue, filler.last?.isDue]).toEqual([true, false])
  })

  test('does not join a group that was taken', () => {
    const { add } = fillerOf()
    const group = add(1)
    group.take()
    expect(add(2)).not.toBe(group)
  })

  test(`joins ${manyFrom} others while a group is in flight`, () => {
    const { add, addMany } = fillerOf()
    add(1).take()
    const many = addMany(manyFrom)
    expect(add(1)).toBe(many)
  })
})

describe('the memory of a group', () => {
  test('that was written is filled by the next one to begin, and by no other', () => {
    const { filler, add } = fillerOf()
    const fill = (names: readonly number[]) => {
      const groups = new Set(names.map((name) => add(name, 10_000)))
      expect(groups.size).toBe(1)
      return [...groups][0]?.take().bytes ?? new Uint8Array()
    }
    const first = fill([1, 2, 3])
    const second = fill([4, 5, 6])
    expect(second.buffer).not.toBe(first.buffer)
    filler.reuse(first)
    expect(fill([7, 8, 9]).buffer).toBe(first.buffer)
    expect(fill([10, 11]).buffer).not.toBe(first.buffer)
  })

  test('is not taken for a group that is likely too large for it', () => {
    const { filler, add } = fillerOf()
    for (let at = 0; at < 3; at++) add(at, 10_000)
    filler.last?.take()
    const spent = new Uint8Array(512)
    filler.reuse(spent)
    expect(add(1, 10).take().bytes.buffer).not.toBe(spent.buffer)
  })

  test('holds nothing else, also when writes of the group were withdrawn', () => {
    const { filler, add } = fillerOf()
    const others: Buffer[] = []
    const makeOthers = () => {
      for (let at = 0; at < 300; at++) others.push(Buffer.from('mine'.repeat(10)))
    }
    const late = new TestWrite(1, { length: 60_000 })
    const group = filler.begin()
    group.add(late)
    group.add(new TestWrite(2, { length: 3_000 }))
    makeOthers()
    group.giveUp(late, new Error('too late'))
    const { bytes } = group.take()
    makeOthers()
    filler.reuse(bytes)
    add(3, 3_000)
    expect(new Set(others.map(String))).toEqual(new Set(['mine'.repeat(10)]))
  })

  test('is not kept for much smaller groups', () => {
    const { filler, add } = fillerOf()
    add(1, 12).take()
    const large = new Uint8Array(100_000)
    filler.reuse(large)
    expect(add(2, 12).take().bytes.buffer).not.toBe(large.buffer)
  })
})
