/** The state of a machine and of the actors inside it as plain data, and back. */

import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type EventObject,
  isMachineSnapshot,
} from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { isMachine, nodesOf } from './machine-check.ts'
import {
  type Actor,
  childrenOf,
  enteredStates,
  isSynced,
  orderEntered,
  setState,
  stateOf,
  withoutSubscription,
} from './machine-door.ts'
import { actorLogic } from './machine-names.ts'
import type { SavedActor, SavedMachine } from './machine-words.ts'

/** The part of `SavedMachine` that XState computes. */
type SavedState = Pick<
  SavedMachine,
  | 'machine'
  | 'status'
  | 'value'
  | 'context'
  | 'output'
  | 'tags'
  | 'historyValue'
  | 'entered'
  | 'children'
>

/** The parts of a saved actor that only a machine has. */
type Inside = Partial<Pick<SavedMachine, 'children' | 'historyValue' | 'entered'>>

/** Whether it is the saved state of an actor. */
const isState = (snapshot: unknown): snapshot is Inside & { readonly status: unknown } =>
  typeof snapshot === 'object' && snapshot !== null && 'status' in snapshot

/** The facts that saving needs beside the state. */
interface Saving {
  /** `value` as plain data; `path` leads to it. */
  plain<T>(value: T, path: readonly string[]): T
  /** The step that started `actor`. */
  startOf(actor: Actor): string | undefined
}

/**
 * The state of the machine that `root` runs. Throws `INVALID_ARGUMENT` when an actor inside was
 * spawned from unnamed logic (it could not be started again), or when a value cannot be saved.
 */
export const savedState = (root: Actor, saving: Saving): SavedState => {
  const { machine, tags } = stateOf(root)
  // Copies by `...` cost several µs here: the objects have many shapes.
  return Object.assign(savedSnapshot(root, [], saving), { machine: machine.id, tags: [...tags] })
}

const savedSnapshot = (actor: Actor, path: readonly string[], saving: Saving) => {
  const state = stateOf(actor)
  const { status, value, context, output, error, children } = state
  const entered = enteredStates(state).map(({ order }) => order)
  const saved = ([id, child]: [string, Actor]): [string, SavedActor] => [
    id,
    savedActor(child, [...path, 'children', id], saving),
  ]
  const found = {
    status,
    value,
    context: saving.plain(context, [...path, 'context']),
    historyValue: history(state),
    children: Object.fromEntries(Object.entries<Actor>(children).map(saved)),
  }
  if (entered.some((order, at) => order < (entered[at - 1] ?? 0))) Object.assign(found, { entered })
  if (output !== undefined)
    Object.assign(found, { output: saving.plain(output, [...path, 'output']) })
  if (error !== undefined) Object.assign(found, { error: saving.plain(error, [...path, 'error']) })
  return found
}

const savedActor = (actor: Actor, path: readonly string[], saving: Saving): SavedActor => {
  const { src, systemId } = actor
  if (typeof src !== 'string') {
    throw new KeelsonError(
      'INVALID_ARGUMENT',
      `${path.join('.')} was spawned from logic without a name; name it in setup({ actors })`,
      { details: { path: [...path] } },
    )
  }
  const inner = [...path, 'snapshot']
  const step = saving.startOf(actor)
  return {
    src,
    snapshot: runsMachine(actor)
      ? savedSnapshot(actor, inner, saving)
      : saving.plain(actor.getPersistedSnapshot(), inner),
    ...(systemId === undefined ? {} : { systemId }),
    ...(isSynced(actor) ? { syncSnapshot: true } : {}),
    ...(step === undefined ? {} : { step }),
  }
}

const runsMachine = (actor: Actor): boolean => 'machine' in stateOf(actor)

const history = ({ historyValue }: AnyMachineSnapshot): SavedMachine['historyValue'] =>
  Object.fromEntries(
    Object.entries<readonly { readonly id: string }[]>(historyValue).map(([key, nodes]) => [
      key,
      nodes.map(({ id }) => ({ id })),
    ]),
  )

/** The beginning of the type of an event that has the snapshot of an actor inside. */
const changed = 'xstate.snapshot.'

type OfSnapshot = EventObject & { readonly snapshot?: Readonly<Record<string, unknown>> }

/**
 * The event of an actor inside that changed has its live snapshot: that of a machine has code, that
 * of an observable its subscription. The data of it are kept.
 */
export const storable = (event: OfSnapshot): OfSnapshot => {
  const { snapshot } = event
  if (isMachineSnapshot(snapshot)) {
    const { status, value, context, tags, output, error } = snapshot
    const data = { status, value, context, tags: [...tags], output, error }
    return { ...event, snapshot: data }
  }
  if (!event.type.startsWith(changed)) return event
  return { ...event, snapshot: { ...withoutSubscription(snapshot) } }
}

/** Such an event with the code of its snapshot again. `machine` has it, or had it, in `actor`. */
export const liveEvent = (
  event: OfSnapshot,
  machine: AnyStateMachine,
  actor: Actor,
): EventObject & { readonly snapshot?: unknown } => {
  const { type, snapshot } = event
  const sender = type.startsWith(changed) && senderOf(type.slice(changed.length), machine, actor)
  if (!isMachine(sender) || !isOfMachine(snapshot)) return event
  try {
    return { ...event, snapshot: sender.resolveState(snapshot) }
  } catch (cause) {
    throw notSaved(machine, `this version has no state of which ${type} tells`, cause)
  }
}

type OfMachine = Parameters<AnyStateMachine['resolveState']>[0]

const isOfMachine = (snapshot: object | undefined): snapshot is OfMachine =>
  snapshot !== undefined && 'value' in snapshot

/** The logic of the actor `id`, which may have ended if `machine` invokes it. */
const senderOf = (id: string, machine: AnyStateMachine, actor: Actor): unknown => {
  const invoked = nodesOf(machine).flatMap(({ invoke }) => invoke)
  const found = invoked.find((each) => each.id === id)
  if (found !== undefined) return actorLogic(machine, String(found.src))
  const sender = stateOf(actor).machine === machine ? ownOf(childrenOf(actor), id) : undefined
  return sender && stateOf(sender).machine
}

/**
 * A copy of `given`, if it is a saved state of `machine`. Throws `INVALID_ARGUMENT`. Optional parts
 * may be absent.
 */
export const checkedSaved = (machine: AnyStateMachine, given: SavedMachine): SavedMachine => {
  if (typeof given !== 'object' || given === null || given.machine !== machine.id) {
    throw notSaved(machine, 'it is of another machine, or of none')
  }
  if (given.status !== 'active' && given.status !== 'done') {
    throw notSaved(machine, `its status is ${given.status}`)
  }
  for (const list of ['timers', 'postponed', 'actions'] as const) {
    if (!Array.isArray(given[list])) throw notSaved(machine, `it has no list of ${list}`)
  }
  if (typeof given.run !== 'string' || !Number.isSafeInteger(given.step)) {
    throw notSaved(machine, 'it does not say which step was its last')
  }
  try {
    machine.resolveState({ value: given.value, context: given.context })
    // XState modifies the value that it restores.
    return structuredClone(given)
  } catch (cause) {
    throw notSaved(machine, 'this version of the machine has no such state', cause)
  }
}

/**
 * Checks what XState has made of the actors in `saved`, revives their values with `revive`, and
 * reports the step of each. XState itself passes over an actor that it cannot restore.
 */
export const reviveActors = (
  machine: AnyStateMachine,
  actor: Actor,
  saved: Inside,
  revive: <T>(plain: T) => T,
  began: (actor: Actor, step: string | undefined) => void,
): void => {
  const snapshot = stateOf(actor)
  if (!runsMachine(actor)) {
    setState(actor, revive(snapshot))
    return
  }
  Object.assign(snapshot, {
    context: revive(snapshot.context),
    output: revive(snapshot.output),
    error: revive(snapshot.error),
    historyValue: revivedHistory(machine, actor, saved),
  })
  orderEntered(snapshot, ({ order }) => saved.entered?.indexOf(order) ?? order)
  for (const [id, { step, snapshot: inner }] of Object.entries(saved.children ?? {})) {
    const child = ownOf(childrenOf(actor), id)
    if (child === undefined) throw notSaved(machine, `this version has no actor for ${id}`)
    if (!isState(inner) || stateOf(child).status !== inner.status)
      throw notSaved(machine, `the actor ${id} is not as it was`, stateOf(child).error)
    reviveActors(machine, child, inner, revive, began)
    began(child, step)
  }
}

/**
 * XState looks for states by their ids split at dots, and passes over what it misses. The history of a
 * state that is no more is of no use to it.
 */
const revivedHistory = (
  machine: AnyStateMachine,
  actor: Actor,
  { historyValue = {} }: Inside,
): AnyMachineSnapshot['historyValue'] => {
  const nodes = nodesOf(stateOf(actor).machine)
  const nodeOf = ({ id }: { readonly id: string }): AnyStateNode => {
    const found = nodes.find((node) => node.id === id)
    if (found === undefined) throw notSaved(machine, `this version has no state ${id}`)
    return found
  }
  return Object.fromEntries(
    Object.entries(historyValue)
      .filter(([key]) => nodes.some(({ id }) => id === key))
      .map(([key, states]) => [key, states.map(nodeOf)]),
  )
}

const notSaved = (machine: AnyStateMachine, why: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `this is not a saved state of ${machine.id}: ${why}`, {
    details: { machine: machine.id },
    ...(cause === undefined ? {} : { cause }),
  })

/**
 * Whether an actor inside runs that a crash would cut off: a promise, a callback, an observable.
 * Machines and transition functions only compute; they have no start.
 */
export const runs = ({ children = {} }: Inside): boolean =>
  Object.values(children).some(
    ({ step, snapshot }) =>
      isState(snapshot) && snapshot.status === 'active' && (step !== undefined || runs(snapshot)),
  )
