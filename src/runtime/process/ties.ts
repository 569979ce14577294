/**
 * The ties of a process: links go both ways, monitors one way. Made with the first tie. Most
 * processes have only one link.
 */
import type { ExitReason } from '../words/exit-reason.ts'
import type { Monitor, Watcher } from '../words/monitor.ts'

const none: ReadonlySet<never> = new Set<never>()

/** A set that costs nothing with one member or none. */
class Members<T> {
  #only: T | undefined = undefined
  /** All members, once there were two. */
  #members: Set<T> | undefined = undefined

  get size(): number {
    return this.#members?.size ?? (this.#only === undefined ? 0 : 1)
  }

  /** The present members. */
  get all(): ReadonlySet<T> {
    return this.#members ?? (this.#only === undefined ? none : new Set([this.#only]))
  }

  add(member: T): void {
    if (this.#members !== undefined) this.#members.add(member)
    else if (this.#only === undefined || this.#only === member) this.#only = member
    else this.#members = new Set([this.#only, member])
  }

  /** False: it was not a member. */
  delete(member: T): boolean {
    if (this.#members !== undefined) return this.#members.delete(member)
    if (this.#only !== member) return false
    this.#only = undefined
    return true
  }
}

/** Links, in the order in which OTP's tree of them could have been made: see `signalOrder`. */
class Links<P extends Numbered> extends Members<P> {
  override delete(link: P): boolean {
    const [low, middle, high] = this.size === 3 ? byPid(this.all) : []
    if (!super.delete(link)) return false
    // Of three, the middle one was on top. It stays so, or the highest takes its place.
    const below = link === low ? high : low
    if (middle !== undefined && below !== undefined && super.delete(below)) super.add(below)
    return true
  }
}

type Numbered = { readonly pid: number }

const byPid = <P extends Numbered>(links: Iterable<P>): P[] =>
  [...links].sort((a, b) => a.pid - b.pid)

/** The ties of one process. */
export class Ties<P extends Watcher & Numbered> {
  /** Processes linked to it. */
  readonly links = new Links<P>()
  #watchers: Members<Monitor<P>> | undefined = undefined
  #watching: Members<Monitor<P>> | undefined = undefined

  /** Monitors that others hold on it. */
  get watchers(): Members<Monitor<P>> {
    this.#watchers ??= new Members()
    return this.#watchers
  }

  /** Monitors that it holds. */
  get watching(): Members<Monitor<P>> {
    this.#watching ??= new Members()
    return this.#watching
  }
}

/** A process with ties. */
export interface Tied<P extends Tied<P>> extends Watcher, Numbered {
  readonly ties: Ties<P>
  signal(from: P, reason: ExitReason, byLink: boolean): void
}

/**
 * The order in which linked processes learn of an end. OTP promises none, but programs with a few
 * links nearly always see the same: that of the balanced tree by pid in which it keeps them, each
 * node after those below it.
 */
export const signalOrder = <P extends Numbered>(links: ReadonlySet<P>): Iterable<P> =>
  links.size < 2 || links.size > fewLinks ? links : fromBelow([...links])

/** With so many links its tree is still made of their first ones. */
const fewLinks = 7

/** `links` in the order in which they were made. The middle one of the first three is on top. */
const fromBelow = <P extends Numbered>(links: readonly P[]): P[] => {
  const [first, second, third] = links
  if (first === undefined || second === undefined || third === undefined)
    return [...links].reverse()
  const top = byPid([first, second, third])[1] ?? first
  const lower = links.filter(({ pid }) => pid < top.pid)
  const higher = links.filter(({ pid }) => pid > top.pid)
  return [...fromBelow(lower), ...fromBelow(higher), top]
}

/**
 * Announces the end of `ended`: to links before monitors, so that an observer with both sees the
 * exit first.
 */
export const notifyTies = <P extends Tied<P>>(ended: P, reason: ExitReason): void => {
  const { links, watchers, watching } = ended.ties
  for (const other of signalOrder(links.all)) {
    other.ties.links.delete(ended)
    other.signal(ended, reason, true)
  }
  for (const monitor of watchers.all) {
    monitor.owner?.ties.watching.delete(monitor)
    monitor.fire(reason)
  }
  for (const monitor of watching.all) monitor.target?.ties.watchers.delete(monitor)
}
