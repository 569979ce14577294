/**
 * The part of a damaged log that members can go on with: groups that follow each other, from the
 * beginning of the log or from a snapshot on. The groups after the next damage are lost. It reads and
 * decides; `cluster-loss.ts` cuts the log there.
 */
import { isKeelsonError } from '../../errors.ts'
import {
  isSamePosition,
  type SharedGroup,
  type SharedHead,
  type SharedLog,
  type SharedPosition,
  sharedStart,
} from '../ports/shared-log.ts'
import { decodeGroup } from '../shared/group-frames.ts'

/** The bytes that one read transfers. */
const readBytes = 1024 * 1024

/** Groups that verify, and follow each other. */
export type Run = { readonly after: SharedPosition; readonly end: SharedPosition }

/** The runs of a log, in order. Reads all of its groups. */
export const runsOf = async (log: SharedLog, { logId }: SharedHead): Promise<readonly Run[]> => {
  const runs: Run[] = []
  let isWhole = false
  for (let next = 0; ; ) {
    const reading = await log.salvage(next, readBytes)
    for (const group of reading.groups) {
      const before = runs.at(-1)
      const isSound = verifies(logId, group)
      if (isSound && isWhole && before && isSamePosition(before.end, group.after))
        runs[runs.length - 1] = { after: before.after, end: group.end }
      else if (isSound) runs.push({ after: group.after, end: group.end })
      isWhole = isSound
    }
    if (reading.next <= next) return runs
    next = reading.next
  }
}

const verifies = (logId: string, group: SharedGroup): boolean => {
  try {
    decodeGroup(logId, group)
    return true
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}

/**
 * The head of the last run that the rows can be rebuilt from; an empty log if there is none.
 * `snapshots`: the whole ones in the engine. Pure.
 */
export const soundHead = (
  head: SharedHead,
  runs: readonly Run[],
  snapshots: SharedHead['snapshots'],
): SharedHead => {
  const within = ({ after, end }: Run) =>
    snapshots.filter(({ lsn }) => lsn >= after.lsn && lsn <= end.lsn)
  const run = runs.findLast((each) => each.after.lsn === 0 || within(each).length > 0)
  const { trimmed } = head
  if (!run) return { ...head, end: sharedStart, trimmed: { lsn: 0, mark: '' }, snapshots: [] }
  const kept = within(run)
  const { after, end } = run
  const isRight =
    after.lsn > 0 && trimmed.lsn >= after.lsn && kept.some(({ lsn }) => lsn >= trimmed.lsn)
  return {
    ...head,
    end,
    trimmed: isRight ? trimmed : { lsn: after.lsn, mark: '' },
    snapshots: kept,
  }
}
