/**
 * Projections by users: rows that a function derives from the changes of keys. They are kept beside
 * the values, change in the same transaction, and are read by `app.projection(name)`.
 */
import type { IndexValue } from '../values/index-value.ts'

/**
 * A change of one key by one frame of the log.
 * - `value`: the key had the value `before` and has `after`; `undefined` stands for none.
 * - `field`: the same, for the field `field` of a compound key.
 * - `compound`: the number of fields of a compound key; `undefined` for none.
 *
 * A rebuild gives each present value as a change without `before`. Reading `before` or `after`
 * throws `TOO_LARGE` for a value of more than 1 MiB in blobs, and an uncaught error halts the
 * projection. So look at `kind` and `key` first: `before` and `after` among the parameters of
 * `project` are read for every key.
 */
export type ProjectionChange = {
  readonly kind: 'value' | 'field' | 'compound'
  readonly key: string
  readonly field: string | undefined
  /** Whether there is a `before`, and an `after`; neither is read for that. */
  readonly existed: boolean
  readonly exists: boolean
  readonly before: unknown
  readonly after: unknown
  /** The LSN of the frame; in a rebuild that of the position it starts from. */
  readonly lsn: number
  /** The stamp of the frame, in ms since 1970; in a rebuild 0. */
  readonly time: number
}

/**
 * A change of one entity by one frame of the log, for a projection with `entities`: it is new, its
 * index fields changed, or it is deleted. Other turns make no change. `before` and `after` are its
 * index fields; `undefined` before stands for new, `undefined` after for deleted. A rebuild gives
 * each present entity as one without `before`.
 */
export type EntityChange = {
  readonly kind: 'entity'
  /** The kind of the entity, as in `entity(kind, server)`. */
  readonly entityKind: string
  readonly id: string
  readonly existed: boolean
  readonly exists: boolean
  readonly before: EntityFields | undefined
  readonly after: EntityFields | undefined
  /** As in a `ProjectionChange`. */
  readonly lsn: number
  readonly time: number
}

/** The index fields of an entity. A field without a value is absent. */
export type EntityFields = Readonly<Record<string, IndexValue>>

/**
 * An operation of a projection on its own rows. `add` adds to a row that holds a number; an absent
 * one counts as 0, and a sum of 0 removes the row. Keys: 1 to 1,280 bytes of text without NUL.
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

/** How a projection derives its rows. With `entities: true` it gets the changes of entities too. */
export type ProjectionOptions = ProjectionTerms &
  (
    | { readonly entities?: false; readonly project: Project<ProjectionChange> }
    | { readonly entities: true; readonly project: Project<ProjectionChange | EntityChange> }
  )

/**
 * Derives the operations of one change. It is synchronous, and decides by its arguments alone. If it
 * throws, the projection is halted; writes and other projections go on.
 */
export type Project<C> = (change: C, own: OwnRows) => Iterable<ProjectedOperation>

/** The options of any projection. */
export type ProjectionTerms = {
  /** A whole number from 1. Another version than the last one rebuilds the projection. */
  readonly version: number
  /**
   * The rows cannot be derived from the present values alone, as a history cannot. They are never
   * rebuilt while the version stays. Changes while the projection was not configured are missing in
   * it.
   */
  readonly keeps?: boolean
}

/** A projection of the configuration. */
export type Projection = ProjectionOptions & { readonly name: string; readonly keeps: boolean }

/** The projections of a shard, and the halted ones of this incarnation of its writer. */
export type Projecting = {
  readonly projections: readonly Projection[]
  readonly givenUp: ReadonlySet<string>
  /** In ms since 1970: when one is halted. */
  readonly now: () => number
}
