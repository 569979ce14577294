/**
 * Keys of rows. A user's key has no NUL, so keys of other rows never collide with it:
 *
 *     key            the value, or the head of a compound
 *     key 00 field   a field of a compound: after its head, before every longer key
 *     00 "l" key     the lock of a key
 *     00 "b" place   a blob that the log refers to: its segment and offset (`blob-rows.ts`)
 *     00 "c"         marker: some key has been a compound
 *     00             the position (`row-codec.ts`)
 */
import type { RowRange } from '../ports/projection-store.ts'

/** The row that records that some key has been a compound. It is never removed. */
export const compoundMarkerKey = '\0c'

/** The row of a field. */
export const fieldRowKey = (key: string, field: string): string => `${key}\0${field}`

/** The row of a key's lock. */
export const lockRowKey = (key: string): string => lockPrefix + key

const lockPrefix = '\0l'

/** Whether a row is the lock of some key. */
export const isLockRow = (rowKey: string): boolean =>
  rowKey.charCodeAt(0) === 0 && rowKey.startsWith(lockPrefix)

/** The rows of a compound's fields. */
export const fieldRows = (key: string): RowRange => ({ gt: `${key}\0`, lt: `${key}\x01` })

/** The rows of all locks. */
export const lockRows: RowRange = { gt: '\0l', lt: '\0m' }

/** The prefix of the row keys of logged blobs. */
export const loggedBlobPrefix = '\0b'

/** The rows of all blobs that the log refers to. */
export const loggedBlobRows: RowRange & { readonly gt: string } = { gt: '\0b', lt: '\0c' }

/** The lower bound of users' keys: all other rows begin with a NUL. */
export const firstUserKey = '\x01'

/** The field name in the key of a field row. */
export const fieldOf = (rowKey: string): string => rowKey.slice(rowKey.indexOf('\0') + 1)

/** The compound key in the key of a field row; `undefined` for any other row. */
export const compoundOf = (rowKey: string): string | undefined => {
  const nul = rowKey.indexOf('\0')
  return nul > 0 ? rowKey.slice(0, nul) : undefined
}
