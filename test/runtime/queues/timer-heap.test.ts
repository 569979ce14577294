import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { type HeapEntry, TimerHeap } from '../../../src/runtime/queues/timer-heap.ts'

class Entry implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #fired: () => void

  constructor(fired: () => void) {
    this.#fired = fired
  }

  fire(): void {
    this.#fired()
  }
}

const unexpected = (thrown: unknown): never => {
  throw thrown
}

describe('the heap of timers', () => {
  test('fires by time, then by the order of adding, and never a removed entry', async () => {
    const timer = fc.record({ ms: fc.integer({ min: 0, max: 20 }), removed: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(timer, { maxLength: 60 }), async (timers) => {
        const clock = virtualClock()
        const heap = new TimerHeap(clock, unexpected)
        const fired: number[] = []
        const entries = timers.map((_, index) => new Entry(() => fired.push(index)))
        timers.forEach(({ ms }, index) => {
          heap.add(entries[index] as Entry, ms * 10)
        })
        timers.forEach(({ removed }, index) => {
          if (removed) expect(heap.remove(entries[index] as Entry)).toBe(true)
        })

        await clock.advance(200)

        const expected = timers
          .map((each, index) => ({ ...each, index }))
          .filter(({ removed }) => !removed)
          .sort((left, right) => left.ms - right.ms || left.index - right.index)
        expect(fired).toEqual(expected.map(({ index }) => index))
        expect(heap.size).toBe(0)
      }),
      { numRuns: 50 },
    )
  })

  test('holds the clock by no timer once it is empty', async () => {
    const clock = virtualClock()
    const heap = new TimerHeap(clock, unexpected)
    const entry = new Entry(() => {})

    heap.add(entry, 5_000)
    expect(clock.untilNext()).toBe(5_000)
    heap.remove(entry)
    await clock.settle()

    expect(clock.untilNext()).toBeUndefined()
  })

  test('fires an earlier timer that was added later in its time', async () => {
    const clock = virtualClock()
    const heap = new TimerHeap(clock, unexpected)
    const fired: string[] = []

    heap.add(new Entry(() => fired.push('late')), 1_000)
    heap.add(new Entry(() => fired.push('early')), 10)
    await clock.advance(10)

    expect(fired).toEqual(['early'])
  })

  test('fires an entry that is due without time passing', async () => {
    const clock = virtualClock()
    const heap = new TimerHeap(clock, unexpected)
    const fired: string[] = []

    heap.add(new Entry(() => fired.push('now')), 0)
    await clock.settle()

    expect(fired).toEqual(['now'])
  })

  test('never fires what has no end', async () => {
    const clock = virtualClock()
    const heap = new TimerHeap(clock, unexpected)

    heap.add(new Entry(() => expect.unreachable()), Number.POSITIVE_INFINITY)
    await clock.advance(1_000_000)

    expect(heap.size).toBe(0)
  })

  test('survives an entry that throws: the others fire, and later ones too', async () => {
    const clock = virtualClock()
    const thrown: unknown[] = []
    const heap = new TimerHeap(clock, (what) => thrown.push(what))
    const fired: string[] = []
    const odd = new Error('odd')

    heap.add(
      new Entry(() => {
        throw odd
      }),
      10,
    )
    heap.add(new Entry(() => fired.push('same moment')), 10)
    heap.add(new Entry(() => fired.push('later')), 20)
    await clock.advance(10)
    expect([fired, thrown]).toEqual([['same moment'], [odd]])
    await clock.advance(10)
    expect(fired).toEqual(['same moment', 'later'])
  })
})
