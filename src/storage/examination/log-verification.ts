/**
 * Verifies a whole log: every frame of every segment, and all evidence about it. An opening refuses
 * at the first damage; this continues and lists all damage, with the LSNs that are proven to be
 * lost. Changes nothing.
 */

import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { commitmentsFolder } from '../commitments/chain-files.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { walkFrames } from '../frames/frame-walk.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { isFileFailure } from '../ports/disk-failure.ts'
import type { Evidence } from '../ports/log-host.ts'
import type { Progress } from '../ports/progress.ts'
import { summed } from '../ports/steps.ts'
import { otherThanShown } from '../segments/frame-mark.ts'
import { type LogSurvey, surveyLog } from '../segments/log-survey.ts'
import { bytesOf } from '../segments/log-walk.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import { verifyingChain } from './chain-verification.ts'
import { heldFromOf, type LogKnowledge, type SegmentSurvey } from './log-damage.ts'
import { judgeLog, type LogVerification, strangersIn } from './log-judgement.ts'
import { emptyMap, mapSegment, type SegmentMap } from './segment-map.ts'

/**
 * `heldFrom` of a log whose owner released segments during the survey: no LSN before its remaining
 * segments is required.
 */
const nowhere = Number.MAX_SAFE_INTEGER

/**
 * The greatest number of surveys of a log whose owner releases listed segments before they are
 * read.
 */
const surveysMax = 20

/**
 * Verifies the log in `dir` and yields its progress, of one file after another. Memory is constant except for the list of
 * damage. Segments that the owner of an open log releases during it are left out.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log, `UNSUPPORTED_VERSION` for files of a newer
 * version; DiskError
 */
export function* verifying(
  disk: Disk,
  dir: string,
  knowledge: LogKnowledge = noOptions,
): Generator<Progress, LogVerification> {
  if (disk.entry(dir)?.kind !== 'folder')
    throw new KeelsonError('NO_SEGMENTS', 'there is no log here', { details: { dir } })
  for (let left = surveysMax; ; left--) {
    const survey = surveyLog(disk, dir)
    const mayRepeat = knowledge.isLive && left > 0
    if (mayRepeat && survey.vanished.length > 0) continue
    const surveys = yield* mapFiles(disk, dir, survey, knowledge)
    const isGone = surveys.length === 0 && survey.segments.length > 0
    if (mayRepeat && isGone) continue
    const isReleased = surveys.length < survey.segments.length
    const listed = isReleased ? without(survey, surveys) : survey
    const { evidence, other } = whatIsShown(disk, dir, listed, knowledge)
    const remarks = other === undefined ? listed.remarks : [...listed.remarks, other]
    const held = { ...listed, remarks }
    const shows = other === undefined ? {} : { showsOther: true }
    const { holdsUnits, shown, baseLsn = 0 } = knowledge
    const shownLsn = other === undefined ? (shown?.lsn ?? 0) : 0
    const baseFrom = 1 + Math.max(baseLsn, shownLsn)
    const required = holdsUnits ? { heldFrom: heldFromOf(survey.manifest, baseFrom) } : {}
    const released = isReleased ? { heldFrom: nowhere } : {}
    const known = { ...required, ...knowledge, evidence, ...released }
    const strangers = strangersIn(held, surveys)
    if (strangers.size === 0) {
      const judged = { ...judgeLog(held, surveys, known), ...shows }
      return yield* withChain(disk, dir, judged, surveys)
    }
    const own = yield* withoutStrangers(disk, dir, surveys, strangers, knowledge)
    return { ...judgeLog(withStrangers(held, strangers), own, known), ...shows }
  }
}

/** Adds what the commitments came to. Damage of the log itself comes first: they wait for its end. */
function* withChain(
  disk: Disk,
  dir: string,
  found: LogVerification,
  surveys: readonly SegmentSurvey[],
): Generator<Progress, LogVerification> {
  if (found.verdict === 'corrupt') return found
  const show = (bytes: number) => ({ what: commitmentsFolder, bytes, totalBytes: found.bytes })
  const chain = yield* summed(verifyingChain(disk, dir, surveys), show)
  if (!chain) return found
  const { damage, ...commitments } = chain
  if (damage.length === 0) return { ...found, commitments }
  return { ...found, commitments, verdict: 'corrupt', damage: [...found.damage, ...damage] }
}

/**
 * All evidence. The position of a projection of another log or a diverged copy is no evidence; it
 * is reported.
 */
const whatIsShown = (
  disk: Disk,
  dir: string,
  { segments }: LogSurvey,
  { shown, evidence = [] }: LogKnowledge,
): { readonly evidence: readonly Evidence[]; readonly other?: string } => {
  if (!shown) return { evidence }
  const other = segments.length > 0 ? otherThanShown(disk, dir, segments, shown) : undefined
  if (other !== undefined) return { evidence, other }
  return { evidence: [...evidence, { ...shown, source: 'the projection' }] }
}

function* mapFiles(
  disk: Disk,
  dir: string,
  { segments }: LogSurvey,
  knowledge: LogKnowledge,
): Generator<Progress, SegmentSurvey[]> {
  const totalBytes = bytesOf(segments)
  const surveys: SegmentSurvey[] = []
  let done = 0
  for (const [index, segment] of segments.entries()) {
    const { name: what, size } = segment
    const end = done + size
    const show = (bytes: number) => ({ what, bytes: Math.min(bytes, end), totalBytes })
    const mapping = mapFile(disk, dir, segment, segments[index + 1], knowledge)
    const survey = yield* summed(mapping, show, done)
    // Segments are released from the front: if one is gone, all before it are.
    if (survey) surveys.push(survey)
    else surveys.length = 0
    done = end
    yield show(done)
  }
  return surveys
}

/** The survey without the segments that were released since, and without their damage. */
const without = (survey: LogSurvey, surveys: readonly SegmentSurvey[]): LogSurvey => {
  const released = survey.segments.slice(0, survey.segments.length - surveys.length)
  const names = new Set(released.map(({ name }) => name))
  const lastSeq = released.at(-1)?.header.seq ?? 0
  return {
    ...survey,
    segments: survey.segments.slice(released.length),
    unreadable: survey.unreadable.filter(({ seq }) => seq > lastSeq),
    damage: survey.damage.filter(({ file }) => !names.has(file)),
  }
}

/** The segments of this log, read without the ends that strangers name. */
function* withoutStrangers(
  disk: Disk,
  dir: string,
  surveys: readonly SegmentSurvey[],
  strangers: ReadonlySet<SegmentSurvey>,
  { holdsUnits = false }: LogKnowledge,
): Generator<Progress, SegmentSurvey[]> {
  const own: SegmentSurvey[] = []
  for (const [index, survey] of surveys.entries()) {
    const next = surveys[index + 1]
    if (strangers.has(survey)) continue
    if (!next || !strangers.has(next)) {
      own.push(survey)
      continue
    }
    const { name: what, size: totalBytes } = survey.segment
    const show = (bytes: number) => ({ what, bytes: Math.min(bytes, totalBytes), totalBytes })
    const mapping = mapFile(disk, dir, survey.segment, undefined, { holdsUnits })
    own.push((yield* summed(mapping, show)) ?? survey)
  }
  return own
}

const withStrangers = (survey: LogSurvey, strangers: ReadonlySet<SegmentSurvey>): LogSurvey => {
  const segments = [...strangers].map(({ segment }) => segment)
  const evidence =
    'it and the segments behind it are of different histories, as those of a copy that lived on: its frames count as lost'
  return {
    ...survey,
    unreadable: [...survey.unreadable, ...segments.map(({ header }) => header)],
    damage: [
      ...survey.damage,
      ...segments.map(({ name, header }) => ({
        file: name,
        offset: 0,
        lsn: header.baseLsn,
        evidence,
      })),
    ],
  }
}

/**
 * Maps a segment up to the end that its successor names; `undefined` if it was released since.
 * A file that the disk cannot read has an empty map and the failure.
 */
function* mapFile(
  disk: Disk,
  dir: string,
  segment: SegmentEntry,
  next: SegmentEntry | undefined,
  { isLive = false, holdsUnits = false }: LogKnowledge,
): Generator<number, SegmentSurvey | undefined> {
  const { name, header, size } = segment
  const path = pathIn(dir, name)
  const declared = next && next.header.prev.seq === header.seq ? next.header.prev : undefined
  const limit = Math.min(size, declared?.endOffset ?? size)
  const isReleased = () => isLive && !disk.entry(path)
  const start = segmentStart(header)
  if (isReleased()) return undefined
  try {
    const file = disk.open(path, 'read')
    try {
      const unitsFrom = holdsUnits ? 0 : Number.POSITIVE_INFINITY
      const read = () => mapSegment(file, header, start, limit, unitsFrom)
      let map = yield* read()
      if (isLive && !next && map.holes.length > 0) map = settled(map, yield* read())
      // A released file becomes another segment; if its name still exists, it is itself.
      if (isReleased()) return undefined
      const isShort = declared !== undefined && map.end.lsn < declared.lastLsn
      const beyond = { name, header, from: map.end, to: { lsn: map.end.lsn + 1 } }
      const runsOver = isShort && walkFrames(disk, dir, beyond).lsn > map.end.lsn
      return { segment, declared, map, runsOver }
    } finally {
      file.close()
    }
  } catch (error) {
    if (isReleased()) return undefined
    if (!isFileFailure(error)) throw error
    const failure = `the disk cannot read it (${error.code})`
    return { segment, declared, map: emptyMap(start), failure, runsOver: false }
  }
}

/**
 * The real damage of the newest segment of an open log. A write in progress looks torn too, but a
 * moment later it is complete, and another one is in progress. So the map ends before the first
 * hole that is new.
 */
const settled = (before: SegmentMap, after: SegmentMap): SegmentMap => {
  const wasThere = new Set(before.holes.map(({ offset }) => offset))
  const fresh = after.holes.find(({ offset }) => !wasThere.has(offset))
  if (!fresh) return after
  const runs = after.runs.filter(({ from }) => from.offset < fresh.offset)
  return {
    ...after,
    runs,
    holes: after.holes.filter(({ offset }) => offset < fresh.offset),
    end: runs.at(-1)?.to ?? after.end,
    provenLsn: Math.min(after.provenLsn, fresh.lastLsn),
    mark: 'none',
  }
}
