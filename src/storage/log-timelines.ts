/**
 * Segments of another history: of a copy of this log that lived on for itself, with files of the same names and numbers. Each
 * segment repeats the CRC of the last frame before it, which is seeded with the salt of that one file: so the later of two
 * neighbours says whether the earlier is the one that it was written behind. Pure.
 */
import type { SegmentSurvey } from './log-damage.ts'
import type { LogSurvey } from './log-survey.ts'
import { brokenPromise } from './segment-chain.ts'

/** How a segment hangs together with the next; `open`: damage leaves it open. */
type Link = 'holds' | 'broken' | 'open'

const linkOf = ({ map: { end, mark }, declared, runsOver }: SegmentSurvey): Link => {
  if (!declared) return 'open'
  if (end.lsn === declared.lastLsn)
    return end.crc === declared.lastCrc && end.offset === declared.endOffset ? 'holds' : 'broken'
  // It goes on where it should have ended, or ends of itself where it should go on.
  return end.lsn > declared.lastLsn || runsOver || mark === 'seal' ? 'broken' : 'open'
}

/**
 * The segments that cannot be believed: what a believed successor was not written behind, and whatever such a one was
 * written behind in its turn. The newest is believed, unless MANIFEST names another file and the chain is broken as well.
 * A segment that only an unbelieved one contradicts is believed: so one strange file among good ones costs itself. The
 * first one that a copy wrote costs what both have in common too: nothing tells it from what the copy alone has.
 */
export const strangersIn = (
  { segments, manifest: { manifest } }: LogSurvey,
  surveys: readonly SegmentSurvey[],
): ReadonlySet<SegmentSurvey> => {
  const strangers = new Set<SegmentSurvey>()
  if (!surveys.some((each) => linkOf(each) === 'broken')) return strangers
  const newest = surveys.at(-1)
  const promise = manifest && brokenPromise(segments, manifest)
  if (newest && promise?.name === newest.segment.name) strangers.add(newest)
  for (let index = surveys.length - 2; index >= 0; index--) {
    const [survey, next] = [surveys[index], surveys[index + 1]]
    if (!survey || !next) continue
    const link = linkOf(survey)
    if (strangers.has(next) ? link === 'holds' : link === 'broken') strangers.add(survey)
  }
  return strangers
}
