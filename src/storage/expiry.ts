/** When rows end. A row that has ended is absent for everybody, whether or not it was removed already. Pure. */
import type { Expiry, KeepExpiry } from './command.ts'
import type { Row } from './projection-store.ts'

/** Whether a row has ended at `now` (ms): from its moment on it is invisible. */
export const isExpired = (row: Row, now: number): boolean =>
  row.expiresAt !== 0 && row.expiresAt <= now

/** `row` unless it has ended at `now`. */
export const living = (row: Row | undefined, now: number): Row | undefined =>
  row && !isExpired(row, now) ? row : undefined

/** The moment `ms` after `time`; what goes beyond the numbers never comes. */
export const momentAfter = (time: number, ms: number): number =>
  Math.min(time + ms, Number.MAX_SAFE_INTEGER)

/** The moment of an expiry in a frame stamped `time`, 0 for never; `kept` is that of the row before. */
export const expiresAt = (expiry: Expiry | KeepExpiry, time: number, kept = 0): number => {
  switch (expiry.kind) {
    case 'none':
      return 0
    case 'at':
      return expiry.ms
    case 'after':
      return momentAfter(time, expiry.ms)
    case 'keep':
      return kept
  }
}
