/**
 * Workflows and queues by the kinds of their actors, and these actors as their users know them. So a
 * look at an instance without flows loads none of their code. Pure.
 */

const prefixes = { workflow: '$flow-', queue: '$queue-' } as const

/** The kind that every tree with `flows` has. */
export const flowsKind = '$made-schedules'

/** The sort of a part of `flows` whose work durable actors do. */
export type FlowSort = keyof typeof prefixes

/** The kind of the actors of a workflow or a queue. */
export const flowKind = (sort: FlowSort, name: string): string => prefixes[sort] + name

/** The names of the workflows or queues among these kinds. */
export const flowNames = (sort: FlowSort, kinds: Iterable<string>): readonly string[] =>
  [...kinds]
    .filter((kind) => kind.startsWith(prefixes[sort]))
    .map((kind) => kind.slice(prefixes[sort].length))

/** The actor named `kind/id`: a run of a workflow, a queue, or an entity. */
export const actorNamed = (
  actor: string,
): {
  readonly sort: FlowSort | 'entity'
  readonly name: string
  readonly id: string
  /** `payment/7` of a run, `mails` of a queue, `order/17`. */
  readonly title: string
} => {
  const at = actor.indexOf('/')
  const [kind, id] = [actor.slice(0, at), actor.slice(at + 1)]
  for (const sort of ['workflow', 'queue'] as const) {
    const [name] = flowNames(sort, [kind])
    if (name === undefined) continue
    return { sort, name, id, title: sort === 'queue' ? name : `${name}/${id}` }
  }
  return { sort: 'entity', name: kind, id, title: actor }
}
