/**
 * Projections for the configuration of an instance: `projection`, and the ones of the package:
 * counts by namespace, and the history of keys. It loads nothing of the storage.
 */

import {
  type Check,
  config,
  flag,
  functionOf,
  type Given,
  listOf,
  noMore,
  object,
  or,
  refusal,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import { configError, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { Projection, ProjectionChange, ProjectionOptions } from './projection.ts'

const projectionOptions = object({
  version: wholeFrom(1),
  project: functionOf<ProjectionOptions['project']>(),
  keeps: or(flag, false),
  entities: or(flag, false),
})

/**
 * A projection by the name under which it is read. Names: 1 to 64 letters, digits, `_`, `-`, `.`.
 * @throws KeelsonError `CONFIG`
 */
export const projection = (
  name: string,
  options: ProjectionOptions,
  ...surplus: []
): Projection => {
  noMore(surplus, 'projection(name, { version, … })')
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
    throw configError('projection', '1 to 64 letters, digits, `_`, `-` or `.`', name)
  return { name, ...projectionOptions(options, config(`projection(${name})`)) } as Projection
}

/**
 * How many keys each namespace has: rows of the namespace and the number. A compound counts once.
 * Keys that begin with a colon count with those without one, in `_root`.
 */
export const countsByNamespace = (name = 'counts', ...surplus: []): Projection => {
  noMore(surplus, 'countsByNamespace(name)')
  return projection(name, {
    version: 1,
    project({ kind, key, existed, exists }) {
      const by = Number(exists) - Number(existed)
      return kind === 'field' || by === 0 ? [] : [{ kind: 'add', key: namespaceOf(key), by }]
    },
  })
}

/**
 * A value that a key had, from `time` (ms since 1970) on; without `value` it had none, or, with
 * `isLarge`, one of more than 1 MiB in blobs.
 */
export type HistoryEntry = {
  readonly lsn: number
  readonly time: number
  readonly value?: unknown
  readonly isLarge?: true
}

const historyOptions = {
  /** Only keys that begin with it. */
  prefix: or(text, ''),
  /** The most entries of a key; 20 by default, at most 1,000. */
  max: or(wholeFrom(1, 1_000), 20),
  /** Entries older than this, in ms, go with the next change of their key, but for the newest. */
  maxAgeMs: or(
    that<number>('a number of ms above 0', (found) => typeof found === 'number' && found > 0),
    Number.POSITIVE_INFINITY,
  ),
}

/** Which keys have a history, and how long it is. */
export type HistoryOptions = Given<typeof historyOptions>

/**
 * The last values of each key: rows of the key and a list of `HistoryEntry`, the newest last. Fields
 * of compound keys have none.
 * @throws KeelsonError `CONFIG`
 */
export const history = (
  options: HistoryOptions = noOptions,
  name = 'history',
  ...surplus: []
): Projection => {
  noMore(surplus, 'history({ prefix, … }, name)')
  const { prefix, max, maxAgeMs } = object(historyOptions)(options, config('history'))
  return projection(name, {
    version: 1,
    keeps: true,
    project(change, own) {
      const { kind, key, lsn, time } = change
      if (kind !== 'value' || !key.startsWith(prefix)) return []
      const entry: HistoryEntry = { lsn, time, ...valueAfter(change) }
      const before = (own.get(key) ?? []) as HistoryEntry[]
      const young = before.filter((each) => each.time > time - maxAgeMs)
      return [{ kind: 'put', key, value: [...young, entry].slice(-max) }]
    },
  })
}

const valueAfter = (change: ProjectionChange): Pick<HistoryEntry, 'value' | 'isLarge'> => {
  try {
    return change.exists ? { value: change.after } : {}
  } catch (error) {
    if (isKeelsonError(error, 'TOO_LARGE')) return { isLarge: true }
    throw error
  }
}

/** The part of a key before its first colon; `_root` if there is none: no row has an empty key. */
const namespaceOf = (key: string): string => {
  const colon = key.indexOf(':')
  return colon <= 0 ? '_root' : key.slice(0, colon)
}

/** The option `projections` of `start`. */
export const projectionList: Check<readonly Projection[]> = (found, at) => {
  const names = new Set<string>()
  const one: Check<Projection> = (each, here) => {
    if (typeof each !== 'object' || each === null)
      throw refusal(here, 'what `projection` made', each)
    const { name, ...options } = each as Projection
    if (names.has(name)) throw refusal(here, 'a name of its own', name)
    names.add(name)
    return projection(name, options)
  }
  return listOf(one, 'a list of projections')(found, at)
}
