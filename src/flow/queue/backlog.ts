/**
 * Rows in the order of their keys, of which the first ones are in memory: a queue of 1,000,000 jobs
 * holds 100,000 of them. The others are counted, and read when the first ones are gone.
 */
import type { ReadRows } from '../../actors/index.ts'

/** How many rows may be in memory, over all backlogs of a queue. */
export type Room = { left: number }

/** How many rows one refill reads. */
const refillMax = 256

/** The rows under one prefix that wait. */
export class Backlog {
  readonly #prefix: string
  readonly #room: Room
  /** The first rows, from `#from` on. Every row that is not here comes after the last of them. */
  #held: string[] = []
  #from = 0
  #beyond = 0

  constructor(prefix: string, room: Room) {
    this.#prefix = prefix
    this.#room = room
  }

  /** How many rows wait. */
  get size(): number {
    return this.#inMemory + this.#beyond
  }

  get #inMemory(): number {
    return this.#held.length - this.#from
  }

  /** Adds a row that is stored, or will be with this turn. */
  add(row: string): void {
    const last = this.#held[this.#held.length - 1]
    const isEmpty = this.#inMemory === 0
    if (this.#beyond > 0 && (isEmpty || row > (last as string))) {
      this.#beyond++
      return
    }
    if (isEmpty || row > (last as string)) this.#held.push(row)
    else this.#held.splice(this.#placeOf(row), 0, row)
    this.#room.left--
    if (this.#room.left < 0) this.#dropLast()
  }

  #dropLast(): void {
    this.#held.pop()
    this.#room.left++
    this.#beyond++
  }

  #placeOf(row: string): number {
    let [low, high] = [this.#from, this.#held.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#held[middle] as string) < row) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The first row. `taken`: the rows that are stored and wait no more, such as of running jobs. */
  first(rows: ReadRows, taken: ReadonlySet<string>): string | undefined {
    if (this.#inMemory === 0 && this.#beyond > 0) this.#refill(rows, taken)
    return this.#held[this.#from]
  }

  /** Takes the first row, which `first` has shown. */
  shift(): void {
    this.#from++
    this.#room.left++
    if (this.#from < this.#held.length && this.#from < refillMax) return
    this.#held = this.#held.slice(this.#from)
    this.#from = 0
  }

  #refill(rows: ReadRows, taken: ReadonlySet<string>): void {
    const count = Math.min(this.#beyond, refillMax, Math.max(1, this.#room.left))
    const limit = count + taken.size
    const { entries } = rows.range({ prefix: this.#prefix, limit, values: false })
    this.#held = entries.flatMap(([row]) => (taken.has(row) ? [] : [row])).slice(0, count)
    this.#from = 0
    this.#beyond -= this.#held.length
    this.#room.left -= this.#held.length
  }
}
