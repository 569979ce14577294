/** The differences between two states, as paths. Pure. */

import { isDeepStrictEqual } from 'node:util'
import { ownOf } from '../../own-names.ts'

/** A part that differs. `before` or `after` is absent where the part is not there. */
export type StateChange = {
  /** `items[2].price`; empty: the whole state. */
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

/** The most changes that are listed. */
const changesMax = 100

/** The differences of plain objects and arrays, member by member; other values are compared whole. */
export const changesBetween = (before: unknown, after: unknown): readonly StateChange[] => {
  const changes: StateChange[] = []
  collect('', before, after, changes)
  return changes
}

const collect = (path: string, before: unknown, after: unknown, into: StateChange[]): void => {
  if (into.length === changesMax || isDeepStrictEqual(before, after)) return
  const [old, next] = [membersOf(before), membersOf(after)]
  if (!old || !next || Array.isArray(before) !== Array.isArray(after)) {
    into.push({
      path,
      ...(before !== undefined && { before }),
      ...(after !== undefined && { after }),
    })
    return
  }
  for (const name of new Set([...Object.keys(old), ...Object.keys(next)]))
    collect(pathTo(path, name, Array.isArray(after)), ownOf(old, name), ownOf(next, name), into)
}

/** The members of a plain object or an array. */
const membersOf = (value: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === Object.prototype || prototype === null || Array.isArray(value)
  return isPlain ? (value as Readonly<Record<string, unknown>>) : undefined
}

const pathTo = (path: string, name: string, isIndex: boolean): string => {
  if (isIndex) return `${path}[${name}]`
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`
  return path === '' ? name : `${path}.${name}`
}
