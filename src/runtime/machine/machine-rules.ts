/** The decisions about an event before the machine gets it, made from the server's options. */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { eventTypes } from './machine-check.ts'

/** The rules of one server. */
export interface Rules {
  knows(type: string): boolean
  postpones(snapshot: AnyMachineSnapshot, event: EventObject): boolean
}

/** The rules that `options` make for `machine`. */
export const rulesOf = (
  machine: AnyStateMachine,
  { answers, postpone }: { readonly answers?: object | undefined; readonly postpone?: unknown },
): Rules => {
  const knows = eventTypes(machine, answers)
  if (postpone === undefined) return { knows, postpones: () => false }
  if (typeof postpone === 'function') {
    const decide = postpone as Rules['postpones']
    return { knows, postpones: (snapshot, event) => decide(snapshot, event) }
  }
  const states = Object.entries(postpone as Record<string, readonly string[]>)
  return {
    knows,
    postpones: (snapshot, { type }) =>
      states.some(([state, types]) => types.includes(type) && snapshot.matches(state)),
  }
}
