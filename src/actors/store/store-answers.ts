/**
 * The answers of writes, as callers get them: the command's answer without its kind, with values
 * decoded, and the position of the write.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Command, CommandAnswer, StoredValue } from '../../storage/index.ts'
import type { Position } from '../core/shard-core.ts'

/**
 * The position of a write. `level` is set only when the instance is not durable: written, not
 * synced.
 */
export type Written = { readonly position: Position; readonly level?: 'written' }

/** The positions of a write over several shards. */
export type WrittenMany = { readonly positions: readonly Position[]; readonly level?: 'written' }

/** The answer of a command without a result. */
export type NoAnswer = Readonly<Record<never, never>>
/** Whether the condition held and the value was written. */
export type SetAnswer = { readonly written: boolean }
/** The previous value, or `undefined`. */
export type PreviousAnswer = { readonly previous: unknown }
/** The length of the value, in bytes. */
export type LengthAnswer = { readonly length: number }
/** `current`: the value that did not match, or `undefined`. */
export type CompareAnswer =
  | { readonly swapped: true; readonly current?: undefined }
  | { readonly swapped: false; readonly current: unknown }
/** The value that was written. */
export type ValueAnswer<T> = { readonly value: T }
/** Whether the key had a value. An expired value does not count. */
export type ExistedAnswer = { readonly existed: boolean }
/** The number of keys that had a value. */
export type DeletedAnswer = { readonly deleted: number }
/** When the lease ends, in ms since 1970. */
export type UntilAnswer = { readonly until: number }
/** The number of keys that the owner had locked. */
export type ReleasedAnswer = { readonly released: number }
/** Whether the field is new. */
export type CreatedAnswer = { readonly created: boolean }
/** Whether each field is new, in the order of the call. */
export type CreatedManyAnswer = { readonly created: readonly boolean[] }
/** The number of keys that had a value. */
export type RemovedAnswer = { readonly removed: number }

/** The answer of each kind of command. */
export type Answers = {
  readonly put: NoAnswer
  readonly set: SetAnswer & Partial<PreviousAnswer>
  readonly getSet: PreviousAnswer
  readonly append: LengthAnswer
  readonly setRange: LengthAnswer
  readonly compareAndSet: CompareAnswer
  readonly delete: ExistedAnswer
  readonly deleteMany: DeletedAnswer
  readonly putMany: NoAnswer
  readonly lock: UntilAnswer
  readonly extend: UntilAnswer
  readonly unlock: ReleasedAnswer
  readonly putField: CreatedAnswer
  readonly putFields: CreatedManyAnswer
  readonly deleteField: ExistedAnswer
  readonly expire: ExistedAnswer
  readonly persist: ExistedAnswer
  readonly clear: RemovedAnswer
}

/** The answer of a command in a batch. */
export type BatchAnswer = Answers[keyof Answers]

/** A command that users can issue. */
export type UserCommand = Extract<Command, { readonly kind: keyof Answers }>

/** The stored value in an answer, to be decoded for the caller; `undefined` without one. */
export const valueIn = (answer: CommandAnswer): StoredValue | undefined => {
  if (answer.kind === 'set' || answer.kind === 'getSet') return answer.previous
  return answer.kind === 'compareAndSet' ? answer.current : undefined
}

/**
 * The answer of `command` for its caller. `value` is the decoded result of `valueIn`. Applying a
 * unit guarantees that an answer fits its command; tests verify it.
 */
export const answerTo = (
  command: UserCommand,
  answer: CommandAnswer,
  value: unknown,
): BatchAnswer => {
  switch (answer.kind) {
    case 'set':
      return command.kind === 'set' && command.get
        ? { written: answer.written, previous: value }
        : { written: answer.written }
    case 'getSet':
      return { previous: value }
    case 'compareAndSet':
      return answer.swapped ? { swapped: true } : { swapped: false, current: value }
    case 'put':
    case 'putMany':
      return {}
    case 'delete':
      return { existed: answer.existed }
    default: {
      const { kind: _, ...facts } = answer
      return facts
    }
  }
}

/**
 * The error of a durable write whose answer cannot be read: `TOO_LARGE`, or `CORRUPT` whatever the
 * cause. Most other codes say that nothing was written.
 */
export const placed = (error: unknown, where: object): unknown => {
  if (!isKeelsonError(error)) return error
  const { message, details } = error
  const code = error.code === 'TOO_LARGE' ? 'TOO_LARGE' : 'CORRUPT'
  return new KeelsonError(code, message, { details: { ...details, ...where }, cause: error })
}
