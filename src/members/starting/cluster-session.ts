/**
 * The session of a member with its engine, before it tries to own: the connection, the clocks, and
 * what all members have in common. It is apart from `member-start.ts` because none of it needs an
 * instance.
 */
import type { Clock } from '../../clock.ts'
import { configError, KeelsonError } from '../../errors.ts'
import type { EngineHead, EngineSession } from '../../storage/index.ts'
import type { Cluster } from '../../supervisors/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import type { DirectoryFacts } from '../leases/cluster-directory.ts'
import { type DirectoryParts, setOnce } from '../sharing/directory-entries.ts'
import { lostShard } from '../sharing/loss-witness.ts'

type Calls = InstanceType<EngineStorage['EngineCalls']>

/** A session with the engine, however long that takes. */
export const connected = (
  { name, engine, copies, leaseMs }: Cluster,
  calls: Calls,
): Promise<EngineSession> =>
  calls.ask(async () => {
    const session = await engine.open({ cluster: name, copies, leaseMs })
    // The start was given up while the engine was asked, so its session has no user.
    if (calls.ended) await session.close()
    return session
  })

/** A clock that differs by more would decide times to live, locks and alarms wrongly. */
const clockOffMaxMs = 10_000

/** Waits until the clock of this machine agrees with that of the engine. */
export const clocksAgree = (session: EngineSession, clock: Clock, calls: Calls): Promise<void> =>
  calls.ask(async () => {
    const before = clock.now()
    const there = await session.now()
    const aheadMs = Math.max(before - there, 0) || Math.min(clock.now() - there, 0)
    if (Math.abs(aheadMs) <= clockOffMaxMs) return
    const seconds = Math.round(Math.abs(aheadMs) / 1_000)
    const side = aheadMs > 0 ? 'ahead of' : 'behind'
    const message = `the clock of this machine is ${seconds} s ${side} the engine's`
    throw new KeelsonError('UNKNOWN_OUTCOME', message)
  })

/** The shards of a new cluster whose members share them, unless the options say otherwise. */
const shardsOfSpread = 64

/**
 * The terms of all members. The first member decides them, and makes the logs before: a log that is
 * missing later was lost, and so were terms that are missing beside a log with frames.
 * @throws KeelsonError `CONFIG` for other terms; `CONFLICT` while a folder is moved into the
 * cluster; `CORRUPT` if a shard has lost acknowledged writes, and nobody has accepted that, or if
 * the directory is damaged
 */
export const agreedTerms = async (
  parts: DirectoryParts,
  wanted: { readonly shards: number | undefined } & Pick<Cluster, 'copies' | 'placement'>,
  makeLogs: (shards: number) => Promise<readonly EngineHead[]>,
): Promise<NonNullable<DirectoryFacts['terms']>> => {
  const { storage, directory, calls } = parts
  const { instanceEntry } = storage.directory
  const { shards, copies, placement } = wanted
  for (let hasFrames = false; ; ) {
    const view = await calls.ask(() => directory.view())
    const { terms, losses, isMoving } = storage.directory.factsIn(view)
    if (isMoving) throw storage.directory.beingMoved()
    const [loss] = losses
    if (loss) throw lostShard(loss)
    if (terms) {
      if (shards !== undefined && shards !== terms.shards)
        throw configError('shards', `${terms.shards}, as the cluster was made with`, shards)
      if (copies !== terms.copies)
        throw configError('cluster.copies', `${terms.copies}, as the cluster has`, copies)
      const { placement: known = 'together' } = terms
      if (placement !== known)
        throw configError('cluster.placement', `${known}, as the cluster was made with`, placement)
      return terms
    }
    if (hasFrames) throw lostTerms(instanceEntry)
    const isSpread = placement === 'spread'
    const first = {
      shards: shards ?? (isSpread ? shardsOfSpread : 1),
      copies,
      losses: 0,
      ...(isSpread && { placement }),
    }
    const heads = await calls.ask(() => makeLogs(first.shards))
    // Another member may have been faster: then the terms are there by now.
    hasFrames = heads.some(({ end }) => end.lsn > 0)
    if (!hasFrames) await setOnce(parts, instanceEntry, first)
  }
}

const lostTerms = (entry: string): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the engine's directory has lost the entry ${entry}, and the logs of the cluster have frames; ` +
      'restore it, or make it again with `keelson cluster create --shards N`',
    { details: { entry } },
  )
