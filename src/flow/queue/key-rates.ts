/**
 * A rate for each key of a queue. A key has a row and a window while it has starts that count. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { rateRow } from './queue-rows.ts'
import { type KeptWindow, type RateLimit, RateWindow } from './rate-window.ts'

/** The rates of the keys of one queue. */
export class KeyRates {
  readonly #limit: RateLimit
  readonly #windows = new Map<string, RateWindow>()
  /** The keys without room, by the time at which they have some: the slots of a rate are few. */
  readonly #asleep = new Map<number, Set<string>>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  /** Whether a job of this key may start. If not, the key sleeps until it may. */
  hasRoom(key: string, now: number, rows: DurableRows): boolean {
    const window = this.#window(key, now, rows)
    if (window.free(now) > 0) return true
    this.#sleeps(key, window)
    return false
  }

  #window(key: string, now: number, rows: DurableRows): RateWindow {
    const known = this.#windows.get(key)
    if (known) return known
    const window = new RateWindow(this.#limit, rows.get<KeptWindow>(rateRow(key)), now)
    this.#windows.set(key, window)
    return window
  }

  /** Without a time a granted job is about to start, and `started` follows. */
  #sleeps(key: string, window: RateWindow): void {
    const until = window.freeAt()
    if (until === undefined) return
    const asleep = this.#asleep.get(until)
    if (asleep) asleep.add(key)
    else this.#asleep.set(until, new Set([key]))
  }

  /** Grants a start of this key, as a part of the turn. */
  grant(key: string, now: number, rows: DurableRows): void {
    const window = this.#window(key, now, rows)
    window.grant()
    rows.put(rateRow(key), window.kept)
  }

  /** A granted job of this key starts. */
  start(key: string, now: number): void {
    const window = this.#windows.get(key)
    window?.start(now)
    if (window && window.free(now) <= 0) this.#sleeps(key, window)
  }

  /** The keys that have room again. */
  awake(now: number): readonly string[] {
    const times = [...this.#asleep.keys()].filter((until) => until <= now)
    const keys = times.flatMap((until) => [...(this.#asleep.get(until) ?? [])])
    for (const until of times) this.#asleep.delete(until)
    return keys
  }

  /** When keys have room again. */
  get times(): Iterable<number> {
    return this.#asleep.keys()
  }

  /** Forgets a key whose starts no longer count. Answers whether its row may be removed. */
  forgets(key: string, now: number, rows: DurableRows): boolean {
    // Grants in the row of a life before count from here on, so a later sweep forgets them.
    return this.#window(key, now, rows).isEmpty(now) && this.#windows.delete(key)
  }
}
