/**
 * About how many bytes of memory a value takes. The walk looks at a bounded number of members, and
 * takes the rest of a long list, map or object for like them. Of an object of a class only its own
 * slots count. Getters and proxies are left alone.
 * Never throws.
 */
import { types } from 'node:util'

/** The most members of one value that are looked at. */
const membersMax = 200
/** The most members of one object within it, so that one long list leaves some for the others. */
const sampleMax = 20

const objectBytes = 32
const slotBytes = 8

/** About how many bytes the values take; an object that several of them hold counts once. */
export const sizeOf = (...values: readonly unknown[]): number => {
  const size = new Size()
  try {
    return values.reduce<number>((sum, value) => sum + size.of(value), 0)
  } catch {
    // A value may be of a class that lists its members by code of its own.
    return 0
  }
}

class Size {
  readonly #seen = new Set<object>()
  #left = membersMax

  of(value: unknown): number {
    if (typeof value === 'string') return 16 + value.length
    if (typeof value === 'bigint') return 24
    if (typeof value !== 'object' || value === null || this.#left <= 0) return 0
    if (this.#seen.has(value) || types.isProxy(value)) return 0
    this.#seen.add(value)
    if (types.isAnyArrayBuffer(value)) return objectBytes + value.byteLength
    if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength
    if (types.isMap(value)) return this.#several(value.size, value.entries(), 2)
    if (types.isSet(value)) return this.#several(value.size, value.values(), 1)
    if (Array.isArray(value)) return this.#several(value.length, value.values(), 1)
    return this.#object(value)
  }

  #object(value: object): number {
    const names = Object.keys(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    // An object of a class mostly knows the world around it: processes, sockets, the instance.
    if (prototype !== null && prototype !== Object.prototype)
      return objectBytes + names.length * slotBytes
    const items = names.slice(0, sampleMax).map((name) => {
      const found = Object.getOwnPropertyDescriptor(value, name)
      return found?.get ? undefined : found?.value
    })
    return this.#several(names.length, items.values(), 1)
  }

  /** `count` members, of which the first are looked at. `slots`: of each. */
  #several(count: number, members: Iterator<unknown>, slots: number): number {
    let [bytes, seen] = [0, 0]
    while (seen < Math.min(count, sampleMax) && this.#left > 0) {
      const { value, done } = members.next()
      if (done === true) break
      this.#left--
      seen++
      const parts: readonly unknown[] = slots === 2 && Array.isArray(value) ? value : [value]
      for (const part of parts) bytes += this.of(part)
    }
    return objectBytes + count * slots * slotBytes + (seen === 0 ? 0 : (bytes * count) / seen)
  }
}
