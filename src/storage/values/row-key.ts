/**
 * Keys of rows, and the one table of their classes. A user's key has no NUL, so keys of other rows
 * never collide with it. A new class of rows gets a line in the table and its own letter.
 */
import type { RowRange } from '../ports/projection-store.ts'
import { fieldBytesMax, keyBytesMax, successor } from './key.ts'

/** A class of rows. */
export type RowClass = {
  /** The letter after the NUL that its keys begin with; `undefined` for rows of users' keys. */
  readonly letter: string | undefined
  /** More follows after the letter; without it NUL and letter are the whole key. */
  readonly isMany: boolean
}

/**
 * Every class of rows, with the form of its keys. Beside them is the position, under a NUL alone
 * (`row-codec.ts`).
 */
export const rowClasses = {
  /** `key`: a value, or the head of a compound. */
  value: { letter: undefined, isMany: true },
  /** `key 00 field`: a field of a compound, after its head, before every longer key. */
  field: { letter: undefined, isMany: true },
  /** `00 "l" key`: the lock of a key. */
  lock: { letter: 'l', isMany: true },
  /** `00 "b" place`: a blob that the log refers to, by its segment and offset. */
  loggedBlob: { letter: 'b', isMany: true },
  /**
   * `00 "B"`: says that a snapshot was loaded and the rows of logged blobs are not all there yet.
   */
  unlistedBlobs: { letter: 'B', isMany: false },
  /** `00 "c"`: records that some key has been a compound. It is never removed. */
  compoundMarker: { letter: 'c', isMany: false },
  /** `00 "e" entity`: the main row of a durable actor, mark and state. */
  entity: { letter: 'e', isMany: true },
  /** `00 "a" entity 00 name`: an alarm of an entity. */
  alarm: { letter: 'a', isMany: true },
  /** `00 "d" time entity 00 name`: the same alarm in the order of due times. */
  due: { letter: 'd', isMany: true },
  /** `00 "i" entity 00 id`: the outcome of a call with an id. */
  callId: { letter: 'i', isMany: true },
  /**
   * `00 "w" entity 00 hash`: a user's key that a turn of an entity wrote, by the hash of the key.
   * The row has the key.
   */
  writtenKey: { letter: 'w', isMany: true },
  /** `00 "x" kind 00 field 00 value 00 id`: an indexed field of an entity's state. */
  index: { letter: 'x', isMany: true },
  /** `00 "o" entity 00 birth key`: a row that an entity keeps itself, in one of its births. */
  own: { letter: 'o', isMany: true },
  /**
   * `00 "r" entity 00 birth`: says that a birth of an entity has ended, and its own rows are being
   * removed.
   */
  removal: { letter: 'r', isMany: true },
  /** `00 "s" owner`: the head of a durable stream. */
  streamHead: { letter: 's', isMany: true },
  /** `00 "k" owner 00 birth number`: a chunk of messages of a stream, by the number of its first. */
  streamChunk: { letter: 'k', isMany: true },
  /** `00 "q" owner 00 birth id`: a producer of a stream. */
  streamProducer: { letter: 'q', isMany: true },
  /** `00 "j" id`: the first entry of the journal with an id. */
  entryId: { letter: 'j', isMany: true },
  /**
   * `00 "J"`: records that some entry was appended by itself, not in a turn. It is never removed.
   */
  appendedMarker: { letter: 'J', isMany: false },
  /**
   * `00 "p" producer 00 key`: a row that an actor derives from the log; without a key its position.
   */
  derived: { letter: 'p', isMany: true },
  /** `00 "v" name 00 generation key`: a row of a projection by users, in one of its generations. */
  projected: { letter: 'v', isMany: true },
  /** `00 "V" name`: the known facts of a projection by users, as version, generation and state. */
  projectionMark: { letter: 'V', isMany: true },
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
