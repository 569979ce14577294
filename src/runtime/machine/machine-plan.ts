/** A machine and its options, checked once for all processes that run it. */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { eventTypes, expectRunnable } from './machine-check.ts'
import { ActionNames } from './machine-names.ts'

/** The decisions about an event before the machine gets it. */
interface Rules {
  knows(type: string): boolean
  postpones(snapshot: AnyMachineSnapshot, event: EventObject): boolean
}

/** The parts from which every process of a machine is made. */
export interface MachinePlan {
  readonly machine: AnyStateMachine
  readonly rules: Rules
  readonly names: ActionNames
  readonly postponedMax: number
  /** Whether emitted events are heard. */
  readonly hears: boolean
}

/** The options that a plan reads; `expectRunnable` has checked them. */
interface PlanOptions {
  readonly answers?: object | undefined
  readonly emitted?: unknown
  readonly postpone?: Readonly<Record<string, readonly string[]>> | Rules['postpones'] | undefined
  readonly postponedMax?: number | undefined
}

/** As many as a mailbox takes by default. */
const postponedMax = 100_000

/**
 * The plan of `machine` with the options of a server; `own` are the options that this server adds.
 * Throws `CONFIG` with `details.path` when an option or an implementation is missing or wrong.
 */
export const planOf = (
  machine: AnyStateMachine,
  options: object,
  own: readonly string[] = [],
): MachinePlan => {
  expectRunnable(machine, options, own)
  const given: PlanOptions = options
  return {
    machine,
    rules: rulesOf(machine, given),
    names: new ActionNames(),
    postponedMax: given.postponedMax ?? postponedMax,
    hears: given.emitted !== undefined,
  }
}

const rulesOf = (machine: AnyStateMachine, { answers, postpone }: PlanOptions): Rules => {
  const knows = eventTypes(machine, answers)
  if (postpone === undefined) return { knows, postpones: () => false }
  if (typeof postpone === 'function') return { knows, postpones: postpone }
  const states = Object.entries(postpone)
  return {
    knows,
    postpones: (snapshot, { type }) =>
      states.some(([state, types]) => types.includes(type) && snapshot.matches(state)),
  }
}
