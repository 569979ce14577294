/**
 * Troubles with one cause as one, for people: of shards with their numbers as ranges. Pure; apart from
 * `troubles.ts`, which judges each.
 */
import type { Trouble } from '../../observe/index.ts'
import { countText } from '../text/quantities.ts'

/** So many others are named. */
const namedMax = 3

/** A trouble before it is folded. `cause`: its text without what differs from try to try. */
type Caused = Trouble & {
  readonly cause?: string
  readonly part?: string
  readonly isRest?: boolean
}

type Folded<T> = Omit<T, 'cause' | 'part' | 'isRest'>

/** Troubles of one kind and cause become one, in the place of the first. It begins with the earliest. */
export const foldedTroubles = <T extends Caused>(all: readonly T[]): Folded<T>[] =>
  [...groupedBy(all, foldKey).values()].map(folded)

/** The subject of so many that are not named. */
export const restText = (count: number): string => `and ${countText(count)} more`

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
  const { kind, text, link, isRest } = each
  if (isRest) return JSON.stringify([kind, link, text])
  return causeKey(each)
}

/** The same for troubles of one kind and cause; the trouble itself without a cause. */
export const causeKey = (each: Caused): unknown => {
  const { kind, cause, subject, link } = each
  if (cause === undefined) return each
  const shard = shardIn(subject)
  if (shard) return JSON.stringify([kind, shard.before, withoutShard(cause, shard.index)])
  return JSON.stringify([kind, link?.view, link?.parts[0], withoutIds(cause, subject)])
}

/** The shard of a subject such as `shard 3` or `totals, shard 3`, and the text before it. */
const shardIn = (
  subject: string,
): { readonly before: string; readonly index: number } | undefined => {
  const [, before, index] = /^(|.*, )shard (\d+)$/.exec(subject) ?? []
  return before === undefined ? undefined : { before, index: Number(index) }
}

/** A cause without the number of its shard, which paths such as `/data/shard-3/wal` have too. */
const withoutShard = (cause: string, index: number): string =>
  cause.replace(new RegExp(`\\b(shard\\W?|reopen\\()${index}\\b`, 'g'), '$1…')

/** So many ranges of shards are named. */
const rangesMax = 8

/** `shard 3`, `shards 0 to 63`, or `shards 0, 2, 5 to 7`, and how many more there are. */
export const shardsText = (shards: readonly number[]): string => {
  const [first] = shards
  if (first === undefined) return 'no shard'
  if (shards.length === 1) return `shard ${first}`
  const ranges: [from: number, to: number][] = []
  for (const shard of [...shards].sort((one, other) => one - other)) {
    const last = ranges.at(-1)
    if (last && shard === last[1] + 1) last[1] = shard
    else ranges.push([shard, shard])
  }
  const texts = ranges.slice(0, rangesMax).map(([from, to]) => {
    if (from === to) return `${from}`
    return to === from + 1 ? `${from}, ${to}` : `${from} to ${to}`
  })
  const left = ranges.slice(rangesMax).reduce((sum, [from, to]) => sum + to - from + 1, 0)
  return `shards ${texts.join(', ')}${left > 0 ? ` and ${countText(left)} more` : ''}`
}

/**
 * A cause without the id of its subject, without keys such as `4e29b3cbb0d3ef26`, and without amounts:
 * numbers of four digits or more that are words. A short one, as `503`, or one of an address makes another cause.
 */
const withoutIds = (cause: string, subject: string): string => {
  const id = subject.slice(subject.indexOf('/') + 1)
  return cause
    .replace(/[\w-]+/g, (word) => (word === id || isKey(word) ? '…' : word))
    .replace(/(?<=^|\s)-?\d[\d,]{3,}(?:\.\d+)?(?=[\s;:,)]|$)/g, '…')
}

/** The members that have a trouble: of one that several have it names all. */
const placesOf = (group: readonly Caused[]): Pick<Caused, 'member' | 'members'> => {
  const found = [...new Set(group.flatMap(({ member }) => member ?? []))].sort()
  if (found.length <= 1) return {}
  return { member: undefined, members: found }
}

const isKey = (word: string): boolean =>
  word.length >= 8 && /\d/.test(word) && /^[\da-f-]+$/i.test(word)

const folded = <T extends Caused>(group: readonly T[]): Folded<T> => {
  const [{ cause, part, isRest, ...first }, ...others] = group as [T, ...T[]]
  if (others.length === 0) return first
  const times = group.flatMap(({ since }) => since ?? [])
  const shards = group.flatMap(({ subject }) => shardIn(subject) ?? [])
  const all = {
    ...first,
    text: cause ?? first.text,
    count: group.reduce((sum, { count = 1 }) => sum + count, 0),
    ...(times.length > 0 && { since: Math.min(...times) }),
    ...placesOf(group),
  }
  if (isRest) return { ...all, subject: restText(all.count) }
  const [shard] = shards
  if (shard) return { ...all, subject: shard.before + shardsText(shards.map(({ index }) => index)) }
  return {
    ...all,
    others: others
      .slice(0, namedMax - 1)
      .map(({ subject, link }) => ({ subject, ...(link && { link }) })),
  }
}
