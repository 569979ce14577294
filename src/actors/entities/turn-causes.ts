/** The cause of a past turn: what it recorded, with names and errors from the rows that it changed. Pure. */
import type { KeptError } from '../../errors.ts'
import {
  callIdRows,
  isWithin,
  type LoggedCause,
  type LoggedTurn,
  saysCause,
} from '../../storage/index.ts'
import type { Step } from '../turns/memory.ts'
import type { Failure } from '../turns/retry-policy.ts'

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
export const turnCause = (
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
export const errorIn = (failure: Failure | undefined): { readonly error?: KeptError } =>
  failure === undefined ? {} : { error: failure.error }

const lastPart = (key: string): string => key.slice(key.lastIndexOf('\0') + 1)
