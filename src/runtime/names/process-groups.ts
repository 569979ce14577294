/**
 * The process groups of one System: the members of each group, and who watches it. A member may
 * join several times. The memberships of a process are gone when it ends, before its end is
 * announced. A process without any pays two look-ups at its end.
 */
import { showAsText } from '../../value-text.ts'
import type { Ref } from '../words/address.ts'
import { Envelope, kinds, type Message } from '../words/envelope.ts'
import { KeyIdentities } from './key-identities.ts'

/** A process that can join and watch groups. */
export interface GroupMember {
  readonly alive: boolean
  readonly address: Ref
  readonly mailbox: { removeAll(isOf: (message: Message) => boolean): void }
  deliver(message: Message): void
}

/** One group. */
interface Group<P> {
  readonly key: unknown
  readonly identity: unknown
  /** How often each member has joined, in the order of their first joins. */
  readonly counts: Map<P, number>
}

/** The groups that a process watches: one, or all when there is no `identity`. */
export class GroupMonitor<P extends GroupMember = GroupMember> {
  readonly owner: P
  readonly watches: { readonly identity: unknown } | undefined

  constructor(owner: P, watches: { readonly identity: unknown } | undefined) {
    this.owner = owner
    this.watches = watches
  }

  /** Logs and prompts show this, not the internal fields. */
  toString(): string {
    return `monitor of ${this.watches === undefined ? 'all groups' : 'a group'}`
  }
}

showAsText(GroupMonitor)

/** The name of the info that reports a change. */
const changeName = 'pg'

/** The groups of a System. */
export class ProcessGroups<P extends GroupMember> {
  readonly #identities = new KeyIdentities()
  readonly #groups = new Map<unknown, Group<P>>()
  readonly #byMember = new Map<P, Set<Group<P>>>()
  readonly #byWatcher = new Map<P, Set<GroupMonitor<P>>>()
  /** The monitors of one group, by its identity. */
  readonly #ofGroup = new Map<unknown, Set<GroupMonitor<P>>>()
  readonly #ofAll = new Set<GroupMonitor<P>>()

  /** The groups that have a member, oldest first. */
  get keys(): unknown[] {
    return [...this.#groups.values()].map(({ key }) => key)
  }

  /** The members, each as often as it has joined. */
  members(key: unknown): P[] {
    return occurrences(this.#groups.get(this.#identities.of(key))?.counts ?? [])
  }

  /** Adds one membership for each of `joining`. A process that has ended joins nothing. */
  join(key: unknown, joining: readonly P[]): void {
    const living = joining.filter(({ alive }) => alive)
    if (living.length === 0) return
    const identity = this.#identities.of(key)
    const group = this.#groups.get(identity) ?? { key, identity, counts: new Map() }
    this.#groups.set(identity, group)
    for (const member of living) {
      group.counts.set(member, (group.counts.get(member) ?? 0) + 1)
      const groups = this.#byMember.get(member) ?? new Set()
      this.#byMember.set(member, groups.add(group))
    }
    this.#notify('join', group, living)
  }

  /** Takes back one membership for each of `leaving`. Returns whether any was a member. */
  leave(key: unknown, leaving: readonly P[]): boolean {
    const group = this.#groups.get(this.#identities.of(key))
    if (group === undefined) return false
    const left = leaving.filter((member) => this.#leaveOnce(group, member))
    if (left.length > 0) this.#notify('leave', group, left)
    return left.length > 0
  }

  /** Watches the group, or all groups when `group` is absent. */
  watch(owner: P, group?: { readonly key: unknown }): GroupMonitor<P> {
    const watches = group && { identity: this.#identities.of(group.key) }
    const monitor = new GroupMonitor(owner, watches)
    if (!owner.alive) return monitor
    const own = this.#byWatcher.get(owner) ?? new Set()
    this.#byWatcher.set(owner, own.add(monitor))
    if (watches === undefined) this.#ofAll.add(monitor)
    else {
      const others = this.#ofGroup.get(watches.identity) ?? new Set()
      this.#ofGroup.set(watches.identity, others.add(monitor))
    }
    return monitor
  }

  /** Ends a watch, and removes what it sent from the mailbox. False: it was ended already. */
  unwatch(monitor: GroupMonitor<P>): boolean {
    const own = this.#byWatcher.get(monitor.owner)
    if (!own?.delete(monitor)) return false
    if (own.size === 0) this.#byWatcher.delete(monitor.owner)
    this.#forget(monitor)
    const isOf = ({ kind, name, payload }: Message): boolean =>
      kind === kinds.info &&
      name === changeName &&
      (payload as { monitor?: unknown }).monitor === monitor
    monitor.owner.mailbox.removeAll(isOf)
    return true
  }

  /** Handles the end of a process: it watches nothing and is a member of nothing. */
  ended(process: P): void {
    for (const monitor of this.#byWatcher.get(process) ?? []) this.#forget(monitor)
    this.#byWatcher.delete(process)
    const groups = this.#byMember.get(process)
    this.#byMember.delete(process)
    for (const group of groups ?? []) {
      const count = group.counts.get(process) ?? 0
      this.#remove(group, process)
      this.#notify('leave', group, Array<P>(count).fill(process))
    }
  }

  #leaveOnce(group: Group<P>, member: P): boolean {
    const count = group.counts.get(member)
    if (count === undefined) return false
    if (count > 1) group.counts.set(member, count - 1)
    else {
      this.#remove(group, member)
      const groups = this.#byMember.get(member)
      groups?.delete(group)
      if (groups?.size === 0) this.#byMember.delete(member)
    }
    return true
  }

  #remove(group: Group<P>, member: P): void {
    group.counts.delete(member)
    if (group.counts.size === 0) this.#groups.delete(group.identity)
  }

  #forget(monitor: GroupMonitor<P>): void {
    this.#ofAll.delete(monitor)
    if (monitor.watches === undefined) return
    const { identity } = monitor.watches
    const others = this.#ofGroup.get(identity)
    others?.delete(monitor)
    if (others?.size === 0) this.#ofGroup.delete(identity)
  }

  /** The mailbox of a watcher never refuses a change. */
  #notify(event: 'join' | 'leave', group: Group<P>, changed: readonly P[]): void {
    const members = changed.map(({ address }) => address)
    for (const watchers of [this.#ofGroup.get(group.identity) ?? [], this.#ofAll])
      for (const monitor of watchers) {
        const change = { event, monitor, group: group.key, members }
        monitor.owner.deliver(new Envelope(kinds.info, changeName, change))
      }
  }
}

/** Each member as often as it has joined. A group may have 100,000: no list is made for each. */
const occurrences = <P>(counts: Iterable<readonly [member: P, count: number]>): P[] => {
  const all: P[] = []
  for (const [member, count] of counts) for (let each = 0; each < count; each++) all.push(member)
  return all
}
