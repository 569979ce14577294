/**
 * Dumps a log frame by frame for people: segments, frames with their content, and damaged places
 * between them, in file order. It continues after damage and after frames that only a newer version
 * can read. Changes nothing.
 */

import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { FrameCursor, segmentStart } from '../frames/frame-cursor.ts'
import type { Damage } from '../frames/log-errors.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { isFileFailure } from '../ports/disk-failure.ts'
import { stepsAs } from '../ports/steps.ts'
import { type LogSurvey, surveyLog } from '../segments/log-survey.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { contentOf, type FrameContent } from './frame-content.ts'
import { holeEvidence } from './log-damage.ts'
import { mapSegment, type SegmentMap } from './segment-map.ts'
import type { FrameRun } from './segment-stretches.ts'

/** One record of a dump. Bytes in the content of a frame are views, valid until the next record. */
export type DumpRecord =
  | { readonly kind: 'segment'; readonly segment: SegmentEntry }
  | {
      readonly kind: 'frame'
      readonly segment: SegmentEntry
      readonly lsn: number
      readonly type: number
      readonly offset: number
      readonly payloadBytes: number
      readonly content: FrameContent
    }
  | ({ readonly kind: 'newer'; readonly file: string; readonly typeVersion: number } & Pick<
      SegmentMap['unreadable'][number],
      'lsn' | 'type' | 'offset'
    >)
  | ({ readonly kind: 'damage' } & Damage)
  /** The log has given back the frames from `from` on, and begins with `firstLsn`. */
  | { readonly kind: 'given back'; readonly from: number; readonly firstLsn: number }
  /** No record yet: this many bytes were read. */
  | { readonly kind: 'pause'; readonly bytes: number }

/** The frames to dump, both ends inclusive. By default all that the log has. */
export type DumpRange = { readonly from?: number; readonly to?: number }

/**
 * Dumps the log in `dir`. Damage of whole files comes before the segments, damage inside a segment
 * at its place.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log, `UNSUPPORTED_VERSION` for a MANIFEST or a
 * segment of a newer version; DiskError
 */
export function* dumping(
  disk: Disk,
  dir: string,
  range: DumpRange = noOptions,
): Generator<DumpRecord, void> {
  const { from = 1, to = Number.MAX_SAFE_INTEGER } = range
  const survey = surveyLog(disk, dir)
  if (isNoLog(survey))
    throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
  for (const damage of survey.damage) yield { kind: 'damage', ...damage }
  const firstLsn = survey.segments[0]?.header.baseLsn ?? 1
  if (range.from !== undefined && from < firstLsn) yield { kind: 'given back', from, firstLsn }
  for (const [index, segment] of survey.segments.entries()) {
    const next = survey.segments[index + 1]
    if (segment.header.baseLsn > to) return
    if (next && next.header.baseLsn <= from) continue
    yield { kind: 'segment', segment }
    yield* dumpSegment(disk, dir, segment, next, { from, to })
  }
}

/** There is no file of a log, and no trace of one. */
const isNoLog = ({ manifest, segments, unreadable, vanished, damage }: LogSurvey): boolean =>
  !manifest.exists && [segments, unreadable, vanished, damage].every((found) => found.length === 0)

type Limits = { readonly from: number; readonly to: number }

function* dumpSegment(
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  next: SegmentEntry | undefined,
  limits: Limits,
): Generator<DumpRecord, void> {
  const { name, header, size } = segment
  const isNamed = next && next.header.prev.seq === header.seq
  const limit = isNamed ? Math.min(size, next.header.prev.endOffset) : size
  try {
    const file = disk.open(pathIn(dir, name), 'read')
    try {
      const mapping = mapSegment(file, header, segmentStart(header), limit)
      const map = yield* stepsAs(mapping, (bytes) => ({ kind: 'pause' as const, bytes }))
      for (const place of inOrder(map)) {
        if ('frames' in place)
          yield* dumpRun(
            segment,
            new FrameCursor(file, header, place.from, place.to.offset),
            limits,
          )
        else if (place.lsn >= limits.from && place.lsn <= limits.to) yield { ...place, file: name }
      }
    } finally {
      file.close()
    }
  } catch (error) {
    if (!isFileFailure(error)) throw error
    const evidence = `the disk cannot read it (${error.code})`
    yield { kind: 'damage', file: name, offset: 0, lsn: header.baseLsn, evidence }
  }
}

type Place =
  | FrameRun
  | Omit<Extract<DumpRecord, { kind: 'damage' }>, 'file'>
  | Omit<Extract<DumpRecord, { kind: 'newer' }>, 'file'>

const inOrder = ({ runs, holes, unreadable }: SegmentMap): Place[] => {
  const offsetOf = (place: Place): number => ('frames' in place ? place.from.offset : place.offset)
  const damaged = holes.map((hole) => ({
    kind: 'damage' as const,
    offset: hole.offset,
    lsn: hole.lastLsn + 1,
    evidence: holeEvidence(hole),
  }))
  const newer = unreadable.map(({ lsn, type, typeVersion, offset }) => ({
    kind: 'newer' as const,
    lsn,
    type,
    typeVersion,
    offset,
  }))
  return [...runs, ...damaged, ...newer].sort((a, b) => offsetOf(a) - offsetOf(b))
}

function* dumpRun(
  segment: SegmentEntry,
  cursor: FrameCursor,
  { from, to }: Limits,
): Generator<DumpRecord, void> {
  for (let frame = cursor.next(); frame && frame.lsn <= to; frame = cursor.next()) {
    if (frame.lsn < from) continue
    const { lsn, type, payloadBytes } = frame
    const content = contentOf(type, cursor.payloadBytes(frame))
    yield { kind: 'frame', segment, lsn, type, offset: cursor.frameOffset, payloadBytes, content }
  }
}
