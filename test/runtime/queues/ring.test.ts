import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ring } from '../../../src/runtime/queues/ring.ts'

type Item = { readonly number: number }

const drained = (ring: Ring<Item>): number[] => {
  const numbers: number[] = []
  for (let item = ring.shift(); item !== undefined; item = ring.shift()) numbers.push(item.number)
  return numbers
}

const ringOf = (...numbers: number[]): Ring<Item> => {
  const ring = new Ring<Item>()
  for (const number of numbers) ring.push({ number })
  return ring
}

describe('a ring', () => {
  test('does what an array does, for any order of operations', () => {
    const operation = fc.oneof(
      fc.constant('push' as const),
      fc.constant('unshift' as const),
      fc.constant('shift' as const),
      fc.constant('remove' as const),
      fc.constant('swap' as const),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(operation, fc.nat(30)), { maxLength: 200 }), (operations) => {
        const ring = new Ring<Item>()
        const model: Item[] = []
        for (const [what, number] of operations) {
          const item = { number }
          if (what === 'push') {
            ring.push(item)
            model.push(item)
          } else if (what === 'unshift') {
            ring.unshift(item)
            model.unshift(item)
          } else if (what === 'shift') {
            expect(ring.shift()).toBe(model.shift())
          } else if (what === 'remove') {
            const index = model.findIndex((each) => each.number === number)
            const [expected] = index < 0 ? [] : model.splice(index, 1)
            expect(ring.remove((each) => each.number === number)).toBe(expected)
          } else if (number < model.length) {
            ring.swapToFront(number)
            const [first, other] = [model[0] as Item, model[number] as Item]
            model[0] = other
            model[number] = first
          }
          expect(ring.length).toBe(model.length)
          expect(ring.at(0)).toBe(model[0])
        }
        expect(drained(ring)).toEqual(model.map(({ number }) => number))
      }),
    )
  })

  test('puts all of another before its own, and leaves that one empty', () => {
    const [ring, other] = [ringOf(3, 4), ringOf(1, 2)]

    ring.prepend(other)

    expect(other.length).toBe(0)
    expect(drained(ring)).toEqual([1, 2, 3, 4])
  })

  test('keeps its order through a flood and is usable afterwards', () => {
    const ring = ringOf(...Array.from({ length: 5_000 }, (_, number) => number))

    expect(drained(ring)).toEqual(Array.from({ length: 5_000 }, (_, number) => number))
    ring.push({ number: 1 })
    expect(drained(ring)).toEqual([1])
  })
})
