/** What a turn handles: a message, or a step or an alarm that the actor recorded. Pure. */
import { KeelsonError } from '../../errors.ts'
import type { Handler } from './durable-table.ts'
import type { Alarm, Step } from './memory.ts'
import type { HeldCall } from './turn-outputs.ts'

/** What a turn handles: a message, or a step or an alarm that the actor itself recorded. */
export type Run = {
  readonly handler: Handler
  readonly payload: unknown
  /** The message in two words, for logs. */
  readonly what: string
  readonly name: string
  readonly from?: HeldCall | undefined
  readonly step?: Step
  readonly alarm?: { readonly name: string; readonly set: Alarm }
}

/** A turn without a message, for what the actor itself records. */
export const ownRun = (what: string): Run => ({
  handler: () => undefined,
  payload: undefined,
  what,
  name: what,
})

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
