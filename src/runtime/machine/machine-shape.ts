/**
 * The shape of a machine as a short text: a saved state fits a machine of the same shape. A machine
 * with other states, targets, guards, delays or actors inside has another shape. Its actions are
 * not part of it.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { isMachine, nodesOf } from './machine-check.ts'
import { checksum } from './machine-names.ts'

/** The shape of `machine` and of the machines that its setup names. */
export const shapeOf = (machine: AnyStateMachine): string => {
  const seen = new Set<AnyStateMachine>()
  const texts: string[] = []
  const add = (found: AnyStateMachine): void => {
    if (seen.has(found)) return
    seen.add(found)
    texts.push(JSON.stringify(nodesOf(found).map(nodeShape)))
    for (const [name, actor] of Object.entries(found.implementations.actors)) {
      texts.push(name)
      if (isMachine(actor)) add(actor)
    }
  }
  add(machine)
  return checksum(texts.join('\n')).toString(16).padStart(8, '0')
}

const nodeShape = (node: AnyStateNode): unknown => [
  node.id,
  node.type,
  node.history,
  node.config.initial === undefined ? [] : targets(node.initial),
  [...node.transitions].map(([type, list]) => [type, list.map(transitionShape)]),
  (node.always ?? []).map(transitionShape),
  node.invoke.map(({ id, src }) => [id, String(src)]),
]

const transitionShape = (found: AnyTransitionDefinition): unknown => [
  targets(found),
  nameOf(found.guard),
  found.reenter,
]

const targets = ({ target }: { readonly target?: readonly AnyStateNode[] | undefined }): unknown =>
  target?.map(({ id }) => id)

/** A guard by its name. One without a name is only there. */
const nameOf = (guard: unknown): unknown => {
  if (guard === undefined || typeof guard === 'string') return guard
  const isThing = typeof guard === 'object' || typeof guard === 'function'
  const isNamed = isThing && guard !== null && 'type' in guard
  return isNamed && typeof guard.type === 'string' ? guard.type : 'inline'
}
