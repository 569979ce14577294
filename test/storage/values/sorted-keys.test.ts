import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isWithin } from '../../../src/storage/rows/rows.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { SortedKeys } from '../../../src/storage/values/sorted-keys.ts'
import { anyText } from '../../support/any-text.ts'

const key = anyText({ minLength: 1, maxLength: 3 })
const lower = fc.oneof(fc.constant({}), fc.record({ gt: key }), fc.record({ gte: key }))
const upper = fc.oneof(fc.constant({}), fc.record({ lt: key }), fc.record({ lte: key }))
const range = fc
  .tuple(lower, upper, fc.boolean())
  .map(([from, to, reverse]) => ({ ...from, ...to, reverse }))

describe('sorted keys', () => {
  test('are those within a range, in its order, however they were added', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(key, range), { maxLength: 60 }), (steps) => {
        const keys = new SortedKeys()
        const model = new Set<string>()
        for (const step of steps) {
          if (typeof step !== 'string') {
            const wanted = [...model].filter((each) => isWithin(each, step)).sort(compareKeys)
            expect([...keys.within(step)]).toEqual(step.reverse ? wanted.reverse() : wanted)
          } else if (!model.has(step)) {
            keys.add(step)
            model.add(step)
          }
        }
        expect(keys.size).toBe(model.size)
        expect(new Set(keys.all())).toEqual(model)
      }),
    )
  })
})
