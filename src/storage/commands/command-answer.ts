/**
 * The answers and refusals of units. A refusal is data: the rows decide it when the frame is
 * applied, long after the write left its caller, and every replay decides the same. `refusalError`
 * makes it the error of the caller.
 */
import { KeelsonError } from '../../errors.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import type { TurnMark } from '../values/entity-row.ts'

/** The answer of one command. */
export type CommandAnswer =
  | { readonly kind: 'put' | 'putMany' }
  /** `previous` is present only if it was asked for and there was a value. */
  | {
      readonly kind: 'set'
      readonly written: boolean
      readonly previous: StoredValue | undefined
    }
  | { readonly kind: 'getSet'; readonly previous: StoredValue | undefined }
  /** `length` of the value in bytes. */
  | { readonly kind: 'append' | 'setRange'; readonly length: number }
  /** `current` is present only if nothing was swapped and there is a value. */
  | {
      readonly kind: 'compareAndSet'
      readonly swapped: boolean
      readonly current: StoredValue | undefined
    }
  /** Whether there was a value or field. An expired one counts as absent. */
  | { readonly kind: 'delete' | 'deleteField' | 'expire' | 'persist'; readonly existed: boolean }
  /** The number of keys that had a value. */
  | { readonly kind: 'deleteMany'; readonly deleted: number }
  /** When the lease ends, in ms since 1970. */
  | { readonly kind: 'lock' | 'extend'; readonly until: number }
  /** The number of keys that the owner had locked. */
  | { readonly kind: 'unlock'; readonly released: number }
  | { readonly kind: 'putField'; readonly created: boolean }
  /** One entry per field, in order. */
  | { readonly kind: 'putFields'; readonly created: readonly boolean[] }
  /** The number of keys that had a value, or of rows that had expired. */
  | { readonly kind: 'clear' | 'removeExpired'; readonly removed: number }

/** Why a unit was refused. */
export type RefusalReason =
  /** A structured value or a compound where bytes are needed, or a plain value where fields are. */
  | { readonly code: 'WRONG_TYPE' }
  /** Another owner holds the lock of the key until `until` (ms since 1970). */
  | { readonly code: 'LOCKED'; readonly owner: string; readonly until: number }
  /** The value, the compound or the change would exceed a limit. */
  | { readonly code: 'TOO_LARGE' }
  /**
   * The lock to extend is not held; or, with the property `present`, the entity's main row has that
   * mark (`undefined`: there is none), and the turn follows another one; or, with `entry`, an
   * entry of the journal at that place has the id and says something else; or, with `stream`, the
   * stream of that name is closed.
   */
  | {
      readonly code: 'CONFLICT'
      readonly present?: TurnMark | undefined
      readonly entry?: EntryPlace
      readonly stream?: string
    }

/**
 * The place of an entry: the frame, its number among the entries of that frame, from 0, and the
 * frame's stamp in ms since 1970.
 */
export type EntryPlace = { readonly lsn: number; readonly index: number; readonly time: number }

/** The answer of an entry: the place of the first one with its id. `repeated`: it is not this one. */
export type EntryAnswer = EntryPlace & { readonly kind: 'entry'; readonly repeated: boolean }

/**
 * A refused unit, which changed nothing: the reason and the key, which is `kind/id` where a turn
 * follows another state, and the id of an entry. `command` is its index in the batch, or in the
 * writes or entries of a turn, 0 elsewhere.
 */
export type Refusal = {
  readonly kind: 'refused'
  readonly reason: RefusalReason
  readonly key: string | undefined
  readonly command: number
}

/** The answer of a part of a unit of streams: the stream as it is after it. */
export type StreamDone = {
  readonly kind: 'stream'
  readonly birth: string
  /** The number of the first message that is kept. */
  readonly floor: number
  /** The number of the next message. */
  readonly next: number
  readonly isClosed: boolean
  /**
   * The place after the last message of an append; of a repeat, after the last one of its producer.
   */
  readonly end: number
  /** Of an append: all of it was there before. */
  readonly isRepeat: boolean
  /** Of a producer: its epoch, and the number that it has next. */
  readonly producer: { readonly epoch: number; readonly next: number } | undefined
  /** Of a trim: further chunks below the floor are left. */
  readonly isLeft: boolean
}

/**
 * A part that was refused, and changed nothing.
 * - `closed`, `gap`: `CONFLICT`. `gap`: messages, or requests, of the producer are missing before it.
 * - `differs`, `order`, `type`, `deleted`: `CONFLICT`. The stream was made in another way, had an
 *   append of this order or a greater one, has bytes and no JSON, or was deleted and has forks.
 * - `fenced`: `FENCED`, for an epoch of the producer that has ended.
 * - `bytes`, `producers`, `births`, `forks`: `TOO_LARGE`, for a stream at its bound.
 * - `place`: `BAD_CURSOR`, for a place that the stream does not have.
 * - `none`: there is no stream, `NO_PROCESS` of what needs one.
 */
export type StreamRefusal = {
  readonly kind: 'refusedPart'
  readonly why:
    | 'closed'
    | 'gap'
    | 'differs'
    | 'order'
    | 'type'
    | 'deleted'
    | 'fenced'
    | 'bytes'
    | 'producers'
    | 'births'
    | 'forks'
    | 'place'
    | 'none'
  /** Of the stream that is there. */
  readonly birth: string | undefined
  readonly next: number
  readonly producer: { readonly epoch: number; readonly next: number } | undefined
}

/**
 * The answer of a part of a unit of streams. `removed`: whether there was a stream, or a note of a
 * fork, to remove; `sources`: the streams that may have notes of forks which are not there now.
 */
export type StreamAnswer =
  | StreamDone
  | StreamRefusal
  | { readonly kind: 'removed'; readonly existed: boolean; readonly sources?: readonly string[] }

/**
 * The answer of a unit: the answer of its command or entry, the answers of a batch or of a turn's
 * writes in order, those of the parts for streams, or a refusal.
 */
export type UnitAnswer =
  | CommandAnswer
  | EntryAnswer
  | { readonly kind: 'batch'; readonly answers: readonly CommandAnswer[] }
  | { readonly kind: 'turn'; readonly answers: readonly CommandAnswer[] }
  | { readonly kind: 'removal' }
  | { readonly kind: 'streams'; readonly answers: readonly StreamAnswer[] }
  | Refusal

/** A refusal of a single command. */
export const refused = (
  reason: RefusalReason | 'WRONG_TYPE' | 'TOO_LARGE' | 'CONFLICT',
  key?: string,
): Refusal => ({
  kind: 'refused',
  reason: typeof reason === 'string' ? { code: reason } : reason,
  key,
  command: 0,
})

const messages: { readonly [code in RefusalReason['code']]: string } = {
  WRONG_TYPE: 'The value is of another kind than this command works on.',
  LOCKED: 'Another owner holds the lock of the key.',
  TOO_LARGE: 'The value, or the change, would be too large.',
  CONFLICT: 'The state is not the one that the change follows.',
}

const takenId = 'The journal has an entry with this id that says something else.'

/**
 * The error of a refused unit. `details` has `key` and `command`; for `LOCKED` `owner` and `until`;
 * for a turn that follows another state `present`, the mark of the main row, and only there; for
 * an id of the journal that is taken `entry`, the place of its entry.
 */
export const refusalError = ({ reason, key, command }: Refusal): KeelsonError => {
  const { code, ...facts } = reason
  const message =
    'entry' in facts ? takenId : 'stream' in facts ? 'The stream is closed.' : messages[code]
  return new KeelsonError(code, message, { details: { key, command, ...facts } })
}
