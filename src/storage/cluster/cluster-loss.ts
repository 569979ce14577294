/**
 * The way back after the engine lost what it had acknowledged: what is known of the loss, and its
 * acceptance. The log is cut where the damage begins. An acceptance is counted, and a member whose
 * cache is of an earlier count empties it: its rows may be the lost ones.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import { entryText, type SharedSession } from '../ports/shared-engine.ts'
import type { SharedHead } from '../ports/shared-log.ts'
import { factsIn, instanceEntry, type Loss, lostEntry } from '../shared/cluster-directory.ts'
import { makeLogs } from '../shared/shared-log-host.ts'
import { statesAmong } from '../shared/snapshot-names.ts'
import { logOf, refuseRunning } from './cluster-survey.ts'
import { runsOf, soundHead } from './sound-part.ts'

/** A marked shard. */
export type LostShard = Loss & {
  /** The log as far as the engine has it whole; absent: the engine has none. */
  readonly head?: SharedHead
}

/** The loss of a shard, and its log. @throws KeelsonError `INVALID_ARGUMENT` if none is marked */
export const findLoss = async (session: SharedSession, shard: number): Promise<LostShard> => {
  const { losses } = factsIn(await session.directory.view())
  const loss = losses.find((each) => each.shard === shard)
  if (loss) {
    const cut = await cutOf(session, shard)
    return { ...loss, ...(cut && { head: cut.to }) }
  }
  const marked = losses.map((each) => each.shard).join(', ')
  throw invalidArgument('shard', `a lost shard: ${marked || 'none is'}`, shard)
}

/** The head of a shard's log, and the one that is sound; `undefined` if the engine has no log. */
const cutOf = async (session: SharedSession, shard: number) => {
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
const cutLog = async (session: SharedSession, clock: Clock, shard: number): Promise<void> => {
  const cut = await cutOf(session, shard)
  if (!cut) {
    // This one alone: another log that is gone is a loss that nobody has accepted.
    await makeLogs(() => session.log(`${shard}`), clock, 1)
    return
  }
  const prefix = `shard-${shard}/`
  const names = await session.files.list(`${prefix}state-`)
  for (const { name, lsn } of statesAmong(names.map((each) => each.slice(prefix.length))))
    if (lsn > cut.to.end.lsn) await session.files.remove(prefix + name)
  await session.log(`${shard}`).replace(cut.from, cut.to)
}

/**
 * Accepts the loss of a shard: members start it again, with what the engine has. After a failure it
 * may be repeated.
 * @throws KeelsonError `CONFLICT` while a member runs; `CLOSED` when `signal` was aborted
 */
export const acceptLoss = async (
  session: SharedSession,
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
  const name = lostEntry(shard)
  await directory.set(name, view.entries.get(name)?.revision ?? 0)
}
