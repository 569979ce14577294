/** The parts that a configuration declares, each as a line, and how two of them differ. Pure. */
import { type AppNode, isChildSpec, isDurable, type StartOptions } from '../../supervisors/index.ts'
import { actorNamed, flowsKind } from '../recorder/flow-names.ts'

/** Parts such as `workflow order`, `entity stock`, `worker http`, `projection totals`. */
export const declaredParts = ({ app, projections = [] }: StartOptions): string[] => [
  ...(app ? partsOf(app) : []),
  ...projections.map(({ name }) => `projection ${name}`),
]

/** `new: …` and `gone: …`, or none of these lines. */
export const partChanges = (before: readonly string[], after: readonly string[]): string[] =>
  [
    ['new', after.filter((part) => !before.includes(part))] as const,
    ['gone', before.filter((part) => !after.includes(part))] as const,
  ].flatMap(([what, parts]) => (parts.length === 0 ? [] : [`${what}: ${parts.join(', ')}`]))

const partsOf = (node: AppNode): string[] => {
  if (!isChildSpec(node)) {
    if (node.kind === 'supervisor')
      return [`supervisor ${node.id}`, ...node.children.flatMap(partsOf)]
    return [`${isDurable(node.options) ? 'durable worker' : 'worker'} ${node.id}`]
  }
  const { id, children } = node
  if (!children) return ['module' in node ? `entity ${id}` : `worker ${id}`]
  // Of `flows` its workflows and queues are the user's. The others keep schedules and batches.
  if (children.some((child) => child.id === flowsKind)) return children.flatMap(flowPart)
  return [`supervisor ${id}`, ...children.flatMap(partsOf)]
}

/** Beside the kind of a queue there is a process that keeps it awake. */
const flowPart = (part: AppNode): string[] => {
  const { sort, name } = actorNamed(`${part.id}/`)
  return sort === 'entity' || !('module' in part) ? [] : [`${sort} ${name}`]
}
