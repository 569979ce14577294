/**
 * The phases of an activation, and those of its cancel, as two tables: what holds in each phase, and which
 * event leads where. The activation reports what happened, and acts by the phase that it is in. Pure.
 */

/** Where an activation is. */
export type ActivationPhase = 'loading' | 'running' | 'ending' | 'abandoned' | 'over'

/** An event of an activation. */
export type ActivationEvent =
  /** The run is read, or its birth is durable: what its body asks for is carried out. */
  | 'began'
  | 'bodyEnded'
  /** The activation carries out nothing further: its run rests, is blocked or has ended. */
  | 'stopped'

/** One phase. An event that it does not name leaves it as it is. */
export type PhaseRule = {
  readonly isBodyOver: boolean
  /** Whether no operation is carried out, and no outcome is given to the body. */
  readonly isStopped: boolean
  readonly on: Readonly<Partial<Record<ActivationEvent, ActivationPhase>>>
}

/** Every phase. An activation begins in `loading`. */
export const activationPhases: Readonly<Record<ActivationPhase, PhaseRule>> = {
  loading: {
    isBodyOver: false,
    isStopped: false,
    on: { began: 'running', bodyEnded: 'ending', stopped: 'abandoned' },
  },
  running: {
    isBodyOver: false,
    isStopped: false,
    on: { bodyEnded: 'ending', stopped: 'abandoned' },
  },
  /** The body has ended: children end, steps are undone, and one turn records the end. */
  ending: { isBodyOver: true, isStopped: false, on: { stopped: 'over' } },
  /** The body did not end. Operations that it asks for never settle. */
  abandoned: { isBodyOver: false, isStopped: true, on: {} },
  over: { isBodyOver: true, isStopped: true, on: {} },
}

/** The phase after `event` in `phase`. */
export const phaseAfter = (phase: ActivationPhase, event: ActivationEvent): ActivationPhase =>
  activationPhases[phase].on[event] ?? phase

/** Where the cancel of an activation is: one that was asked for needs a place among the outcomes. */
export type CancelPhase = 'none' | 'wanted' | 'placing'

/** An event of a cancel. */
export type CancelEvent =
  | 'asked'
  /** The turn that shall give it its place begins. */
  | 'begun'
  /** That turn is durable: the cancel has its place, or the run has ended. */
  | 'placed'
  /** That turn gave it no place: the operation whose place it was to take had its outcome first. */
  | 'deferred'

const cancelPhases: Readonly<
  Record<CancelPhase, Readonly<Partial<Record<CancelEvent, CancelPhase>>>>
> = {
  none: { asked: 'wanted' },
  /** The turn of the end may place it too, without `begun`. */
  wanted: { begun: 'placing', placed: 'none' },
  placing: { placed: 'none', deferred: 'wanted' },
}

/** The phase of a cancel after `event` in `phase`. */
export const cancelAfter = (phase: CancelPhase, event: CancelEvent): CancelPhase =>
  cancelPhases[phase][event] ?? phase
