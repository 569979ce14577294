/**
 * The plan of an opening, derived from the findings of the inspection: segments to keep, frames to
 * copy, bytes to cut. It reads once more if one LSN is missing, and changes nothing.
 */

import type { ChainRun, FoundChain } from '../commitments/found-chain.ts'
import { segmentRun } from '../commitments/segment-run.ts'
import { examineTail } from '../examination/frame-search.ts'
import type { SegmentSurvey } from '../examination/log-damage.ts'
import type { LogVerification } from '../examination/log-judgement.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { walkFrames } from '../frames/frame-walk.ts'
import { corruption } from '../frames/log-errors.ts'
import type { Predecessor } from '../frames/segment-header.ts'
import { closing, type Disk, pathIn } from '../ports/disk.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { LogSurvey } from '../segments/log-survey.ts'
import type { Manifest } from '../segments/manifest.ts'
import type { LogSegment, SegmentEntry } from '../segments/segment-chain.ts'

/** The frames to copy: those of `segment` after `from`, up to `to`. */
export type FrameCopy = {
  readonly segment: SegmentEntry
  readonly from: FrameEnd
  readonly to: FrameEnd
}

/** The plan of an opening. Plain data; valid while the folder does not change. */
export type LogPlan = {
  readonly walId: string
  /** The epoch that the opening begins. */
  readonly epoch: number
  /**
   * The generation of the MANIFEST to write first. `manifestIsWhole`: it can be written in place.
   */
  readonly generation: number
  readonly manifestIsWhole: boolean
  /**
   * The facts about checkpoint and snapshots in the old MANIFEST. They are repeated until the
   * frames found since are durable.
   */
  readonly promised: Pick<
    Manifest,
    'checkpointLsn' | 'checkpointSegment' | 'lastTime' | 'snapshots'
  >
  /** The segments to keep. Each ends where its successor will say. */
  readonly chain: readonly LogSegment[]
  /** The segment to make. */
  readonly fresh: { readonly seq: number; readonly baseLsn: number; readonly prev: Predecessor }
  readonly lastLsn: number
  /** The last LSN that is proven to have been durable. */
  readonly provenLsn: number
  /** Frames that nothing proves to be durable, to copy into the fresh segment. */
  readonly copy?: FrameCopy
  readonly setAside: readonly string[]
  /** Segments to cut to `size`, and their bytes to save to quarantine before. */
  readonly trims: readonly Trim[]
  readonly lastTime: number
  readonly checkpointLsn: number
  readonly tail: Inspection['tail']
  readonly cutBytes: number
  /** The chain of commitments; absent if the log has none. */
  readonly commitments?: FoundChain
}

/** A segment to cut and the bytes to save; none if `keepTo` equals `keepFrom`. */
export type Trim = {
  readonly name: string
  readonly size: number
  readonly keepFrom: number
  readonly keepTo: number
}

/** The plan for a log: its files, the segments that were read, and the verdict on them. */
export const planOf = (
  disk: Disk,
  dir: string,
  survey: LogSurvey,
  read: readonly SegmentSurvey[],
  judged: LogVerification,
): LogPlan => {
  const { segments, manifest, unused } = survey
  const newest = read.at(-1)
  if (!newest) throw new RangeError('a plan needs a segment')
  const { header } = newest.segment
  const { end, usedEnd } = newest.map
  const tail = judged.tail === 'open' ? 'unclean' : judged.tail
  const bytesBehind = usedEnd - end.offset
  // A clean close proves all frames.
  const provenLsn = tail === 'clean' ? end.lsn : Math.min(judged.provenLsn, end.lsn)
  // A segment without frames is taken back: the fresh one gets its number, name and predecessor.
  const isEmpty = end.lsn < header.baseLsn && bytesBehind === 0
  const proven = provenLsn === end.lsn ? end : findFrameEnd(disk, dir, newest.segment, provenLsn)
  const prev = isEmpty
    ? header.prev
    : { seq: header.seq, lastLsn: proven.lsn, endOffset: proven.offset, lastCrc: proven.crc }
  const chain = chainOf(isEmpty ? segments.slice(0, -1) : segments, prev)
  return {
    walId: header.walId,
    epoch: judged.epoch + 1,
    generation: (manifest.manifest?.generation ?? 1) + 1,
    manifestIsWhole: manifest.whole,
    promised: promisedBy(survey),
    chain,
    fresh: {
      seq: isEmpty ? header.seq : header.seq + 1,
      baseLsn: prev.lastLsn + 1,
      prev,
    },
    lastLsn: end.lsn,
    provenLsn,
    ...(proven.lsn < end.lsn ? { copy: { segment: newest.segment, from: proven, to: end } } : {}),
    setAside: unused === undefined ? [] : [unused],
    trims: trimsOf(disk, dir, survey, newest, chain),
    lastTime: judged.lastTime,
    checkpointLsn: judged.checkpointLsn,
    tail,
    cutBytes: tail === 'torn' ? bytesBehind : 0,
  }
}

/**
 * The end of frame `lsn` of a segment, or the start of the segment if `lsn` is before its first.
 */
const findFrameEnd = (
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  lsn: number,
): FrameEnd => {
  const from = segmentStart(header)
  if (from.lsn === lsn) return from
  const end = walkFrames(disk, dir, { name, header, from, to: { lsn } })
  if (end.lsn === lsn) return end
  const evidence = 'a frame was whole at the first reading and damaged at the second'
  throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
}

/**
 * The frames that the plan keeps. Those to copy belong to the epoch that begins, which may commit to
 * its groups.
 */
export const runsOf = (
  disk: Disk,
  dir: string,
  { chain, copy }: LogPlan,
  commits: boolean,
): ChainRun[] => {
  const kept = chain.map(({ name, header, lastLsn: lsn, endOffset: offset }) =>
    segmentRun(disk, dir, { name, header, to: { offset, lsn } }),
  )
  if (!copy) return kept
  const { segment, from, to } = copy
  return [...kept, segmentRun(disk, dir, { ...segment, from, to }, commits)]
}

const promisedBy = ({ manifest, segments }: LogSurvey): LogPlan['promised'] => {
  const { checkpointLsn, checkpointSegment, lastTime, snapshots } = manifest.manifest ?? {
    checkpointLsn: 0,
    checkpointSegment: segments[0]?.header.seq ?? 1,
    lastTime: 0,
    snapshots: [],
  }
  return { checkpointLsn, checkpointSegment, lastTime, snapshots }
}

const chainOf = (segments: readonly SegmentEntry[], last: Predecessor): LogSegment[] =>
  segments.map(({ name, header }, index) => {
    const { lastLsn, endOffset, lastCrc } = segments[index + 1]?.header.prev ?? last
    return { name, header, lastLsn, endOffset, lastCrc }
  })

const trimsOf = (
  disk: Disk,
  dir: string,
  { segments }: LogSurvey,
  { segment: newest, map: { end, usedEnd } }: SegmentSurvey,
  chain: readonly LogSegment[],
): Trim[] =>
  chain.flatMap((segment, index) => {
    const entry = segments[index]
    if (!entry || entry.size <= segment.endOffset) return []
    const { name, endOffset: size } = segment
    if (entry === newest) return [{ name, size, keepFrom: end.offset, keepTo: usedEnd }]
    return [{ name, size, keepFrom: size, keepTo: usedEndOf(disk, dir, entry, segment) }]
  })

const usedEndOf = (disk: Disk, dir: string, entry: SegmentEntry, segment: LogSegment): number => {
  const end = { offset: segment.endOffset, lsn: segment.lastLsn, crc: segment.lastCrc }
  return closing(
    disk.open(pathIn(dir, entry.name), 'read'),
    (file) => examineTail(file, entry.header, end, entry.size).usedEnd,
  )
}
