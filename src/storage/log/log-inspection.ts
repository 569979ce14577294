/**
 * The first phase of opening a log: it reads everything, changes nothing, and plans the second
 * phase. Damage other than a torn tail is thrown here, while the folder is unchanged.
 */

import { viewedBytes } from '../../bytes/u64.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { ChainFiles } from '../commitments/chain-files.ts'
import { findChain } from '../commitments/found-chain.ts'
import { damageIn, heldFromOf, type SegmentSurvey } from '../examination/log-damage.ts'
import { judgeLog, type LogVerification, refuseNewer } from '../examination/log-judgement.ts'
import { mapStart } from '../examination/segment-map.ts'
import { frameBytes, frameHeaderBytes, readFrameHeader } from '../frames/frame.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { corruption } from '../frames/log-errors.ts'
import {
  type Predecessor,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../frames/segment-header.ts'
import { closing, type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import type { Evidence, Inspection, LogNeeds, RowBase } from '../ports/log-host.ts'
import { namesSnapshot } from '../ports/named-snapshot.ts'
import { otherThanShown } from '../segments/frame-mark.ts'
import { manifestName } from '../segments/log-folder.ts'
import { type LogSurvey, refuseFirst, soundSurvey } from '../segments/log-survey.ts'
import type { Manifest } from '../segments/manifest.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { type LogPlan, planOf, runsOf } from './log-plan.ts'

/**
 * Inspects the log in `dir`. `evidence` is what others prove about it. `commits`: the next epoch
 * commits to its groups.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; `SHARD_DOWN` if the disk cannot be read
 */
export const inspectLog = (
  disk: Disk,
  dir: string,
  evidence: readonly Evidence[] = [],
  needs?: LogNeeds,
  commits = false,
): Inspection => refusing(() => withChain(disk, dir, inspect(disk, dir, evidence, needs), commits))

/**
 * Adds the chain of commitments to the plan. With commitments off, a damaged chain is no reason to
 * refuse the log: it ends.
 */
const withChain = (
  disk: Disk,
  dir: string,
  inspection: Inspection,
  commits: boolean,
): Inspection => {
  const plan = inspection.plan as LogPlan | null
  if (!plan) return inspection
  try {
    const runs = runsOf(disk, dir, plan, commits)
    const commitments = closing(new ChainFiles(disk, dir), (files) =>
      findChain(runs, files, commits),
    )
    return commitments ? { ...inspection, plan: { ...plan, commitments } } : inspection
  } catch (error) {
    if (commits || !isKeelsonError(error, 'CORRUPT')) throw error
    return { ...inspection, remarks: [...inspection.remarks, error.message] }
  }
}

const inspect = (
  disk: Disk,
  dir: string,
  evidence: readonly Evidence[],
  needs: LogNeeds | undefined,
): Inspection => {
  const survey = soundSurvey(disk, dir)
  const { manifest, segments } = survey
  const { shown } = needs ?? {}
  const claims = shown ? [...evidence, { ...shown, source: 'projection' }] : evidence
  if (segments.length === 0) return inspectEmpty(manifest.manifest, claims)
  const other = shown && otherThanShown(disk, dir, segments, shown)
  const found = needs?.base && baseOf(segments, manifest.manifest, needs, other)
  const readFrom = found ? found.readFrom : readFromBy(needs, other)
  const first = firstToRead(segments, manifest.manifest, readFrom)
  const unitsFrom = needs?.holdsUnits ? readFrom : undefined
  const read = readNeeded(disk, dir, segments, first, unitsFrom)
  const heldFrom = found ? heldFromOf(manifest, found.heldFrom) : needs?.heldFrom
  const judged = judgeLog(survey, read, {
    evidence: other ? evidence : claims,
    readFrom: segments[first]?.header.baseLsn ?? 1,
    ...(heldFrom !== undefined && { heldFrom }),
  })
  refuseFirst(judged.damage)
  const answer = { ...report(disk, dir, survey, read, judged), ...(found && { base: found.base }) }
  return other ? { ...answer, showsOther: true, remarks: [...answer.remarks, other] } : answer
}

/**
 * Chooses the base of the rows: the projection, a snapshot, or the whole log. `readFrom` is the first
 * LSN to read, `heldFrom` the first one that the base lacks. @throws `CORRUPT`
 */
const baseOf = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
  { shown, base }: LogNeeds,
  other: string | undefined,
): { readonly base: RowBase; readonly readFrom: number; readonly heldFrom: number } => {
  const [first] = segments
  const firstLsn = first?.header.baseLsn ?? 1
  if (shown && !other && shown.lsn >= firstLsn - 1)
    return { base: { kind: 'projection' }, readFrom: shown.lsn + 1, heldFrom: shown.lsn + 1 }
  const snapshot = manifest?.snapshots.findLast(
    (each) => each.lsn >= firstLsn - 1 && !namesSnapshot(base?.damaged ?? [], each),
  )
  if (snapshot)
    return { base: { kind: 'snapshot', snapshot }, readFrom: firstLsn, heldFrom: snapshot.lsn + 1 }
  if (firstLsn === 1) return { base: { kind: 'log' }, readFrom: 1, heldFrom: 1 }
  throw corruption({
    file: first?.name ?? manifestName,
    offset: 0,
    lsn: 1,
    evidence: `the log begins with lsn ${firstLsn}, and neither the projection nor a snapshot has what was before`,
  })
}

/** The LSN from which every frame must be valid; `undefined` if recovery decides. */
const readFromBy = (needs: LogNeeds | undefined, other: string | undefined): number | undefined => {
  if (!needs?.shown || other) return needs?.readFrom
  return Math.max(needs.readFrom, needs.shown.lsn + 1)
}

/** A folder without segments: it is new, its creation was interrupted, or its segments are lost. */
const inspectEmpty = (
  manifest: Manifest | undefined,
  evidence: readonly Evidence[],
): Inspection => {
  const proof = evidence.find(({ lsn, walId }) => lsn > 0 && (!walId || walId === manifest?.walId))
  // Creation writes generation 1. From the first opening on it is higher.
  const wasOpened = manifest !== undefined && manifest.generation > 1
  if (proof || wasOpened) {
    const source = proof ? proof.source : manifestName
    const lsn = proof?.lsn ?? manifest?.newest.baseLsn ?? 1
    throw corruption({
      file: manifestName,
      offset: 0,
      lsn,
      evidence: `${source} names segments that do not exist`,
    })
  }
  return {
    exists: false,
    epoch: 0,
    firstLsn: 1,
    lastLsn: 0,
    provenLsn: 0,
    hasFrames: false,
    tail: 'clean',
    cutBytes: 0,
    snapshots: [],
    remarks: [],
    plan: null,
  }
}

/**
 * The reading begins at the checkpoint, or earlier if a reader starts there. Before that, headers and
 * the links between segments are checked, and readers verify the frames that they read.
 */
const firstToRead = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
  readFrom: number | undefined,
): number => {
  const checkpoint = segments.findIndex(({ header }) => header.seq === manifest?.checkpointSegment)
  const behind = segments.findIndex(({ header }) => header.baseLsn > (readFrom ?? Infinity))
  const reader = readFrom === undefined || behind < 0 ? segments.length - 1 : behind - 1
  return Math.max(0, Math.min(checkpoint, reader))
}

const report = (
  disk: Disk,
  dir: string,
  survey: LogSurvey,
  read: readonly SegmentSurvey[],
  judged: LogVerification,
): Inspection => {
  const plan = planOf(disk, dir, survey, read, judged)
  const { walId, epoch, snapshots, remarks } = judged
  const lsn = plan.lastLsn
  return {
    exists: true,
    walId,
    epoch,
    snapshots,
    lastLsn: lsn,
    hasFrames: lsn > 0,
    firstLsn: survey.segments[0]?.header.baseLsn ?? 1,
    provenLsn: plan.provenLsn,
    tail: plan.tail,
    cutBytes: plan.cutBytes,
    remarks: [...remarks, ...diskRemarks(disk, dir)],
    plan,
  }
}

const diskRemarks = (disk: Disk, dir: string): string[] =>
  disk.isVolatile(dir)
    ? ['the folder is in memory (tmpfs): nothing in it survives a power cut, whatever is synced']
    : []

/**
 * Reads all frames of `segments` from number `first` on, up to the last, the newest, and before them
 * that each segment is the one that its successor names. DATA frames from the LSN `unitsFrom` on must
 * have units that this version can read. The first damage is refused.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError
 */
export const readNeeded = (
  disk: Disk,
  dir: string,
  segments: readonly SegmentEntry[],
  first: number,
  unitsFrom = Number.POSITIVE_INFINITY,
): SegmentSurvey[] => {
  for (const [index, segment] of segments.slice(0, first).entries()) {
    const declared = segments[index + 1]?.header.prev
    if (declared && !isAsNamed(disk, dir, segment, declared)) read(disk, dir, segment, declared)
  }
  return segments.slice(first).map((segment, index) => {
    const declared = segments[first + index + 1]?.header.prev
    return read(disk, dir, segment, declared, unitsFrom)
  })
}

const read = (
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  declared: Predecessor | undefined,
  unitsFrom = Number.POSITIVE_INFINITY,
): SegmentSurvey => {
  const { name, header, size } = segment
  return closing(disk.open(pathIn(dir, name), 'read'), (file) => {
    const hasTail = declared === undefined
    const limit = declared?.endOffset ?? size
    const map = mapStart(file, header, segmentStart(header), limit, { unitsFrom, hasTail })
    const survey = { segment, declared, map, runsOver: false }
    refuseNewer([survey])
    refuseNewerUnits(survey)
    refuseFirst(damageIn(survey))
    return survey
  })
}

/** Units of a newer version are no damage. */
const refuseNewerUnits = ({ segment: { name }, map }: SegmentSurvey): void => {
  for (const { offset, lastLsn, error } of map.holes) {
    if (error?.code !== 'UNSUPPORTED_VERSION') continue
    const lsn = lastLsn + 1
    throw new KeelsonError(error.code, `${name}, lsn ${lsn}: ${error.message}`, {
      details: { file: name, offset, lsn, ...error.details },
    })
  }
}

/**
 * The successor repeats the header CRC of a segment's last frame, and that CRC is seeded with the
 * salt of its file. So one small read detects a segment with the same numbers and sizes from another
 * epoch of a copied log.
 */
const isAsNamed = (
  disk: Disk,
  dir: string,
  { name, header }: SegmentEntry,
  successor: Predecessor,
): boolean =>
  closing(disk.open(pathIn(dir, name), 'read'), (file) => endsAsNamed(file, header, successor))

/**
 * The last frame is searched in this many bytes before the end: an end mark is in the first, the
 * last entry before a crash in the second.
 */
const reaches = [512, 256 * 1024] as const

/**
 * Whether the last frame that `successor` names is at its place with its CRC. False may also mean
 * that the frame is longer than the searched bytes; then only a read of the whole segment decides.
 */
const endsAsNamed = (file: DiskFile, header: SegmentHeader, successor: Predecessor): boolean =>
  reaches.some((reach) => hasLastFrame(file, header, successor, reach))

const hasLastFrame = (
  file: DiskFile,
  { salt }: SegmentHeader,
  { endOffset, lastLsn, lastCrc }: Predecessor,
  reach: number,
): boolean => {
  const from = Math.max(segmentHeaderBytes, endOffset - reach)
  if (endOffset - from < frameHeaderBytes) return false
  const buffer = viewedBytes(new Uint8Array(endOffset - from))
  if (file.read(buffer.bytes, from) < buffer.bytes.length) return false
  // Frames begin and end on multiples of 8.
  for (let at = buffer.bytes.length - frameHeaderBytes; at >= 0; at -= 8) {
    if (buffer.view.getUint32(at, true) !== lastCrc) continue
    const frame = readFrameHeader(buffer, at, salt)
    const isLast = frame?.lsn === lastLsn
    if (isLast && at + frameBytes(frame.payloadBytes) === buffer.bytes.length) return true
  }
  return false
}
