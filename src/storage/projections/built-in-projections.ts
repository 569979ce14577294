/** Projections that come with the package: counts by namespace, and the history of keys. */
import { configError } from '../../errors.ts'
import { namespaceOf } from '../values/key.ts'
import { type Projection, projection } from './projection.ts'

/** How many keys each namespace has: rows of the namespace and the number. A compound counts once. */
export const countsByNamespace = (name = 'counts'): Projection =>
  projection(name, {
    version: 1,
    project({ kind, key, before, after }) {
      const by = Number(after !== undefined) - Number(before !== undefined)
      return kind === 'field' || by === 0 ? [] : [{ kind: 'add', key: namespaceOf(key), by }]
    },
  })

/** A value that a key had, from `time` (ms since 1970) on; without `value` it had none. */
export type HistoryEntry = { readonly lsn: number; readonly time: number; readonly value?: unknown }

/** Which keys have a history, and how long it is. */
export type HistoryOptions = {
  /** Only keys that begin with it. */
  readonly prefix?: string
  /** The most entries of a key; 20 by default, at most 1,000. */
  readonly max?: number
  /** Entries older than this, in ms, go with the next change of their key, but for the newest. */
  readonly maxAgeMs?: number
}

/**
 * The last values of each key: rows of the key and a list of `HistoryEntry`, the newest last. Fields
 * of compound keys have none.
 * @throws KeelsonError `CONFIG`
 */
export const history = (options: HistoryOptions = {}, name = 'history'): Projection => {
  const { prefix = '', max = 20, maxAgeMs = Number.POSITIVE_INFINITY } = options
  if (typeof prefix !== 'string') throw configError('history.prefix', 'a text', prefix)
  if (!Number.isSafeInteger(max) || max < 1 || max > 1_000)
    throw configError('history.max', 'a whole number from 1 to 1,000', max)
  if (typeof maxAgeMs !== 'number' || !(maxAgeMs > 0))
    throw configError('history.maxAgeMs', 'a number of ms above 0', maxAgeMs)
  return projection(name, {
    version: 1,
    keeps: true,
    project(change, own) {
      const { kind, key, lsn, time } = change
      if (kind !== 'value' || !key.startsWith(prefix)) return []
      const { after } = change
      const entry: HistoryEntry = { lsn, time, ...(after === undefined ? {} : { value: after }) }
      const before = (own.get(key) ?? []) as HistoryEntry[]
      const young = before.filter((each) => each.time > time - maxAgeMs)
      return [{ kind: 'put', key, value: [...young, entry].slice(-max) }]
    },
  })
}
