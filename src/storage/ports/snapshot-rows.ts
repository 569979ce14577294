/**
 * The ports between a snapshot and a projection: where its rows come from, and where they go. Rows
 * stay encoded, as key and record of `row-codec.ts`. LMDB and memory pass one contract suite.
 */
import type { LoadPlace } from './named-snapshot.ts'
import type { ProjectedPosition } from './projection-store.ts'

/** An encoded row. The bytes are views, valid until the next row is taken. */
export type SnapshotRecord = { readonly key: Uint8Array; readonly record: Uint8Array }

/** One state of a projection. Its caller keeps it from changing (`ProjectionStore.pin`). */
export interface SnapshotSource {
  readonly position: ProjectedPosition
  /** The number of rows, of every class. */
  readonly rows: number
  /**
   * Every row in the order of keys; without the position. Once.
   * @throws KeelsonError `CORRUPT` for a damaged row, or another number of rows than `rows`
   */
  records(): Iterable<SnapshotRecord>
  /** How far the projection's files have grown since the source was opened, in bytes. */
  grownBytes(): number
  close(): void
}

/** A projection that is filled from a snapshot. It has no position until `complete`. */
export interface SnapshotTarget {
  /** Where an earlier load was interrupted; `undefined` in an empty projection. */
  readonly place: LoadPlace | undefined
  /**
   * Makes rows and place durable in one transaction. Keys rise, also from call to call.
   * @throws KeelsonError `NO_SPACE` with nothing changed; `CORRUPT`
   */
  append(records: readonly SnapshotRecord[], place: LoadPlace): void
  /**
   * Ends the load with the last rows: the projection has this position. @throws as `append`
   */
  complete(records: readonly SnapshotRecord[], position: ProjectedPosition): void
  close(): Promise<void>
}
