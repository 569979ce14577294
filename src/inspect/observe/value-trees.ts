/**
 * Values as bounded trees for the page of `keelson observe`. Whatever a value is, its tree has few
 * members, short texts and an end. No getter runs. Pure.
 */
import { inspect, types } from 'node:util'
import { leftOutOf, sizeOf } from '../../cut-copies.ts'
import type { Shown } from '../../observe/index.ts'
import { hiddenText, isSecretName, redacted, shapeText } from '../../redaction.ts'
import { shortText } from '../text/shown-text.ts'

const depthMax = 6
const membersMax = 200
const textMax = 1_000
/** The most members of a whole tree, and bytes of its JSON: a frame has room for it. */
const allMembersMax = 1_000
const allBytesMax = 24 * 1024
/** The bytes of an object and of a member without their texts. */
const objectBytes = 50
const memberBytes = 12

/** The tree of a value that `formatStatus` or the redaction has decided about. Never throws. */
export const shownTree = (value: unknown, bytesMax = allBytesMax): Shown =>
  new TreeBuilder(bytesMax).tree(value, 0)

/** The tree of a value of a user, without its secrets. Never throws. */
export const redactedTree = (value: unknown, bytesMax = allBytesMax): Shown =>
  shownTree(redacted(value), bytesMax)

/** The bytes of the JSON of a value. */
export const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

/** The first items whose JSON fits into so many bytes. */
export const fitting = <T>(items: readonly T[], bytesMax: number): readonly T[] => {
  let left = bytesMax
  const end = items.findIndex((item) => {
    left -= bytesOf(item) + 1
    return left < 0
  })
  return end < 0 ? items : items.slice(0, end)
}

/** The last items whose JSON fits into so many bytes. */
export const lastFitting = <T>(items: readonly T[], bytesMax: number): readonly T[] =>
  fitting(items.toReversed(), bytesMax).toReversed()

class TreeBuilder {
  #members = allMembersMax
  #left: number
  readonly #around = new Set<object>()

  constructor(bytesMax: number) {
    this.#left = bytesMax
  }

  tree(value: unknown, depth: number): Shown {
    try {
      return this.#tree(value, depth)
    } catch {
      // Reading it runs foreign code: a Proxy.
      return { text: '[unreadable]' }
    }
  }

  #tree(value: unknown, depth: number): Shown {
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : { text: String(value) }
    if (typeof value === 'string')
      return value.startsWith('[hidden ') ? { text: value, isHidden: true } : this.#short(value)
    if (typeof value === 'bigint') return { text: this.#short(`${value}n`) }
    if (typeof value !== 'object') return { text: typeof value }
    if (types.isDate(value)) return { text: Number(value) >= 0 ? value.toISOString() : 'a date' }
    if (ArrayBuffer.isView(value) || types.isProxy(value)) return { text: shapeText(value) }
    // Objects that say themselves how they are printed: the redaction does not look into them.
    if (inspect.custom in value && leftOutOf(value) === 0) return { text: classOf(value) }
    if (this.#around.has(value)) return { text: '[circular]' }
    if (depth >= depthMax || this.#members <= 0) return { text: shapeText(value) }
    this.#around.add(value)
    try {
      return this.#parts(value, depth)
    } finally {
      this.#around.delete(value)
    }
  }

  #parts(value: object, depth: number): Shown {
    const { type, size, entries } = partsOf(value)
    this.#left -= objectBytes
    const members: [string, Shown][] = []
    // The size says what a cut copy leaves out, and its mark is no member.
    const max = Math.min(membersMax, size - leftOutOf(value))
    for (const [key, item] of entries) {
      if (members.length === max || this.#members-- <= 0 || this.#left <= 0) break
      this.#left -= memberBytes
      const shown = isSecretName(key) && isContent(item) ? hiddenText(item) : item
      members.push([this.#short(key), this.tree(shown, depth + 1)])
    }
    return { type, size, members }
  }

  #short(text: string): string {
    const short = shortText(text, Math.max(0, Math.min(textMax, this.#left)))
    this.#left -= bytesOf(short)
    return short
  }
}

/** Whether a field may have a secret: one that is hidden already has none. */
const isContent = (item: unknown): boolean =>
  (typeof item === 'string' && !item.startsWith('[hidden ')) ||
  typeof item === 'number' ||
  typeof item === 'bigint' ||
  (typeof item === 'object' && item !== null)

type Parts = {
  readonly type: string
  readonly size: number
  readonly entries: Iterable<readonly [key: string, value: unknown]>
}

const partsOf = (value: object): Parts => {
  if (Array.isArray(value)) return { type: 'array', size: sizeOf(value), entries: itemsOf(value) }
  if (types.isMap(value)) return { type: 'map', size: sizeOf(value), entries: pairsOf(value) }
  if (types.isSet(value)) return { type: 'set', size: sizeOf(value), entries: itemsOf(value) }
  const names = Object.keys(value)
  const isError = types.isNativeError(value)
  if (isError) names.unshift('message')
  return {
    type: classOf(value),
    size: sizeOf(value) + Number(isError),
    entries: fieldsOf(value, names),
  }
}

function* itemsOf(items: Iterable<unknown>): Generator<readonly [string, unknown]> {
  let at = 0
  for (const item of items) yield [String(at++), item]
}

function* pairsOf(map: ReadonlyMap<unknown, unknown>): Generator<readonly [string, unknown]> {
  for (const [key, item] of map) yield [keyText(key), item]
}

function* fieldsOf(value: object, names: string[]): Generator<readonly [string, unknown]> {
  for (const name of names) {
    const field = Object.getOwnPropertyDescriptor(value, name)
    yield [name, field?.get ? '[getter]' : field?.value]
  }
}

const keyText = (key: unknown): string =>
  typeof key === 'object' || typeof key === 'function' ? shapeText(key) : String(key)

const classOf = (value: object): string => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== 'object' || prototype === null) return 'object'
  const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof made !== 'function' || made === Object) return 'object'
  const name: unknown = Object.getOwnPropertyDescriptor(made, 'name')?.value
  return typeof name === 'string' && name !== '' ? shortText(name, 100) : 'object'
}
