/**
 * Verifies a whole log: every frame of every segment, and everything that anybody knows of it. Where an opening refuses at
 * the first damage, this goes on behind it and lists all of it, with the LSNs that are proven to be lost. Changes nothing.
 */
import type { Disk } from './disk.ts'
import { segmentStart } from './frame-cursor.ts'
import type { LogKnowledge, SegmentSurvey } from './log-damage.ts'
import { pathIn } from './log-folder.ts'
import { judgeLog, type LogVerification } from './log-judgement.ts'
import { type SurveyedSegment, surveyLog } from './log-survey.ts'
import { mapSegment, type SegmentMap } from './segment-map.ts'

/** How far it is, in bytes of segments. */
export type LogProgress = {
  readonly file: string
  readonly bytes: number
  readonly totalBytes: number
}

/** Verifies at once. @throws as `verifying`. */
export const verifyLog = (
  disk: Disk,
  dir: string,
  knowledge: LogKnowledge = {},
): LogVerification => {
  const steps = verifying(disk, dir, knowledge)
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/**
 * Verifies the log in `dir`, and pauses now and then with how far it is. Constant memory, but for the damage.
 * @throws KeelsonError `NO_SEGMENTS` when there is no log, `UNSUPPORTED_VERSION` for files of a newer version; DiskError.
 */
export function* verifying(
  disk: Disk,
  dir: string,
  knowledge: LogKnowledge = {},
): Generator<LogProgress, LogVerification> {
  const survey = surveyLog(disk, dir)
  const totalBytes = survey.segments.reduce((sum, { size }) => sum + size, 0)
  const surveys: SegmentSurvey[] = []
  let done = 0
  for (const [index, segment] of survey.segments.entries()) {
    const mapping = mapFile(disk, dir, segment, survey.segments[index + 1], knowledge)
    let at = done
    let step = mapping.next()
    for (; !step.done; step = mapping.next()) {
      at = Math.min(at + step.value, done + segment.size)
      yield { file: segment.name, bytes: at, totalBytes }
    }
    surveys.push(step.value)
    done += segment.size
    yield { file: segment.name, bytes: done, totalBytes }
  }
  return judgeLog(survey, surveys, knowledge)
}

/** A segment with a successor ends where that says it does, and nowhere else. */
function* mapFile(
  disk: Disk,
  dir: string,
  segment: SurveyedSegment,
  next: SurveyedSegment | undefined,
  { isLive = false }: LogKnowledge,
): Generator<number, SegmentSurvey> {
  const { name, header, size } = segment
  const declared =
    next && !next.isRebuilt && next.header.prev.seq === header.seq ? next.header.prev : undefined
  const limit = Math.min(size, declared?.endOffset ?? size)
  const file = disk.open(pathIn(dir, name), 'read')
  try {
    const read = () => mapSegment(file, header, segmentStart(header), limit)
    const map = yield* read()
    if (!isLive || next || map.holes.length === 0) return { segment, declared, map }
    return { segment, declared, map: settled(map, yield* read()) }
  } finally {
    file.close()
  }
}

/**
 * What of the newest segment of a living log is really damaged: a write under way looks torn too, but a moment later it
 * is whole, and what is then under way is another one. The map ends before the first hole that is new.
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
