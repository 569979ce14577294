/**
 * The checks before a machine runs. XState skips an action or an actor without an implementation,
 * and treats a delay without a value as none. Here each is an error with its path.
 */

import type { AnyStateMachine, AnyStateNode, EventObject } from 'xstate'
import {
  checkNames,
  config,
  functionOf,
  membersOf,
  oneOf,
  optional,
  recordOf,
  wholeFrom,
} from '../../check.ts'
import { configError, KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { type StandardSchema, schema, thatMakes } from '../../schema.ts'
import { describeReason } from '../words/exit-reason.ts'

/**
 * Throws `CONFIG` with `details.path` unless `machine` can be run with `options`: those of every
 * machine, and `own` ones.
 */
export const expectRunnable = (
  machine: AnyStateMachine,
  options: object,
  own: readonly string[],
): void => {
  if (isOfXState6(machine))
    throw configError('machine', 'a machine of XState 5', 'a machine of XState 6')
  if (!isMachine(machine)) throw configError('machine', 'an XState machine', machine)
  expectImplemented(machine)
  expectOptions(machine, options, own)
}

/**
 * The event itself, after a check. Throws `INVALID_ARGUMENT`; of XState's own events only those for
 * its `route` transitions can be sent.
 */
export const checkedEvent = (event: unknown): EventObject => {
  if (isUsersEvent(event)) return event
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    `expected an event, an object with a type of its own, found ${describeReason(event)}`,
  )
}

/** The schema of what is sent to a machine: it has to make events. @throws KeelsonError `CONFIG` */
export const eventSchema = (given: StandardSchema): StandardSchema => {
  schema(given, config('events'))
  return thatMakes(given, isUsersEvent, 'its schema makes no event of it')
}

const isUsersEvent = (event: unknown): event is EventObject =>
  isEvent(event) && (!isInternal(event) || event.type === 'xstate.route')

const isEvent = (event: unknown): event is EventObject =>
  typeof event === 'object' && event !== null && 'type' in event && typeof event.type === 'string'

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

/**
 * The lists of actions of one state, each with its place: of the entry, the exit, the initial
 * transition and every other transition.
 */
export const actionLists = (node: AnyStateNode): [place: string, actions: readonly unknown[]][] => {
  const { initial } = node.config
  const at = [node.machine.id, ...node.path].join('.')
  const first = typeof initial === 'object' ? [initial.actions ?? []].flat() : []
  const seen = new Map<string, number>()
  return [
    [`${at}.entry`, node.entry],
    [`${at}.exit`, node.exit],
    [`${at}.initial`, first],
    ...transitionsOf(node).map(({ eventType, actions }): [string, readonly unknown[]] => {
      const where = eventType === '' ? `${at}.always` : `${at}.on.${eventType}`
      const count = seen.get(where) ?? 0
      seen.set(where, count + 1)
      return [count === 0 ? where : `${where}.${count}`, actions]
    }),
  ]
}

/** Whether something is an XState machine, also one of another copy of XState. */
export const isMachine = (machine: unknown): machine is AnyStateMachine =>
  typeof machine === 'object' &&
  machine !== null &&
  'root' in machine &&
  'implementations' in machine &&
  'transition' in machine &&
  typeof machine.transition === 'function'

/** Whether something is a machine of XState 6, whose implementations are its sources. */
const isOfXState6 = (machine: unknown): boolean =>
  typeof machine === 'object' &&
  machine !== null &&
  'root' in machine &&
  'sources' in machine &&
  !('implementations' in machine)

type Kind = 'actions' | 'guards' | 'delays' | 'actors'

type Expect = (kind: Kind, names: readonly string[], where: string) => void

/** Checks `machine` and the machines that it can start. */
const expectImplemented = (machine: AnyStateMachine, seen = new Set<unknown>()): void => {
  if (seen.has(machine)) return
  seen.add(machine)
  const expectAll: Expect = (kind, names, where) => {
    for (const name of names) {
      if (ownOf(machine.implementations[kind], name) !== undefined) continue
      throw configError(where, `an implementation in setup({ ${kind} })`, `'${name}' without`)
    }
  }
  for (const node of nodesOf(machine)) expectState(node, expectAll)
  for (const [name, action] of Object.entries(machine.implementations.actions)) {
    expectActions([action], `${machine.id}.actions.${name}`, expectAll)
  }
  for (const logic of [...Object.values(machine.implementations.actors), ...inlineLogic(machine)]) {
    if (isMachine(logic)) expectImplemented(logic, seen)
  }
}

const expectState = (node: AnyStateNode, expectAll: Expect): void => {
  const path = [node.machine.id, ...node.path].join('.')
  for (const [where, actions] of actionLists(node)) expectActions(actions, where, expectAll)
  for (const { eventType, guard } of transitionsOf(node)) {
    expectAll(
      'guards',
      guardsOf(guard),
      `${path}.${eventType === '' ? 'always' : `on.${eventType}`}`,
    )
  }
  for (const { id, src } of node.invoke) {
    // XState itself names inline logic.
    if (typeof src === 'string' && !src.startsWith('xstate.invoke.')) {
      expectAll('actors', [src], `${path}.invoke.${id}`)
    }
  }
}

const expectActions = (actions: readonly unknown[], where: string, expectAll: Expect): void => {
  expectAll('actions', actions.flatMap(nameOf), where)
  expectAll('delays', actions.flatMap(delayOf), where)
  expectAll('actors', actions.flatMap(spawnedBy), where)
}

const transitionsOf = (node: AnyStateNode) => [
  ...[...node.transitions.values()].flat(),
  ...(node.always ?? []),
]

/** The logic that the states of `machine` invoke without a name. */
export const inlineLogic = (machine: AnyStateMachine): unknown[] =>
  nodesOf(machine).flatMap(({ config }) =>
    [config.invoke ?? []].flat().map(({ src }: { readonly src: unknown }) => src),
  )

/** The name of an action or a guard. An inline one has none. */
const nameOf = (given: unknown): string[] => {
  if (typeof given === 'string') return [given]
  return isEvent(given) ? [given.type] : []
}

/** The name of the delay of a built-in action. */
const delayOf = (action: unknown): string[] =>
  typeof action === 'function' && 'delay' in action && typeof action.delay === 'string'
    ? [action.delay]
    : []

/** The name of the logic that a built-in action starts. */
const spawnedBy = (action: unknown): string[] => {
  if (typeof action !== 'function' || !('type' in action) || !('src' in action)) return []
  const { type, src } = action
  const isNamed = typeof src === 'string' && !src.startsWith('xstate.invoke.')
  return type === 'xstate.spawnChild' && isNamed ? [src] : []
}

/** The names of a guard and of the guards inside `and`, `or` and `not`. */
const guardsOf = (guard: unknown): string[] => {
  const inner = typeof guard === 'function' && 'guards' in guard ? guard.guards : undefined
  return Array.isArray(inner) ? inner.flatMap(guardsOf) : nameOf(guard)
}

const optionNames: readonly string[] = [
  'answers',
  'events',
  'postpone',
  'postponedMax',
  'unknownEvents',
  'emitted',
  'trapExit',
  'exit',
  'down',
  'info',
  'terminate',
  'formatStatus',
]

/** The options that are functions. */
const functions: readonly string[] = [
  'save',
  'emitted',
  'exit',
  'down',
  'info',
  'terminate',
  'formatStatus',
  'input',
  'index',
  'migrate',
]

const checkMembers = membersOf({
  unknownEvents: optional(oneOf('log', 'ignore', 'exit')),
  postponedMax: optional(wholeFrom(1)),
  answers: optional(recordOf(functionOf())),
  ...Object.fromEntries(functions.map((name) => [name, optional(functionOf())])),
})

const expectOptions = (
  machine: AnyStateMachine,
  options: { readonly answers?: object | undefined; readonly postpone?: unknown },
  own: readonly string[],
): void => {
  checkNames(options, [...optionNames, ...own], config())
  checkMembers(options, config())
  const { answers, postpone } = options
  if (typeof postpone !== 'object') return
  expectPostponed(machine, eventTypes(machine, answers), postpone ?? {})
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

// `console.log` and the prompt show a machine's value and context, not the whole machine of every
// snapshot.

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
