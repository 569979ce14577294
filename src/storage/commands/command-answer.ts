/**
 * What units answer, and what refuses them. A refusal is data: it is decided by the state when the frame is applied, long
 * after the write left its caller, and the same at every replay. `refusalError` makes the caller's error of it.
 */
import { KeelsonError } from '../../errors.ts'
import type { StoredValue } from '../ports/projection-store.ts'

/** What one command answers. */
export type CommandAnswer =
  | { readonly kind: 'put' | 'putMany' }
  /** `previous` only where it was asked for and something was there. */
  | {
      readonly kind: 'set'
      readonly written: boolean
      readonly previous: StoredValue | undefined
    }
  | { readonly kind: 'getSet'; readonly previous: StoredValue | undefined }
  /** `length` of the value in bytes. */
  | { readonly kind: 'append' | 'setRange'; readonly length: number }
  /** `current` only when not swapped, and something is there. */
  | {
      readonly kind: 'compareAndSet'
      readonly swapped: boolean
      readonly current: StoredValue | undefined
    }
  /** Whether there was a value, or a field; an expired one is none. */
  | { readonly kind: 'delete' | 'deleteField' | 'expire' | 'persist'; readonly existed: boolean }
  /** How many of the keys had a value. */
  | { readonly kind: 'deleteMany'; readonly deleted: number }
  /** When the lease ends, in ms since 1970. */
  | { readonly kind: 'lock' | 'extend'; readonly until: number }
  /** How many of the keys the owner had locked. */
  | { readonly kind: 'unlock'; readonly released: number }
  | { readonly kind: 'putField'; readonly created: boolean }
  /** One for each field, in order. */
  | { readonly kind: 'putFields'; readonly created: readonly boolean[] }
  /** How many keys had a value, or how many rows had ended. */
  | { readonly kind: 'clear' | 'removeExpired'; readonly removed: number }

/** Why a unit changed nothing. */
export type RefusalReason =
  /** The value is structured or compound where bytes, or plain where fields are asked for. */
  | { readonly code: 'WRONG_TYPE' }
  /** Somebody else holds the key's lock, until then (ms since 1970). */
  | { readonly code: 'LOCKED'; readonly owner: string; readonly until: number }
  /** The value, the compound or the change would pass a bound. */
  | { readonly code: 'TOO_LARGE' }
  /** The lock that was to be extended is not held by anybody. */
  | { readonly code: 'CONFLICT' }

/** A unit that changed nothing: why, and at which key. `command` is its place in the batch, 0 outside of one. */
export type Refusal = {
  readonly kind: 'refused'
  readonly reason: RefusalReason
  readonly key: string | undefined
  readonly command: number
}

/** What a unit answers: its command's answer, those of a batch in order, or a refusal. */
export type UnitAnswer =
  | CommandAnswer
  | { readonly kind: 'batch'; readonly answers: readonly CommandAnswer[] }
  | Refusal

/** A refusal, outside of a batch. */
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
  LOCKED: 'Somebody else holds the lock of the key.',
  TOO_LARGE: 'The value, or the change, would be too large.',
  CONFLICT: 'Nobody holds the lock that was to be extended.',
}

/** The error of a refused unit: its code, and `details` with `key`, `command`, and for `LOCKED` `owner` and `until`. */
export const refusalError = ({ reason, key, command }: Refusal): KeelsonError => {
  const { code, ...facts } = reason
  return new KeelsonError(code, messages[code], { details: { key, command, ...facts } })
}
