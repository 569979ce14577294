/**
 * What ties a process to others: links, which go both ways, and monitors, which go one. Made with the first tie, each
 * set with its first member, because most processes have a link or two and nothing else.
 */
import type { Monitor, Watcher } from './monitor.ts'

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
