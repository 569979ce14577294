/**
 * Judges a log from its files: its damage, the LSNs that are proven to be lost, its end, and its
 * good frames. Pure.
 *
 * It also finds segments of a diverged copy of the log, whose files have the same names and
 * numbers. Each segment repeats the CRC of the last frame before it, and that CRC is seeded with
 * the salt of its file. So each segment proves whether the file before it is its predecessor.
 */

import { type Damage, unsupported } from '../frames/log-errors.ts'
import type { LsnRange } from '../frames/lost-frame.ts'
import { floorFileName } from '../ports/folder-layout.ts'
import type { Evidence } from '../ports/log-host.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { manifestName } from '../segments/log-folder.ts'
import type { LogSurvey } from '../segments/log-survey.ts'
import { bytesOf } from '../segments/log-walk.ts'
import { brokenPromise } from '../segments/segment-chain.ts'
import type { ChainVerification } from './chain-verification.ts'
import {
  type FoundPlaces,
  type GoodFrames,
  type LogKnowledge,
  placesOf,
  type SegmentSurvey,
  type TornTail,
} from './log-damage.ts'

/** Whether a segment and the next one belong together; `open`: damage hides it. */
type Link = 'holds' | 'broken' | 'open'

const linkOf = ({ map: { end, mark }, declared, runsOver }: SegmentSurvey): Link => {
  if (!declared) return 'open'
  if (end.lsn === declared.lastLsn)
    return end.crc === declared.lastCrc && end.offset === declared.endOffset ? 'holds' : 'broken'
  // It continues beyond the end that its successor names, or has an end mark before that end.
  return end.lsn > declared.lastLsn || runsOver || mark === 'seal' ? 'broken' : 'open'
}

/**
 * The segments that do not belong to the log. A segment is a stranger if a trusted successor does
 * not follow it. The predecessors of a stranger that belong to it are strangers too. The newest
 * segment is trusted, unless MANIFEST names another file and the chain is broken as well. A segment
 * that only a stranger contradicts is trusted, so one foreign file among good ones costs only
 * itself. The first segment of a copy also costs the segments that both have in common, because
 * they look like the copy's own.
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

/** The verdict on a log, with its good frames. */
export type LogVerification = LogVerdict & { readonly good: readonly GoodFrames[] }

/** The verdict on a log. */
export type LogVerdict = {
  /**
   * `clean`: no damage. `torn`: an opening would cut its tail, which nothing proves to have been
   * durable. `corrupt`: durable frames are damaged or missing. An opening refuses them where it
   * must read them, and reading refuses them everywhere.
   */
  readonly verdict: 'clean' | 'torn' | 'corrupt'
  /** The end of the log: closed, not closed, torn, or `open` while a process writes it. */
  readonly tail: 'clean' | 'unclean' | 'torn' | 'open'
  readonly walId: string
  readonly epoch: number
  readonly segments: number
  readonly bytes: number
  readonly frames: number
  readonly dataFrames: number
  readonly firstLsn: number
  /** The last good frame; 0 without one. */
  readonly lastLsn: number
  /** The greatest LSN that is proven to have been durable, and its proof. */
  readonly provenLsn: number
  readonly provenBy: string
  readonly damage: readonly Damage[]
  /** Frames that are proven to have been durable and cannot be read. */
  readonly lost: readonly LsnRange[]
  /** Frames from here on may be lost too: nothing proves that they existed. */
  readonly doubtFrom?: number
  readonly torn?: TornTail
  /** The losses that an earlier salvage recorded. */
  readonly lostBefore: readonly LsnRange[]
  readonly remarks: readonly string[]
  /** The snapshots that the MANIFEST names, oldest first. */
  readonly snapshots: readonly NamedSnapshot[]
  /** `shown` is of another log, or of a diverged copy of this one. */
  readonly showsOther?: boolean
  readonly lastTime: number
  readonly checkpointLsn: number
  /** The chain of commitments; absent if the log has none, or is damaged itself. */
  readonly commitments?: Omit<ChainVerification, 'damage'>
}

/**
 * Judges a log.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log and nothing proves that there was one;
 * `UNSUPPORTED_VERSION` for a frame of a newer version, whose log this version must not judge
 */
export const judgeLog = (
  survey: LogSurvey,
  surveys: readonly SegmentSurvey[],
  knowledge: LogKnowledge,
): LogVerification => {
  refuseNewer(surveys)
  const proof = strongest(proofsOf(survey, surveys, knowledge))
  const places = placesOf(survey, surveys, proof, knowledge)
  const end = endOf(survey, surveys, places, proof, knowledge)
  const sizes = sizesOf(survey, surveys, places)
  const earlier = earlierEpoch(sizes, knowledge)
  const damage = [...survey.damage, ...places.damage, ...end.damage, ...earlier]
  // The lost files of a later epoch had frames: nobody knows how many.
  const isDoubtful = end.isDoubtful || earlier.length > 0
  const isCorrupt = damage.length > 0 || places.lost.length > 0
  // The log writes nothing after the CLEAN_CLOSE of the MANIFEST, so bytes there are not its tail.
  const stray = end.tail === 'clean' ? places.torn : undefined
  const torn = stray ? undefined : places.torn
  const verdict = isCorrupt ? 'corrupt' : torn ? 'torn' : 'clean'
  return {
    verdict,
    tail: knowledge.isLive ? 'open' : torn ? 'torn' : end.tail,
    ...sizes,
    provenLsn: proof.lsn,
    provenBy: proof.source,
    damage: damage.sort(byPlace),
    lost: places.lost,
    ...(isDoubtful ? { doubtFrom: Math.max(places.lastLsn, proof.lsn) + 1 } : {}),
    ...(torn ? { torn } : {}),
    remarks: stray ? [...survey.remarks, strayRemark(stray.file, stray.bytes)] : survey.remarks,
    good: places.good,
    snapshots: survey.manifest.manifest?.snapshots ?? [],
  }
}

/** A log without a file of the epoch in `floor.json` has lost its newest files. */
const earlierEpoch = (
  { epoch, lastLsn }: Pick<LogVerification, 'epoch' | 'lastLsn'>,
  { floor }: LogKnowledge,
): Damage[] => {
  if (!floor || epoch >= floor.epoch) return []
  const evidence = `${floorFileName} names epoch ${floor.epoch}, and the newest file is of epoch ${epoch}`
  return [{ file: manifestName, offset: 0, lsn: lastLsn + 1, evidence }]
}

/** @throws KeelsonError `UNSUPPORTED_VERSION` for the first frame of a newer version */
export const refuseNewer = (surveys: readonly SegmentSurvey[]): void => {
  for (const { segment, map } of surveys)
    for (const { offset, lsn, type, typeVersion } of map.unreadable)
      throw unsupported(segment.name, { offset, lsn, type, typeVersion })
}

const byPlace = (one: Damage, other: Damage): number =>
  one.lsn - other.lsn || one.offset - other.offset

const sizesOf = (
  { segments, manifest }: LogSurvey,
  surveys: readonly SegmentSurvey[],
  { good, lastLsn }: FoundPlaces,
) => ({
  walId: segments[0]?.header.walId ?? manifest.manifest?.walId ?? '',
  epoch: segments.reduce(
    (most, { header }) => Math.max(most, header.epoch),
    manifest.manifest?.epoch ?? 0,
  ),
  segments: segments.length,
  bytes: bytesOf(segments),
  frames: good.reduce((sum, { from, to }) => sum + to - from + 1, 0),
  dataFrames: good.reduce((sum, { run }) => sum + run.dataFrames, 0),
  firstLsn: good[0]?.from ?? 0,
  lastLsn,
  lostBefore: good.flatMap(({ run }) => run.lostBefore),
  lastTime: surveys.reduce(
    (most, { map }) => Math.max(most, map.lastTime),
    manifest.manifest?.lastTime ?? 0,
  ),
  checkpointLsn: checkpointOf({ manifest }, surveys),
})

const checkpointOf = (
  { manifest }: Pick<LogSurvey, 'manifest'>,
  surveys: readonly SegmentSurvey[],
): number =>
  surveys.reduce(
    (most, { map }) => Math.max(most, map.checkpointLsn),
    manifest.manifest?.checkpointLsn ?? 0,
  )

const proofsOf = (
  survey: LogSurvey,
  surveys: readonly SegmentSurvey[],
  { evidence = [], floor }: LogKnowledge,
): Evidence[] => {
  const promised = survey.manifest.manifest
  const walId = survey.segments[0]?.header.walId ?? promised?.walId
  const fromManifest = promised
    ? [
        promised.recoveredLsn,
        promised.checkpointLsn,
        promised.newest.baseLsn - 1,
        promised.cleanClose?.lastLsn ?? 0,
      ]
    : []
  return [
    ...surveys.map(({ segment: { name, header } }) => ({
      lsn: header.prev.lastLsn,
      source: `the header of ${name}`,
    })),
    ...surveys.map(({ segment: { name }, map }) => ({
      lsn: map.provenLsn,
      source: `a later frame in ${name}`,
    })),
    { lsn: checkpointOf(survey, surveys), source: 'a checkpoint' },
    ...fromManifest.map((lsn) => ({ lsn, source: manifestName })),
    ...(floor ? [{ lsn: floor.lsn, source: floorFileName }] : []),
    ...evidence.filter((each) => each.walId === undefined || each.walId === walId),
  ]
}

const strongest = (proofs: readonly Evidence[]): Evidence =>
  proofs.reduce((best, proof) => (proof.lsn > best.lsn ? proof : best), {
    lsn: 0,
    source: 'nothing',
  })

type End = {
  readonly tail: 'clean' | 'unclean'
  readonly damage: readonly Damage[]
  readonly isDoubtful: boolean
}

/**
 * The end of the newest segment: cut, which is damage; clean, where the MANIFEST says that it was
 * closed; else unclean. Which bytes behind it are a torn tail, and whether acknowledged frames are
 * missing there, is found with all other places, in `log-damage.ts`.
 */
const endOf = (
  survey: LogSurvey,
  surveys: readonly SegmentSurvey[],
  { lastLsn }: FoundPlaces,
  proof: Evidence,
  { isLive = false }: LogKnowledge,
): End => {
  const newest = surveys.at(-1)
  if (!newest) return { tail: 'unclean', damage: [], isDoubtful: true }
  const { segment, map, failure } = newest
  // It is cut on purpose after a SEAL or a CLEAN_CLOSE alone.
  const isWhole = segment.size >= segment.header.allocatedBytes || map.mark !== 'none'
  if (!isLive && failure === undefined && !isWhole) {
    const evidence = `the file was cut: it has ${segment.size} of ${segment.header.allocatedBytes} bytes`
    const damage = { file: segment.name, offset: segment.size, lsn: map.end.lsn + 1, evidence }
    return { tail: 'unclean', damage: [damage], isDoubtful: true }
  }
  if (isClosed(survey, newest))
    return { tail: 'clean', damage: [], isDoubtful: proof.lsn > lastLsn }
  const mayGoOn = isEndUnreadable(survey, newest) || proof.lsn > lastLsn
  return { tail: 'unclean', damage: [], isDoubtful: mayGoOn }
}

/** The remark about bytes after the CLEAN_CLOSE of the MANIFEST: the log did not write them. */
const strayRemark = (file: string, bytes: number): string =>
  `${file} has ${bytes} bytes behind the end of the closed log: they are not part of it, and opening moves them to quarantine/`

/** Whether an unreadable file may hold frames after all known ones. */
const isEndUnreadable = (survey: LogSurvey, { segment, failure }: SegmentSurvey): boolean =>
  failure !== undefined || survey.unreadable.some(({ seq }) => seq > segment.header.seq)

/** CLEAN_CLOSE counts only if the MANIFEST names it: its sync may have failed. */
const isClosed = ({ manifest }: LogSurvey, { segment, map }: SegmentSurvey): boolean => {
  const named = manifest.manifest?.cleanClose
  return (
    map.mark === 'closed' &&
    manifest.manifest?.newest.seq === segment.header.seq &&
    named?.lastLsn === map.end.lsn &&
    named.endOffset === map.end.offset
  )
}
