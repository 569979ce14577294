/**
 * The durable parts that a checked tree declares: kinds, durable workers, and the specifications with their
 * own start functions, whose parts only they know. Pure. It is apart from the start of a tree because a
 * rehearsal starts nothing.
 */
import type { ChildSpec } from '../../runtime/index.ts'
import { type AppNode, type AppTree, isChildSpec, isDurable, serverOf } from './app-tree.ts'
import { declaredKind, type KindTerms } from './durable-parts.ts'

/** A durable part of a tree. The modules of the tree are loaded. */
export type DeclaredActor =
  | ({
      readonly sort: 'kind'
      readonly name: string
      readonly server: object
    } & Required<KindTerms>)
  | { readonly sort: 'worker'; readonly name: string; readonly server: object }
  | { readonly sort: 'other'; readonly spec: ChildSpec }

/** The durable parts of a tree, in the order of their start. */
export function* declaredActors(node: AppTree | AppNode): Iterable<DeclaredActor> {
  if (isChildSpec(node)) {
    const kind = declaredKind(node)
    yield kind ? { sort: 'kind', name: node.id, ...kind } : { sort: 'other', spec: node }
  } else if (node.kind === 'supervisor') {
    for (const child of node.children) yield* declaredActors(child)
  } else if (isDurable(node.options)) {
    const server = serverOf(node.module)
    // The name of a durable worker is a text.
    const name = String(node.options.name ?? node.id)
    if (server) yield { sort: 'worker', name, server }
  }
}
