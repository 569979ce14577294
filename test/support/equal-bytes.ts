/**
 * Lets `expect` compare equal bytes at once: it compares arrays of bytes element by element, as
 * objects with so many properties, which takes ms for some KB. Bytes that differ are left to it.
 */
import { expect } from 'vitest'

const isAdded = Symbol.for('keelson: bytes are compared at once')

/** Whether both are bytes of one kind with the same content; `undefined`: not decided here. */
const areEqualBytes = (one: unknown, other: unknown): true | undefined =>
  one instanceof Uint8Array &&
  other instanceof Uint8Array &&
  one.constructor === other.constructor &&
  Buffer.compare(one, other) === 0
    ? true
    : undefined

// Runs before each file of tests, and a process runs many.
if (!Reflect.has(globalThis, isAdded)) {
  Reflect.set(globalThis, isAdded, true)
  expect.addEqualityTesters([areEqualBytes])
}
