import { expect, test } from 'vitest'
import {
  drawingOf,
  isActive,
  type OutlineState,
  type PlacedState,
} from '../../../src/observe/widgets/machine-layout.ts'

const state = (
  path: string,
  ...to: (readonly [event: string, target: string])[]
): OutlineState => ({
  path: path === '' ? [] : path.split('/'),
  isFinal: false,
  transitions: to.map(([event, target]) => ({ event, to: [target.split('/')] })),
})

const order = [
  state(''),
  state('placed', ['PAY', 'paying']),
  state('paying', ['PAID', 'paid'], ['after 900000 ms', 'placed']),
  state('paying/charging', ['FAILED', 'paying/waiting']),
  state('paying/waiting', ['', 'paying/charging']),
  state('paid', ['PAID', 'paid']),
]

const edgesOf = ({ x, y, width, height }: PlacedState) => ({
  ...{ left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 },
})

test('states do not overlap, and the states of a group are inside of it', () => {
  const { states } = drawingOf(order)
  const at = (id: string) => {
    const found = states.find((each) => each.id === id)
    if (!found) throw new Error(`${id} is not drawn`)
    return edgesOf(found)
  }
  const group = at('paying')
  for (const id of ['paying/charging', 'paying/waiting']) {
    expect(at(id).left).toBeGreaterThan(group.left)
    expect(at(id).right).toBeLessThan(group.right)
    expect(at(id).top).toBeGreaterThan(group.top)
    expect(at(id).bottom).toBeLessThan(group.bottom)
  }
  const apart = ['placed', 'paying', 'paid'].map(at)
  for (const one of apart)
    for (const other of apart)
      if (one !== other)
        expect(
          one.right < other.left ||
            other.right < one.left ||
            one.bottom < other.top ||
            other.bottom < one.top,
        ).toBe(true)
})

test('each transition is drawn with its event, its delay as people read it, or always', () => {
  const { edges } = drawingOf(order)
  expect(edges.map(({ from, to, label }) => `${from} → ${to}: ${label}`)).toEqual([
    'placed → paying: PAY',
    'paying → paid: PAID',
    'paying → placed: after 15 min',
    'paying/charging → paying/waiting: FAILED',
    'paying/waiting → paying/charging: always',
    'paid → paid: PAID',
  ])
})

test('a state value names the states that it is in, those around them included', () => {
  const isIn = (value: unknown) =>
    ['placed', 'paying', 'paying/charging', 'paying/waiting'].filter((id) => isActive(value, id))
  expect(isIn('placed')).toEqual(['placed'])
  expect(isIn({ paying: 'waiting' })).toEqual(['paying', 'paying/waiting'])
  expect(isIn({ paying: { charging: {} } })).toEqual(['paying', 'paying/charging'])
  expect(isIn(undefined)).toEqual([])
})
