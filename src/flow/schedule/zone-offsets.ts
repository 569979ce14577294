/** The offsets of a time zone from UTC, and the instants at which they change. Pure. */

/** The offset of a zone changes at the instant `at`. All in ms, an offset to the east is positive. */
export type OffsetChange = {
  readonly at: number
  readonly before: number
  readonly after: number
}

/** Two changes of a zone are weeks apart, so that a sample for each day finds every change. */
const sampleMs = 86_400_000

/** The offsets of one zone, as Intl knows them. A look costs some µs. */
export class ZoneOffsets {
  readonly #format: Intl.DateTimeFormat

  /** @throws RangeError for an unknown zone */
  constructor(zone: string) {
    const [short, clock] = ['numeric', { hourCycle: 'h23', timeZone: zone }] as const
    this.#format = new Intl.DateTimeFormat('en-US', {
      ...clock,
      year: short,
      month: short,
      day: short,
      hour: short,
      minute: short,
      second: short,
    })
  }

  /** The offset at `ms` since 1970. */
  at(ms: number): number {
    const [month = 1, day, year = 0, ...time] = (
      this.#format.format(ms).match(/\d+/g) as string[]
    ).map(Number)
    return Date.UTC(year, month - 1, day, ...time) - Math.floor(ms / 1_000) * 1_000
  }

  /** The first change after `from`, whose offset is known, and not after `until`. */
  firstIn(from: number, until: number, offset: number): OffsetChange | undefined {
    for (let low = from; low < until; low += sampleMs) {
      const high = Math.min(low + sampleMs, until)
      const after = this.at(high)
      if (after !== offset) return { at: this.#changeIn(low, high, offset), before: offset, after }
    }
    return undefined
  }

  /** The last change after `from`, and not after `until`, whose offset is known. */
  lastIn(from: number, until: number, offset: number): OffsetChange | undefined {
    for (let high = until; high > from; high -= sampleMs) {
      const low = Math.max(high - sampleMs, from)
      const before = this.at(low)
      if (before !== offset) return { at: this.#changeIn(low, high, before), before, after: offset }
    }
    return undefined
  }

  /** When the offset `before` of `from` changes, which it does until `until`, at a whole second. */
  #changeIn(from: number, until: number, before: number): number {
    let low = Math.floor(from / 1_000)
    let high = Math.floor(until / 1_000)
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.at(middle * 1_000) === before) low = middle
      else high = middle
    }
    return high * 1_000
  }
}

/** More than all names of zones, which may be written in small and capital letters. */
const zonesMax = 1_000

/** The zones that are in use. A zone takes 0.1 ms and 30 KB outside the heap, so each is made once. */
export class KnownZones {
  readonly #known = new Map<string, ZoneOffsets>()

  /** @throws RangeError for an unknown zone */
  of(zone: string): ZoneOffsets {
    const found = this.#known.get(zone)
    if (found) return found
    if (this.#known.size >= zonesMax) this.#known.clear()
    const made = new ZoneOffsets(zone)
    this.#known.set(zone, made)
    return made
  }
}
