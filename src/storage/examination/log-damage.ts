/**
 * Finds the damaged places of a log, and its good frames. A frame is lost if it is in no file
 * although something proves that it was durable. Frames missing beyond every proof were torn by a
 * crash. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import type { Damage } from '../frames/log-errors.ts'
import type { LsnRange } from '../frames/lost-frame.ts'
import type { Predecessor } from '../frames/segment-header.ts'
import type { LogFloor } from '../ports/log-floor.ts'
import type { Evidence } from '../ports/log-host.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import { manifestName } from '../segments/log-folder.ts'
import type { LogSurvey } from '../segments/log-survey.ts'
import type { ManifestReading } from '../segments/manifest.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import type { Hole, SegmentMap } from './segment-map.ts'
import type { FrameRun } from './segment-stretches.ts'

/** The facts about the log that the caller of a verification knows. */
export type LogKnowledge = {
  /** Evidence outside of the log of how far it was durable. */
  readonly evidence?: readonly Evidence[]
  /** The extent that `floor.json` says it had: a log with less has lost its newest files. */
  readonly floor?: LogFloor
  /**
   * The position of its projection: evidence too, unless it belongs to another log or a diverged
   * copy.
   */
  readonly shown?: ProjectedPosition
  /**
   * Every LSN from here on must be present, but for those at or below a named snapshot; by default
   * those after the checkpoint. A projection does not count: it may have to be built again.
   */
  readonly heldFrom?: number
  /** The id that the log must have, in hex. */
  readonly walId?: string
  /** A process writes the log during the examination: an incomplete frame at its end is not damage. */
  readonly isLive?: boolean
  /**
   * The log belongs to a store: every DATA frame has units, and an unreadable unit is damage. By
   * default every LSN must be present that no named snapshot has the rows of.
   */
  readonly holdsUnits?: boolean
  /** If no names of snapshots are left: the rows up to this LSN are somewhere. */
  readonly baseLsn?: number
  /** The frames before this LSN were not read, and are not judged; by default all were. */
  readonly readFrom?: number
}

/** A segment, the end that its successor names, and its content. */
export type SegmentSurvey = {
  readonly segment: SegmentEntry
  readonly declared: Predecessor | undefined
  readonly map: SegmentMap
  /** Why the disk cannot read the file; the map is then empty. */
  readonly failure?: string
  /** A valid frame crosses the end that the successor names. */
  readonly runsOver: boolean
}

/** Good frames of one segment: those of `run` from LSN `from` to `to`. */
export type GoodFrames = {
  readonly segment: SegmentEntry
  readonly run: FrameRun
  readonly from: number
  readonly to: number
}

/** The tail that an opening cuts: from `offset` on, where `lsn` would be. */
export type TornTail = {
  readonly file: string
  readonly offset: number
  readonly lsn: number
  readonly bytes: number
}

/** The places of a log. `lastLsn`: the last good frame. */
export type FoundPlaces = {
  readonly good: readonly GoodFrames[]
  readonly lost: readonly LsnRange[]
  readonly damage: readonly Damage[]
  readonly torn?: TornTail
  readonly lastLsn: number
}

/**
 * Finds the places. `proof`: how far the log was durable. @throws KeelsonError `NO_SEGMENTS` if
 * there is no log
 */
export const placesOf = (
  survey: LogSurvey,
  surveys: readonly SegmentSurvey[],
  proof: Evidence,
  knowledge: LogKnowledge,
): FoundPlaces => {
  const [first] = surveys
  if (!first) return placesOfNothing(survey, proof)
  const firstLsn = firstNamed(survey, first)
  const heldFrom = Math.min(firstLsn, neededFrom(survey, surveys, knowledge))
  const coverage = cover(surveys, Math.max(heldFrom, knowledge.readFrom ?? 0), proof.lsn)
  const damage = [
    ...strangeLog(first, knowledge),
    ...missingStart(survey.segments[0] ?? first.segment, firstLsn, heldFrom),
    ...surveys.flatMap(unreadableIn),
    ...surveys.flatMap((each, index) => damageIn(each, index === surveys.length - 1, proof.lsn)),
  ]
  const { good, lost, lastLsn } = coverage
  if (lost.length > 0 && damage.length + survey.damage.length === 0)
    damage.push(missingEnd(surveys, lastLsn, proof))
  const torn = knowledge.isLive ? undefined : tornTail(surveys, lastLsn, proof.lsn)
  return { good, lost, damage, lastLsn, ...(torn ? { torn } : {}) }
}

/** The first LSN in the names of the log's files, readable or not. */
const firstNamed = ({ unreadable, segments }: LogSurvey, { segment }: SegmentSurvey): number =>
  [...segments.map(({ header }) => header), ...unreadable].reduce(
    (least, { baseLsn }) => Math.min(least, baseLsn),
    segment.header.baseLsn,
  )

/** A file that the disk cannot read is one place, whatever its content. */
const unreadableIn = ({ segment: { name, header }, failure }: SegmentSurvey): Damage[] =>
  failure === undefined ? [] : [{ file: name, offset: 0, lsn: header.baseLsn, evidence: failure }]

/**
 * `heldFrom` of a store's log. Only snapshots that the MANIFEST names take the place of frames. If
 * their names are lost, what has the rows before `baseFrom` is trusted.
 */
export const heldFromOf = ({ manifest }: ManifestReading, baseFrom: number): number =>
  manifest ? 1 : baseFrom

/** The LSN from which the log must have every frame. */
const neededFrom = (
  { manifest: { manifest } }: LogSurvey,
  surveys: readonly SegmentSurvey[],
  { heldFrom }: LogKnowledge,
): number => {
  const promised = manifest?.checkpointLsn ?? 0
  if (heldFrom === undefined)
    return 1 + surveys.reduce((most, { map }) => Math.max(most, map.checkpointLsn), promised)
  return Math.max(heldFrom, 1 + (manifest?.snapshots.at(-1)?.lsn ?? 0))
}

const placesOfNothing = (
  { manifest, damage, unreadable }: LogSurvey,
  proof: Evidence,
): FoundPlaces => {
  const wasOpened = (manifest.manifest?.generation ?? 0) > 1
  if (proof.lsn === 0 && !wasOpened && damage.length === 0 && unreadable.length === 0)
    throw new KeelsonError('NO_SEGMENTS', 'there is no log here', { details: {} })
  const source = proof.lsn > 0 ? proof.source : manifestName
  const evidence = `${source} names segments, but none can be read`
  const from = 1 + (manifest.manifest?.snapshots.at(-1)?.lsn ?? 0)
  return {
    good: [],
    lost: proof.lsn >= from ? [{ from, to: proof.lsn }] : [],
    damage: [{ file: manifestName, offset: 0, lsn: 1, evidence }],
    lastLsn: 0,
  }
}

const strangeLog = ({ segment }: SegmentSurvey, { walId }: LogKnowledge): Damage[] => {
  if (walId === undefined || segment.header.walId === walId) return []
  const evidence = `it belongs to the log ${segment.header.walId}, expected ${walId}`
  return [{ file: segment.name, offset: 0, lsn: segment.header.baseLsn, evidence }]
}

const missingStart = ({ name }: SegmentEntry, firstLsn: number, heldFrom: number): Damage[] => {
  if (firstLsn <= heldFrom) return []
  const evidence = 'segments before it are missing, and nothing has taken the place of their frames'
  return [{ file: name, offset: 0, lsn: heldFrom, evidence }]
}

const missingEnd = (
  surveys: readonly SegmentSurvey[],
  lastLsn: number,
  { lsn, source }: Evidence,
): Damage => {
  const newest = surveys.at(-1)
  return {
    file: newest?.segment.name ?? manifestName,
    offset: newest?.map.end.offset ?? 0,
    lsn: lastLsn + 1,
    evidence: `${source} proves frames up to lsn ${lsn}, but the last valid one is ${lastLsn}`,
  }
}

type Coverage = Pick<FoundPlaces, 'good' | 'lost' | 'lastLsn'>

/**
 * The good LSNs from `heldFrom` on. The frames of a segment end where the next segment begins,
 * whatever follows. A missing LSN up to `provenLsn` is lost; after the first missing one beyond it
 * nothing counts.
 */
const cover = (
  surveys: readonly SegmentSurvey[],
  heldFrom: number,
  provenLsn: number,
): Coverage => {
  const good: GoodFrames[] = []
  const lost: LsnRange[] = []
  let lastLsn = heldFrom - 1
  const miss = (to: number): boolean => {
    const end = Math.min(to, provenLsn)
    if (end > lastLsn) lost.push({ from: lastLsn + 1, to: end })
    return to <= provenLsn
  }
  for (const [index, { segment, map }] of surveys.entries()) {
    const limit = surveys[index + 1]?.segment.header.baseLsn ?? Number.POSITIVE_INFINITY
    for (const run of map.runs) {
      const from = Math.max(run.from.lsn, lastLsn) + 1
      const to = Math.min(run.to.lsn, limit - 1)
      if (to < from) continue
      if (from > lastLsn + 1 && !miss(from - 1))
        return { good, lost, lastLsn: good.at(-1)?.to ?? 0 }
      good.push({ segment, run, from, to })
      lastLsn = to
    }
  }
  miss(provenLsn)
  return { good, lost, lastLsn: good.at(-1)?.to ?? 0 }
}

/**
 * The end of the valid part of the newest segment, if bytes other than zero follow that nothing
 * proves.
 */
const tornTail = (
  surveys: readonly SegmentSurvey[],
  lastLsn: number,
  provenLsn: number,
): TornTail | undefined => {
  const newest = surveys.at(-1)
  if (!newest) return undefined
  const { segment, map } = newest
  const least = Math.max(lastLsn, provenLsn)
  const behind = { offset: map.end.offset, end: map.usedEnd, lastLsn: map.end.lsn }
  const hole = [...map.holes, behind].find((each) => each.lastLsn >= least)
  if (!hole) return undefined
  const end = Math.max(hole.end, map.holes.at(-1)?.end ?? 0, map.end.offset)
  if (end === hole.offset) return undefined
  return {
    file: segment.name,
    offset: hole.offset,
    lsn: hole.lastLsn + 1,
    bytes: end - hole.offset,
  }
}

/**
 * The damage inside a segment. In the newest one, frames that nothing proves to have been durable
 * may be missing.
 */
export const damageIn = (
  { segment, declared, map }: SegmentSurvey,
  isNewest = false,
  provenLsn = Number.POSITIVE_INFINITY,
): Damage[] => {
  const { name: file, size } = segment
  const holes = map.holes
    .filter(({ lastLsn }) => !isNewest || lastLsn < provenLsn)
    .map((hole) => ({
      file,
      offset: hole.offset,
      lsn: hole.lastLsn + 1,
      evidence: holeEvidence(hole),
    }))
  const { end } = map
  const isWhole =
    !declared ||
    (end.offset === declared.endOffset &&
      end.lsn === declared.lastLsn &&
      end.crc === declared.lastCrc)
  if (
    isWhole ||
    size < declared.endOffset ||
    map.holes.some(({ nextLsn }) => nextLsn === undefined)
  )
    return holes
  const evidence = `the next segment says that this one ends with lsn ${declared.lastLsn} at offset ${declared.endOffset}`
  return [...holes, { file, offset: end.offset, lsn: end.lsn + 1, evidence }]
}

/** A sentence about a hole, for people. */
export const holeEvidence = ({ kind, lastLsn, nextLsn, offset, end, error }: Hole): string => {
  const bytes = `${end - offset} bytes`
  const next = nextLsn === undefined ? 'no frame follows' : `the next good frame is ${nextLsn}`
  if (kind === 'payload')
    return `the header of frame ${lastLsn + 1} is valid, but its payload is not (${bytes}); ${next}`
  if (kind === 'units')
    return `frame ${lastLsn + 1} is valid, but its units cannot be read: ${error?.message}`
  if (kind === 'link') return `frame ${nextLsn} does not name the frame before it`
  const what = kind === 'zeros' ? 'begin with zeros' : 'are no frame'
  return `${bytes} ${what} where frame ${lastLsn + 1} should be; ${next}`
}
