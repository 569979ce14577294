/**
 * A cluster as the engine shows it, with or without members that run. Only a change of its entry
 * shows that a member lives, so a survey waits for one: at most as long as a lease lasts.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Directory, DirectoryView, EngineHead, EngineSession } from '../../storage/index.ts'
import { type Doubt, factsIn, type Loss, type MemberEntry } from '../leases/cluster-directory.ts'
import type { Owner } from '../leases/member-lease.ts'
import { type Hold, holdIn, placesIn, shardHold } from '../leases/shard-holds.ts'

/**
 * The lease of a member, seen from outside. `held`: it was renewed during the survey. `silent`: it
 * was not renewed for as long as it lasts. `ended`: it was given back, or another member has ended
 * it.
 */
export type LeaseSeen = 'held' | 'silent' | 'ended'

/** A member, with its newest start. */
export type MemberSurvey = Omit<MemberEntry, 'ended' | 'revision'> & { readonly lease: LeaseSeen }

/** The log of a shard; without a head it was not made. */
export type LogSurvey = {
  readonly shard: number
  readonly head?: EngineHead
  /** The member that has the shard, where each shard has an owner. */
  readonly owner?: Pick<Hold, 'member' | 'epoch'>
  /** The member at which an operator wants it. */
  readonly place?: string
}

/** A cluster at one moment. */
export type ClusterSurvey = {
  /** `undefined`: the cluster was not made. */
  readonly shards: number | undefined
  /** How many machines must have what is acknowledged. */
  readonly copies: number | undefined
  /** Each shard has an owner. Absent: one member has all of them. */
  readonly placement?: 'spread'
  readonly members: readonly MemberSurvey[]
  /** The newest owner, also after its lease. */
  readonly owner: Owner | undefined
  readonly logs: readonly LogSurvey[]
  /** The shards that a member has found lost: no member starts them. */
  readonly losses: readonly Loss[]
  /** The shards in whose logs one member has read damage: the next owner judges. */
  readonly doubts: readonly Doubt[]
}

/** The lease of a member that is older than its entry says it. */
export const leaseMsDefault = 5_000

/** Looks at a cluster. @throws KeelsonError `CLOSED` when `signal` was aborted; as the engine refuses */
export const surveyCluster = async (
  session: EngineSession,
  clock: Clock,
  signal: AbortSignal,
): Promise<ClusterSurvey> => {
  const { view, leases } = await leasesSeen(session.directory, clock, signal)
  const { terms, owner, losses, doubts, members } = factsIn(view)
  const places = placesIn(view)
  const logs = Array.from({ length: terms?.shards ?? 0 }, async (_, shard) => {
    const owner = shardOwner(view, leases, shard)
    const place = places.get(shard)
    const log = await logOf(session, shard)
    return { ...log, ...(owner && { owner }), ...(place !== undefined && { place }) }
  })
  return {
    shards: terms?.shards,
    copies: terms?.copies,
    ...(terms?.placement && { placement: terms.placement }),
    owner,
    losses,
    doubts,
    logs: await Promise.all(logs),
    members: members.map(({ ended: _ended, revision: _revision, ...facts }) => ({
      ...facts,
      lease: leases.get(facts.member) ?? 'held',
    })),
  }
}

/** The member that has a shard, if it renews its lease. */
const shardOwner = (
  view: DirectoryView,
  leases: ReadonlyMap<string, LeaseSeen>,
  shard: number,
): LogSurvey['owner'] => {
  const hold = holdIn(view, shardHold(shard))
  if (!hold || leases.get(hold.member) !== 'held') return undefined
  const { member, epoch } = hold
  return { member, epoch }
}

/** @throws KeelsonError `CONFLICT` while a member runs; `CLOSED` when `signal` was aborted */
export const refuseRunning = async (
  session: EngineSession,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> => {
  const { members } = await surveyCluster(session, clock, signal)
  const running = members.find(({ lease }) => lease === 'held')
  if (!running) return
  throw new KeelsonError('CONFLICT', `the member ${running.member} runs: stop all members first`, {
    details: { member: running.member },
  })
}

/**
 * A member whose lease was not ended.
 * @throws KeelsonError `INVALID_ARGUMENT` for a member that was never there, `NO_PROCESS`
 */
export const leasedMember = (view: DirectoryView, name: string): MemberEntry => {
  const { members } = factsIn(view)
  const found = members.find(({ member }) => member === name)
  if (!found) {
    const known = members.map(({ member }) => member).join(', ')
    throw invalidArgument('member', known || 'a member: none was there', name)
  }
  if (found.ended) throw goneMember(name, 'its lease has ended')
  return found
}

/** The refusal of what needs a member that is gone. */
export const goneMember = (member: string, why: string): KeelsonError =>
  new KeelsonError('NO_PROCESS', `the member ${member} is gone: ${why}`, { details: { member } })

/** The log of a shard. */
export const logOf = async (session: EngineSession, shard: number): Promise<LogSurvey> => {
  try {
    return { shard, head: await session.log(`${shard}`).head() }
  } catch (error) {
    if (isKeelsonError(error, 'NO_SEGMENTS')) return { shard }
    throw error
  }
}

/** The leases of all members, and the last view of the directory. */
const leasesSeen = async (
  directory: Directory,
  clock: Clock,
  signal: AbortSignal,
): Promise<{
  readonly view: DirectoryView
  readonly leases: ReadonlyMap<string, LeaseSeen>
}> => {
  const began = clock.monotonic()
  const first = await directory.peek()
  const revisions = new Map(factsIn(first).members.map((each) => [each.member, each.revision]))
  const leases = new Map<string, LeaseSeen>()
  for (let view = first; ; view = await directory.peek()) {
    const passedMs = clock.monotonic() - began
    let leftMs = 0
    for (const { member, ended, revision, leaseMs = leaseMsDefault } of factsIn(view).members) {
      if (ended) leases.set(member, 'ended')
      else if (revision !== revisions.get(member)) leases.set(member, 'held')
      else if (passedMs >= leaseMs) leases.set(member, 'silent')
      else leftMs = Math.max(leftMs, leaseMs - passedMs)
    }
    if (leftMs === 0) return { view, leases }
    await untilMoved(directory, clock, view.revision, leftMs, signal)
  }
}

/**
 * Resolves when the directory may have a later revision than `revision`, at the latest after `ms`.
 * @throws KeelsonError `CLOSED` when `signal` is aborted
 */
export const untilMoved = async (
  directory: Directory,
  clock: Clock,
  revision: number,
  ms: number,
  signal: AbortSignal,
): Promise<void> => {
  const over = new AbortController()
  const cancel = clock.after(ms, () => over.abort())
  try {
    await directory.moved(revision, AbortSignal.any([signal, over.signal]))
  } finally {
    cancel()
  }
  if (signal.aborted) throw new KeelsonError('CLOSED', 'the command was ended')
}
