/**
 * A machine as a diagram: Mermaid text of its states and transitions, made from the machine itself.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate'

type Transition = AnyStateNode['transitions'] extends Map<string, (infer T)[]> ? T : never

/**
 * The machine as a Mermaid `stateDiagram-v2`: nested and parallel states, initial and final ones,
 * history, and each transition with its event or delay and the name of its guard. The same machine
 * gives the same text.
 */
export const mermaid = (machine: AnyStateMachine): string =>
  ['stateDiagram-v2', ...inside(machine.root, '  '), ...transitionsOf(machine.root, '  ')]
    .join('\n')
    .concat('\n')

/** The states within `node`, in the order of the definition. */
const inside = (node: AnyStateNode, indent: string): string[] => {
  const states = Object.values(node.states)
  if (node.type === 'parallel') {
    // A parallel state's regions are separated by lines; each is a state.
    return states.flatMap((state, index) => [
      ...(index === 0 ? [] : [`${indent}--`]),
      ...drawn(state, indent),
    ])
  }
  const initial = node.initial?.target?.[0]
  return [
    ...(initial === undefined ? [] : [`${indent}[*] --> ${idOf(initial)}`]),
    ...states.flatMap((state) => drawn(state, indent)),
    ...states
      .filter(({ type }) => type === 'final')
      .map((state) => `${indent}${idOf(state)} --> [*]`),
  ]
}

const drawn = (node: AnyStateNode, indent: string): string[] => {
  const label = node.type === 'history' ? (node.history === 'deep' ? 'H*' : 'H') : node.key
  const line = `${indent}state "${escaped(label)}" as ${idOf(node)}`
  if (Object.keys(node.states).length === 0) return [line]
  return [line, `${indent}state ${idOf(node)} {`, ...inside(node, `${indent}  `), `${indent}}`]
}

/**
 * The transitions of `node` and of the states within it. A transition without a target is drawn as
 * a loop.
 */
const transitionsOf = (node: AnyStateNode, indent: string): string[] => {
  const own = [...[...node.transitions.values()].flat(), ...(node.always ?? [])]
  return [
    ...own.flatMap((transition) => arrows(node, transition, indent)),
    ...Object.values(node.states).flatMap((state) => transitionsOf(state, indent)),
  ]
}

const arrows = (node: AnyStateNode, transition: Transition, indent: string): string[] => {
  const isForbidden = transition.target === undefined && transition.actions.length === 0
  // The machine itself is not a state in the diagram, so its internal actions are not drawn.
  if (isForbidden || node.parent === undefined) return rootArrows(node, transition, indent)
  const label = labelOf(transition)
  return (transition.target ?? [node]).map(
    (target) => `${indent}${idOf(node)} --> ${idOf(target)}${label}`,
  )
}

/** A transition of the machine itself can happen in each of its states. */
const rootArrows = (node: AnyStateNode, transition: Transition, indent: string): string[] => {
  if (node.parent !== undefined || transition.target === undefined) return []
  const label = labelOf(transition)
  return Object.values(node.states)
    .filter(({ type }) => type !== 'final' && type !== 'history')
    .flatMap((state) =>
      (transition.target ?? []).map(
        (target) => `${indent}${idOf(state)} --> ${idOf(target)}${label}`,
      ),
    )
}

const labelOf = ({ eventType, guard }: Transition): string => {
  const parts = [eventName(eventType), guard === undefined ? '' : `[${guardName(guard)}]`]
  const label = parts.filter((part) => part !== '').join(' ')
  return label === '' ? '' : ` : ${escaped(label)}`
}

/** `after 10000 ms`, `done loading`, `error loading`, or the event's own type. */
export const eventName = (type: string): string => {
  const after = /^xstate\.after\.([^.]+)\./.exec(type)?.[1]
  if (after !== undefined) return /^\d+$/.test(after) ? `after ${after} ms` : `after ${after}`
  return type
    .replace(/^xstate\.done\.(actor|state)\./, 'done ')
    .replace(/^xstate\.error\.actor\./, 'error ')
    .replace(/^xstate\.snapshot\./, 'snapshot ')
}

/** The name of a guard; of one without a name `if`. */
export const guardName = (guard: unknown): string => {
  if (typeof guard === 'string') return guard
  const { guards, name, type } = guard as { guards?: unknown[]; name?: string; type?: string }
  if (!Array.isArray(guards)) return type ?? (name === '' || name === undefined ? 'if' : name)
  const parts = guards.map(guardName)
  return name === 'not' ? `not ${parts[0]}` : parts.join(` ${name} `)
}

/** Mermaid ends a text at these characters; entities replace them. */
const escaped = (text: string): string =>
  text.replace(/[":;#]/g, (char) => (char === '"' ? '#quot;' : `#${char.charCodeAt(0)};`))

/** Mermaid's keywords. */
const reserved = ['as', 'class', 'classDef', 'direction', 'end', 'hide', 'note', 'state', 'style']

/** Mermaid's ids are words. The id of a state keeps its path readable and is unique. */
const idOf = (node: AnyStateNode): string => {
  if (node.path.length === 0) return wordOf(node.machine.id)
  const id = node.path.map(wordOf).join('__')
  return reserved.includes(id) ? `${id}_` : id
}

const wordOf = (key: string): string =>
  key.replace(/\W/g, (char) => `_${char.charCodeAt(0).toString(16)}_`)
