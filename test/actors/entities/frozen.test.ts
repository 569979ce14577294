/** A state cannot be changed in place, whatever it is made of. */
import { expect, test } from 'vitest'
import { frozen } from '../../../src/actors/entities/durable-start.ts'

const refused = expect.any(TypeError)
const thrownBy = (change: () => unknown): unknown => {
  try {
    change()
  } catch (error) {
    return error
  }
  return 'changed'
}

test('an object, a list, and everything in them is frozen', () => {
  const state = frozen({ a: { b: [1, { c: 1 }] }, none: null, bare: Object.create(null) })
  expect(thrownBy(() => Object.assign(state.a, { b: 1 }))).toEqual(refused)
  expect(thrownBy(() => state.a.b.push(2))).toEqual(refused)
  expect(thrownBy(() => Object.assign(state.a.b[1] as object, { c: 2 }))).toEqual(refused)
  expect(Object.isFrozen(state.bare)).toBe(true)
})

test('a Map, a Set and a Date refuse what changes them, and can be read', () => {
  const state = frozen({
    map: new Map([[{ key: 1 }, { value: 1 }]]),
    set: new Set([{ member: 1 }]),
    date: new Date(5),
  })
  const { map, set, date } = state
  const [[key, value] = []] = map
  const [member] = set
  for (const change of [
    () => map.set({ key: 2 }, { value: 2 }),
    () => map.delete(key as { key: number }),
    () => map.clear(),
    () => set.add({ member: 2 }),
    () => set.delete(member as { member: number }),
    () => set.clear(),
    () => date.setTime(6),
    () => date.setFullYear(2000),
    () => Object.assign(key as object, { key: 2 }),
    () => Object.assign(value as object, { value: 2 }),
    () => Object.assign(member as object, { member: 2 }),
  ])
    expect(thrownBy(change)).toEqual(refused)
  expect([map.size, set.size, date.getTime()]).toEqual([1, 1, 5])
})

test('what was frozen before is looked into, and a circle ends', () => {
  const inside = { n: 1 }
  const circle: { self?: unknown } = {}
  circle.self = circle
  frozen(Object.freeze({ inside, circle }))
  expect([inside, circle].map(Object.isFrozen)).toEqual([true, true])
})

test('what was frozen is frozen again without a change, and gets no member by it', () => {
  const parts = { map: new Map([[1, 2]]), set: new Set([1]), date: new Date(5), list: [1] }
  const state = frozen(parts)
  expect(frozen(state)).toBe(state)
  expect(Object.getOwnPropertyNames(state)).toEqual(['map', 'set', 'date', 'list'])
  expect(Object.getOwnPropertyNames(state.list)).toEqual(['0', 'length'])
  expect(Object.getOwnPropertyNames(state.map)).toEqual(['set', 'delete', 'clear'])
  expect([state.map.get(1), state.set.has(1), state.date.getTime()]).toEqual([2, true, 5])
})

test('what is no part of a state is left alone, and what is no object comes back', () => {
  class Other {
    n = 1
  }
  const [other, bytes] = [new Other(), Uint8Array.of(1)]
  const state = { other, bytes, text: 'a' }
  expect(frozen(state)).toBe(state)
  other.n = 2
  bytes[0] = 2
  expect([other.n, bytes[0]]).toEqual([2, 2])
  expect([7, undefined, null, 'a'].map(frozen)).toEqual([7, undefined, null, 'a'])
})

test('a state of any depth is frozen', () => {
  let deep: object = {}
  const innermost = deep
  for (let level = 0; level < 50_000; level++) deep = { deep }
  frozen(deep)
  expect(Object.isFrozen(innermost)).toBe(true)
})
