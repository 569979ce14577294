/**
 * A turn of the past as people look at it: what it changed, and its cause, as far as the rows that
 * it changed say so. Pure.
 */
import type { KeptError } from '../../errors.ts'
import {
  alarmRows,
  callIdRows,
  decodeValue,
  isDueRow,
  isWithin,
  type LoggedTurn,
  parseDue,
  readMainRow,
  type StoredValue,
  valueTags,
} from '../../storage/index.ts'
import { readAlarm, readBody, type Step, stepsName } from '../turns/memory.ts'
import type { Failure } from '../turns/retry-policy.ts'
import type { StateChange } from './state-changes.ts'

/**
 * The cause of a turn. Its kind is inferred from what the turn changed: a step that is gone has run;
 * an alarm that was due and is gone has fired; a remembered id is of a call. `message` and `by` are
 * what the turn itself recorded.
 */
export type TurnCause = {
  /** `birth`: the first turn, by a message. `end`: the turn removed the actor. */
  readonly kind: 'birth' | 'message' | 'call' | 'step' | 'alarm' | 'end'
  /** Of a step or an alarm; of a call its id. */
  readonly name?: string
  /** The try failed with this error. */
  readonly error?: KeptError
  /** The message, such as `call place`; absent in logs that have no causes (`wal.causes`). */
  readonly message?: string
  /** The process that called, as it is printed; absent if none did, or in such logs. */
  readonly by?: string
}

/** A step that waited after a turn. */
export type PastStep = {
  readonly name: string
  /** `incarnation/seq/index` of the turn that recorded it. */
  readonly step: string
  readonly tries: number
  readonly error?: KeptError
}

/** An alarm that a turn set, or removed: then `at` is absent. */
export type PastAlarm = {
  readonly name: string
  /** The time that was asked for, in ms since 1970. */
  readonly at?: number
  readonly tries?: number
  readonly error?: KeptError
}

/** One turn of a durable actor that took effect. */
export type PastTurn<S = unknown> = {
  readonly lsn: number
  /** When the log accepted it, in ms since 1970. */
  readonly time: number
  /** The mark that it left; that of the turn before if it removed the actor. */
  readonly incarnation: string
  readonly seq: number
  readonly cause: TurnCause
  /** The state after it; `undefined` if there is none. Without `reveal` as it may be shown. */
  readonly state: S | undefined
  /** The paths of what it changed in the state; absent if the turn before is not in the log. */
  readonly changed?: readonly string[]
  /** The steps that waited after it. */
  readonly steps: readonly PastStep[]
  /** The alarms that it changed. */
  readonly alarms: readonly PastAlarm[]
  /** Its writes to keys of users. */
  readonly writes: LoggedTurn['writes']
  /** The ids of the entries that it journaled. */
  readonly entries: readonly string[]
  /** The keys of the actor's own rows that it changed. */
  readonly rows: readonly string[]
  /** The operations that it recorded, of a workflow's run: `step charge`, `step charge failed`. */
  readonly operations: readonly string[]
}

/** A past turn. `before`: the turn that it follows, if the log has it. */
export const pastTurn = (
  entity: string,
  turn: LoggedTurn,
  before: LoggedTurn | undefined,
  state: unknown,
  changes: readonly StateChange[] | undefined,
): PastTurn => {
  const { lsn, time, mark, follows, writes, entries, own } = turn
  const steps = stepsIn(turn)
  const alarms = alarmsIn(entity, turn)
  const { incarnation = '', seq = 0 } = mark ?? follows ?? {}
  return {
    ...{ lsn, time, incarnation, seq, state, writes, entries, rows: own },
    cause: { ...causeOf(entity, turn, before, alarms), ...recordedIn(turn) },
    ...(changes && { changed: changes.map(({ path }) => path) }),
    steps: steps.map(({ name, step, tries, failure }) => ({
      ...{ name, step, tries },
      ...errorIn(failure),
    })),
    alarms,
    operations: turn.ownValues.flatMap(operationText),
  }
}

/** The row of an operation has its kind and its key, and how it ended (`flow/runs/record.ts`). */
const operationText = (value: StoredValue): readonly string[] => {
  if (value.tag !== valueTags.structured) return []
  const { kind, key, outcome } = (decodeValue(value) ?? {}) as {
    readonly kind?: unknown
    readonly key?: unknown
    readonly outcome?: { readonly kind?: unknown }
  }
  if (typeof kind !== 'string' || typeof key !== 'string') return []
  return [`${kind} ${key}${outcome?.kind === 'error' ? ' failed' : ''}`]
}

const stepsIn = (turn: LoggedTurn | undefined): readonly Step[] =>
  turn?.row === undefined ? [] : readBody(readMainRow(turn.row).body).steps

const errorIn = (failure: Failure | undefined): { readonly error?: KeptError } =>
  failure === undefined ? {} : { error: failure.error }

const alarmsIn = (entity: string, { rows }: LoggedTurn): readonly PastAlarm[] =>
  rows
    .filter(([key]) => isWithin(key, alarmRows(entity)))
    .map(([key, bytes]) => {
      const name = key.slice(key.lastIndexOf('\0') + 1)
      if (bytes === undefined) return { name }
      const { at, tries, failure } = readAlarm(bytes)
      return { name, at, tries, ...errorIn(failure) }
    })

const recordedIn = ({ cause }: LoggedTurn): Pick<TurnCause, 'message' | 'by'> => {
  if (cause === undefined) return {}
  const { what, by } = cause
  return by === undefined ? { message: what } : { message: what, by }
}

const causeOf = (
  entity: string,
  turn: LoggedTurn,
  before: LoggedTurn | undefined,
  alarms: readonly PastAlarm[],
): TurnCause => {
  if (turn.mark === undefined) return { kind: 'end' }
  const step = stepCause(stepsIn(before), stepsIn(turn))
  if (step) return step
  const failed = alarms.find(({ error }) => error !== undefined)
  if (failed?.error) return { kind: 'alarm', name: failed.name, error: failed.error }
  const fired = firedAlarm(turn)
  if (fired !== undefined) return { kind: 'alarm', name: fired }
  const [id] = turn.rows.find(([key, row]) => row && isWithin(key, callIdRows(entity))) ?? []
  if (id !== undefined) return { kind: 'call', name: id.slice(id.lastIndexOf('\0') + 1) }
  if (turn.follows === undefined) return { kind: 'birth' }
  return { kind: turn.cause?.what.startsWith('call ') ? 'call' : 'message' }
}

/** A step that has run, or whose try has failed. */
const stepCause = (before: readonly Step[], after: readonly Step[]): TurnCause | undefined => {
  for (const { step, name, tries } of before) {
    const now = after.find((each) => each.step === step)
    if (now === undefined) return { kind: 'step', name }
    if (now.tries > tries) return { kind: 'step', name, ...errorIn(now.failure) }
  }
  return undefined
}

/** An alarm that was due when the turn was accepted, and is gone. */
const firedAlarm = ({ rows, time }: LoggedTurn): string | undefined => {
  for (const [key, bytes] of rows) {
    if (bytes !== undefined || !isDueRow(key)) continue
    const { dueMs, name } = parseDue(key)
    if (dueMs <= time && name !== stepsName) return name
  }
  return undefined
}
