/**
 * The one redaction: values as they may be shown in logs, crash reports, traces and at the prompt.
 * A state or a payload of a running instance is passed through here before it is shown, unless the
 * server's `formatStatus` has decided already (`runtime/server/format-status.ts`). A field whose
 * name says that it has a secret shows its type and length only. Pure.
 */
import { inspect, types } from 'node:util'
import { cutCopy, cutObject, type List, leftOutOf, sizeOf } from './cut-copies.ts'
import { isError, readError } from './thrown.ts'

/** Names of fields with secrets. `key` alone is a key of the store, and keys are shown. */
const secretNames = /pass|secret|token|auth|cookie|card|iban|.key$/i

/** Names that look as if, and are not: those of keys by which others recognize a try. */
const openNames = /^(try|idempotency[-_]?)key$/i

/** Whether a field of this name shows its type and length only. */
export const isSecretName = (name: unknown): boolean =>
  typeof name === 'string' && secretNames.test(name) && !openNames.test(name)

/** The name of a mark that is not enumerable: it is neither stored nor sent. A symbol would be refused there. */
const byNames = 'keyed by names'

/**
 * `record`, whose keys are names of parts and no fields, such as queues, workflows and reports. A
 * queue may be named `tokens`, and its counts are no secret. Its members are looked into.
 */
export const keyedByNames = <T extends object>(record: T): T =>
  Object.defineProperty(record, byNames, { value: true })

/** Whether it is a record of `keyedByNames`. */
export const isKeyedByNames = (record: object): boolean => Object.hasOwn(record, byNames)

/** The type and the length of a value: `string of 7`, `array of 2`, `number`. */
export const shapeText = (value: unknown): string => {
  if (typeof value === 'string') return `string of ${value.length}`
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  try {
    if (Array.isArray(value)) return `array of ${sizeOf(value)}`
    if (ArrayBuffer.isView(value)) return `bytes of ${value.byteLength}`
    if (value instanceof Map || value instanceof Set)
      return `${value instanceof Map ? 'map' : 'set'} of ${sizeOf(value)}`
    return `object of ${sizeOf(value)}`
  } catch {
    return 'object'
  }
}

/** The text in place of a hidden value, with its type and length. */
export const hiddenText = (value: unknown): string => `[hidden ${shapeText(value)}]`

/** The text to show instead of some objects. An object that stands for itself is shown as it is. */
export type Decided = Pick<WeakMap<object, unknown>, 'has' | 'get'>

/**
 * `value` as it may be shown: the value itself if nothing in it is hidden, otherwise a copy of the
 * parts around the hidden ones. Getters do not run. Of a large value, what comes after the first
 * 1,000 members is `…`, so that it costs no more than that: about 2 ms. Objects below `depth` are left
 * as they are, for a printer that does not go down to them. Never throws.
 */
export const redacted = <T>(
  value: T,
  decided?: Decided,
  depth: number = Number.POSITIVE_INFINITY,
): T => {
  if (decided === undefined && new Look().isOpen(value, 0)) return value
  const copying = new Copying(decided, depth, isSecretName)
  const shown = copying.shown(value)
  return copying.hides ? (shown as T) : value
}

/**
 * As `redacted`, with the first `members` members of a large value. `isCut`: it has more, or is nested
 * more than 100 levels deep.
 */
export const redactedPart = (
  value: unknown,
  members: number,
): { readonly shown: unknown; readonly isCut: boolean } => {
  const copying = new Copying(undefined, Number.POSITIVE_INFINITY, isSecretName, members)
  const shown = copying.shown(value)
  return { shown: copying.hides ? shown : value, isCut: copying.isCut }
}

/** As `redacted`, but names hide nothing: of a value that may be shown, with `decided` for parts of it. */
export const replaced = <T>(value: T, decided: Decided, depth: number): T => {
  const copying = new Copying(decided, depth, () => false)
  const shown = copying.shown(value)
  return copying.hides ? (shown as T) : value
}

/** So many members and levels are looked at; most reasons, states and payloads have fewer. */
const lookMembers = 200
const lookLevels = 8
/** A message that is surely shown whole. */
const lookText = 1_000

/**
 * Finds out that nothing in a value is hidden or cut, without a copy: a copy of what a crash shows costs as
 * much as its restart. It knows plain objects, arrays and errors whose members hold their values, and
 * objects that print themselves. Of all else, and of what has a secret name, it says that it does not know.
 */
class Look {
  #left = lookMembers

  /** True: nothing is hidden. False: it may be. Never throws. */
  isOpen(item: unknown, level: number): boolean {
    if (typeof item !== 'object' || item === null) return typeof item !== 'function'
    try {
      if (level > lookLevels || types.isProxy(item) || leftOutOf(item) > 0) return false
      if (Object.getOwnPropertySymbols(item).length > 0) return false
      return Array.isArray(item) ? this.#isOpenList(item, level) : this.#isOpenRecord(item, level)
    } catch {
      return false
    }
  }

  #isOpenList(list: readonly unknown[], level: number): boolean {
    this.#left -= list.length
    if (this.#left < 0 || Object.getPrototypeOf(list) !== Array.prototype) return false
    // An array with holes or other fields has other names.
    if (Object.keys(list).length !== list.length) return false
    return list.every((item) => this.isOpen(item, level + 1))
  }

  #isOpenRecord(record: object, level: number): boolean {
    if (types.isNativeError(record)) {
      const message = Object.getOwnPropertyDescriptor(record, 'message')
      const isShort = typeof message?.value === 'string' && message.value.length <= lookText
      if (!isShort || Object.hasOwn(record, 'cause') || Object.hasOwn(record, 'errors'))
        return false
    } else if (Object.getPrototypeOf(record) !== Object.prototype)
      return isClosed(record) && !isSealed(record)
    for (const name of Object.keys(record)) {
      if (--this.#left < 0) return false
      const field = Object.getOwnPropertyDescriptor(record, name)
      if (!field || field.get || (isSecretName(name) && !isHarmless(field.value))) return false
      if (!this.isOpen(field.value, level + 1)) return false
    }
    return true
  }
}

const membersMax = 1_000
const depthMax = 100

class Copying {
  /** Whether anything is hidden. */
  hides = false
  /** Whether anything is left out for want of room. */
  isCut = false
  readonly #decided: Decided | undefined
  /** The text of an object, and how deep it is there: nearer to the top there is more to show. */
  readonly #copies = new Map<object, { readonly shown: unknown; readonly depth: number }>()
  readonly #depthMax: number
  readonly #isHidden: (name: unknown) => boolean
  #left: number
  #depth = 0

  constructor(
    decided: Decided | undefined,
    depth: number,
    isHidden: (name: unknown) => boolean,
    members = membersMax,
  ) {
    this.#decided = decided
    this.#depthMax = depth
    this.#isHidden = isHidden
    this.#left = members
  }

  shown(value: unknown): unknown {
    if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return value
    if (this.#decided?.has(value)) return this.#instead(value, this.#decided.get(value))
    const copy = this.#copies.get(value)
    if (copy !== undefined && copy.depth <= this.#depth) return copy.shown
    if (this.#depth > this.#depthMax) return value
    if (this.#left <= 0 || this.#depth >= depthMax) {
      this.isCut = true
      return this.#instead(value, '…')
    }
    this.#depth++
    try {
      const shown = this.#copied(value)
      this.#noted(value, shown)
      return shown
    } catch {
      // Reading it runs foreign code: a Proxy.
      return this.#instead(value, '[unreadable]')
    } finally {
      this.#depth--
    }
  }

  /** Called while the object counts as one level. */
  #noted(value: object, shown: unknown): void {
    this.#copies.set(value, { shown, depth: this.#depth - 1 })
  }

  #instead(value: unknown, shown: unknown): unknown {
    if (shown !== value) this.hides = true
    return shown
  }

  #copied(value: object): unknown {
    if (isSealed(value)) return this.#instead(value, Object.prototype.toString.call(value))
    if (isClosed(value)) return value
    if (isFieldless(value)) return this.#beside(value)
    if (Array.isArray(value)) return this.#array(value)
    if (types.isMap(value)) return this.#map(value)
    if (types.isSet(value)) return this.#set(value)
    return this.#object(value)
  }

  #array(value: readonly unknown[]): unknown {
    const copy: unknown[] = []
    this.#noted(value, copy)
    for (const item of value) {
      if (this.#isSpent()) break
      copy.push(this.shown(item))
    }
    return this.#list(
      value,
      copy,
      copy.every((item, at) => item === value[at]),
    )
  }

  #map(value: ReadonlyMap<unknown, unknown>): unknown {
    const copy = new Map<unknown, unknown>()
    this.#noted(value, copy)
    let isSame = true
    for (const [key, item] of value) {
      if (this.#isSpent()) break
      const shown = [this.shown(key), this.#field(key, item)]
      isSame &&= shown[0] === key && shown[1] === item
      copy.set(shown[0], shown[1])
    }
    return this.#list(value, copy, isSame)
  }

  #set(value: ReadonlySet<unknown>): unknown {
    const copy = new Set<unknown>()
    this.#noted(value, copy)
    let isSame = true
    for (const item of value) {
      if (this.#isSpent()) break
      const shown = this.shown(item)
      isSame &&= shown === item
      copy.add(shown)
    }
    return this.#list(value, copy, isSame)
  }

  /** Members may be left out, and members with the same text are one in a Set or a Map. */
  #list(value: object, copy: List, isSame: boolean): unknown {
    const size = sizeOf(value)
    if (leftOutOf(value) > 0 || sizeOf(copy) < size)
      return this.#instead(value, cutCopy(copy, size))
    return isSame ? this.#beside(value) : copy
  }

  /** Fields that hold no object come first, so that a large field hides no cursor or count beside it. */
  #object(value: object): unknown {
    const copy: object = Object.create(Object.getPrototypeOf(value))
    this.#noted(value, copy)
    const isKeyed = isKeyedByNames(value)
    const fields = namesIn(value).map((name) => fieldOf(value, name))
    let isSame = true
    let leftOut = 0
    for (const isDeep of [false, true])
      for (const field of fields) {
        if (isDeep !== isNested(field.item)) continue
        if (this.#isSpent()) {
          leftOut++
          continue
        }
        field.shown = isKeyed ? this.shown(field.item) : this.#field(field.name, field.item)
        field.isShown = true
        isSame &&= field.shown === field.item
      }
    for (const { name, found, item, shown, isShown } of fields) {
      if (!isShown) continue
      const same = found.get && shown === item ? found : { ...plain, value: shown }
      Object.defineProperty(copy, name, { ...same, enumerable: found.enumerable === true })
    }
    if (leftOut > 0) return withTexts(value, cutObject(copy, leftOut + leftOutOf(value)))
    const isCut = isError(value) && readError(value).isCut
    if (isSame && !isCut) return value
    this.hides = true
    return withTexts(value, copy)
  }

  /** `value`, unless code has given it fields beside its own content and one of them is hidden. */
  #beside(value: object): unknown {
    if (ArrayBuffer.isView(value) && value.byteLength > membersMax)
      return hasFields(value) ? this.#instead(value, hiddenText(value)) : value
    const isShown = namesIn(value).every((name) => {
      const item: unknown = Object.getOwnPropertyDescriptor(value, name)?.value
      return isIndex(name) || this.#field(name, item) === item
    })
    return isShown ? value : this.#instead(value, hiddenText(value))
  }

  /** The item of a field. Booleans and missing values are no secrets, and functions have none. */
  #field(name: unknown, item: unknown): unknown {
    const title = typeof name === 'symbol' ? name.description : name
    if (!this.#isHidden(title) || isHarmless(item)) return this.shown(item)
    return this.#instead(item, hiddenText(item))
  }

  /** Counts one more member. True: there is no room for it, so the rest is cut off. */
  #isSpent(): boolean {
    if (--this.#left >= 0) return false
    this.isCut = true
    this.hides = true
    return true
  }
}

const plain = { writable: true, configurable: true } as const

type Field = {
  readonly name: string | symbol
  readonly found: PropertyDescriptor
  readonly item: unknown
  shown: unknown
  isShown: boolean
}

/** A field of an object. A getter does not run. */
const fieldOf = (value: object, name: string | symbol): Field => {
  const found = Object.getOwnPropertyDescriptor(value, name) ?? {}
  const item: unknown = found.get ? '[getter]' : found.value
  return { name, found, item, shown: undefined, isShown: false }
}

const isNested = (item: unknown): boolean =>
  typeof item === 'function' || (typeof item === 'object' && item !== null)

const isHarmless = (item: unknown): boolean =>
  item === null ||
  ['boolean', 'undefined', 'function'].includes(typeof item) ||
  (typeof item === 'string' && item.startsWith('[hidden '))

/** Objects that say themselves how they are printed. */
const isClosed = (value: object): boolean =>
  inspect.custom in value && !ArrayBuffer.isView(value) && leftOutOf(value) === 0

/** A printer sees content in them that code cannot look at without using it up. */
const isSealed = (value: object): boolean =>
  types.isPromise(value) || types.isMapIterator(value) || types.isSetIterator(value)

/** Objects without fields of their own: only code gives them some. */
const isFieldless = (value: object): boolean =>
  typeof value === 'function' ||
  ArrayBuffer.isView(value) ||
  types.isAnyArrayBuffer(value) ||
  types.isDate(value) ||
  types.isRegExp(value) ||
  types.isWeakMap(value) ||
  types.isWeakSet(value) ||
  types.isBoxedPrimitive(value)

/**
 * Whether code has given bytes a field. Their names would have a text for each byte; Node's printer
 * skips those, and ends with the count of bytes if nothing follows.
 */
const hasFields = (bytes: object): boolean => {
  if (types.isTypedArray(bytes))
    return !/ more items \]$/.test(inspect(bytes, { customInspect: false, maxArrayLength: 0 }))
  return Object.keys(bytes).length > 0
}

const isIndex = (name: string | symbol): boolean => typeof name === 'string' && /^\d+$/.test(name)

/** The enumerable own names, and the parts of an Error, which are not enumerable. */
const namesIn = (value: object): (string | symbol)[] => {
  const names: (string | symbol)[] = Object.keys(value)
  for (const symbol of Object.getOwnPropertySymbols(value))
    if (Object.prototype.propertyIsEnumerable.call(value, symbol)) names.push(symbol)
  if (isError(value))
    for (const name of ['cause', 'errors'])
      if (Object.hasOwn(value, name) && !names.includes(name)) names.push(name)
  return names
}

/** The copy of an Error with so much of its texts as can be read. V8 makes a stack when it is read, at some cost. */
const withTexts = (value: object, copy: object): object => {
  if (!isError(value)) return copy
  const { stack, message } = readError(value)
  return Object.defineProperties(copy, { stack: { value: stack }, message: { value: message } })
}
