/**
 * A rate: at most `max` starts in any time of `perMs`, wherever that time begins. Starts are counted
 * in slots of a twentieth of `perMs`, as if they had all come at the end of their slot. So a window
 * holds 21 numbers at most, never grants too much, and grants at most a twentieth too late. Pure.
 *
 * A start is granted before it happens: its claim has to be durable first. Until then it counts
 * without a time, because nobody knows when it will happen.
 */

/** The limit of a rate. */
export type RateLimit = { readonly max: number; readonly perMs: number }

/** A window as it is stored: grants without a start, then the end of each slot and its starts. */
export type KeptWindow = readonly [granted: number, ...slots: (readonly [number, number])[]]

const slots = 20

/** The starts of the last `perMs`. */
export class RateWindow {
  readonly #limit: RateLimit
  readonly #slots: [end: number, starts: number][] = []
  #granted = 0

  /** Grants of a life that has ended count as starts of `now`: they happened before at the latest. */
  constructor(limit: RateLimit, kept: KeptWindow | undefined, now: number) {
    this.#limit = limit
    const [granted = 0, ...starts] = kept ?? []
    for (const [end, count] of starts) this.#slots.push([end, count])
    if (granted > 0) this.#count(granted, now)
  }

  /** As it is to be stored with the claims of this turn. */
  get kept(): KeptWindow {
    return [this.#granted, ...this.#slots.map(([end, starts]) => [end, starts] as const)]
  }

  /** How many more starts may be granted. */
  free(now: number): number {
    const { max, perMs } = this.#limit
    while (this.#slots[0] && this.#slots[0][0] + perMs <= now) this.#slots.shift()
    return max - this.#slots.reduce((sum, [, starts]) => sum + starts, this.#granted)
  }

  /** Whether nothing is counted: the window may be forgotten. */
  isEmpty(now: number): boolean {
    return this.free(now) === this.#limit.max
  }

  /** When a start is free again, if none is; `undefined`: when a granted one has started. */
  freeAt(): number | undefined {
    const first = this.#slots[0]
    return first && first[0] + this.#limit.perMs
  }

  /** Grants a start. */
  grant(): void {
    this.#granted++
  }

  /** A granted start happens at `now`. */
  start(now: number): void {
    this.#granted--
    this.#count(1, now)
  }

  #count(starts: number, now: number): void {
    const widthMs = Math.ceil(this.#limit.perMs / slots)
    const end = Math.ceil(now / widthMs) * widthMs
    const last = this.#slots.at(-1)
    if (last && last[0] >= end) last[1] += starts
    else this.#slots.push([end, starts])
  }
}
