/**
 * Projections by users: rows that a function derives from the changes of keys. They are kept beside
 * the values, change in the same transaction, and are read by `app.projection(name)`.
 */
import { configError, unknownOption } from '../../errors.ts'

/**
 * A change of one key by one frame of the log.
 * - `value`: the key had the value `before` and has `after`; `undefined` stands for none.
 * - `field`: the same, for the field `field` of a compound key.
 * - `compound`: the number of fields of a compound key; `undefined` for none.
 *
 * A rebuild gives each present value as a change without `before`. Reading `before` or `after`
 * throws `TOO_LARGE` for a value of more than 1 MiB in blobs.
 */
export type ProjectionChange = {
  readonly kind: 'value' | 'field' | 'compound'
  readonly key: string
  readonly field: string | undefined
  readonly before: unknown
  readonly after: unknown
  /** The LSN of the frame; in a rebuild that of the position it starts from. */
  readonly lsn: number
  /** The stamp of the frame, in ms since 1970; in a rebuild 0. */
  readonly time: number
}

/**
 * What a projection does to its own rows. `add` adds to a row that holds a number; an absent one
 * counts as 0, and a sum of 0 removes the row. Keys: 1 to 1,280 bytes of text without NUL.
 */
export type ProjectedOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: unknown }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'add'; readonly key: string; readonly by: number }

/** The projection's own rows, as they are before the change. */
export type OwnRows = {
  get(key: string): unknown
  /** The rows whose keys begin with `prefix`, in order. */
  range(prefix: string): IterableIterator<readonly [key: string, value: unknown]>
}

/** How a projection derives its rows. */
export type ProjectionOptions = {
  /** A whole number from 1. Another version than the last one rebuilds the projection. */
  readonly version: number
  /**
   * Derives the operations of one change. It is synchronous, and decides by its arguments alone. If
   * it throws, the projection is halted; writes and other projections go on.
   */
  readonly project: (change: ProjectionChange, own: OwnRows) => Iterable<ProjectedOperation>
  /**
   * The rows cannot be derived from the present values alone, as a history cannot. They are never
   * rebuilt while the version stays. What changed while the projection was not configured is
   * missing in it.
   */
  readonly keeps?: boolean
}

/** A projection of the configuration. */
export type Projection = ProjectionOptions & { readonly name: string; readonly keeps: boolean }

/** The projections of a shard, and those that were halted in this life of its writer. */
export type Projecting = {
  readonly projections: readonly Projection[]
  readonly givenUp: ReadonlySet<string>
}

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
  const known = ['version', 'project', 'keeps']
  for (const option of Object.keys(options))
    if (!known.includes(option)) throw unknownOption('CONFIG', `${path}.${option}`, known)
  const { version, project, keeps = false } = options
  if (!Number.isSafeInteger(version) || version < 1)
    throw configError(`${path}.version`, 'a whole number from 1', version)
  if (typeof project !== 'function') throw configError(`${path}.project`, 'a function', project)
  if (typeof keeps !== 'boolean') throw configError(`${path}.keeps`, 'a boolean', keeps)
  return { name, version, project, keeps }
}
