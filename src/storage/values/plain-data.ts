/**
 * Converts structured values to plain data and back. Map, Set, Date and -0, which msgpack cannot
 * express, are replaced by plain data, and a mark records each replacement. This needs no msgpackr
 * extension (their table is shared by the whole process), and any msgpack reader can read the
 * bytes. One walk refuses every value that would not come back equal, and names its path. It is
 * apart from `value.ts` because no byte is written here.
 */
/// <reference lib="es2024.string" />
import { types } from 'node:util'
import { realView } from '../../bytes/real-bytes.ts'
import { KeelsonError } from '../../errors.ts'

/** The kind of a replaced value, and its path from the top through the plain data. */
export type Mark = readonly [kind: MarkKind, ...path: (string | number)[]]

/**
 * `map`: an array of pairs. `set`: an array. `date`: ms since 1970. `minusZero`: 0. These words are
 * part of the format.
 */
export type MarkKind = 'map' | 'set' | 'date' | 'minusZero'

/**
 * Plain data and its marks, inner marks before outer ones. It shares only the memory of bytes with
 * the value.
 */
export type PlainData = { readonly plain: unknown; readonly marks: readonly Mark[] }

/**
 * The deepest nesting of containers: far below the limit of the stack, far above the need of data.
 */
const depthMax = 256

/** The steps of a path that a message shows. `details.path` has all. */
const shownSteps = 20

/**
 * The plain data of a value. A property that is `undefined` is left out, as in JSON. The value
 * itself is not changed.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`, in the value's own terms.
 */
export const toPlainData = (value: unknown): PlainData => {
  const walk = new Walk()
  const plain = walk.visit(value)
  return { plain, marks: walk.marks }
}

/**
 * The plain data of a list that the caller has just made of other values: as `toPlainData`, but the
 * list itself is not checked, and gets the plain data of its members. Those before `from` are plain
 * data already.
 * @throws KeelsonError `INVALID_ARGUMENT` as `toPlainData`
 */
export const toPlainList = (list: unknown[], from: number): PlainData => {
  const walk = new Walk()
  walk.list(list, from)
  return { plain: list, marks: walk.marks }
}

/**
 * Whether data that msgpack decoded is plain, with nothing left to mark, as `toPlainData` makes it.
 * It runs at every read: it copies nothing, and asks only what such data can be.
 */
export const isPlainData = (decoded: unknown): boolean => {
  if (typeof decoded === 'number') return !Object.is(decoded, -0)
  if (typeof decoded !== 'object' || decoded === null) return decoded !== undefined
  if (Array.isArray(decoded)) return decoded.every(isPlainData)
  if (Object.getPrototypeOf(decoded) !== Object.prototype) return decoded instanceof Uint8Array
  // The prototype may have enumerable members. To ask about own ones first would cost each read.
  for (const name in decoded)
    if (!isPlainData((decoded as Record<string, unknown>)[name]) && Object.hasOwn(decoded, name))
      return false
  return true
}

/** The value of plain data. @throws TypeError when a mark does not fit the data. */
export const fromPlainData = ({ plain, marks }: PlainData): unknown => {
  const root = { top: plain }
  for (const [kind, ...path] of marks) restore(root, ['top', ...path], kind)
  return root.top
}

type Container = Record<string | number, unknown>

const restore = (root: Container, path: readonly (string | number)[], kind: MarkKind): void => {
  const last = path[path.length - 1] ?? 'top'
  let holder = root
  for (const step of path.slice(0, -1)) holder = own(holder, step) as Container
  holder[last] = restored(own(holder, last), kind)
}

const own = (holder: Container, step: string | number): unknown => {
  if (typeof holder === 'object' && holder !== null && Object.hasOwn(holder, step))
    return holder[step]
  throw new TypeError('a mark points nowhere')
}

const restored = (found: unknown, kind: MarkKind): unknown => {
  if (kind === 'map' && Array.isArray(found)) return new Map(found as [unknown, unknown][])
  if (kind === 'set' && Array.isArray(found)) return new Set(found)
  if (kind === 'date' && typeof found === 'number') return new Date(found)
  if (kind === 'minusZero' && found === 0) return -0
  throw new TypeError('a mark does not fit')
}

/**
 * Number of prototypes above `value`: 0 for `Object.create(null)`, 1 for a plain object, 2 for a
 * built-in's instance.
 */
const prototypes = (value: object): number => {
  let count = 0
  for (let above = Object.getPrototypeOf(value); above !== null && count < 3; count++)
    above = Object.getPrototypeOf(above)
  return count
}

/**
 * Whether an object is plain, in any realm (the prompt's, a vm's): its prototype is an
 * `Object.prototype`, or has no names at all (`noOptions`).
 */
const isPlain = (value: object): boolean => {
  const prototype: object | null = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  if (prototypes(value) !== 1) return false
  return Object.hasOwn(prototype, 'isPrototypeOf') || Reflect.ownKeys(prototype).length === 0
}

/** A container that the walk is in, and its place there: an index or a name. */
class Open {
  readonly container: object
  readonly outer: Open | undefined
  readonly depth: number
  step: string | number = 0
  /** In a Map: at the key (0) or the value (1). */
  side: 0 | 1 | undefined = undefined

  constructor(container: object, outer: Open | undefined) {
    this.container = container
    this.outer = outer
    this.depth = outer === undefined ? 1 : outer.depth + 1
  }
}

/**
 * One walk through one value. It reads each property once and copies it. A getter or a proxy is
 * never asked twice, so the checked value and the stored value are the same.
 */
class Walk {
  readonly marks: Mark[] = []
  /** The innermost open container. The chain is the current path, and detects cycles. */
  #open: Open | undefined = undefined

  visit(value: unknown): unknown {
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'string') return this.#text(value)
    if (typeof value === 'number')
      return Object.is(value, -0) ? this.#marked('minusZero', 0) : value
    if (typeof value === 'object') return this.#object(value)
    if (typeof value === 'bigint') return this.#bigint(value)
    return this.#refuse(typeof value)
  }

  /** Visits the members of a list that needs no check itself, in their places. */
  list(list: unknown[], from: number): void {
    this.#members(list, list, new Open(list, undefined), from)
  }

  #members(list: readonly unknown[], into: unknown[], open: Open, from = 0): readonly unknown[] {
    this.#open = open
    for (let index = from; index < into.length; index++) {
      open.step = index
      into[index] = this.visit(list[index])
    }
    this.#open = open.outer
    return into
  }

  #refuse(why: string): never {
    const path: (string | number)[] = []
    for (let open = this.#open; open !== undefined; open = open.outer) path.unshift(open.step)
    const shown = path.length > shownSteps ? [...path.slice(0, shownSteps), '…'] : path
    const place = path.length === 0 ? 'the value' : `the value at ${shown.join('.')}`
    const hint = why === 'undefined' ? ', where null can be' : ''
    throw new KeelsonError('INVALID_ARGUMENT', `${place} cannot be stored: ${why}${hint}`, {
      details: { path, found: why },
    })
  }

  /**
   * Marks `plain` as a replacement at the current path. Called after its content has been visited.
   */
  #marked(kind: MarkKind, plain: unknown): unknown {
    const path: (string | number)[] = []
    for (let open = this.#open; open !== undefined; open = open.outer) {
      if (open.side !== undefined) path.unshift(open.side)
      path.unshift(open.step)
    }
    this.marks.push([kind, ...path])
    return plain
  }

  #text(text: string): string {
    return text.isWellFormed()
      ? text
      : this.#refuse('an ill-formed string: it has a lone surrogate')
  }

  #bigint(value: bigint): bigint {
    const fits = BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
    return fits ? value : this.#refuse('a bigint of more than 64 bits')
  }

  #object(value: object): unknown {
    // Common types first: each check of the others costs a native call.
    if (Object.getPrototypeOf(value) === Object.prototype) return this.#record(value)
    if (Array.isArray(value)) return this.#array(value)
    // msgpackr recognises only this realm's Uint8Array, and believes its properties.
    if (types.isUint8Array(value)) return realView(value)
    if (types.isDate(value)) return this.#date(value)
    if (types.isMap(value)) return this.#map(value)
    if (types.isSet(value)) return this.#set(value)
    if (isPlain(value)) return this.#record(value)
    return this.#refuse(`an instance of ${value.constructor?.name || 'a class'}`)
  }

  /** Enters a container. The caller leaves it. */
  #enter(container: object): Open {
    if (this.#open?.depth === depthMax)
      this.#refuse(`more than ${depthMax} containers in one another`)
    for (let open = this.#open; open !== undefined; open = open.outer)
      if (open.container === container) this.#refuse('it contains itself')
    if (Object.getOwnPropertySymbols(container).length > 0) this.#refuse('a key that is a symbol')
    this.#open = new Open(container, this.#open)
    return this.#open
  }

  /** Refuses a derived class and own properties: both would be lost. */
  #checkBuiltIn(value: object, name: string): void {
    if (prototypes(value) !== 2) this.#refuse(`an instance of a class derived from ${name}`)
    if (Object.keys(value).length > 0) this.#refuse(`a ${name} with properties of its own`)
  }

  #record(record: object): object {
    const open = this.#enter(record)
    const copy: Record<string, unknown> = {}
    for (const name of Object.keys(record)) {
      open.step = name
      if (name === '__proto__') this.#refuse('a key named __proto__')
      this.#text(name)
      const value = (record as Record<string, unknown>)[name]
      if (value !== undefined) copy[name] = this.visit(value)
    }
    this.#open = open.outer
    return copy
  }

  #array(array: readonly unknown[]): readonly unknown[] {
    if (Object.getPrototypeOf(array) !== Array.prototype && prototypes(array) !== 2)
      this.#refuse('an instance of a class derived from Array')
    const { length } = array
    if (Object.keys(array).length !== length)
      this.#refuse('an array with holes, or with properties of its own')
    return this.#members(array, new Array<unknown>(length), this.#enter(array))
  }

  #map(map: ReadonlyMap<unknown, unknown>): unknown {
    this.#checkBuiltIn(map, 'Map')
    const open = this.#enter(map)
    const pairs = Array.from(Map.prototype.entries.call(map), ([key, value], index) => {
      open.step = index
      open.side = 0
      const plainKey = this.visit(key)
      open.side = 1
      return [plainKey, this.visit(value)]
    })
    this.#open = open.outer
    return this.#marked('map', pairs)
  }

  #set(set: ReadonlySet<unknown>): unknown {
    this.#checkBuiltIn(set, 'Set')
    const open = this.#enter(set)
    const members = Array.from(Set.prototype.values.call(set), (member, index) => {
      open.step = index
      return this.visit(member)
    })
    this.#open = open.outer
    return this.#marked('set', members)
  }

  #date(date: Date): unknown {
    this.#checkBuiltIn(date, 'Date')
    const ms = Date.prototype.getTime.call(date)
    return Number.isNaN(ms) ? this.#refuse('an invalid Date') : this.#marked('date', ms)
  }
}
