/**
 * The ready jobs of a queue: the higher priority first; within a priority the keys take turns;
 * within a key the job that was added first. A key that may not start a job now leaves the turns,
 * so that it holds up nobody, and joins them again at their end. Pure.
 */
import type { ReadRows } from '../../actors/index.ts'
import { Backlog, type Room } from './backlog.ts'
import { numberOf, placeOf } from './queue-rows.ts'

/** The ready jobs of one key and priority. */
type List = {
  readonly key: string
  readonly lane: Lane
  readonly prefix: string
  readonly backlog: Backlog
}

/** One priority: its keys in the order of their turns. A key that was found limited is not there. */
type Lane = { readonly priority: number; readonly turns: Map<string, List>; lists: number }

/** The ready jobs, in the order in which they are to start. */
export class ReadyJobs {
  readonly #room: Room
  readonly #lists = new Map<string, List>()
  readonly #listsOfKey = new Map<string, Set<List>>()
  /** The highest priority first. */
  readonly #lanes: Lane[] = []
  #size = 0

  constructor(room: Room) {
    this.#room = room
  }

  get size(): number {
    return this.#size
  }

  /** How many pairs of key and priority wait: each has a list in memory. */
  get lists(): number {
    return this.#lists.size
  }

  /** Whether jobs wait under this prefix. */
  has(prefix: string): boolean {
    return this.#lists.has(prefix)
  }

  /** Adds a row that is stored, or will be with this turn. */
  add(row: string): void {
    const prefix = row.slice(0, row.lastIndexOf('/') + 1)
    const list = this.#lists.get(prefix) ?? this.#newList(prefix, row)
    list.backlog.add(row)
    this.#size++
  }

  #newList(prefix: string, row: string): List {
    const { priority, key } = placeOf(row)
    const lane = this.#lane(priority)
    const list = { key, lane, prefix, backlog: new Backlog(prefix, this.#room) }
    this.#lists.set(prefix, list)
    const ofKey = this.#listsOfKey.get(key)
    if (ofKey) ofKey.add(list)
    else this.#listsOfKey.set(key, new Set([list]))
    lane.turns.set(key, list)
    lane.lists++
    return list
  }

  #lane(priority: number): Lane {
    const at = this.#lanes.findIndex((lane) => lane.priority <= priority)
    const found = this.#lanes[at]
    if (found?.priority === priority) return found
    const lane = { priority, turns: new Map<string, List>(), lists: 0 }
    this.#lanes.splice(at < 0 ? this.#lanes.length : at, 0, lane)
    return lane
  }

  /**
   * Takes the next job that may start. `mayStart`: whether its key may start a job now; a key that
   * may not is out of the turns until `rouse`. `taken`: the rows that are stored and wait no more.
   */
  take(
    rows: ReadRows,
    taken: ReadonlySet<string>,
    mayStart: (key: string) => boolean,
  ): string | undefined {
    for (const { turns } of this.#lanes)
      for (const [key, list] of turns) {
        turns.delete(key)
        if (!mayStart(key)) continue
        const row = list.backlog.first(rows, taken) as string
        list.backlog.shift()
        this.#size--
        if (list.backlog.size > 0) turns.set(key, list)
        else this.#forget(list)
        return row
      }
    return undefined
  }

  #forget(list: List): void {
    this.#lists.delete(list.prefix)
    const ofKey = this.#listsOfKey.get(list.key)
    ofKey?.delete(list)
    if (ofKey?.size === 0) this.#listsOfKey.delete(list.key)
    list.lane.lists--
    if (list.lane.lists === 0) this.#lanes.splice(this.#lanes.indexOf(list.lane), 1)
  }

  /** A key may start jobs again. */
  rouse(key: string): void {
    for (const list of this.#listsOfKey.get(key) ?? [])
      if (!list.lane.turns.has(key)) list.lane.turns.set(key, list)
  }

  /** The row of the job that was added first, among the first rows of all lists. */
  oldest(rows: ReadRows, taken: ReadonlySet<string>): string | undefined {
    let oldest: string | undefined
    for (const { backlog } of this.#lists.values()) {
      const row = backlog.first(rows, taken) as string
      if (oldest === undefined || numberOf(row) < numberOf(oldest)) oldest = row
    }
    return oldest
  }
}
