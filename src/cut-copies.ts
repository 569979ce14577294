/**
 * Copies of the first members of a list, a Map, a Set or an object. A cut copy ends with a mark that
 * has the number of members left out, so that each printer says the size of the whole: a prompt that
 * counts the copy shows `Map(334)` for a Map of 1,000. The mark is a text, so it crosses threads and
 * links. Pure.
 */
import { type InspectOptions, inspect, types } from 'node:util'

/** The name of the mark in a Map and in an object. */
const markName = '…'

const markOf = (count: number): string => `… ${count} more`

/** The most members of a cut copy: a larger Set is not looked through for its last one. */
const cutMax = 1_001

/** The members that a cut copy leaves out; 0 for every other value. */
export const leftOutOf = (value: object): number => {
  const mark = lastOf(value)
  const [, count] = typeof mark === 'string' ? (/^… (\d+) more$/.exec(mark) ?? []) : []
  return Number(count ?? 0)
}

const lastOf = (value: object): unknown => {
  if (Array.isArray(value)) return value.at(-1)
  if (types.isMap(value)) return value.get(markName)
  if (types.isSet(value)) return value.size > cutMax ? undefined : [...value].at(-1)
  return Object.getOwnPropertyDescriptor(value, markName)?.value
}

/** How many members a value has. For a cut copy it is the number of the whole. */
export const sizeOf = (value: object): number => {
  const count = countOf(value)
  const leftOut = leftOutOf(value)
  return leftOut === 0 ? count : count - 1 + leftOut
}

const countOf = (value: object): number => {
  if (Array.isArray(value)) return value.length
  return types.isMap(value) || types.isSet(value) ? value.size : Object.keys(value).length
}

/** `copy`, with the mark that it is a part of a value with `size` members. */
export const cutCopy = (copy: List, size: number): List => {
  const isMarked = leftOutOf(copy) > 0
  if (Array.isArray(copy)) {
    if (isMarked) copy.pop()
    copy.push(markOf(size - copy.length))
  } else if (types.isMap(copy)) {
    // A member of the value may have this name.
    copy.delete(markName)
    copy.set(markName, markOf(size - copy.size))
  } else {
    if (isMarked) copy.delete([...copy].at(-1))
    copy.add(markOf(size - copy.size))
  }
  return printedWhole(copy)
}

/** `copy`, with the mark as its last field. */
export const cutObject = (copy: object, leftOut: number): object =>
  Object.defineProperty(copy, markName, { value: markOf(leftOut), enumerable: true })

/** A value whose members Node's printer counts. */
export type List = unknown[] | Map<unknown, unknown> | Set<unknown>

/** Makes Node's printer say the size of the whole. */
const printedWhole = (copy: List): List => {
  let isPrinting = false
  const print = (depth: number, options: InspectOptions, printer: typeof inspect): string => {
    if (isPrinting) return '[Circular]'
    isPrinting = true
    try {
      return wholeText(copy, { ...options, depth }, printer)
    } finally {
      isPrinting = false
    }
  }
  return Object.defineProperty(copy, inspect.custom, { value: print, configurable: true })
}

/** The sizes that Node's printer writes: before the members of a Map or a Set, and after all members. */
const sizeText = /^(Map|Set)\(\d+\)/
const moreText = /\.{3} (=> )?\d+ more items?(?=\s*[\]}]$)/

const wholeText = (copy: List, options: InspectOptions, printer: typeof inspect): string => {
  const { maxArrayLength = inspect.defaultOptions.maxArrayLength } = options
  const size = sizeOf(copy)
  const left = size - Math.min(countOf(copy) - 1, maxArrayLength ?? Number.POSITIVE_INFINITY)
  return printer(withPlainMark(copy, left), options)
    .replace(sizeText, `$1(${size})`)
    .replace(moreText, `... ${moreItems(left)}`)
}

const moreItems = (count: number): string => `${count} more item${count > 1 ? 's' : ''}`

/** The members, and a mark without quotes. */
const withPlainMark = (copy: List, left: number): List => {
  if (types.isMap(copy)) {
    const members = [...copy].slice(0, -1)
    return new Map([...members, [unquoted('...'), unquoted(moreItems(left))]])
  }
  const members = [...copy.values()].slice(0, -1)
  const all = [...members, unquoted(`... ${moreItems(left)}`)]
  return types.isSet(copy) ? new Set(all) : all
}

const unquoted = (text: string): object => ({ [inspect.custom]: () => text })
