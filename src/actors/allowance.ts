/**
 * What all shards of an instance together may have under way. Gates ask it last, and stand in its line when it says no:
 * first come, first served, so that a large write of one shard is not passed for ever by small ones of another.
 */

/** What a write counts: bytes, and commands. */
export type Weight = { readonly bytes: number; readonly commands: number }

/** A place in the line: called when it may be its turn. Takes what it may and leaves the line, or stays at its head. */
export type Place = () => void

/** The bound over all shards. What is larger than the bound is admitted when nothing else is under way. */
export class Allowance {
  readonly #bytesMax: number
  readonly #commandsMax: number
  readonly #line = new Set<Place>()
  #bytes = 0
  #commands = 0
  #moving = false

  constructor(bytesMax: number, commandsMax: number) {
    this.#bytesMax = bytesMax
    this.#commandsMax = commandsMax
  }

  /** What is under way. */
  get load(): Weight {
    return { bytes: this.#bytes, commands: this.#commands }
  }

  /** Whether so much fits, and nobody else stands before `place`. */
  admits(place: Place, { bytes, commands }: Weight): boolean {
    if (this.#line.size > 0 && this.#first() !== place) return false
    if (this.#commands === 0) return true
    return this.#bytes + bytes <= this.#bytesMax && this.#commands + commands <= this.#commandsMax
  }

  /** Counts what was admitted. */
  take({ bytes, commands }: Weight): void {
    this.#bytes += bytes
    this.#commands += commands
  }

  /** Gives back what `take` counted. */
  give({ bytes, commands }: Weight): void {
    this.#bytes -= bytes
    this.#commands -= commands
    if (this.#line.size > 0) this.#move()
  }

  /** Stands in the line, at its end; once. */
  queue(place: Place): void {
    this.#line.add(place)
  }

  /** Leaves the line, and lets those behind move up. */
  unqueue(place: Place): void {
    if (this.#line.delete(place) && this.#line.size > 0) this.#move()
  }

  #first(): Place | undefined {
    return this.#line.values().next().value
  }

  /** Each place at the head gets its turn, until one stays. Whoever leaves during a turn begins no second walk. */
  #move(): void {
    if (this.#moving) return
    this.#moving = true
    try {
      for (let place = this.#first(); place !== undefined; ) {
        place()
        const next = this.#first()
        if (next === place) return
        place = next
      }
    } finally {
      this.#moving = false
    }
  }
}
