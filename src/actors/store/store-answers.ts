/**
 * What writes answer, as their callers get it: a command's answer without its kind, its values decoded. What every write
 * answers beside is where it stands.
 */
import type { Command, CommandAnswer, StoredValue } from '../../storage/index.ts'
import type { Position } from '../log/wal-writer.ts'

/** Where a write stands. `level` is there only where the instance is not durable: the write is written, not synced. */
export type Written = { readonly position: Position; readonly level?: 'written' }

/** Where the parts of a write over several shards stand. */
export type WrittenMany = { readonly positions: readonly Position[]; readonly level?: 'written' }

/** A command that has nothing to answer. */
export type NoAnswer = Readonly<Record<never, never>>
/** Whether the condition held, and the value was written. */
export type SetAnswer = { readonly written: boolean }
/** What was there; `undefined` when nothing was. */
export type PreviousAnswer = { readonly previous: unknown }
/** The length of the value, in bytes. */
export type LengthAnswer = { readonly length: number }
/** `current`: what was there instead; `undefined` when nothing was. */
export type CompareAnswer =
  | { readonly swapped: true; readonly current?: undefined }
  | { readonly swapped: false; readonly current: unknown }
/** Whether there was something; what has expired is nothing. */
export type ExistedAnswer = { readonly existed: boolean }
/** How many of the keys had a value. */
export type DeletedAnswer = { readonly deleted: number }
/** When the lease ends, in ms since 1970. */
export type UntilAnswer = { readonly until: number }
/** How many of the keys the owner had locked. */
export type ReleasedAnswer = { readonly released: number }
/** Whether the field is new. */
export type CreatedAnswer = { readonly created: boolean }
/** Whether each field is new, in the order in which they were given. */
export type CreatedManyAnswer = { readonly created: readonly boolean[] }
/** How many keys had a value. */
export type RemovedAnswer = { readonly removed: number }

/** What the command of each kind answers. */
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

/** What a command of a batch may answer. */
export type BatchAnswer = Answers[keyof Answers]

/** A command that users can give. */
export type UserCommand = Extract<Command, { readonly kind: keyof Answers }>

/** The value in an answer, which its caller is to get decoded; `undefined` without one. */
export const valueIn = (answer: CommandAnswer): StoredValue | undefined => {
  if (answer.kind === 'set' || answer.kind === 'getSet') return answer.previous
  return answer.kind === 'compareAndSet' ? answer.current : undefined
}

/**
 * The answer of `command` as its caller gets it, in an object of its own; `value` is what `valueIn` found in it, decoded. That an answer fits its
 * command is the state machine's word, which tests hold it to.
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
