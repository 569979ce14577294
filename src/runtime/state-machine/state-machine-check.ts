/**
 * The checks before a machine runs. XState skips an action or an actor without an implementation,
 * and treats a delay without a value as none. Here each is an error with its path.
 */

import type { AnyStateMachine, AnyStateNode, EventObject } from 'xstate'
import { configError, KeelsonError } from '../../errors.ts'
import { describeReason } from '../words/exit-reason.ts'

/** Throws `CONFIG` with `details.path` unless `machine` can be run with `options`. */
export const expectRunnable = (machine: AnyStateMachine, options: object): void => {
  if (!isMachine(machine)) throw configError('machine', 'an XState machine', machine)
  for (const node of nodesOf(machine)) expectImplemented(machine, node)
  expectOptions(machine, options as Readonly<Record<string, unknown>>)
}

/**
 * The event itself, after a check. Throws `INVALID_ARGUMENT`; XState's own events cannot be sent.
 */
export const checkedEvent = (event: unknown): EventObject => {
  const type: unknown = (event as { readonly type?: unknown } | null | undefined)?.type
  if (typeof event === 'object' && typeof type === 'string' && !type.startsWith('xstate.')) {
    return event as EventObject
  }
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    `expected an event, an object with a type of its own, found ${describeReason(event)}`,
  )
}

/** Whether `event` is one of XState's own. */
export const isInternal = ({ type }: EventObject): boolean => type.startsWith('xstate.')

/**
 * Whether a state of `machine`, or an answer, names events of this type; `*` and `door.*` name
 * many.
 */
export const eventTypes = (
  machine: AnyStateMachine,
  answers: object | undefined,
): ((type: string) => boolean) => {
  const inStates = nodesOf(machine).flatMap((node) => [...node.transitions.keys()])
  const named = new Set([...inStates, ...Object.keys(answers ?? {})])
  const prefixes = [...named].filter((name) => name.endsWith('.*')).map((name) => name.slice(0, -2))
  return (type) =>
    named.has(type) ||
    named.has('*') ||
    prefixes.some((prefix) => type === prefix || type.startsWith(`${prefix}.`))
}

/** All states of `machine`, each before those within it. */
export const nodesOf = (machine: AnyStateMachine): AnyStateNode[] => {
  const within = (node: AnyStateNode): AnyStateNode[] => [
    node,
    ...Object.values(node.states).flatMap(within),
  ]
  return within(machine.root)
}

const isMachine = (machine: unknown): boolean =>
  typeof machine === 'object' &&
  machine !== null &&
  'root' in machine &&
  'implementations' in machine &&
  typeof (machine as AnyStateMachine).transition === 'function'

type Kind = 'actions' | 'guards' | 'delays' | 'actors'

const expectImplemented = (machine: AnyStateMachine, node: AnyStateNode): void => {
  const path = [machine.id, ...node.path].join('.')
  const expectAll = (kind: Kind, names: readonly string[], where: string): void => {
    for (const name of names) {
      if (machine.implementations[kind][name] !== undefined) continue
      throw configError(
        `${path}.${where}`,
        `an implementation in setup({ ${kind} })`,
        `'${name}' without`,
      )
    }
  }
  const expectActions = (actions: readonly unknown[], where: string): void => {
    expectAll('actions', actions.flatMap(nameOf), where)
    expectAll('delays', actions.flatMap(delayOf), where)
  }
  expectActions(node.entry, 'entry')
  expectActions(node.exit, 'exit')
  const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])]
  for (const { eventType, actions, guard } of transitions) {
    const where = eventType === '' ? 'always' : `on.${eventType}`
    expectActions(actions, where)
    expectAll('guards', guardsOf(guard), where)
  }
  for (const { id, src } of node.invoke) {
    // XState itself names inline logic.
    if (typeof src === 'string' && !src.startsWith('xstate.invoke.')) {
      expectAll('actors', [src], `invoke.${id}`)
    }
  }
}

/** The name of an action or a guard. An inline one has none. */
const nameOf = (given: unknown): string[] => {
  if (typeof given === 'string') return [given]
  if (typeof given !== 'object' || given === null) return []
  const { type } = given as { readonly type?: unknown }
  return typeof type === 'string' ? [type] : []
}

/** The name of the delay of a built-in action. */
const delayOf = (action: unknown): string[] => {
  const delay = typeof action === 'function' ? (action as { delay?: unknown }).delay : undefined
  return typeof delay === 'string' ? [delay] : []
}

/** The names of a guard and of the guards inside `and`, `or` and `not`. */
const guardsOf = (guard: unknown): string[] => {
  const inner = typeof guard === 'function' ? (guard as { guards?: unknown }).guards : undefined
  return Array.isArray(inner) ? inner.flatMap(guardsOf) : nameOf(guard)
}

const optionNames: readonly string[] = [
  'answers',
  'postpone',
  'unknownEvents',
  'restore',
  'save',
  'emitted',
  'trapExit',
  'exit',
  'down',
  'info',
  'terminate',
  'formatStatus',
]

const expectOptions = (
  machine: AnyStateMachine,
  options: Readonly<Record<string, unknown>>,
): void => {
  for (const name of Object.keys(options)) {
    if (!optionNames.includes(name))
      throw configError(name, `one of ${optionNames.join(', ')}`, name)
  }
  const { answers, postpone, unknownEvents } = options
  if (!['log', 'ignore', 'exit', undefined].includes(unknownEvents as string | undefined)) {
    throw configError('unknownEvents', "'log', 'ignore' or 'exit'", unknownEvents)
  }
  for (const name of ['save', 'emitted', 'exit', 'down', 'info', 'terminate', 'formatStatus']) {
    const given = options[name]
    if (given !== undefined && typeof given !== 'function')
      throw configError(name, 'a function', given)
  }
  for (const [type, answer] of Object.entries(answers ?? {})) {
    if (typeof answer !== 'function') throw configError(`answers.${type}`, 'a function', answer)
  }
  if (typeof postpone !== 'object') return
  expectPostponed(machine, eventTypes(machine, answers as object | undefined), postpone ?? {})
}

const expectPostponed = (
  machine: AnyStateMachine,
  knows: (type: string) => boolean,
  postpone: object,
): void => {
  const states = new Set(nodesOf(machine).map(({ path }) => path.join('.')))
  for (const [state, types] of Object.entries(postpone)) {
    if (!states.has(state)) throw configError(`postpone.${state}`, 'a state of the machine', state)
    if (!Array.isArray(types))
      throw configError(`postpone.${state}`, 'a list of event types', types)
    for (const type of types) {
      if (!knows(type)) throw configError(`postpone.${state}`, 'an event of the machine', type)
    }
  }
}

// `console.log` and the prompt show a machine's value and context, not the whole machine behind
// every snapshot.

const shown = Symbol.for('nodejs.util.inspect.custom')

/**
 * Makes `machine` and its states print as their names wherever they are part of a value. It has no
 * other effect.
 */
export const showByName = (machine: AnyStateMachine): void => {
  show(machine, `machine ${machine.id}`)
  for (const node of nodesOf(machine)) show(node, `#${node.id}`)
}

const show = (thing: object, name: string): void => {
  if (Object.isExtensible(thing) && !(shown in thing)) {
    Object.defineProperty(thing, shown, { value: () => name })
  }
}
