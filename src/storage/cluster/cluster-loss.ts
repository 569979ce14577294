/**
 * The way back after the engine lost what it had acknowledged: what is known of the loss, and its
 * acceptance. An acceptance is counted, and a member whose cache is of an earlier count empties it:
 * its rows may be the lost ones.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { SharedSession } from '../ports/shared-engine.ts'
import type { SharedHead } from '../ports/shared-log.ts'
import {
  type ClusterTerms,
  factsIn,
  instanceEntry,
  type Loss,
  lostEntry,
} from '../shared/cluster-directory.ts'
import { logOf, surveyCluster } from './cluster-survey.ts'

/** A marked shard. */
export type LostShard = Loss & {
  /** The log as the engine has it; absent: the engine has none. */
  readonly head?: SharedHead
}

/** The loss of a shard, and its log. @throws KeelsonError `INVALID_ARGUMENT` if none is marked */
export const findLoss = async (session: SharedSession, shard: number): Promise<LostShard> => {
  const { losses } = factsIn(await session.directory.view())
  const loss = losses.find((each) => each.shard === shard)
  if (loss) return { ...loss, ...(await logOf(session, shard)) }
  const marked = losses.map((each) => each.shard).join(', ')
  throw invalidArgument('shard', `a lost shard: ${marked || 'none is'}`, shard)
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
  const { members } = await surveyCluster(session, clock, signal)
  const running = members.find(({ lease }) => lease === 'held')
  if (running)
    throw new KeelsonError(
      'CONFLICT',
      `the member ${running.member} runs: stop all members first`,
      {
        details: { member: running.member },
      },
    )
  const { directory } = session
  const view = await directory.view()
  const { terms } = factsIn(view)
  if (terms) {
    const next: ClusterTerms = { ...terms, losses: terms.losses + 1 }
    const before = view.entries.get(instanceEntry)?.revision ?? 0
    await directory.set(instanceEntry, before, JSON.stringify(next))
  }
  const name = lostEntry(shard)
  await directory.set(name, view.entries.get(name)?.revision ?? 0)
}
