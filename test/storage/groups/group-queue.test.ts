/** What goes to the log next, and when. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { GroupQueue } from '../../../src/storage/groups/group-queue.ts'
import { manyFrom, WriteGroup } from '../../../src/storage/groups/write-group.ts'
import { TestWrite } from '../../support/worlds/test-write.ts'

type TestTurn =
  | { readonly kind: 'group'; readonly name: string; readonly group: WriteGroup<TestWrite> }
  | { readonly kind: 'step'; readonly name: string }

const limits = { bytesMax: 100_000, weightMax: Number.POSITIVE_INFINITY }

/** A queue, and the names of the turns that it dropped. */
const queueOf = () => {
  const dropped: string[] = []
  const queue = new GroupQueue<TestTurn>(({ name }) => dropped.push(name))
  const group = (name: string, count = 1, departsAt = 0) => {
    const group = new WriteGroup<TestWrite>(Buffer.alloc(64), limits, virtualClock())
    for (let at = 0; at < count; at++) group.add(new TestWrite(1, { length: 1, departsAt }))
    const turn: TestTurn = { kind: 'group', name, group }
    queue.push(turn)
    return group
  }
  const step = (name: string) => queue.push({ kind: 'step', name })
  const next = () => {
    const turn = queue.next()
    if (turn?.kind === 'group') turn.group.take()
    return turn?.name
  }
  const back = () => {
    const [turn] = queue.inFlight
    if (turn) queue.back(turn)
  }
  return { queue, dropped, group, step, next, back }
}

const withdrawn = (group: WriteGroup<TestWrite>) => {
  for (const write of [...group.writes]) if (write) group.giveUp(write, new Error('gone'))
}

describe('a queue', () => {
  test('gives nothing when nothing waits', () => {
    const { queue, next } = queueOf()
    expect([next(), queue.first(), queue.length, queue.writesInFlight]).toEqual([
      undefined,
      undefined,
      0,
      0,
    ])
  })

  test('gives groups in their order, the next one when the last is back, and counts both', () => {
    const { queue, group, next, back } = queueOf()
    group('a', 2)
    group('b', 3)
    expect(queue.length).toBe(5)
    expect([next(), next()]).toEqual(['a', undefined])
    expect([queue.length, queue.writesInFlight]).toEqual([3, 2])
    back()
    expect([next(), next()]).toEqual(['b', undefined])
    expect([queue.length, queue.writesInFlight]).toEqual([0, 3])
  })

  test(`gives a second group of ${manyFrom} while one is in flight, and no third`, () => {
    const { group, next, back } = queueOf()
    for (const name of ['a', 'b', 'c']) group(name, manyFrom)
    expect([next(), next(), next()]).toEqual(['a', 'b', undefined])
    back()
    expect([next(), next()]).toEqual(['c', undefined])
  })

  test('gives a group when it is due', () => {
    const { group, next } = queueOf()
    const waiting = group('a', 1, 50)
    expect(next()).toBeUndefined()
    waiting.leave()
    expect(next()).toBe('a')
  })

  test('gives a step alone, behind what came before it and before what comes behind it', () => {
    const { group, step, next, back, queue } = queueOf()
    group('a', manyFrom)
    group('b', manyFrom)
    step('sync')
    group('c', manyFrom)
    expect([next(), next(), next()]).toEqual(['a', 'b', undefined])
    back()
    expect(next()).toBeUndefined()
    back()
    expect([next(), next()]).toEqual(['sync', undefined])
    expect(queue.writesInFlight).toBe(0)
    back()
    expect(next()).toBe('c')
  })

  test('sends and closes the group before a step', () => {
    const { group, step, next } = queueOf()
    const filling = group('a', 1, 50)
    step('sync')
    expect(filling.takes(new TestWrite(1))).toBe(false)
    expect(next()).toBe('a')
  })

  test('drops a group that was withdrawn, and lets nothing join it', () => {
    const { queue, dropped, group, next } = queueOf()
    const gone = group('a', 3)
    withdrawn(gone)
    group('b')
    expect(next()).toBe('b')
    expect(dropped).toEqual(['a'])
    expect(gone.takes(new TestWrite(1))).toBe(false)
    expect(queue.length).toBe(0)
  })

  test('does not pile up withdrawn groups while a disk hangs', () => {
    const { dropped, group, next } = queueOf()
    group('in flight')
    next()
    const left = group('left')
    for (let at = 0; at < 1_000; at++) withdrawn(group(`${at}`))
    expect(dropped.length).toBeGreaterThan(980)
    expect(new Set(dropped).size).toBe(dropped.length)
    expect(left.count).toBe(1)
  })

  test('looks through many groups seldom', () => {
    const queue = new GroupQueue()
    let looks = 0
    const group = {
      get count() {
        looks++
        return 1
      },
      isDue: true,
      isMany: false,
      leave: () => undefined,
      close: () => undefined,
    }
    for (let at = 0; at < 1_000; at++) queue.push({ kind: 'group', group })
    expect(looks).toBeLessThan(5_000)
  })

  test('keeps a group that was begun and has no write yet, when it drops withdrawn ones', () => {
    const { dropped, group } = queueOf()
    for (let at = 0; at < 40; at++) {
      const begun = group(`${at}`, 0)
      expect(dropped).not.toContain(`${at}`)
      begun.add(new TestWrite(1, { length: 1, departsAt: 0 }))
      withdrawn(begun)
    }
    expect(dropped.length).toBeGreaterThan(8)
  })

  test('gives up everything that waits, and keeps what is in flight', () => {
    const { queue, group, step, next } = queueOf()
    group('a')
    next()
    group('b')
    step('sync')
    expect(queue.clear().map(({ name }) => name)).toEqual(['b', 'sync'])
    expect([queue.first(), queue.length, queue.writesInFlight]).toEqual([undefined, 0, 1])
  })

  test('keeps the order of a great many', () => {
    const { step, next, back } = queueOf()
    const names = Array.from({ length: 1_000 }, (_, at) => `${at}`)
    const given: (string | undefined)[] = []
    for (const name of names) {
      step(name)
      if (Number(name) % 3 === 0) given.push(next())
      back()
    }
    while (given.length < names.length) {
      given.push(next())
      back()
    }
    expect(given).toEqual(names)
  })
})
