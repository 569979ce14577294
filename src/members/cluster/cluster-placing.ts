/**
 * Asks for a shard at a member, and waits until it is there. The request is an entry of the directory,
 * which stays: the members place their shards by it from now on.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type DirectoryView, type EngineSession, entryText } from '../../storage/index.ts'
import { factsIn } from '../leases/cluster-directory.ts'
import { holdIn, type Place, placeEntry, shardHold } from '../leases/shard-holds.ts'
import { leasedMember, untilMoved } from './cluster-survey.ts'

/** A shard is given within this time, in ms: its owner ends what it has begun, and others may move first. */
const movedMs = 30_000

/** Where a shard is asked for. */
export type PlacingParts = {
  readonly session: EngineSession
  readonly clock: Clock
  /** Aborting it ends the wait. The request stays. */
  readonly signal: AbortSignal
}

/** Where a shard is then. */
export type Placed = {
  readonly shard: number
  /** The member that has the shard; absent: no member has it. */
  readonly owner?: string
  /** The member that an operator asked for; absent: the members decide. */
  readonly place?: string
}

/**
 * Asks for a shard at `member`, and waits until that has it, for half a minute at most. Without
 * `member` the request is withdrawn, and nothing is waited for.
 * @throws KeelsonError `NO_SEGMENTS` without the cluster; `CONFIG` if one member has all shards;
 * `INVALID_ARGUMENT` for a shard or member that is not there; `NO_PROCESS` for a member that is gone;
 * `CLOSED` when `signal` was aborted; as the engine refuses
 */
export const placeShard = async (
  parts: PlacingParts,
  shard: number,
  member: string | undefined,
): Promise<Placed> => {
  const view = await ask(parts, shard, member)
  if (member === undefined) return { shard, ...ownerIn(view, shard) }
  const last = await untilThere(parts, shard, member)
  return { shard, ...ownerIn(last, shard), place: member }
}

const ownerIn = (view: DirectoryView, shard: number): Pick<Placed, 'owner'> => {
  const hold = holdIn(view, shardHold(shard))
  return hold ? { owner: hold.member } : {}
}

/** Writes the request, or withdraws it. Returns the directory before it. */
const ask = async (
  { session: { directory } }: PlacingParts,
  shard: number,
  member: string | undefined,
): Promise<DirectoryView> => {
  const name = placeEntry(shard)
  for (;;) {
    const view = await directory.view()
    check(view, shard, member)
    const entry = view.entries.get(name)
    const value = member === undefined ? undefined : entryText(name, { member } satisfies Place)
    if (entry?.value === value) return view
    try {
      await directory.set(name, entry?.revision ?? 0, value)
      return view
    } catch (error) {
      // Another command asks, too.
      if (!isKeelsonError(error, 'CONFLICT')) throw error
    }
  }
}

const check = (view: DirectoryView, shard: number, member: string | undefined): void => {
  const { terms } = factsIn(view)
  if (!terms) throw new KeelsonError('NO_SEGMENTS', 'the cluster was not made')
  if (terms.placement !== 'spread')
    throw new KeelsonError('CONFIG', 'one member has all shards of this cluster: drain that one')
  if (shard >= terms.shards)
    throw invalidArgument('shard', `a number from 0 to ${terms.shards - 1}`, shard)
  if (member !== undefined) leasedMember(view, member)
}

/** The directory in which a member has a shard. If it does not get it in time, the last one. */
const untilThere = async (
  { session: { directory }, clock, signal }: PlacingParts,
  shard: number,
  member: string,
): Promise<DirectoryView> => {
  const endsAt = clock.monotonic() + movedMs
  for (;;) {
    const view = await directory.view()
    const leftMs = endsAt - clock.monotonic()
    if (holdIn(view, shardHold(shard))?.member === member || leftMs <= 0) return view
    leasedMember(view, member)
    await untilMoved(directory, clock, view.revision, leftMs, signal)
  }
}
