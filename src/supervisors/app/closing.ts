/**
 * The orderly end of an instance. Durable actors begin no new work, and running work has most of the
 * time to end. The user's tree ends next, with the storage open. Then no write is admitted, admitted
 * writes settle, projections are flushed once, and the rest of the tree stops in reverse order. A
 * part that is late is cut off, as by a kill, and reported.
 */

import { type Access, leaveNow } from '../../actors/index.ts'
import { leftUntil } from '../../clock.ts'
import { isGone, KeelsonError, reasonText } from '../../errors.ts'
import {
  type Name,
  type Ref,
  type SupervisorMessages,
  type System,
  stopProcess,
  terminateChild,
  type Via,
} from '../../runtime/index.ts'
import type { Shard } from '../tree/shard.ts'
import { treeNames } from '../tree/shard-tree.ts'
import { durableActors } from '../users-tree/durable-parts.ts'
import type { AppContext } from './app-context.ts'
import type { MemberLinks } from './member-links.ts'

/** The work that the deadline of `close` cut off. */
export type CutOff =
  /**
   * A step (`continue charge`), an alarm, `background` work or a machine's promise (`promise charge`)
   * of a durable actor (`order/42`); a step of a workflow (`step charge` of `$flow-order/42`) or a
   * job of a queue (`job 7` of `$queue-mails/queue`).
   */
  | { readonly part: 'work'; readonly actor: string; readonly what: string }
  /** A process of the user's tree that was killed. */
  | { readonly part: 'process'; readonly process: string }
  /** Writes of a shard whose callers had no answer yet. They settle while its log closes. */
  | { readonly part: 'writes'; readonly shard: number; readonly count: number }
  /** A projection that does not show all of its log. The next start continues it. */
  | { readonly part: 'projection'; readonly shard: number; readonly reason: string }

/** The result of `close`. `cutOff` is empty after an end in good order. */
export type CloseReport = { readonly cutOff: readonly CutOff[] }

/** The user's tree: the id of its root in its supervisor, and the name of its root. */
export type UserTree = { readonly id: string; readonly name: Name | Via }

/** The parts of an instance that closing uses. */
export type Closable = {
  readonly system: System
  readonly shards: readonly Shard[]
  readonly root: Ref<SupervisorMessages>
  readonly userTree: UserTree | undefined
  /** The handles and the access of the user's processes. */
  readonly inside: AppContext
  readonly insideAccess: Access
  /** The other members of its folder. They send no more calls to actors here. */
  readonly members: Pick<MemberLinks, 'answered'> | undefined
}

/** Closes an instance whose callers outside are refused already. */
export const closeInOrder = async (
  { system, shards, root, userTree, inside, insideAccess, members }: Closable,
  deadlineMs: number,
): Promise<CloseReport> => {
  const endsAt = system.clock.monotonic() + deadlineMs
  const left = () => leftUntil(system.clock, endsAt)
  const { work } = inside[durableActors].entities
  if (!(await within(system, deadlineMs * workShare, work.drained()))) work.expire()
  if (members) await within(system, Math.min(answersMs, left()), members.answered())
  const killed = userTree ? await endUserTree(system, inside.instance, userTree, left()) : []
  // Appends that wait for room in a stream are outside of the gate. Where writes are suspended, or an owner elsewhere is away,
  // they would wait for ever.
  await within(system, Math.min(appendsMs, left()), inside.streams.drained())
  const refusal = new KeelsonError('CLOSED', 'the instance is closing')
  for (const shard of shards) shard.beginClose(refusal)
  const undecided = await drain(system, shards, left())
  const unflushed = await flush(inside, shards, left)
  insideAccess.end('the instance is closed')
  for (const shard of shards) shard.close()
  // The logs get all the time they need.
  await stopProcess(root, 'shutdown').catch(unlessGone)
  const late = work.late.map((each): CutOff => ({ part: 'work', ...each }))
  return { cutOff: [...late, ...killed, ...undecided, ...unflushed] }
}

/** The calls of other members have so long. Some wait for what takes days. */
const answersMs = 1_000

/** Appends that wait for room in their streams have so long. */
const appendsMs = 1_000

/** The part of the deadline that running work has. The rest is for writes and projections. */
const workShare = 0.8

/** Ends the user's tree as its supervisor does; kills what is left of it after `ms`. */
const endUserTree = async (
  system: System,
  instance: string,
  { id, name }: UserTree,
  ms: number,
): Promise<CutOff[]> => {
  // While `services` restarts, no process answers: a start of the tree is refused then.
  const ended = terminateChild(system.to(treeNames(instance).services), id).catch(unlessGone)
  if (await within(system, ms, ended)) return []
  return killBelow(system, name).map((process) => ({ part: 'process', process }))
}

/**
 * Kills a process and all its descendants: a process that traps exits would outlive it. Returns the
 * ones that held up the others: they had no children.
 */
const killBelow = (system: System, root: Name | Via): string[] => {
  const top = system.info(root)
  if (!top) return []
  // Processes are listed oldest first, so parents come before their children.
  const doomed = new Map([[top.pid, top]])
  for (const each of system.processes().sort((a, b) => a.pid - b.pid))
    if (each.parent !== undefined && doomed.has(each.parent)) doomed.set(each.pid, each)
  const parents = new Set([...doomed.values()].map(({ parent }) => parent))
  const last = [...doomed.values()].filter(({ pid }) => !parents.has(pid))
  for (const { ref } of doomed.values()) system.kill(ref)
  return last.map(({ name, label, pid }) => `${name ?? label ?? ''}<${pid}>`)
}

/** Waits until every admitted write that can be decided has its answer, for at most `ms`. */
const drain = async (system: System, shards: readonly Shard[], ms: number): Promise<CutOff[]> => {
  await Promise.all(shards.map((shard) => drainShard(system, shard, ms)))
  return shards.flatMap(({ index, gate }) =>
    gate.load.entered > 0 ? [{ part: 'writes', shard: index, count: gate.load.entered }] : [],
  )
}

/** Waits until every write of a shard has its answer, for at most `ms`. */
export const drainShard = async (system: System, shard: Shard, ms: number): Promise<void> => {
  // From here on no write waits for a window.
  leaveNow(system, shard)
  // Of a shard that is down, writes may be open that nobody can decide now.
  await within(system, ms, shard.unlessStill(shard.gate.passed().then(() => shard.gate.idle())))
}

/** Flushes each projection once. A suspended one stays as it is; the log has the rest. */
const flush = async (
  { control }: AppContext,
  shards: readonly Shard[],
  left: () => number,
): Promise<CutOff[]> => {
  const open = shards.filter(
    ({ phase, suspensions }) => phase.kind === 'open' && !suspensions.byToken.size,
  )
  const late = await Promise.all(
    open.map(({ index }) =>
      control.flush(index, { timeoutMs: left() }).then(
        () => [],
        (error: unknown): CutOff[] => [
          { part: 'projection', shard: index, reason: reasonText(error) },
        ],
      ),
    ),
  )
  return late.flat()
}

/** A process that has ended already is as it should be. */
const unlessGone = (error: unknown): void => {
  if (!isGone(error)) throw error
}

/** Waits for `done`, for at most `ms`. False: it was not done. */
export const within = async (
  system: System,
  ms: number,
  done: Promise<unknown>,
): Promise<boolean> => {
  let cancel = (): void => undefined
  const late = new Promise<boolean>((resolve) => {
    cancel = system.clock.after(ms, () => resolve(false))
  })
  const inTime = await Promise.race([late, done.then(() => true)])
  cancel()
  return inTime
}

/** The report as one line, for the log. */
export const cutOffText = (cutOff: readonly CutOff[]): string => {
  const shown = cutOff.slice(0, shownMax).map((each) => {
    if (each.part === 'work') return `${each.what} of ${each.actor} was cut off`
    if (each.part === 'process') return `killed ${each.process}`
    if (each.part === 'writes') return `${each.count} writes of shard ${each.shard} undecided`
    return `the projection of shard ${each.shard} is behind (${each.reason})`
  })
  const more = cutOff.length - shown.length
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ')
}

/** The parts that one line names. */
const shownMax = 20
