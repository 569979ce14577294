/** About how many bytes a value takes. */
import { expect, test } from 'vitest'
import { sizeOf } from '../../../src/runtime/process/process-info.ts'

const row = (at: number) => ({ at, name: 'x'.repeat(100) })
const rows = (count: number) => Array.from({ length: count }, (_, at) => row(at))

test('a long list counts as its first members, times its length', () => {
  const one = sizeOf(row(0))
  expect(one).toBeGreaterThan(100)
  expect(sizeOf(rows(100_000)) / (100_000 * one)).toBeCloseTo(1, 0)
  const map = new Map(rows(1_000).map((each) => [String(each.at), each]))
  expect(sizeOf(map)).toBeGreaterThan(1_000 * one)
  expect(sizeOf(new Set(rows(1_000)))).toBeGreaterThan(1_000 * one)
})

test('bytes count as they are, and an object once, also one that holds itself', () => {
  expect(sizeOf(Buffer.alloc(1_000_000))).toBeGreaterThanOrEqual(1_000_000)
  const shared = row(1)
  expect(sizeOf(shared, shared)).toBe(sizeOf(shared))
  const ring: { self?: unknown } = {}
  ring.self = ring
  expect(sizeOf(ring)).toBeLessThan(100)
})

test('no getter and no trap runs, and nothing throws', () => {
  const fail = () => {
    throw new Error('it ran')
  }
  const getter = Object.defineProperty({}, 'a', { get: fail, enumerable: true })
  expect(sizeOf(getter)).toBeLessThan(100)
  expect(sizeOf(new Proxy({}, { ownKeys: fail, get: fail }))).toBe(0)
  expect(sizeOf(Object.assign([1], { values: fail }))).toBe(0)
})
