/**
 * Names of actions, by which a later process finds them again. An action of `setup` has one. An
 * inline action has a place in its machine; the checksum of its text identifies another version.
 */

import type { AnyStateMachine } from 'xstate'
import { ownOf } from '../../own-names.ts'
import { actionLists, nodesOf } from './machine-check.ts'

/** An action as code. */
export type Code = (given: object, params: unknown) => unknown

const isCode = (action: unknown): action is Code => typeof action === 'function'

/** The name of an action. `text` is the checksum of an inline one. */
interface ActionName {
  readonly name: string
  readonly text?: number | undefined
}

/** The names of the actions of the machines of one server. */
export class ActionNames {
  readonly #inline = new WeakMap<AnyStateMachine, InlineActions>()

  /** The name of `code`, which `machine` calls `type`; `undefined`: it was made while running. */
  nameOf(machine: AnyStateMachine, type: string, code: unknown): ActionName | undefined {
    if (ownOf(machine.implementations.actions, type) === code) return { name: type }
    const place = this.#of(machine).places.get(code)
    return place === undefined ? undefined : { name: place, text: checksum(String(code)) }
  }

  /** The action of `machine` that has the name; `undefined` when this version has none. */
  find(machine: AnyStateMachine, { name, text }: ActionName): Code | undefined {
    if (text === undefined) {
      const named: unknown = ownOf(machine.implementations.actions, name)
      return isCode(named) ? named : undefined
    }
    const code = this.#of(machine).actions.get(name)
    return checksum(String(code)) === text ? code : undefined
  }

  #of(machine: AnyStateMachine): InlineActions {
    const found = this.#inline.get(machine) ?? inlineActions(machine)
    this.#inline.set(machine, found)
    return found
  }
}

interface InlineActions {
  readonly places: ReadonlyMap<unknown, string>
  readonly actions: ReadonlyMap<string, Code>
}

const inlineActions = (machine: AnyStateMachine): InlineActions => {
  const places = new Map<unknown, string>()
  const actions = new Map<string, Code>()
  for (const [where, list] of nodesOf(machine).flatMap(actionLists)) {
    for (const [index, action] of list.entries()) {
      if (!isCode(action) || places.has(action)) continue
      places.set(action, `${where} ${index}`)
      actions.set(`${where} ${index}`, action)
    }
  }
  return { places, actions }
}

/**
 * The logic of the actor that `machine` starts as `src`: a name in `setup({ actors })`, or XState's
 * name of an inline one.
 */
export const actorLogic = (machine: AnyStateMachine, src: string): unknown => {
  const inline = nodesOf(machine).flatMap(({ invoke, config }) =>
    [config.invoke ?? []]
      .flat()
      .flatMap((given, index) => (invoke[index]?.src === src ? [given.src] : [])),
  )[0]
  return typeof inline === 'string' || inline === undefined
    ? ownOf(machine.implementations.actors, src)
    : inline
}

/** FNV-1a, 32 bits. */
export const checksum = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}
