/**
 * Commands and units: what a write can be, as data. `command-encoding.ts` and `command-decoding.ts` have their bytes,
 * `unit-application.ts` says what they do, `command-answer.ts` what they answer.
 */
import type { StoredValue } from '../ports/projection-store.ts'

/** When a value ends: never, at a moment (ms since 1970), or so many ms after its frame's stamp. Whole, at least 1. */
export type Expiry =
  | { readonly kind: 'none' }
  | { readonly kind: 'at'; readonly ms: number }
  | { readonly kind: 'after'; readonly ms: number }

/** No expiry. */
export const noExpiry: Expiry = { kind: 'none' }

/** The expiry stays what it was before the command. */
export type KeepExpiry = { readonly kind: 'keep' }

/** The expiry stays. */
export const keepExpiry: KeepExpiry = { kind: 'keep' }

/**
 * Who writes, as far as locks are concerned: 1 to 256 bytes. Whoever names no owner writes only what nobody has locked.
 */
type Owned = { readonly owner?: string }

/** Replaces kind, value and expiry of a key. With an owner it is what OTP users would call a locked put. */
export type PutCommand = Owned & {
  readonly kind: 'put'
  readonly key: string
  readonly value: StoredValue
  readonly expiry: Expiry
}

/** One key, its value and expiry, of many. */
export type PutEntry = {
  readonly key: string
  readonly value: StoredValue
  readonly expiry: Expiry
}

/** A field of a compound key and its value. */
export type FieldEntry = readonly [field: string, value: StoredValue]

/** Whether `set` writes: always, only where nothing is, or only where something is. */
export type SetCondition = 'always' | 'absent' | 'present'

/** One change of the store. Values under tag 3 are encoded ropes; `suffix` and `patch` have tag 1, 2 or 3. */
export type Command =
  | PutCommand
  | (Owned & { readonly kind: 'delete'; readonly key: string })
  | (Owned & {
      readonly kind: 'set'
      readonly key: string
      readonly value: StoredValue
      readonly expiry: Expiry | KeepExpiry
      readonly condition: SetCondition
      /** Whether the value before it is answered. */
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
      /** `undefined`: the key is to be absent. */
      readonly expected: StoredValue | undefined
      readonly value: StoredValue
      readonly expiry: Expiry | KeepExpiry
    })
  /** Takes or renews the lock of all keys, or of none; `extend` only renews. `leaseMs` from the frame's stamp on. */
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
  /** `undefined`: every key. The locks stay. */
  | (Owned & { readonly kind: 'clear'; readonly namespace: string | undefined })
  /** Removes what of these keys has ended by the frame's stamp: value, fields, lock. Nobody can tell but by the room. */
  | { readonly kind: 'removeExpired'; readonly keys: readonly string[] }

/** Commands that take effect together. Each sees those before it. */
export type CommandBatch = { readonly kind: 'batch'; readonly commands: readonly Command[] }

/** The unit of effect: it takes effect as a whole or not at all. */
export type Unit = Command | CommandBatch

/** The units of one frame. There is mostly one: it stands there for itself, so that nobody makes and keeps a list of it. */
export type FrameUnits = Unit | readonly Unit[]

/** Whether a frame has one unit, which stands for itself. */
export const isAlone = (units: FrameUnits): units is Unit => !Array.isArray(units)

/** The units of a frame, as a list. */
export const unitsIn = (units: FrameUnits): readonly Unit[] => (isAlone(units) ? [units] : units)

/** A frame's payload, read. `time` is its stamp in ms since 1970; 0 before the log has stamped it. */
export type Frame = { readonly time: number; readonly units: readonly Unit[] }

/** The hole at the head of a payload that the log fills with its stamp, in bytes. */
export const stampBytes = 8

/** The most units of one frame. */
export const frameUnitsMax = 0xffff

/** The longest name of a lock's owner, in bytes of UTF-8. */
export const ownerBytesMax = 256

/** Kinds of units. 2 (journal entry) and 3 (projection operations) are taken by later versions. */
export const unitKinds = { command: 0, batch: 1 } as const

/** Codes of commands; they never change. 8 is taken and not written: a locked put is a put with an owner. */
export const commandCodes: { readonly [kind in Command['kind']]: number } = {
  put: 1,
  delete: 2,
  set: 3,
  append: 4,
  getSet: 5,
  setRange: 6,
  compareAndSet: 7,
  lock: 9,
  extend: 10,
  unlock: 11,
  putField: 12,
  putFields: 13,
  deleteField: 14,
  putMany: 15,
  deleteMany: 16,
  expire: 17,
  persist: 18,
  clear: 19,
  removeExpired: 20,
}

/** Set in a command's code when it names an owner. */
export const ownedFlag = 0x80

/** Kinds of expiries. */
export const expiryKinds = { none: 0, at: 1, after: 2, keep: 3 } as const

/** Bits of `set`. */
export const setFlags = { absent: 1, present: 2, get: 4 } as const
