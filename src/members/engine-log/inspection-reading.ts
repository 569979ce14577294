/** Inspects a log in an engine: reads what `engine-inspection.ts` judges. Changes nothing. */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  checkLogOptions,
  type EngineHead,
  type EngineLog,
  type EnginePosition,
  type FrameMark,
  type Inspection,
  type LogFeatures,
  type LogProtocol,
  type LossProof,
  type ProjectedPosition,
} from '../../storage/index.ts'
import { lossShown } from './append-verdict.ts'
import type { EndNote, NotedEnd } from './end-note.ts'
import type { EngineCalls } from './engine-calls.ts'
import { inspectionOf, lostLog, markIn, noFrame } from './engine-inspection.ts'
import { readGroupAt, readGroups } from './group-reading.ts'
import { markAt } from './owned-log.ts'

/** Inspects a log, for its next owner or for a follower. */
export const inspectLog = async (
  { log, calls, endNote, features }: Inspected,
  { options, evidence, needs }: LogProtocol['inspect']['request'],
): Promise<Inspection> => {
  checkLogOptions(options)
  const noted = endNote?.read()
  const head = await headOf(log, calls)
  const mark = await shownMark(log, calls, head, needs?.shown)
  const there = noted && (await positionAt(log, calls, head, noted))
  return inspectionOf(head, { evidence, needs, noted, reads: features.reads }, mark, there)
}

/** The bytes that one read transfers. */
const readBytes = 1024 * 1024

/**
 * Reads a whole log, as a member that has no cache, because another member has read damage in it.
 * `proof`: what the cache of that member shows. Resolves with the damage that this member reads;
 * `undefined`: none. @throws KeelsonError as the engine refuses
 */
export const lossIn = async (
  { log, calls, features }: Omit<Inspected, 'endNote'>,
  proof: LossProof | undefined,
): Promise<KeelsonError | undefined> => {
  try {
    const head = await headOf(log, calls)
    const { logId, end } = head
    const { walId = logId, lsn = 0, frame, end: noted } = proof ?? {}
    const shown = { epoch: 0, walId, lsn, ...(frame && { frame }) }
    const { reads } = features
    // The rows of a member without a cache begin with a snapshot, or with the log.
    inspectionOf(
      head,
      { evidence: [], needs: { readFrom: 1, base: { damaged: [] } }, reads },
      undefined,
    )
    const mark = await shownMark(log, calls, head, shown)
    const note = noted && { ...noted, logId: walId }
    const there = note && (await positionAt(log, calls, head, note))
    const knowledge = {
      evidence: [],
      needs: { readFrom: 1, shown },
      noted: note,
      reads,
    }
    const { firstLsn } = inspectionOf(head, knowledge, mark, there)
    for (let next = firstLsn; next <= end.lsn; )
      next =
        ((await readGroups({ log, calls, logId }, next, readBytes)).at(-1)?.group.end.lsn ?? next) +
        1
    return undefined
  } catch (error) {
    const loss = isKeelsonError(error) && error.details.isLoss === true ? error : lossShown(error)
    if (loss) return loss
    throw error
  }
}

/** A log, and the note of its end in the cache. */
type Inspected = {
  readonly log: EngineLog
  readonly calls: EngineCalls
  readonly endNote: Pick<EndNote, 'read'> | undefined
  readonly features: Pick<LogFeatures, 'reads'>
}

/** The end of the group at the noted LSN; `undefined` if the log does not have the LSN. */
const positionAt = async (
  log: EngineLog,
  calls: EngineCalls,
  { logId, end, trimmed }: EngineHead,
  noted: NotedEnd,
): Promise<EnginePosition | undefined> => {
  if (noted.logId !== logId || noted.lsn <= trimmed.lsn || noted.lsn > end.lsn) return undefined
  if (noted.lsn === end.lsn) return end
  return (await readGroupAt({ log, calls, logId }, noted.lsn)).group.end
}

/** The head. The log was made before the first member could begin. @throws KeelsonError `CORRUPT` */
const headOf = async (log: EngineLog, calls: EngineCalls): Promise<EngineHead> => {
  try {
    return await calls.ask(() => log.head())
  } catch (error) {
    throw isKeelsonError(error, 'NO_SEGMENTS') ? lostLog(error) : error
  }
}

/** The mark of the log at the position of a projection; absent if the log does not have the LSN. */
const shownMark = async (
  log: EngineLog,
  calls: EngineCalls,
  { logId, end, trimmed }: EngineHead,
  shown: ProjectedPosition | undefined,
): Promise<FrameMark | undefined> => {
  if (!shown || shown.walId !== logId) return undefined
  if (shown.lsn === trimmed.lsn) return markIn(trimmed.mark)
  if (shown.lsn < trimmed.lsn || shown.lsn > end.lsn) return undefined
  return markAt(await readGroupAt({ log, calls, logId }, shown.lsn), shown.lsn) ?? noFrame
}
