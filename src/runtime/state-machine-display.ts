/**
 * How `console.log` and the prompt show the state of a machine's process: its value and context, not the whole machine
 * behind every snapshot.
 */
import type { AnyStateMachine } from 'xstate'
import { nodesOf } from './state-machine-check.ts'

const shown = Symbol.for('nodejs.util.inspect.custom')

/** Lets `machine` and its states show as their names, wherever they are part of something; nothing else sees a difference. */
export const showByName = (machine: AnyStateMachine): void => {
  show(machine, `machine ${machine.id}`)
  for (const node of nodesOf(machine)) show(node, `#${node.id}`)
}

const show = (thing: object, name: string): void => {
  if (Object.isExtensible(thing) && !(shown in thing)) {
    Object.defineProperty(thing, shown, { value: () => name })
  }
}
