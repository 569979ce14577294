/**
 * Projections for the configuration of an instance: `projection`, and those that come with the
 * package: counts by namespace, and the history of keys. It loads nothing of the storage.
 */
import { configError, isKeelsonError, unknownOption } from '../errors.ts'
import type { Projection, ProjectionChange, ProjectionOptions } from '../storage/index.ts'

/**
 * A projection by the name under which it is read. Names: 1 to 64 letters, digits, `_`, `-`, `.`.
 * @throws KeelsonError `CONFIG`
 */
export const projection = (name: string, options: ProjectionOptions): Projection => {
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
    throw configError('projection', '1 to 64 letters, digits, `_`, `-` or `.`', name)
  const path = `projection(${name})`
  if (typeof options !== 'object' || options === null)
    throw configError(path, 'an object with version and project', options)
  const known = ['version', 'project', 'keeps', 'entities']
  for (const option of Object.keys(options))
    if (!known.includes(option)) throw unknownOption('CONFIG', `${path}.${option}`, known)
  const { version, project, keeps = false, entities = false } = options
  if (!Number.isSafeInteger(version) || version < 1)
    throw configError(`${path}.version`, 'a whole number from 1', version)
  if (typeof project !== 'function') throw configError(`${path}.project`, 'a function', project)
  if (typeof keeps !== 'boolean') throw configError(`${path}.keeps`, 'a boolean', keeps)
  if (typeof entities !== 'boolean') throw configError(`${path}.entities`, 'a boolean', entities)
  return { name, version, project, keeps, entities } as Projection
}

/** How many keys each namespace has: rows of the namespace and the number. A compound counts once. */
export const countsByNamespace = (name = 'counts'): Projection =>
  projection(name, {
    version: 1,
    project({ kind, key, existed, exists }) {
      const by = Number(exists) - Number(existed)
      return kind === 'field' || by === 0 ? [] : [{ kind: 'add', key: namespaceOf(key), by }]
    },
  })

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

/** The namespace of a key: what is before its first colon. */
const namespaceOf = (key: string): string => {
  const colon = key.indexOf(':')
  return colon < 0 ? '_root' : key.slice(0, colon)
}

/** The projections of the configuration, checked. @throws KeelsonError `CONFIG` */
export const checkProjections = (projections: unknown = []): readonly Projection[] => {
  if (!Array.isArray(projections))
    throw configError('projections', 'a list of projections', projections)
  const names = new Set<string>()
  return projections.map((each: Projection, at) => {
    const path = `projections[${at}]`
    if (typeof each !== 'object' || each === null)
      throw configError(path, 'what `projection` made', each)
    const { name, ...options } = each
    if (names.has(name)) throw configError(path, 'a name of its own', name)
    names.add(name)
    return projection(name, options)
  })
}
