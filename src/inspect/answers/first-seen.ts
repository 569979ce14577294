/**
 * Since when the looks of this member see each trouble without a break. It is the `since` of a trouble
 * whose source does not know when it began. Pure.
 */
import { type CausedTrouble, eachTrouble, type JudgedFacts, readTroubles } from './troubles.ts'

/** By place, the empty one for this member, and then by trouble: in ms since 1970. */
export type FirstSeen = ReadonlyMap<string, ReadonlyMap<string, number>>

/**
 * Adds a look to the ones before. Another member that has no report now may still have its troubles.
 * A name that is no longer a member is forgotten.
 */
export const seenNow = (before: FirstSeen, { health, now }: JudgedFacts): FirstSeen => {
  const after = new Map([['', seenAt(before.get(''), eachTrouble({ health, now }), now)]])
  for (const { member, report } of health.members) {
    const last = before.get(member)
    const found = report && readTroubles(report.health, now)
    const seen = found ? seenAt(last, found, now) : last
    if (seen) after.set(member, seen)
  }
  return after
}

/** The troubles of a place, each with since when. */
export const dated = (
  troubles: readonly CausedTrouble[],
  seen: ReadonlyMap<string, number> | undefined,
): readonly CausedTrouble[] =>
  troubles.map((each) => {
    const since = each.since ?? seen?.get(keyOf(each))
    return since === undefined ? each : { ...each, since }
  })

const seenAt = (
  before: ReadonlyMap<string, number> | undefined,
  found: readonly CausedTrouble[],
  now: number,
): ReadonlyMap<string, number> =>
  new Map(found.map(keyOf).map((key) => [key, before?.get(key) ?? now]))

/** A trouble keeps its key while its amounts change. */
const keyOf = ({ kind, subject, part = '', isRest = false }: CausedTrouble): string =>
  JSON.stringify([kind, isRest ? '' : subject, part])
