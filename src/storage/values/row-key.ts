/**
 * Keys of rows, and the one table of their classes. A user's key has no NUL, so keys of other rows
 * never collide with it. A new class of rows gets a line in the table and its own letter.
 */
import type { RowRange } from '../ports/projection-store.ts'
import { fieldBytesMax, keyBytesMax, successor } from './key.ts'

/** A class of rows. */
export type RowClass = {
  /** The form of its keys, for people. */
  readonly key: string
  /** The letter after the NUL that its keys begin with; `undefined` for rows of users' keys. */
  readonly letter: string | undefined
  /** More follows after the letter; without it NUL and letter are the whole key. */
  readonly isMany: boolean
  /** The file that decides what is written there, from the folder `rows`. */
  readonly writer: string
}

/** Every class of rows. Beside them is the position, under a NUL alone (`row-codec.ts`). */
export const rowClasses = {
  /** A value, or the head of a compound. */
  value: {
    key: 'key',
    letter: undefined,
    isMany: true,
    writer: 'value-commands.ts',
  },
  /** A field of a compound: after its head, before every longer key. */
  field: {
    key: 'key 00 field',
    letter: undefined,
    isMany: true,
    writer: 'field-commands.ts',
  },
  /** The lock of a key. */
  lock: {
    key: '00 "l" key',
    letter: 'l',
    isMany: true,
    writer: 'lock-commands.ts',
  },
  /** A blob that the log refers to, by its segment and offset. */
  loggedBlob: {
    key: '00 "b" place',
    letter: 'b',
    isMany: true,
    writer: 'blob-rows.ts',
  },
  /** Says that a snapshot was loaded and the rows of logged blobs are not all there yet. */
  unlistedBlobs: {
    key: '00 "B"',
    letter: 'B',
    isMany: false,
    writer: '../snapshots/snapshot-loading.ts',
  },
  /** Records that some key has been a compound. It is never removed. */
  compoundMarker: {
    key: '00 "c"',
    letter: 'c',
    isMany: false,
    writer: 'field-commands.ts',
  },
  /** The main row of a durable actor: mark and state. */
  entity: {
    key: '00 "e" entity',
    letter: 'e',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** An alarm of an entity. */
  alarm: {
    key: '00 "a" entity 00 name',
    letter: 'a',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** The same alarm in the order of due times. */
  due: {
    key: '00 "d" time entity 00 name',
    letter: 'd',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** The outcome of a call with an id. */
  callId: {
    key: '00 "i" entity 00 id',
    letter: 'i',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** A user's key that a turn of an entity wrote, by the hash of the key. The row has the key. */
  writtenKey: {
    key: '00 "w" entity 00 hash',
    letter: 'w',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** An indexed field of an entity's state. */
  index: {
    key: '00 "x" kind 00 field 00 value 00 id',
    letter: 'x',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** A row that an entity keeps itself, in one of its births. */
  own: {
    key: '00 "o" entity 00 birth key',
    letter: 'o',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** Says that a birth of an entity has ended, and its own rows are being removed. */
  removal: {
    key: '00 "r" entity 00 birth',
    letter: 'r',
    isMany: true,
    writer: 'unit-application.ts',
  },
  /** The first entry of the journal with an id. */
  entryId: {
    key: '00 "j" id',
    letter: 'j',
    isMany: true,
    writer: 'entry-rows.ts',
  },
  /** Records that some entry was appended by itself, not in a turn. It is never removed. */
  appendedMarker: {
    key: '00 "J"',
    letter: 'J',
    isMany: false,
    writer: 'entry-rows.ts',
  },
  /** A row that an actor derives from the log; without a key its position. */
  derived: {
    key: '00 "p" producer 00 key',
    letter: 'p',
    isMany: true,
    writer: 'derived-rows.ts',
  },
  /** A row of a projection by users, in one of its generations. */
  projected: {
    key: '00 "v" name 00 generation key',
    letter: 'v',
    isMany: true,
    writer: '../projections/projected-rows.ts',
  },
  /** The known facts of a projection by users: version, generation, state. */
  projectionMark: {
    key: '00 "V" name',
    letter: 'V',
    isMany: true,
    writer: '../projections/projection-mark.ts',
  },
} as const satisfies Readonly<Record<string, RowClass>>

/** The name of a class of rows. */
export type RowClassName = keyof typeof rowClasses

const classesByLetter: ReadonlyMap<number, RowClassName> = new Map(
  Object.entries(rowClasses).flatMap(([name, { letter }]) =>
    letter === undefined ? [] : [[letter.charCodeAt(0), name as RowClassName]],
  ),
)

/**
 * The class that keys with this byte after a leading NUL belong to, given how many bytes they have.
 * `undefined`: no row has such a key.
 */
export const classBehindNul = (
  byte: number | undefined,
  length: number,
): RowClassName | undefined => {
  const name = byte === undefined ? undefined : classesByLetter.get(byte)
  if (name === undefined) return undefined
  return rowClasses[name].isMany === length > 2 ? name : undefined
}

/** The class of a row; `undefined` for what is no row's key. */
export const rowClassOf = (rowKey: string): RowClassName | undefined => {
  if (rowKey.charCodeAt(0) === 0) return classBehindNul(rowKey.charCodeAt(1), rowKey.length)
  if (rowKey.length === 0) return undefined
  return rowKey.includes('\0') ? 'field' : 'value'
}

/** The greatest length of a row's key: a key of 1,024 bytes, a NUL and a field of 512. */
export const rowKeyBytesMax = keyBytesMax + 1 + fieldBytesMax

/** The beginning of the row keys of a class that has a letter. */
export const prefixOf = (name: RowClassName): string => `\0${rowClasses[name].letter}`

/** The rows of a class that has a letter. */
export const rowsOf = (
  name: RowClassName,
): RowRange & { readonly gt: string; readonly lt: string } => {
  const prefix = prefixOf(name)
  return { gt: prefix, lt: `\0${String.fromCharCode(prefix.charCodeAt(1) + 1)}` }
}

/** The rows whose keys begin with `prefix`. */
export const rowsBeginning = (prefix: string): RowRange => {
  const lt = successor(prefix)
  return { gte: prefix, ...(lt !== undefined && { lt }) }
}

/**
 * Recognizes the rows of a class that has a letter. Every change of a row asks: it makes no text.
 */
export const rowsAre = (name: RowClassName): ((rowKey: string) => boolean) => {
  const letter = prefixOf(name).charCodeAt(1)
  return (rowKey) => rowKey.charCodeAt(0) === 0 && rowKey.charCodeAt(1) === letter
}

/** The row that a load leaves until the rows of logged blobs are there. It is before all others. */
export const unlistedBlobsKey = prefixOf('unlistedBlobs')

/** The row of the marker that some key has been a compound. */
export const compoundMarkerKey = prefixOf('compoundMarker')

/** The row of the marker that some entry of the journal was appended by itself. */
export const appendedMarkerKey = prefixOf('appendedMarker')

/** The row of a field. */
export const fieldRowKey = (key: string, field: string): string => `${key}\0${field}`

/** The longest id of an entry of the journal, in bytes of UTF-8. */
export const entryIdBytesMax = fieldBytesMax

const entryIdPrefix = prefixOf('entryId')

/** The rows of all ids of the journal. */
export const entryIdRows: RowRange & { readonly gt: string } = rowsOf('entryId')

/** The row of the first entry of the journal with an id. */
export const entryIdRowKey = (id: string): string => entryIdPrefix + id

/** The row of a key's lock. */
export const lockRowKey = (key: string): string => lockPrefix + key

const lockPrefix = prefixOf('lock')

/** Whether a row is the lock of some key. */
export const isLockRow = rowsAre('lock')

/** The rows of a compound's fields. */
export const fieldRows = (key: string): RowRange => ({ gt: `${key}\0`, lt: `${key}\x01` })

/** The rows of all locks. */
export const lockRows: RowRange & { readonly gt: string } = rowsOf('lock')

/** The prefix of the row keys of logged blobs. */
export const loggedBlobPrefix = prefixOf('loggedBlob')

/** The rows of all blobs that the log refers to. */
export const loggedBlobRows: RowRange & { readonly gt: string } = rowsOf('loggedBlob')

/** The lower bound of users' keys: all other rows begin with a NUL. */
export const firstUserKey = '\x01'

/** The field name in the key of a field row. */
export const fieldOf = (rowKey: string): string => rowKey.slice(rowKey.indexOf('\0') + 1)

/** The compound key in the key of a field row; `undefined` for any other row. */
export const compoundOf = (rowKey: string): string | undefined => {
  const nul = rowKey.indexOf('\0')
  return nul > 0 ? rowKey.slice(0, nul) : undefined
}
