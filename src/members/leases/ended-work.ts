/**
 * Under which work members of an engine have ended, in the directory. Pure.
 *
 * Each member notes on its own disk which step or alarm it begins (`work-notes.ts`). When it begins
 * again after an end, it moves the note into its entry `ended/MEMBER`, before it waits for its lease:
 * the next owners of its shards see it there. A member that does not come back blames no work.
 */

import { type DirectoryView, entryIn, entryText } from '../../storage/index.ts'

/** The work that a member had begun, and when, in ms since 1970. */
export type EndedWork = { readonly work: string; readonly at: number }

type Ends = { readonly ends: readonly EndedWork[] }

/** A change of one entry. Without a value it is removed. */
export type EndsStep = {
  readonly name: string
  readonly revision: number
  readonly value?: string
}

/** The number of ends that are kept for each member: the latest. */
const endsMax = 8

const before = 'ended/'

/** An end, for those who compare: no member begins two works at one time. */
const keyOf = (name: string, { at }: EndedWork): string => `${name} ${at}`

const endsOf = (view: DirectoryView, name: string): readonly EndedWork[] =>
  entryIn<Ends>(view, name)?.ends ?? []

const names = ({ entries }: DirectoryView): readonly string[] =>
  [...entries.keys()].filter((name) => name.startsWith(before))

/** All ends of times that count, by their keys. @throws KeelsonError `CORRUPT` for a damaged entry */
export const endsIn = (
  view: DirectoryView,
  counts: (at: number) => boolean,
): ReadonlyMap<string, string> =>
  new Map(
    names(view).flatMap((name) =>
      endsOf(view, name)
        .filter(({ at }) => counts(at))
        .map((end) => [keyOf(name, end), end.work] as const),
    ),
  )

/**
 * The change with which a member notes that it has ended; `undefined`: it has done so. Those of
 * times that do not count go.
 */
export const noting = (
  view: DirectoryView,
  member: string,
  end: EndedWork,
  counts: (at: number) => boolean,
): EndsStep | undefined => {
  const name = `${before}${member}`
  const had = endsOf(view, name)
  if (had.some(({ at }) => at === end.at)) return undefined
  return change(view, name, [...had.filter(({ at }) => counts(at)), end])
}

/** The changes after which nobody has ended under some work. */
export const forgetting = (view: DirectoryView, work: string): readonly EndsStep[] =>
  names(view).flatMap((name) => {
    const had = endsOf(view, name)
    const left = had.filter((each) => each.work !== work)
    return left.length < had.length ? [change(view, name, left)] : []
  })

const change = (view: DirectoryView, name: string, ends: readonly EndedWork[]): EndsStep => ({
  name,
  revision: view.entries.get(name)?.revision ?? 0,
  ...(ends.length > 0 && { value: entryText(name, { ends: ends.slice(-endsMax) }) }),
})
