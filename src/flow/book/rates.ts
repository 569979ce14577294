/**
 * The rate of a queue, over all or of each key: at most `max` starts in any time of `perMs`,
 * wherever that time begins. Starts are counted in slots of a twentieth of `perMs`, as if they had
 * all come at the end of their slot. So a window holds 21 numbers at most, never grants too much,
 * and grants at most a twentieth too late. After a start of the program, the last ones count from
 * then. Pure.
 *
 * A start is granted before it happens: its claim has to be durable first, and what it starts may
 * wait for more. Until then it counts without a time, because nobody knows when it will happen.
 */
import type { DurableRows, ReadRows } from '../../actors/index.ts'
import { isNumbers, rateRow, storedIn } from './queue-rows.ts'

/** The limit of a rate. `key`: a rate for each key, for jobs with a key. */
export type RateLimit = { readonly max: number; readonly perMs: number; readonly key: boolean }

/** A window as its row has it: grants without a start, then the end of each slot and its starts. */
type KeptWindow = readonly [granted: number, ...slots: (readonly [number, number])[]]

/** The starts of the last `perMs`. */
type Window = { granted: number; readonly slots: [end: number, starts: number][] }

const isWindow = (kept: unknown): kept is KeptWindow => {
  const [granted, ...slots]: readonly unknown[] = Array.isArray(kept) ? kept : []
  return isNumbers([granted]) && slots.every((slot) => isNumbers(slot) && slot.length === 2)
}

const slotsOfWindow = 20

/** The rates of one queue: a window for each key with starts that count, or one for all, of `''`. */
export class Rates {
  readonly #limit: RateLimit
  readonly #openedAt: number
  readonly #windows = new Map<string, Window>()
  /** The keys without room, by the time at which they have some: the slots of a rate are few. */
  readonly #asleep = new Map<number, Set<string>>()
  /** The keys whose rows could not be read: they count as full, from when the queue opened. */
  readonly unreadable = new Set<string>()

  /** Grants of incarnations that had ended by `openedAt` count as starts of then: they were not later. */
  constructor(limit: RateLimit, openedAt: number) {
    this.#limit = limit
    this.#openedAt = openedAt
  }

  /** Whether a job of this key may start. If not, the key sleeps until it may. */
  hasRoom(key: string, now: number, rows: DurableRows): boolean {
    return this.room(key, now, rows) > 0
  }

  /** How many jobs of this key may start. If none may, the key sleeps until one may. */
  room(key: string, now: number, rows: DurableRows): number {
    const window = this.#window(key, rows)
    const free = this.#free(window, now)
    if (free <= 0) this.#sleeps(key, window)
    return Math.max(0, free)
  }

  #window(key: string, rows: Pick<ReadRows, 'get'>): Window {
    const known = this.#windows.get(key)
    if (known) return known
    const kept = storedIn(rateRow(key), rows)
    const isSound = kept === undefined || isWindow(kept)
    if (!isSound) this.unreadable.add(key)
    // As many starts as there may be: a row that cannot be read grants nothing too much.
    const [granted, ...slots]: KeptWindow = isSound ? (kept ?? [0]) : [this.#limit.max]
    // They have started by now, whatever the length of the slots of the program that counted them.
    const until = (end: number): number => Math.min(end, this.#openedAt)
    const window: Window = { granted: 0, slots: slots.map(([end, starts]) => [until(end), starts]) }
    if (granted > 0) this.#count(window, granted, this.#openedAt)
    this.#windows.set(key, window)
    return window
  }

  #free({ granted, slots }: Window, now: number): number {
    const { max, perMs } = this.#limit
    const latest = this.#endOf(now)
    // The clock was set back since: nobody knows how long ago such a start was.
    for (const slot of slots) slot[0] = Math.min(slot[0], latest)
    while (slots[0] && slots[0][0] + perMs <= now) slots.shift()
    return max - slots.reduce((sum, [, starts]) => sum + starts, granted)
  }

  #count({ slots }: Window, starts: number, now: number): void {
    const end = this.#endOf(now)
    const last = slots.at(-1)
    if (last && last[0] >= end) last[1] += starts
    else slots.push([end, starts])
  }

  /** The end of the slot that a time is in. */
  #endOf(now: number): number {
    const widthMs = Math.ceil(this.#limit.perMs / slotsOfWindow)
    return Math.ceil(now / widthMs) * widthMs
  }

  /** Without a time a granted job has yet to start, and `started` follows, or its end. */
  #sleeps(key: string, { slots: [first] }: Window): void {
    if (!first) return
    const until = first[0] + this.#limit.perMs
    this.#asleep.set(until, (this.#asleep.get(until) ?? new Set()).add(key))
  }

  /** Grants a start, as a part of the turn. */
  grant(key: string, rows: DurableRows): void {
    this.#grants(key, 1, rows)
  }

  /** A granted start does not happen, as a part of the turn. */
  givenBack(key: string, rows: DurableRows): void {
    this.#grants(key, -1, rows)
  }

  #grants(key: string, more: number, rows: DurableRows): void {
    const window = this.#window(key, rows)
    window.granted += more
    rows.put(rateRow(key), [window.granted, ...window.slots])
  }

  /** A start that this incarnation has granted, and that has not happened, still may: its row counts it. */
  goesOn(key: string, rows: Pick<ReadRows, 'get'>): void {
    const window = this.#window(key, rows)
    const last = window.slots.at(-1)
    window.granted++
    if (last && last[1] > 0) last[1]--
  }

  /** A granted job starts. */
  started(key: string, now: number): void {
    const window = this.#windows.get(key)
    if (!window) return
    window.granted--
    this.#count(window, 1, now)
    if (this.#free(window, now) <= 0) this.#sleeps(key, window)
  }

  /** When a key that has no room has some, as far as is known. Its row is not read. */
  fullUntil(key: string, now: number): number | undefined {
    const window = this.#windows.get(key)
    if (!window || this.#free(window, now) > 0) return undefined
    // Without a slot all of it is granted, and has yet to start.
    return (window.slots[0]?.[0] ?? now) + this.#limit.perMs
  }

  /** The keys that have room again, or would sleep longer than a window is. */
  awake(now: number): readonly string[] {
    const latest = this.#endOf(now) + this.#limit.perMs
    const times = [...this.#asleep.keys()].filter((until) => until <= now || until > latest)
    const keys = times.flatMap((until) => [...(this.#asleep.get(until) ?? [])])
    for (const until of times) this.#asleep.delete(until)
    return keys
  }

  /** When keys have room again. */
  get times(): Iterable<number> {
    return this.#asleep.keys()
  }

  /** Forgets a key none of whose starts still counts. Answers whether its row may go. */
  forgets(key: string, now: number, rows: DurableRows): boolean {
    const isEmpty = this.#free(this.#window(key, rows), now) === this.#limit.max
    return isEmpty && this.#windows.delete(key)
  }
}
