/**
 * What ties a process to others: links, which go both ways, and monitors, which go one. Made with the first tie, each
 * set with its first member, because most processes have a link or two and nothing else.
 */
import type { ExitReason } from '../words/exit-reason.ts'
import type { Monitor, Watcher } from '../words/monitor.ts'

const none: ReadonlySet<never> = new Set<never>()

/** A set that costs nothing while it is empty. */
class Members<T> {
  #members: Set<T> | undefined = undefined

  /** What is in it now. */
  get all(): ReadonlySet<T> {
    return this.#members ?? none
  }

  add(member: T): void {
    this.#members ??= new Set()
    this.#members.add(member)
  }

  /** False when it was not in it. */
  delete(member: T): boolean {
    return this.#members?.delete(member) ?? false
  }
}

/** The ties of one process. */
export class Ties<P extends Watcher> {
  /** Processes linked to it. */
  readonly links = new Members<P>()
  /** Monitors that others hold on it. */
  readonly watchers = new Members<Monitor<P>>()
  /** Monitors that it holds. */
  readonly watching = new Members<Monitor<P>>()
}

/** What has ties. */
export interface Tied<P extends Tied<P>> extends Watcher {
  readonly ties: Ties<P>
  signal(from: P, reason: ExitReason, byLink: boolean): void
}

/** `ended` has ended: who is linked learns it before who monitors, so that an observer that does both sees the exit first. */
export const tellTies = <P extends Tied<P>>(ended: P, reason: ExitReason): void => {
  const { links, watchers, watching } = ended.ties
  for (const other of links.all) {
    other.ties.links.delete(ended)
    other.signal(ended, reason, true)
  }
  for (const monitor of watchers.all) {
    monitor.owner?.ties.watching.delete(monitor)
    monitor.fire(reason)
  }
  for (const monitor of watching.all) monitor.target?.ties.watchers.delete(monitor)
}
