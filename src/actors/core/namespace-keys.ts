/** The keys of a namespace, as `store.clear` means it: they are walked in pieces. */
import { namespaceOf, type RowRange, rootNamespace } from '../../storage/index.ts'
import type { KeyRow, ReadView } from './read-view.ts'

/** A piece of the keys of a namespace; all keys without one. `after`: the last key of the piece before. */
export type NamespacePiece = {
  readonly namespace: string | undefined
  readonly after: string | undefined
  readonly max: number
}

/** The next keys of a namespace at `now`, in their order: fewer than `max` are the last ones. */
export const keysIn = (
  view: ReadView,
  now: number,
  { namespace, after, max }: NamespacePiece,
): readonly string[] => {
  const keys: string[] = []
  for (const [key] of keyRowsIn(view, now, namespace, after)) {
    keys.push(key)
    if (keys.length === max) break
  }
  return keys
}

/** The keys of a namespace after `last` at `now`, with their rows. End it within one turn. */
export function* keyRowsIn(
  view: ReadView,
  now: number,
  namespace: string | undefined,
  last: string | undefined,
): IterableIterator<KeyRow> {
  const isNamed = namespace !== undefined && namespace !== rootNamespace
  const bounds: RowRange = isNamed ? { gte: `${namespace}:`, lt: `${namespace};` } : {}
  const { gte: _, ...upper } = bounds
  for (
    let rest: RowRange | undefined = last === undefined ? bounds : { ...upper, gt: last };
    rest;
  ) {
    const walk = view.range(rest, now)
    rest = undefined
    for (const entry of walk) {
      const [key] = entry
      if (namespace !== rootNamespace || !key.includes(':')) yield entry
      else {
        // Keys without a colon only: each namespace in between is skipped in one step.
        rest = { gte: `${namespaceOf(key)};` }
        break
      }
    }
  }
}
