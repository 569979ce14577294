/**
 * The ready jobs of a queue: the higher priority first; within a priority the keys take turns;
 * within a key the job that was added first. A key that may not start a job now leaves the turns,
 * so that it holds up nobody, and joins them again at their end. A job is a number here, 8 bytes:
 * its row follows from it. It is apart from the book, its one importer, because the order of a
 * million jobs in memory has nothing to do with rows and turns. Pure.
 */
import { numberOf, placeOf, readyRow, type SomeJobs } from './queue-rows.ts'

/** The ready jobs of one key and priority: their numbers in order, from the place `from` on. */
type List = {
  readonly key: string
  readonly lane: Lane
  readonly prefix: string
  numbers: number[]
  from: number
}

/** One priority: its keys in the order of their turns. A key that was found limited is not there. */
type Lane = { readonly priority: number; readonly turns: Map<string, List>; lists: number }

/** The place of a number in its list, or of the first higher one: numbers are in order. */
const placeIn = ({ numbers, from }: List, number: number): number => {
  let [low, high] = [from, numbers.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] as number) < number) low = middle + 1
    else high = middle
  }
  return low
}

/** How many places before the first number are given back at once. */
const spentMax = 1_024

/** The ready jobs, in the order in which they are to start. */
export class ReadyJobs {
  readonly #lists = new Map<string, List>()
  readonly #listsOfKey = new Map<string, Set<List>>()
  /** The highest priority first. */
  readonly #lanes: Lane[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** How many pairs of key and priority wait: each has a list in memory. */
  get lists(): number {
    return this.#lists.size
  }

  /** How many there would be with jobs under these prefixes. */
  listsWith(prefixes: ReadonlySet<string>): number {
    return [...prefixes].filter((prefix) => !this.#lists.has(prefix)).length + this.lists
  }

  /** Adds a row that is stored, or will be with this turn. */
  add(row: string): void {
    const number = numberOf(row)
    const prefix = row.slice(0, row.lastIndexOf('/') + 1)
    const list = this.#lists.get(prefix) ?? this.#newList(prefix, row)
    if ((list.numbers.at(-1) ?? 0) < number) list.numbers.push(number)
    // A job that has failed or waited before.
    else list.numbers.splice(placeIn(list, number), 0, number)
    this.#size++
  }

  #newList(prefix: string, row: string): List {
    const { priority, key } = placeOf(row)
    const lane = this.#lane(priority)
    const list = { key, lane, prefix, numbers: [], from: 0 }
    this.#lists.set(prefix, list)
    this.#listsOfKey.set(key, (this.#listsOfKey.get(key) ?? new Set()).add(list))
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
   * Takes the row of the next job that may start. `mayStart`: whether its key may start a job now;
   * a key that may not is out of the turns until `rouse`.
   */
  take(mayStart: (key: string) => boolean): string | undefined {
    for (const { turns } of this.#lanes)
      for (const [key, list] of turns) {
        turns.delete(key)
        if (!mayStart(key)) continue
        const row = readyRow(list.prefix, list.numbers[list.from] as number)
        turns.set(key, list)
        this.#takeAt(list, list.from)
        return row
      }
    return undefined
  }

  /**
   * How many jobs may start, of at most `max`. `roomOf`: how many of a key; a key without room is out
   * of the turns until `rouse`.
   */
  startable(max: number, roomOf: (key: string) => number): number {
    const rooms = new Map<string, number>()
    let count = 0
    for (const { turns } of this.#lanes)
      for (const [key, { numbers, from }] of turns) {
        if (count >= max) return max
        const room = rooms.get(key) ?? roomOf(key)
        if (room <= 0 && !rooms.has(key)) turns.delete(key)
        const more = Math.max(0, Math.min(numbers.length - from, room))
        rooms.set(key, room - more)
        count += more
      }
    return Math.min(count, max)
  }

  #takeAt(list: List, at: number): void {
    if (at > list.from) list.numbers.splice(at, 1)
    else list.from++
    this.#size--
    if (list.from === list.numbers.length) this.#forget(list)
    if (list.from < spentMax) return
    list.numbers.splice(0, spentMax)
    list.from = 0
  }

  /**
   * The row of a ready job; `undefined`: it is not ready. Each list is searched: a place of each
   * number in memory would take more than the numbers.
   */
  find(number: number): string | undefined {
    for (const list of this.#lists.values())
      if (list.numbers[placeIn(list, number)] === number) return readyRow(list.prefix, number)
    return undefined
  }

  /** Takes the job of a row that `find` has answered. */
  remove(row: string): void {
    const list = this.#lists.get(row.slice(0, row.lastIndexOf('/') + 1)) as List
    this.#takeAt(list, placeIn(list, numberOf(row)))
  }

  /** The rows of at most `max` jobs of this key and priority, of those added before `before`. */
  some({ key, priority, before }: SomeJobs, max: number): readonly string[] {
    const rows: string[] = []
    for (const list of this.#lists.values()) {
      if (key !== undefined && key !== list.key) continue
      if (priority !== undefined && priority !== list.lane.priority) continue
      const end = Math.min(placeIn(list, before), list.from + max - rows.length)
      for (const number of list.numbers.slice(list.from, end))
        rows.push(readyRow(list.prefix, number))
      if (rows.length === max) break
    }
    return rows
  }

  #forget(list: List): void {
    this.#lists.delete(list.prefix)
    const ofKey = this.#listsOfKey.get(list.key)
    ofKey?.delete(list)
    if (ofKey?.size === 0) this.#listsOfKey.delete(list.key)
    list.lane.turns.delete(list.key)
    list.lane.lists--
    if (list.lane.lists === 0) this.#lanes.splice(this.#lanes.indexOf(list.lane), 1)
  }

  /** A key may start jobs again. */
  rouse(key: string): void {
    for (const list of this.#listsOfKey.get(key) ?? [])
      if (!list.lane.turns.has(key)) list.lane.turns.set(key, list)
  }

  /** Every key may start jobs again. */
  rouseAll(): void {
    for (const key of this.#listsOfKey.keys()) this.rouse(key)
  }

  /**
   * How many jobs start before this row, with so many others, if each key may start its jobs;
   * `undefined`: it does not wait.
   */
  before(row: string, others: number): number | undefined {
    const list = this.#lists.get(row.slice(0, row.lastIndexOf('/') + 1))
    const at = list ? list.numbers.indexOf(numberOf(row), list.from) : -1
    if (!list || at < 0) return undefined
    const turn = at - list.from
    // Keys without a turn come back after the others.
    const turns = [...list.lane.turns.values()]
    const ownPlace = turns.includes(list) ? turns.indexOf(list) : turns.length
    const isSooner = new Set(turns.slice(0, ownPlace))
    let before = others + turn
    for (const other of this.#lists.values()) {
      const waiting = other.numbers.length - other.from
      if (other.lane.priority > list.lane.priority) before += waiting
      else if (other !== list && other.lane === list.lane)
        before += Math.min(waiting, turn + Number(isSooner.has(other)))
    }
    return before
  }

  /** The row of the job that was added first. */
  get oldest(): string | undefined {
    let [oldest, number] = [undefined as List | undefined, Number.POSITIVE_INFINITY]
    for (const list of this.#lists.values())
      if ((list.numbers[list.from] as number) < number)
        [oldest, number] = [list, list.numbers[list.from] as number]
    return oldest && readyRow(oldest.prefix, number)
  }
}
