/** Troubles with one cause as one, for people. Pure; apart from `troubles.ts`, which judges each. */
import type { Trouble } from '../../observe/index.ts'

/** So many others are named. */
const namedMax = 3

/** A trouble before it is folded. `cause`: its text without what differs from try to try. */
type Caused = Trouble & { readonly cause?: string }

/** Troubles of one kind and cause become one, in the place of the first. It begins with the earliest. */
export const foldedTroubles = <T extends Caused>(all: readonly T[]): Omit<T, 'cause'>[] =>
  [...groupedBy(all, foldKey).values()].map(folded)

/** The items by what `keyOf` says of each. */
export const groupedBy = <T, K>(
  items: readonly T[],
  keyOf: (item: T) => K,
): ReadonlyMap<K, readonly T[]> => {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}

const foldKey = (each: Caused): unknown => {
  const { kind, cause, subject, link } = each
  if (cause === undefined) return each
  return JSON.stringify([kind, link?.view, link?.parts[0], withoutIds(cause, subject)])
}

/** A cause without the id of its subject, and without keys such as `4e29b3cbb0d3ef26`. */
const withoutIds = (cause: string, subject: string): string => {
  const id = subject.slice(subject.indexOf('/') + 1)
  return cause.replace(/[\w-]+/g, (word) => (word === id || isKey(word) ? '…' : word))
}

const isKey = (word: string): boolean =>
  word.length >= 8 && /\d/.test(word) && /^[\da-f-]+$/i.test(word)

const folded = <T extends Caused>(group: readonly T[]): Omit<T, 'cause'> => {
  const [{ cause, ...first }, ...others] = group as [T, ...T[]]
  if (others.length === 0) return first
  const times = group.flatMap(({ since }) => since ?? [])
  return {
    ...first,
    text: cause ?? first.text,
    count: group.length,
    ...(times.length > 0 && { since: Math.min(...times) }),
    others: others
      .slice(0, namedMax - 1)
      .map(({ subject, link }) => ({ subject, ...(link && { link }) })),
  }
}
