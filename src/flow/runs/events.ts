/** The events of runs, on the event bus of the System. */

import type { KeptError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { RunEnd } from './messages.ts'
import type { OperationKind, Recorded } from './record.ts'

/** The run of an event, and its time in ms since 1970. */
export type RunFacts = { readonly type: string; readonly id: string; readonly at: number }

type Listener<Facts = object> = (event: RunFacts & Facts) => void

/** The events of runs. Each comes after its turn is durable, and is lost if a crash comes first. */
export interface FlowEvents {
  'flow.started': Listener
  /** An operation has its outcome, after so many tries. */
  'flow.step': Listener<{
    readonly key: string
    readonly kind: OperationKind
    readonly tries: number
    readonly outcome: 'ok' | 'error'
  }>
  /** A step failed for the `tries`th time. Without `retryAt`, in ms since 1970, it was its last try. */
  'flow.failed': Listener<{
    readonly key: string
    readonly tries: number
    readonly retryAt: number | undefined
    readonly error: KeptError
  }>
  /** `startedAt`: when the run began, in ms since 1970. */
  'flow.ended': Listener<{ readonly end: RunEnd; readonly startedAt: number }>
  /** The run does not go on until `retry` or `settle`. */
  'flow.blocked': Listener<{ readonly error: KeptError }>
}

declare module '../../runtime/words/app-context.ts' {
  interface SystemEvents extends FlowEvents {}
}

/** A run that emits an event. */
type Emitting = { type: string; id: string; background: { readonly system: System } }

/** Emits an event of a run, if it has a listener: most have none, and a run has one for each step. */
export const emitFlow = <K extends keyof FlowEvents>(
  { type, id, background }: Emitting,
  event: K,
  facts: Omit<Parameters<FlowEvents[K]>[0], keyof RunFacts>,
): void => {
  const { events, clock } = background.system
  if (events.listenerCount(event) === 0) return
  const emit = events.emit.bind(events) as (name: string, payload: object) => boolean
  emit(event, { type, id, at: clock.now(), ...facts })
}

/** Emits that an operation has its outcome, if it has. */
export const emitStep = (run: Emitting, { outcome, kind, key, tries = 0 }: Recorded): void => {
  if (!outcome) return
  const made = outcome.kind === 'error' ? Math.max(1, tries) : tries + 1
  emitFlow(run, 'flow.step', { key, kind, tries: made, outcome: outcome.kind })
}
