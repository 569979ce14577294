/**
 * The way back after the engine lost what it had acknowledged: what is known of the loss, and its
 * acceptance. The log is cut where the damage begins. An acceptance is counted, and a member whose
 * cache is of an earlier count empties it: its rows may be the lost ones.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, isKeelsonError } from '../../errors.ts'
import {
  type EngineFiles,
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  type EnginePosition,
  type EngineSession,
  engineStart,
  entryText,
  isSamePosition,
} from '../../storage/index.ts'
import { decodeGroup } from '../engine-log/group-frames.ts'
import { makeLogs } from '../engine-log/owned-log-host.ts'
import { stateName, statesAmong } from '../engine-log/snapshot-names.ts'
import {
  doubtEntry,
  factsIn,
  instanceEntry,
  type Loss,
  lostEntry,
} from '../leases/cluster-directory.ts'
import { logOf, refuseRunning } from './cluster-survey.ts'

/** A shard that is marked, or in whose log one member has read damage: a person may judge it, too. */
export type LostShard = Loss & {
  /** The log as far as the engine has it whole; absent: the engine has none. */
  readonly head?: EngineHead
}

/** The loss of a shard, and its log. @throws KeelsonError `INVALID_ARGUMENT` if none is marked */
export const findLoss = async (session: EngineSession, shard: number): Promise<LostShard> => {
  const { losses, doubts } = factsIn(await session.directory.view())
  const found = [...losses, ...doubts]
  const loss = found.find((each) => each.shard === shard)
  if (loss) {
    const cut = await cutOf(session, shard)
    return { ...loss, ...(cut && { head: cut.to }) }
  }
  const marked = found.map((each) => each.shard).join(', ')
  throw invalidArgument('shard', `a lost shard: ${marked || 'none is'}`, shard)
}

/**
 * The present head of a shard's log, and the head of its sound part; `undefined` if the engine has
 * no log.
 */
const cutOf = async (session: EngineSession, shard: number) => {
  const { head: from } = await logOf(session, shard)
  if (!from) return undefined
  const runs = await runsOf(session.log(`${shard}`), from)
  const there = await Promise.all(
    from.snapshots.map(async ({ file }) => {
      const size = await session.files.size(`shard-${shard}/${file}`)
      return size !== undefined && file.split('-').at(-2) === `${size}`
    }),
  )
  const snapshots = from.snapshots.filter((_, at) => there[at])
  return { from, to: soundHead(from, runs, snapshots) }
}

/**
 * Cuts the log where its damage begins, with the states of applications that were saved later. A log
 * that is gone is made again: members make none in a cluster that is there.
 */
const cutLog = async (session: EngineSession, clock: Clock, shard: number): Promise<void> => {
  const cut = await cutOf(session, shard)
  await cutStates(session, shard, cut?.to.end ?? engineStart)
  if (cut) await session.log(`${shard}`).replace(cut.from, cut.to)
  // This one alone: another log that is gone is a loss that nobody has accepted.
  else await makeLogs(() => session.log(`${shard}`), clock, 1)
}

/**
 * Removes the states that have more than the log. Those of later epochs become the last ones of the
 * log's epoch: the next owner begins the epoch after that, and would save states that count less
 * than one of a later epoch.
 */
const cutStates = async (
  { files }: EngineSession,
  shard: number,
  end: EnginePosition,
): Promise<void> => {
  const prefix = `shard-${shard}/`
  const names = await files.list(`${prefix}state-`)
  const saved = statesAmong(names.map((name) => name.slice(prefix.length)))
  let seq = Math.max(0, ...saved.map((each) => (each.epoch === end.epoch ? each.seq : 0)))
  for (const { name, epoch, lsn, sum } of saved) {
    if (lsn <= end.lsn && epoch <= end.epoch) continue
    const kept = stateName({ epoch: end.epoch, seq: ++seq, lsn, sum })
    if (lsn <= end.lsn) await copyFile(files, prefix + name, prefix + kept)
    await files.remove(prefix + name)
  }
}

/** Copies a file, unless the engine has lost some of it. */
const copyFile = async (files: EngineFiles, from: string, to: string): Promise<void> => {
  try {
    await files.put(to, files.read(from))
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
  }
}

/**
 * Accepts the loss of a shard: members start it again, with what the engine has. After a failure it
 * may be repeated.
 * @throws KeelsonError `CONFLICT` while a member runs; `CLOSED` when `signal` was aborted
 */
export const acceptLoss = async (
  session: EngineSession,
  clock: Clock,
  signal: AbortSignal,
  shard: number,
): Promise<void> => {
  await refuseRunning(session, clock, signal)
  await cutLog(session, clock, shard)
  const { directory } = session
  const view = await directory.view()
  const { terms } = factsIn(view)
  if (terms) {
    const next = entryText(instanceEntry, { ...terms, losses: terms.losses + 1 })
    const before = view.entries.get(instanceEntry)?.revision ?? 0
    await directory.set(instanceEntry, before, next)
  }
  for (const name of [doubtEntry(shard), lostEntry(shard)]) {
    const entry = view.entries.get(name)
    if (entry) await directory.set(name, entry.revision)
  }
}

// The part of a damaged log that members can go on with: groups that follow each other, from the
// beginning of the log or from a snapshot on. The groups after the next damage are lost. It reads and
// decides; `cluster-loss.ts` cuts the log there.

/** The bytes that one read transfers. */
const readBytes = 1024 * 1024

/** Groups that verify, and follow each other. */
export type Run = { readonly after: EnginePosition; readonly end: EnginePosition }

/** The runs of a log, in order. Reads all of its groups. */
export const runsOf = async (log: EngineLog, { logId }: EngineHead): Promise<readonly Run[]> => {
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

const verifies = (logId: string, group: EngineGroup): boolean => {
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
const soundHead = (
  head: EngineHead,
  runs: readonly Run[],
  snapshots: EngineHead['snapshots'],
): EngineHead => {
  const within = ({ after, end }: Run) =>
    snapshots.filter(({ lsn }) => lsn >= after.lsn && lsn <= end.lsn)
  const run = runs.findLast((each) => each.after.lsn === 0 || within(each).length > 0)
  const { trimmed } = head
  if (!run) return { ...head, end: engineStart, trimmed: { lsn: 0, mark: '' }, snapshots: [] }
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
