/** The work of one turn: a message, or a step or an alarm that the actor recorded. Pure. */
import { invalidArgument, KeelsonError, missingDeclaration } from '../../errors.ts'
import {
  isAnswer,
  isThenable,
  NextStep,
  type NoReply,
  noReply,
  type Ok,
  reply,
  type Stop,
  type Then,
} from '../../runtime/index.ts'
import type { Parse } from '../../schema.ts'
import type { TurnKind } from './decide.ts'
import type { Handler } from './durable-table.ts'
import type { Alarm, Memory, Step } from './memory.ts'
import type { HeldCall } from './turn-outputs.ts'

/** An alarm that fires: its name and its setting. */
type Firing = { readonly name: string; readonly set: Alarm }

/**
 * The work of one turn. All kinds have this one shape, because it keeps the loop that reads them
 * fast.
 */
export class Run {
  readonly kind: TurnKind
  readonly handler: Handler
  /** Once `parse` is done, what it has made. */
  payload: unknown
  /** The message in two words, for logs. */
  readonly what: string
  readonly name: string
  readonly from: HeldCall | undefined
  /** The recorded step that runs. */
  readonly step: Step | undefined
  /** The alarm that fires. */
  readonly alarm: Firing | undefined
  /** The schema of its payload, which is still as its sender gave it. */
  parse: Parse | undefined

  constructor(
    kind: TurnKind,
    handler: Handler,
    payload: unknown,
    what: string,
    name: string,
    from?: HeldCall,
    step?: Step,
    alarm?: Firing,
    parse?: Parse,
  ) {
    this.kind = kind
    this.handler = handler
    this.payload = payload
    this.what = what
    this.name = name
    this.from = from
    this.step = step
    this.alarm = alarm
    this.parse = parse
  }

  /** Parses its payload: once, also if it is handled again. Returns the refusal of the schema. */
  parsed(): KeelsonError | undefined {
    try {
      this.payload = this.parse?.(this.payload, this.what)
      this.parse = undefined
      return undefined
    } catch (error) {
      return error as KeelsonError
    }
  }

  /** Whether a turn has recorded it: it acts on the world outside, and may be repeated. */
  get isRecorded(): boolean {
    return this.step !== undefined || this.alarm !== undefined
  }

  /** The failure of a try whose handler answered this. */
  badAnswer(found: unknown): KeelsonError {
    return invalidArgument(this.what, 'noReply or stop as its answer', found)
  }

  /** The same with another handler. */
  by(handler: Handler): Run {
    const { kind, payload, what, name, from, step, alarm, parse } = this
    return new Run(kind, handler, payload, what, name, from, step, alarm, parse)
  }
}

/** News of an actor inside a machine that were refused with `error`, as its failure. */
export const failing = (handler: Handler, { payload, what, name }: Run, error: unknown): Run =>
  new Run('failure', handler, { news: payload, error }, `onError of ${what}`, name)

/** Whether the setting of its alarm is void: the turn that set it was refused. */
export const isPast = ({ alarm }: Run, { alarms }: Memory): boolean =>
  alarm !== undefined && alarms.get(alarm.name)?.setting !== alarm.set.setting

/** The action of the loop after a turn. */
export type Answer = NextStep | Promise<NextStep>

/** A typed step of the server as its loop reads it. */
export const stepOf = (
  typed: NoReply<unknown, unknown> | Ok<unknown, unknown> | Stop<unknown>,
): NextStep => typed as NextStep

/** After a turn that no handler answered, the server does what it did before. */
export const asBefore: Then = Object.freeze({})

/**
 * A turn without a message, for what the actor itself records. Handled again it records nothing:
 * what called for it happens again.
 */
export const ownRun = (kind: TurnKind, what: string, from?: HeldCall): Run =>
  new Run(kind, (state) => noReply(state, asBefore), undefined, what, what, from)

/** A recorded name without a handler: its turn never happens, and waits for a program that has one. */
export const missing =
  (what: string): Handler =>
  () => {
    throw missingDeclaration(`handler of ${what}`)
  }

/** The handler of a step whose turn was refused: the next try is later. */
export const throwing =
  (error: unknown): Handler =>
  () => {
    throw error
  }

/** A turn that replaces the state from outside. */
export const changing = (change: (state: unknown) => unknown, from: HeldCall): Run =>
  ownRun('call', 'replaceState', from).by((before) => {
    try {
      const state = change(before)
      return reply(state, state, asBefore)
    } catch (error) {
      from.fail(error)
      return noReply(before, asBefore)
    }
  })

/** A change of the state, as background work asks for it. */
export type Change = (state: unknown, context: unknown) => unknown

/**
 * The turn that applies a change. If the change throws, the background work that asked for the
 * change gets the error.
 */
export const applying = (change: Change, from: HeldCall): Run =>
  new Run('apply', changedBy(change, from), undefined, 'apply', 'apply', from)

const changedBy =
  (change: Change, from: HeldCall): Handler =>
  (state, _, context) => {
    const step = change(state, context)
    if (!NextStep.is(step) || !isAnswer(step, true)) throw noChange(step)
    if (step.kind === 'noReply') from.reply(undefined)
    return step
  }

/** A change is made in one go: nothing else would be handled until it is done. */
const noChange = (step: unknown): KeelsonError => {
  if (isThenable(step)) Promise.resolve(step).catch(() => undefined)
  return invalidArgument('apply', 'a function that returns noReply or reply', step)
}

/** The error of a turn whose unit cannot be looked up. */
export const undecidable = (entity: string, cause: unknown): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', `it is unknown whether a turn of ${entity} is durable`, {
    cause,
  })

/** The error of an effect that followed a turn whose unit was refused. */
export const neverDurable = (entity: string): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', `the state of ${entity} that it stood on was refused`)

/** The exit reason of a process when another process has written the row of its actor. */
export const overtaken = (entity: string): KeelsonError =>
  new KeelsonError('CONFLICT', `another process wrote the state of ${entity}`, {
    details: { entity },
  })
