/**
 * Examines the log of a shard with what else of its folder proves something about it. `doctor` and
 * salvage judge the same facts.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  type Disk,
  type KnownShard,
  type LogKnowledge,
  type LogVerification,
  type Progress,
  type ProjectionExamination,
  type SegmentEntry,
  surveyLog,
  verifying,
} from '../../storage/index.ts'

/** The log: its segments, and the verdict or why there is none. */
export type LogFacts = {
  readonly segments: readonly SegmentEntry[]
  readonly found?: LogVerification
  /** There is no log, or a newer version wrote it. */
  readonly refused?: KeelsonError
}

/** The facts about a log that the folder and the projection prove. `isLive`: an instance has it open. */
export const knowledgeOf = (
  { walId, floor }: KnownShard,
  projection: ProjectionExamination,
  isLive: boolean,
): LogKnowledge => {
  const shown = projection.state === 'sound' ? projection.position : undefined
  const proofs = { ...(walId !== undefined && { walId }), ...(floor && { floor }) }
  return { isLive, holdsUnits: true, ...proofs, ...(shown && { shown }) }
}

/** Segments with readable headers; none if the log is of a newer version. */
export const segmentsIn = (disk: Disk, dir: string): readonly SegmentEntry[] => {
  try {
    return disk.entry(dir)?.kind === 'folder' ? surveyLog(disk, dir).segments : []
  } catch (error) {
    if (isKeelsonError(error, 'UNSUPPORTED_VERSION')) return []
    throw error
  }
}

/** Verifies the log in `dir`, and yields its progress. @throws DiskError */
export function* examiningLog(
  disk: Disk,
  dir: string,
  knowledge: LogKnowledge,
): Generator<Progress, LogFacts> {
  const segments = segmentsIn(disk, dir)
  try {
    return { segments, found: yield* verifying(disk, dir, knowledge) }
  } catch (error) {
    if (!isKeelsonError(error, 'NO_SEGMENTS') && !isKeelsonError(error, 'UNSUPPORTED_VERSION'))
      throw error
    return { segments, refused: error }
  }
}
