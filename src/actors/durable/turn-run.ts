/** What a turn handles: a message, or a step or an alarm that the actor recorded. Pure. */
import { KeelsonError } from '../../errors.ts'
import type { Handler } from './durable-table.ts'
import type { Alarm, Step } from './memory.ts'
import type { HeldCall } from './turn-outputs.ts'

/** An alarm that fires: its name and its setting. */
export type Firing = { readonly name: string; readonly set: Alarm }

/** What a turn handles. All have this one shape, because it keeps the loop that reads them fast. */
export class Run {
  readonly handler: Handler
  readonly payload: unknown
  /** The message in two words, for logs. */
  readonly what: string
  readonly name: string
  readonly from: HeldCall | undefined
  /** The recorded step that runs. */
  readonly step: Step | undefined
  /** The alarm that fires. */
  readonly alarm: Firing | undefined

  constructor(
    handler: Handler,
    payload: unknown,
    what: string,
    name: string,
    from?: HeldCall,
    step?: Step,
    alarm?: Firing,
  ) {
    this.handler = handler
    this.payload = payload
    this.what = what
    this.name = name
    this.from = from
    this.step = step
    this.alarm = alarm
  }

  /** The same with another handler. */
  by(handler: Handler): Run {
    const { payload, what, name, from, step, alarm } = this
    return new Run(handler, payload, what, name, from, step, alarm)
  }
}

/** A turn without a message, for what the actor itself records. */
export const ownRun = (what: string, from?: HeldCall): Run =>
  new Run(() => undefined, undefined, what, what, from)

/** The pause before another try of a step or alarm: 1 s, doubling to 60 s. */
export const backoffMs = (tries: number): number =>
  Math.min(60_000, 1_000 * 2 ** Math.min(tries - 1, 6))

/** A recorded name without a handler fails, and is tried again: a later program may have one. */
export const missing =
  (what: string): Handler =>
  () => {
    throw new KeelsonError('INVALID_ARGUMENT', `there is no handler of ${what}`)
  }

/** The handler of a step whose turn was refused: the next try is later. */
export const throwing =
  (error: unknown): Handler =>
  () => {
    throw error
  }
