/**
 * The bound on the unfinished writes in all shards of an instance. A gate asks it last, and waits
 * in its line when there is no room. The line is first come, first served, so that small writes of
 * one shard do not pass a large write of another for ever.
 */

/** The weight of a write: bytes, and commands. */
export type Weight = { readonly bytes: number; readonly commands: number }

/**
 * A place in the line. Called when it may be its turn: it takes its room and leaves the line, or
 * stays at the head.
 */
export type Place = () => void

/** The bound over all shards. A write larger than the bound is admitted when it is alone. */
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

  /** The weight of the admitted writes. */
  get load(): Weight {
    return { bytes: this.#bytes, commands: this.#commands }
  }

  /** Whether this weight fits, and `place` is at the head of the line. */
  admits(place: Place, { bytes, commands }: Weight): boolean {
    if (this.#line.size > 0 && this.#first() !== place) return false
    if (this.#commands === 0) return true
    return this.#bytes + bytes <= this.#bytesMax && this.#commands + commands <= this.#commandsMax
  }

  /** Counts an admitted write. */
  take({ bytes, commands }: Weight): void {
    this.#bytes += bytes
    this.#commands += commands
  }

  /** Frees the room of a write that `take` counted. */
  give({ bytes, commands }: Weight): void {
    this.#bytes -= bytes
    this.#commands -= commands
    if (this.#line.size > 0) this.#move()
  }

  /** Puts `place` at the end of the line. A place is in it once. */
  queue(place: Place): void {
    this.#line.add(place)
  }

  /** Takes `place` out of the line; the later places move up. */
  unqueue(place: Place): void {
    if (this.#line.delete(place) && this.#line.size > 0) this.#move()
  }

  #first(): Place | undefined {
    return this.#line.values().next().value
  }

  /**
   * Gives each place at the head its turn, until one stays. A place that leaves during a turn
   * starts no second walk.
   */
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
