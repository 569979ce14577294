/**
 * A turn in the log, and the search for the turns of one durable actor. In production a search has a
 * thread that only reads; in the simulation it runs in line.
 */

import type { LogHost } from '../ports/log-host.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import type { TurnMark } from '../values/entity-row.ts'
import type { LoggedCause } from '../values/turn-cause.ts'

/** A place in a log: a unit of a frame. */
export type UnitPlace = { readonly lsn: number; readonly unit: number }

/** A turn in the log as a look at the past needs it: without the values of its writes. */
export type LoggedTurn = UnitPlace & {
  /** When the log accepted it, in ms since 1970. */
  readonly time: number
  /** The mark of the main row after it; `undefined`: the turn removed the row. */
  readonly mark: TurnMark | undefined
  readonly follows: TurnMark | undefined
  /** The bytes of the main row after it. */
  readonly row: Uint8Array | undefined
  /** The other rows of the actor that it changed; without bytes they were removed. */
  readonly rows: readonly (readonly [rowKey: string, bytes: Uint8Array | undefined])[]
  /** `undefined` if its unit does not say it. */
  readonly cause: LoggedCause | undefined
  /** Its commands on users' keys. */
  readonly writes: readonly { readonly kind: string; readonly keys: readonly string[] }[]
  /** The ids of its entries of the journal. */
  readonly entries: readonly string[]
  /** The keys of the own rows that it changed. */
  readonly own: readonly string[]
  /** Short values of these rows, of a kind that Keelson makes itself: its `$` begins the name. */
  readonly ownValues: readonly StoredValue[]
}

/**
 * The next turn to find: the last one before a place that left this mark, or that removed the main
 * row.
 */
export type WantedTurn = { readonly before: UnitPlace; readonly mark: TurnMark | 'removal' }

/** A search, from `wanted` back. */
export type TurnScanRequest = {
  /** The folder of the log, if it has one. Its frames up to `to` are durable, and a pin keeps them. */
  readonly dir: string
  readonly to: number
  /**
   * Where the frames of the newest segment end, up to `to` or later. A hint: without it the search
   * reads the whole file.
   */
  readonly newest?: { readonly file: string; readonly offset: number } | undefined
  /** `kind/id`. */
  readonly entity: string
  readonly wanted: WantedTurn
  /** Later turns are passed and not answered. */
  readonly atLsn: number
  /** How many turns are answered at most. */
  readonly limit: number
}

/** The turns that were found, the newest first. */
export type TurnScan = {
  readonly turns: readonly LoggedTurn[]
  /** Where to go on; absent when the search came to the beginning of the log. */
  readonly wanted?: WantedTurn
  /** The first LSN that the log has. */
  readonly firstLsn: number
}

/**
 * Searches a log, for about two seconds at most. Then it gives what it has, and the place to go on from.
 * @throws KeelsonError `CORRUPT`, `NO_SEGMENTS`; `UNSUPPORTED_VERSION` for a turn of a newer version
 */
export type TurnScanner = (request: TurnScanRequest, log: LogHost) => Promise<TurnScan>

/** Makes a scanner that ends with the signal. Then its searches reject with `CLOSED`. */
export type TurnScannerFactory = (signal: AbortSignal) => TurnScanner
