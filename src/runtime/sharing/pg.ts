/**
 * Process groups, as OTP's `pg`: any process may be a member of any group, also several times, and
 * a process that watches a group is sent each change. A group needs no start: it is there while it
 * has a member. When a process ends, its memberships are gone before its end is announced. Groups
 * belong to a System. Look-ups read memory: no message and no waiting.
 *
 * Names of groups are compared by content: arrays and plain objects are fine.
 */
import { argument, listOf } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { GroupMonitor } from '../names/process-groups.ts'
import { send } from '../process/messaging.ts'
import { type Kernel, livingOf, type Process, processOf } from '../process/process.ts'
import type { Context, System } from '../server/gen-server.ts'
import { kernelOf } from '../server/system.ts'
import { addressOf, isRef, noProcess, noRef, type Ref } from '../words/address.ts'
import type { InfosOf, NameIn, With } from '../words/messages.ts'

declare const member: unique symbol

/** The name of a group whose members understand `M`. `group<M>('orders')` types one. */
export type Group<M = unknown> = {
  readonly [member]: M
}

/** Anything that names a group: typed by `group`, or a plain value. */
export type GroupName<M = unknown> = Group<M> | PlainName

/** A group that was named without types. */
type PlainName = string | number | bigint | symbol | readonly unknown[]

/** A monitor of one group, or of all. */
export interface Monitor {
  toString(): string
}

/**
 * The payload of the info `pg`: processes have joined or left a group. A process occurs as often as
 * it has joined or left.
 */
export interface Change<M = unknown> {
  readonly event: 'join' | 'leave'
  readonly monitor: Monitor
  readonly group: GroupName<M>
  readonly members: readonly Ref<M>[]
}

/** The context of a process that watches: it understands the info `pg`. */
export interface Watcher<M = unknown> extends Pick<Context<never>, 'to'> {
  readonly self: Ref<{ infos: { pg: (change: Change<M>) => void } }>
}

/** Where a group is looked up: a System, or the context of a process in it. */
export type Where = System | (Pick<Context<never>, 'to'> & { readonly self: Ref })

/** Types a value as the name of a group whose members understand `M`. */
export const group = <M = unknown>(key: PlainName | object): Group<M> => key as Group<M>

/**
 * Adds one membership for each process. The order and number of joins count: a process that has
 * joined twice is a member twice. A process that has ended joins nothing, as in OTP. Throws
 * `NO_PROCESS` for a name that no process has, `INVALID_ARGUMENT` for a process of another System,
 * `EXITED` in code of a process that has ended.
 */
export const join = <M>(
  where: Where,
  name: GroupName<M>,
  members: Ref<NoInfer<M>> | readonly Ref<NoInfer<M>>[],
): void => {
  const kernel = changing(where)
  kernel.names.groups.join(name, processesOf(kernel, members))
}

/**
 * Takes back one membership of each process. False: none of them was a member (OTP: `not_joined`).
 * Throws like `join`.
 */
export const leave = <M>(
  where: Where,
  name: GroupName<M>,
  members: Ref<NoInfer<M>> | readonly Ref<NoInfer<M>>[],
): boolean => {
  const kernel = changing(where)
  return kernel.names.groups.leave(name, processesOf(kernel, members))
}

/**
 * The members in the order of their first joins, each as often as it has joined (OTP's
 * `get_members`).
 */
export const members = <M>(where: Where, name: GroupName<M>): Ref<M>[] =>
  kernelOf(where)
    .names.groups.members(name)
    .map((process) => process.address)

/** The groups that have a member, oldest first (OTP's `which_groups`). */
export const groups = (where: Where): GroupName[] => kernelOf(where).names.groups.keys as Group[]

/**
 * Sends an info to each member, as often as it has joined. Returns how many of these messages were
 * admitted: a mailbox may be full. Through a context the messages have a sender and keep its order.
 */
export const broadcast = <M, N extends NameIn<InfosOf<M>>>(
  where: Where,
  name: GroupName<M>,
  info: N,
  ...payload: With<InfosOf<M>[N]>
): number =>
  members(where, name).filter((ref) =>
    send('self' in where ? where.to(ref) : ref, info, ...payload),
  ).length

/**
 * Watches a group: from now on each change arrives as the info `pg` with a `Change`, after the
 * members of this moment, which are returned. The mailbox never refuses it. The watch ends with
 * `demonitor` or with the process.
 */
export const monitor = <M>(
  context: Watcher<NoInfer<M>>,
  name: GroupName<M>,
): { readonly monitor: Monitor; readonly members: Ref<M>[] } => {
  const owner = livingOf(context)
  return {
    monitor: owner.kernel.names.groups.watch(owner, { key: name }),
    members: members(context, name),
  }
}

/** Watches all groups of the System, as `monitor` does one (OTP's `monitor_scope`). */
export const monitorAll = (
  context: Watcher,
): { readonly monitor: Monitor; readonly groups: readonly [GroupName, Ref[]][] } => {
  const owner = livingOf(context)
  return {
    monitor: owner.kernel.names.groups.watch(owner),
    groups: groups(context).map((name) => [name, members(context, name)]),
  }
}

/**
 * Ends a watch of this process, and removes its changes from the mailbox. False: it had ended.
 * Throws `INVALID_ARGUMENT` for a monitor of another process.
 */
export const demonitor = (context: Watcher<never>, monitor: Monitor): boolean => {
  const owner = processOf(context)
  if (!(monitor instanceof GroupMonitor) || monitor.owner !== owner)
    throw new KeelsonError('INVALID_ARGUMENT', `${owner} does not hold this monitor`)
  return owner.kernel.names.groups.unwatch(monitor)
}

/** The System in which `where` may change groups. */
const changing = (where: Where): Kernel => {
  const kernel = kernelOf(where)
  return 'self' in where ? livingOf(where).kernel : kernel
}

const refs = listOf<Ref, Ref>((found) => {
  if (isRef(found)) return found
  throw noRef(found)
}, 'processes')

const processesOf = (kernel: Kernel, members: Ref | readonly Ref[]): Process[] =>
  (isRef(members) ? [members] : refs(members, argument('members'))).map((ref) => {
    const process = addressOf<Process>(ref).resolve()
    if (process === undefined) throw noProcess(ref)
    if (process.kernel !== kernel) throw invalidArgument('members', 'a process of the System', ref)
    return process
  })
