/** A machine as plain data, and the check of such data. */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import type { SavedActor, SavedMachine, SavedTimer } from './state-machine-words.ts'

/**
 * `snapshot` with its timers and postponed events. Throws `INVALID_ARGUMENT` when an actor inside
 * was spawned from unnamed logic: it could not be started again.
 */
export const savedMachine = (
  machine: AnyStateMachine,
  snapshot: AnyMachineSnapshot,
  timers: readonly SavedTimer[],
  postponed: readonly EventObject[],
): SavedMachine => {
  expectNamed(snapshot.children, machine.id)
  const { status, value, context, output, historyValue, children } = machine.getPersistedSnapshot(
    snapshot,
  ) as unknown as AnyMachineSnapshot
  return {
    machine: machine.id,
    status,
    value,
    context,
    ...(output === undefined ? {} : { output }),
    tags: [...snapshot.tags],
    historyValue: historyValue as SavedMachine['historyValue'],
    children: children as unknown as Record<string, SavedActor>,
    timers,
    postponed: [...postponed] as SavedMachine['postponed'],
  }
}

/** A copy of `given`, if it is a saved state of `machine`. Throws `INVALID_ARGUMENT`. */
export const checkedSaved = (machine: AnyStateMachine, given: SavedMachine): SavedMachine => {
  if (typeof given !== 'object' || given === null || given.machine !== machine.id) {
    throw notSaved(machine, 'it is of another machine, or of none')
  }
  if (given.status !== 'active' && given.status !== 'done') {
    throw notSaved(machine, `its status is ${given.status}`)
  }
  if (!Array.isArray(given.timers) || !Array.isArray(given.postponed)) {
    throw notSaved(machine, 'it has no timers or no postponed events')
  }
  try {
    machine.resolveState({ value: given.value, context: given.context } as never)
    // XState modifies the value that it restores.
    return structuredClone(given)
  } catch (cause) {
    throw notSaved(machine, 'this version of the machine has no such state', cause)
  }
}

const notSaved = (machine: AnyStateMachine, why: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `this is not a saved state of ${machine.id}: ${why}`, {
    details: { machine: machine.id },
    ...(cause === undefined ? {} : { cause }),
  })

const expectNamed = (
  children: Readonly<Record<string, AnyActorRef | undefined>>,
  path: string,
): void => {
  for (const [id, child] of Object.entries(children)) {
    if (child === undefined) continue
    if (typeof child.src !== 'string') {
      throw new KeelsonError(
        'INVALID_ARGUMENT',
        `${path}.${id} was spawned from logic without a name; name it in setup({ actors })`,
        { details: { path: `${path}.${id}` } },
      )
    }
    const inner = child.getSnapshot() as Partial<AnyMachineSnapshot> | undefined
    expectNamed(inner?.children ?? {}, `${path}.${id}`)
  }
}
