/**
 * Asks a member to end in order, and waits until it has given its lease back and another member
 * owns. The request is an entry of the directory that names the start of the member.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import { type DirectoryView, type EngineSession, entryText } from '../../storage/index.ts'
import { type Drain, drainEntry, factsIn, type MemberEntry } from '../leases/cluster-directory.ts'
import { holdIn, shardHold } from '../leases/shard-holds.ts'
import { goneMember, leasedMember, leaseMsDefault, untilMoved } from './cluster-survey.ts'

/** The others take the shards of a member that has ended within this time, in ms. */
const sharedMs = 5_000

/** The progress of a drain. */
export type DrainStep = 'asked' | 'released'

/** How a drain ended. */
export type Drained = {
  readonly member: string
  /** Whether it owned the instance. */
  readonly wasOwner: boolean
  /** The shards that were down there. The next owner opens them. */
  readonly down: readonly number[]
  /** The member that owns then; absent: no other member took over. */
  readonly owner?: string
  /** Where each shard has an owner: the shards that have none then. */
  readonly unowned?: readonly number[]
}

/** Where a drain takes place, and who hears of it. */
export type DrainParts = {
  readonly session: EngineSession
  readonly clock: Clock
  /** Aborting it ends the wait. The request stays. */
  readonly signal: AbortSignal
  readonly onStep: (step: DrainStep) => void
}

/**
 * Drains a member.
 * @throws KeelsonError `INVALID_ARGUMENT` for a member that was never there; `NO_PROCESS` for one
 * that is gone: its lease has ended, or it does not renew it; `CLOSED` when `signal` was aborted; as
 * the engine refuses
 */
export const drainMember = async (parts: DrainParts, member: string): Promise<Drained> => {
  const { onStep } = parts
  const { view, entry } = await ask(parts, member)
  onStep('asked')
  const { incarnation, down = [] } = entry
  const wasOwner = factsIn(view).owner?.incarnation === incarnation
  const released = await untilReleased(parts, entry, view)
  onStep('released')
  const { terms } = factsIn(view)
  if (terms?.placement === 'spread') {
    const unowned = await untilShared(parts, terms.shards, released)
    await withdraw(parts, member)
    return { member, wasOwner: false, down, unowned }
  }
  const last = wasOwner ? await untilOwned(parts, incarnation, released) : released
  await withdraw(parts, member)
  const { owner } = factsIn(last)
  const isOwned = owner !== undefined && owner.incarnation !== incarnation
  return { member, wasOwner, down, ...(isOwned && { owner: owner.member }) }
}

/** Writes the request. Returns the directory before it, and what that has of the member. */
const ask = async (
  { session: { directory } }: DrainParts,
  member: string,
): Promise<{ readonly view: DirectoryView; readonly entry: MemberEntry }> => {
  for (;;) {
    const view = await directory.view()
    const entry = leasedMember(view, member)
    if (entry.isLeaving) return { view, entry }
    const name = drainEntry(member)
    const revision = view.entries.get(name)?.revision ?? 0
    try {
      const { incarnation } = entry
      await directory.set(name, revision, entryText(name, { incarnation } satisfies Drain))
      // The member may have ended by the next view.
      return { view, entry }
    } catch (error) {
      // Another command asks for the same.
      if (!isKeelsonError(error, 'CONFLICT')) throw error
    }
  }
}

/** The directory in which the start of a member has no lease. */
const untilReleased = async (
  parts: DrainParts,
  { member, incarnation, leaseMs = leaseMsDefault, revision }: MemberEntry,
  first: DirectoryView,
): Promise<DirectoryView> => {
  const { session, clock, signal } = parts
  let renewal = revision
  let renewedAt = clock.monotonic()
  for (let view = first; ; view = await session.directory.view()) {
    const entry = factsIn(view).members.find((each) => each.member === member)
    if (entry?.incarnation !== incarnation || entry.ended) return view
    const now = clock.monotonic()
    if (renewal !== entry.revision) {
      renewal = entry.revision
      renewedAt = now
    }
    const leftMs = renewedAt + leaseMs - now
    if (leftMs <= 0) {
      await withdraw(parts, member)
      throw goneMember(member, `it has not renewed its lease for ${leaseMs} ms`)
    }
    await untilMoved(session.directory, clock, view.revision, leftMs, signal)
  }
}

/** The directory in which another member owns. If no member takes over in time, the last one. */
const untilOwned = async (
  { session: { directory }, clock, signal }: DrainParts,
  incarnation: string,
  first: DirectoryView,
): Promise<DirectoryView> => {
  const began = clock.monotonic()
  for (let view = first; ; view = await directory.view()) {
    const { members, owner } = factsIn(view)
    const waitMs = members.map(({ ended, leaseMs = leaseMsDefault }) => (ended ? 0 : leaseMs))
    const leftMs = began + Math.max(0, ...waitMs) - clock.monotonic()
    if (owner?.incarnation !== incarnation || leftMs <= 0) return view
    await untilMoved(directory, clock, view.revision, leftMs, signal)
  }
}

/** The shards that no member has, when the others have had the time to take them. */
const untilShared = async (
  { session: { directory }, clock, signal }: DrainParts,
  shards: number,
  first: DirectoryView,
): Promise<readonly number[]> => {
  const endsAt = clock.monotonic() + sharedMs
  for (let view = first; ; view = await directory.view()) {
    const all = Array.from({ length: shards }, (_, shard) => shard)
    const unowned = all.filter((shard) => !holdIn(view, shardHold(shard)))
    const leftMs = endsAt - clock.monotonic()
    if (unowned.length === 0 || leftMs <= 0 || isAlone(view)) return unowned
    await untilMoved(directory, clock, view.revision, leftMs, signal)
  }
}

const isAlone = (view: DirectoryView): boolean => factsIn(view).members.every(({ ended }) => ended)

/** Removes the request. */
const withdraw = async ({ session: { directory } }: DrainParts, member: string): Promise<void> => {
  const name = drainEntry(member)
  const entry = (await directory.view()).entries.get(name)
  if (!entry) return
  try {
    await directory.set(name, entry.revision)
  } catch (error) {
    // It asks another start by now.
    if (!isKeelsonError(error, 'CONFLICT')) throw error
  }
}
