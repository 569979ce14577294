import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressOf, routeOf } from '../../../src/observe/widgets/route.ts'

test('an address without a view is the overview', () => {
  for (const fragment of ['', '#', '#/']) expect(routeOf(fragment).view).toBe('overview')
})

test('an address gives back its route, whatever ids and values have in them', () => {
  const text = fc.string({ minLength: 1 })
  fc.assert(
    fc.property(
      fc.array(text),
      fc.dictionary(fc.stringMatching(/^[a-z]+$/), text),
      (parts, query) => {
        expect(routeOf(addressOf('entity', parts, query))).toEqual({ view: 'entity', parts, query })
      },
    ),
  )
})

test('an address that was typed wrong is taken as it is', () => {
  expect(routeOf('#/entity/order/50%').parts).toEqual(['order', '50%'])
})
