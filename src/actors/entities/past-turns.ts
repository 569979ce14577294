/** A turn of the past as people look at it: its cause, and what it changed. Pure. */
import type { KeptError } from '../../errors.ts'
import {
  alarmRows,
  callIdRows,
  decodeValue,
  isWithin,
  type LoggedCause,
  type LoggedTurn,
  readMainRow,
  type StoredValue,
  saysCause,
  valueTags,
} from '../../storage/index.ts'
import { readAlarm, readBody, type Step } from '../turns/memory.ts'
import type { Failure } from '../turns/retry-policy.ts'
import type { StateChange } from './state-changes.ts'

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
  /**
   * Of a workflow's run: the operations that it recorded and the status that it set, as in
   * `step charge`, `step charge failed`, `run completed`.
   */
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
    lsn,
    time,
    incarnation,
    seq,
    state,
    writes,
    entries,
    rows: own,
    cause: turnCause(entity, turn, stepsIn(before), steps, alarms),
    ...(changes && { changed: changes.map(({ path }) => path) }),
    steps: steps.map(({ name, step, tries, failure }) => ({
      name,
      step,
      tries,
      ...errorIn(failure),
    })),
    alarms,
    operations: [...turn.ownValues.flatMap(operationText), ...statusText(entity, before, turn)],
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

/** The status of a run, if the turn has changed it (`flow/runs/record.ts`). */
const statusText = (
  entity: string,
  before: LoggedTurn | undefined,
  turn: LoggedTurn,
): readonly string[] => {
  if (!entity.startsWith('$flow-') || !before?.row || !turn.row) return []
  const [was, is] = [before.row, turn.row].map((row) => {
    const { state } = readBody(readMainRow(row).body)
    return (state as { readonly status?: unknown } | undefined)?.status
  })
  return typeof is === 'string' && was !== is ? [`run ${is}`] : []
}

const stepsIn = (turn: LoggedTurn | undefined): readonly Step[] =>
  turn?.row === undefined ? [] : readBody(readMainRow(turn.row).body).steps

const alarmsIn = (entity: string, { rows }: LoggedTurn): readonly PastAlarm[] =>
  rows
    .filter(([key]) => isWithin(key, alarmRows(entity)))
    .map(([key, bytes]) => {
      const name = key.slice(key.lastIndexOf('\0') + 1)
      if (bytes === undefined) return { name }
      const { at, tries, failure } = readAlarm(bytes)
      return { name, at, tries, ...errorIn(failure) }
    })

/** The cause of a turn. */
export type TurnCause = {
  /** `birth`: the first turn, by a message. `end`: the turn removed the actor. */
  readonly kind: 'birth' | 'message' | 'call' | 'step' | 'alarm' | 'end'
  /** Of a step or an alarm; of a call its id. */
  readonly name?: string
  /** The try failed with this error. */
  readonly error?: KeptError
  /** The message, such as `call place`. */
  readonly message?: string
  /** The process that called, by its name; absent if none did. */
  readonly by?: string
}

/** A step or an alarm whose handler a turn ran. `error`: that of a try that failed. */
type Work = { readonly name: string; readonly error?: KeptError }

/** The words that a recorded cause has for work of these kinds. */
const workWords = { step: 'continue', alarm: 'alarm' } as const

/**
 * The cause of a turn. `before` and `steps` are the steps that waited before and after it, `alarms`
 * the alarms that it changed.
 */
const turnCause = (
  entity: string,
  turn: LoggedTurn,
  before: readonly Step[],
  steps: readonly Step[],
  alarms: readonly Work[],
): TurnCause => {
  const { cause } = turn
  if (turn.mark === undefined) return { kind: 'end', ...recorded(cause) }
  const work = cause && recordedWork(cause, { step: stepsRun(before, steps), alarm: alarms })
  if (work) return { ...work, ...recorded(cause) }
  const [id] = turn.rows.find(([key, row]) => row && isWithin(key, callIdRows(entity))) ?? []
  if (id !== undefined) return { kind: 'call', name: lastPart(id), ...recorded(cause) }
  if (turn.follows === undefined) return { kind: 'birth', ...recorded(cause) }
  return { kind: cause?.what.startsWith('call ') ? 'call' : 'message', ...recorded(cause) }
}

const recorded = (cause: LoggedCause | undefined): Pick<TurnCause, 'message' | 'by'> => {
  if (cause === undefined) return {}
  const { what, by } = cause
  return by === undefined ? { message: what } : { message: what, by }
}

/** The work that the cause names. Its whole name and its error are in what the turn changed. */
const recordedWork = (
  { what }: LoggedCause,
  changed: { readonly [kind in keyof typeof workWords]: readonly Work[] },
): TurnCause | undefined => {
  const [, onFailed = '', word, name = ''] =
    /^(onFailed of )?(continue|alarm) (.*)$/s.exec(what) ?? []
  if (word === undefined) return undefined
  const kind = word === 'alarm' ? 'alarm' : 'step'
  const found = changed[kind].find((each) => saysCause(what, `${onFailed}${word} ${each.name}`))
  return { kind, name: found?.name ?? name, ...(found?.error && { error: found.error }) }
}

/** The steps that are gone, and the steps whose try has failed. */
const stepsRun = (before: readonly Step[], after: readonly Step[]): readonly Work[] =>
  before.flatMap(({ step, name, tries, failure }) => {
    const now = after.find((each) => each.step === step)
    if (now === undefined) return [{ name }]
    // `onFailed` is not a try: its failure parks the step.
    const hasFailed = now.tries > tries || isNews(now.failure, failure)
    return hasFailed ? [{ name, ...errorIn(now.failure) }] : []
  })

const isNews = (now: Failure | undefined, before: Failure | undefined): boolean =>
  now !== undefined && now.next !== before?.next

/** The error of a failure, as a member. */
const errorIn = (failure: Failure | undefined): { readonly error?: KeptError } =>
  failure === undefined ? {} : { error: failure.error }

const lastPart = (key: string): string => key.slice(key.lastIndexOf('\0') + 1)
