/**
 * Commands and units: writes as data. `command-table.ts` has the fields of each command,
 * `command-encoding.ts` and `command-decoding.ts` define the bytes of units,
 * `rows/unit-application.ts` their effect, and `command-answer.ts` their answers.
 */
import { hasOwn } from '../../own-names.ts'
import type { StoredValue } from '../ports/projection-store.ts'
import type { TurnMark } from '../values/entity-row.ts'
import type { StreamPart, StreamsUnit } from './stream-unit.ts'

/**
 * When a value expires: never, at a time (ms since 1970), or a number of ms after the time stamp of
 * its frame. Whole numbers of at least 1.
 */
export type Expiry =
  | { readonly kind: 'none' }
  | { readonly kind: 'at'; readonly ms: number }
  | { readonly kind: 'after'; readonly ms: number }

/** No expiry. */
export const noExpiry: Expiry = { kind: 'none' }

/** The expiry before the command is kept. */
export type KeepExpiry = { readonly kind: 'keep' }

/** Keeps the expiry. */
export const keepExpiry: KeepExpiry = { kind: 'keep' }

/**
 * The owner that a write names for the check of locks, 1 to 256 bytes. A write without an owner is
 * refused for every locked key.
 */
type Owned = { readonly owner?: string }

/** The owner that a command names. */
export const ownerIn = (command: Command): string | undefined =>
  hasOwn(command, 'owner') ? command.owner : undefined

/** Replaces kind, value and expiry of a key. With an owner it is a locked put. */
export type PutCommand = Owned & {
  readonly kind: 'put'
  readonly key: string
  readonly value: StoredValue
  readonly expiry: Expiry
}

/** One key of a `putMany`, with value and expiry. */
export type PutEntry = {
  readonly key: string
  readonly value: StoredValue
  readonly expiry: Expiry
}

/** A field of a compound key and its value. */
export type FieldEntry = readonly [field: string, value: StoredValue]

/** When `set` writes: always, only if the key is absent, or only if it is present. */
export type SetCondition = 'always' | 'absent' | 'present'

/**
 * One change of the store. Values with tag 3 are encoded ropes. `suffix` and `patch` have tag 1, 2
 * or 3.
 */
export type Command =
  | PutCommand
  | (Owned & { readonly kind: 'delete'; readonly key: string })
  | (Owned & {
      readonly kind: 'set'
      readonly key: string
      readonly value: StoredValue
      readonly expiry: Expiry | KeepExpiry
      readonly condition: SetCondition
      /** Whether to answer the previous value. */
      readonly get: boolean
    })
  | (Owned & { readonly kind: 'append'; readonly key: string; readonly suffix: StoredValue })
  | (Owned & { readonly kind: 'getSet'; readonly key: string; readonly value: StoredValue })
  | (Owned & {
      readonly kind: 'setRange'
      readonly key: string
      /** In bytes. */
      readonly offset: number
      readonly patch: StoredValue
    })
  | (Owned & {
      readonly kind: 'compareAndSet'
      readonly key: string
      /** `undefined`: the key must be absent. */
      readonly expected: StoredValue | undefined
      readonly value: StoredValue
      readonly expiry: Expiry | KeepExpiry
    })
  /**
   * Takes or renews the locks of all keys, or of none. `extend` only renews. `leaseMs` counts from
   * the time stamp of the frame.
   */
  | {
      readonly kind: 'lock' | 'extend'
      readonly keys: readonly string[]
      readonly owner: string
      readonly leaseMs: number
    }
  | { readonly kind: 'unlock'; readonly keys: readonly string[]; readonly owner: string }
  | (Owned & {
      readonly kind: 'putField'
      readonly key: string
      readonly field: string
      readonly value: StoredValue
    })
  | (Owned & {
      readonly kind: 'putFields'
      readonly key: string
      readonly fields: readonly FieldEntry[]
    })
  | (Owned & { readonly kind: 'deleteField'; readonly key: string; readonly field: string })
  | (Owned & { readonly kind: 'putMany'; readonly entries: readonly PutEntry[] })
  | (Owned & { readonly kind: 'deleteMany'; readonly keys: readonly string[] })
  | (Owned & {
      readonly kind: 'expire'
      readonly key: string
      readonly expiry: Exclude<Expiry, { kind: 'none' }>
    })
  | (Owned & { readonly kind: 'persist'; readonly key: string })
  /** `undefined`: every key. Locks are kept. */
  | (Owned & { readonly kind: 'clear'; readonly namespace: string | undefined })
  /**
   * Removes the rows of these keys that have expired by the frame's time stamp: value, fields,
   * lock. Readers see no difference: it only frees room.
   */
  | { readonly kind: 'removeExpired'; readonly keys: readonly string[] }

/** Commands that take effect together. Each sees the effects of those before it. */
export type CommandBatch = { readonly kind: 'batch'; readonly commands: readonly Command[] }

/** A row beside an entity's main row, as in `entity-key.ts`; without bytes it is removed. */
export type EntityRowChange = readonly [rowKey: string, bytes: Uint8Array | undefined]

/** A row that an entity keeps itself: its key and its value; without one it is removed. */
export type OwnChange = readonly [key: string, value: StoredValue | undefined]

/** Changes of rows that an entity keeps itself, in one of its births (16 hex digits). */
export type OwnChanges = { readonly birth: string; readonly changes: readonly OwnChange[] }

/**
 * Everything that one message to an entity changed: rows of the entity, and commands on users'
 * keys. It is refused with `CONFLICT` unless the entity's main row is the one that it follows.
 */
export type Turn = {
  readonly kind: 'turn'
  /** `kind/id`. */
  readonly entity: string
  /** The mark of the main row before; `undefined`: there is none. */
  readonly follows: TurnMark | undefined
  /** The bytes of the main row after, as in `entity-row.ts`; `undefined`: it is removed. */
  readonly row: Uint8Array | undefined
  /** Changes of other rows of this entity. */
  readonly rows: readonly EntityRowChange[]
  /** Commands on keys in the entity's shard, which is that of the tag `{kind/id}`. */
  readonly writes: readonly Command[]
  /** Entries of the journal; absent for none. If one is refused, the turn is. */
  readonly entries?: readonly EntryUnit[]
  /** Changes of rows that the entity keeps itself; absent for none. */
  readonly own?: OwnChanges
  /** Changes of streams of the entity; absent for none. If one is refused, the turn is. */
  readonly streams?: readonly StreamPart[]
  /** The bytes of its cause, as in `turn-cause.ts`; absent in turns of the journal's own entities. */
  readonly cause?: Uint8Array | undefined
  /** The bytes of what it got and answered, if its kind records that; for rehearsals. It decides nothing. */
  readonly recorded?: Uint8Array
}

/**
 * Removes rows that an entity kept in a birth that has ended, or those of a stream, whose owner `entity` is then. It changes nothing unless the row
 * says so that `removalRowKey` names; with `isLast` that row goes too.
 */
export type Removal = {
  readonly kind: 'removal'
  readonly entity: string
  readonly birth: string
  readonly keys: readonly string[]
  readonly isLast: boolean
}

/**
 * An entry of the journal. Its effect is one row, which keeps its id: a later entry with the id
 * changes nothing. It is refused with `CONFLICT` if it says something else.
 */
export type EntryUnit = {
  readonly kind: 'entry'
  readonly id: string
  /** 16 bytes, which stand for the whole body. */
  readonly digest: Uint8Array
  /** Everything that the entry says, as in `journal-entry.ts`, the id first. */
  readonly body: Uint8Array
}

/** The unit of effect: it takes effect completely or not at all. */
export type Unit = Command | CommandBatch | EntryUnit | Turn | Removal | StreamsUnit

/**
 * The units of one frame. A single unit, the usual case, is not wrapped in a list, which saves the
 * allocation.
 */
export type FrameUnits = Unit | readonly Unit[]

/** Whether a frame has a single unit without a list. */
export const isAlone = (units: FrameUnits): units is Unit => !Array.isArray(units)

/** The units of a frame, as a list. */
export const unitsIn = (units: FrameUnits): readonly Unit[] => (isAlone(units) ? [units] : units)

/**
 * A decoded payload. `time` is its time stamp in ms since 1970; 0 before the log has stamped it.
 */
export type Frame = { readonly time: number; readonly units: readonly Unit[] }

/** Bytes at the start of a payload that the log fills with its time stamp. */
export const stampBytes = 8

/** The greatest number of units in a frame. */
export const frameUnitsMax = 0xffff

/** The greatest length of a lock owner's name in bytes of UTF-8. */
export const ownerBytesMax = 256

/** Kinds of units. */
export const unitKinds = {
  command: 0,
  batch: 1,
  entry: 2,
  turn: 3,
  removal: 4,
  streams: 5,
  streamTurn: 6,
  recordedTurn: 7,
} as const

/** The flag in a command's code when the command names an owner. */
export const ownedFlag = 0x80

/** Kinds of expiries. */
export const expiryKinds = { none: 0, at: 1, after: 2, keep: 3 } as const

/** Flags of `set`. */
export const setFlags = { absent: 1, present: 2, get: 4 } as const
