/**
 * JSON that is read back: by the next process, another member, or as the name of something. Old
 * libraries give `Array.prototype` a `toJSON`, which runs before any replacer, and a file that was
 * written with one cannot be read by any other program. Pure.
 */

/** The value as JSON. No `toJSON` of lists and plain objects runs. */
export const plainJson = (value: unknown, indent?: number): string =>
  JSON.stringify(isSpoilt() ? bare(value) : value, undefined, indent)

/** Lists inherit from objects, so this asks about both. */
const isSpoilt = (): boolean => 'toJSON' in Array.prototype

/** A copy whose lists and plain objects have no prototype. Dates and bytes say how they are written. */
const bare = (value: unknown): unknown => {
  if (Array.isArray(value)) return Object.setPrototypeOf(Array.from(value, bare), null)
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const copy: object = Object.create(null)
  for (const [name, each] of Object.entries(value))
    Object.defineProperty(copy, name, { value: bare(each), enumerable: true })
  return copy
}
