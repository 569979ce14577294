/** A machine as plain data: its states and their transitions, for views of it. Pure. */
import type { AnyStateMachine, AnyStateNode } from 'xstate'
import { eventTypes, isInternal, isMachine, nodesOf } from './machine-check.ts'
import { eventName, guardName } from './machine-diagram.ts'

/** A state of a machine. */
export interface MachineState {
  /** The keys of the states around it and its own; empty for the machine itself. */
  readonly path: readonly string[]
  readonly isFinal: boolean
  readonly transitions: readonly {
    /** The event or the delay; empty for one that is always tried. */
    readonly event: string
    readonly guard: string | undefined
    /** The paths that it leads to; empty if it stays. */
    readonly to: readonly (readonly string[])[]
  }[]
}

/** A machine as views show it. */
export interface MachineOutline {
  readonly id: string
  /** Each state before those within it. */
  readonly states: readonly MachineState[]
  /** The types of the events that its states name. */
  readonly events: readonly string[]
  /** Whether a state handles events of this type. */
  takes(type: string): boolean
}

/** The outline of a machine; `undefined` for any other value. */
export const machineOutline = (machine: unknown): MachineOutline | undefined => {
  if (!isMachine(machine)) return undefined
  const nodes = nodesOf(machine)
  const events = new Set(nodes.flatMap((node) => [...node.transitions.keys()]))
  return {
    id: machine.id,
    states: nodes.map(stateOf),
    events: [...events].filter((type) => !isInternal({ type })),
    takes: eventTypes(machine, undefined),
  }
}

const stateOf = (node: AnyStateNode): MachineState => ({
  path: node.path,
  isFinal: node.type === 'final',
  transitions: [...[...node.transitions.values()].flat(), ...(node.always ?? [])].map(
    ({ eventType, guard, target = [] }) => ({
      event: eventName(eventType),
      guard: guard === undefined ? undefined : guardName(guard),
      to: target.map(({ path }: AnyStateMachine['root']) => path),
    }),
  ),
})

/** Whether a machine with this state value is in the state at `path`. */
export const isIn = (value: unknown, path: readonly string[]): boolean => {
  const [key, ...rest] = path
  if (key === undefined) return true
  if (typeof value === 'string') return value === key && rest.length === 0
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
  return isIn(Reflect.get(value, key), rest)
}
