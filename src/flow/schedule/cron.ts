/**
 * Cron patterns in a time zone: the next time, and the times that were missed. Pure.
 *
 * Croner reads a pattern, and names the local times of it: dates and times of day, without a zone.
 * Here they become instants, by the rule that Debian's `cron(8)` has for changes of the clock. Each
 * offset of the zone has a span of local times, which begins at the change to that offset. A pattern
 * with a wildcard in hours or minutes follows the clock: its spans overlap where local times repeat,
 * and leave out what the clock skips. The spans of other patterns join without a gap or overlap: so
 * a skipped time comes at the change, and a repeated one at its first occurrence.
 */
import { Cron } from 'croner'
import { below, type Check, type Place, refusal, that } from '../../check.ts'
import { KnownZones, type OffsetChange, type ZoneOffsets } from './zone-offsets.ts'

/** Five or six fields, or a name such as `@daily`. Croner takes a date and a year too. */
const patternText = /^(@[a-z]+|\S+(\s+\S+){4,5})$/

/** A pattern that comes at some time. */
export const cronPattern: Check<string> = that(
  "a cron pattern of 5 or 6 fields with a time, such as '30 2 * * *'",
  (found) => typeof found === 'string' && patternText.test(found) && isComing(found),
)

const zoneText = "an IANA time zone, such as 'Europe/Berlin'"

/** A time zone. */
export const timeZone: Check<string> = that(
  zoneText,
  (found) => typeof found === 'string' && zoneOf(found, new KnownZones()) !== undefined,
)

const isComing = (pattern: string): boolean => {
  try {
    return localTimes(pattern).nextRun(new Date(0)) !== null
  } catch {
    return false
  }
}

const zoneOf = (zone: unknown, zones: KnownZones): ZoneOffsets | undefined => {
  try {
    return typeof zone === 'string' ? zones.of(zone) : undefined
  } catch {
    return undefined
  }
}

/** The local times of a pattern, as if they were times of UTC. */
const localTimes = (pattern: string): Cron => new Cron(pattern, { utcOffset: 0 })

/** Whether the fields of minutes and hours have no wildcard. Croner reads `?` as `*`. */
const isFixed = (pattern: string): boolean => {
  if (pattern.startsWith('@')) return pattern !== '@hourly'
  const [minutes = '', hours = ''] = pattern.split(/\s+/).slice(-5)
  return !/[*?]/.test(minutes + hours)
}

/** A change of the clock by this much or more is a correction, which skips and repeats times. */
const correctionMs = 3 * 3_600_000

/** More than any change of a clock: a change that is further away from a time does not touch it. */
const reachMs = 2 * 86_400_000

/** The times of a pattern, in ms since 1970. */
export class CronTimes {
  readonly #local: Cron
  readonly #zone: ZoneOffsets
  readonly #isFixed: boolean

  /** @throws KeelsonError as `cronPattern` and `timeZone` */
  constructor(pattern: unknown, zone: unknown, at: Place, zones = new KnownZones()) {
    const found = zoneOf(zone, zones)
    if (found === undefined) throw refusal(below(at, 'zone'), zoneText, zone)
    this.#zone = found
    const text = cronPattern(pattern, below(at, 'cron'))
    this.#local = localTimes(text)
    this.#isFixed = isFixed(text)
  }

  /** The next time after `ms`; `undefined`: there is none. */
  after(ms: number): number | undefined {
    let [at, offset] = [ms, this.#zone.at(ms)]
    // Local times up to `passed` have had their time.
    let passed = ms + offset
    const last = this.#isFixed ? this.#zone.lastIn(ms - correctionMs, ms, offset) : undefined
    if (last) passed = Math.max(passed, this.#beginOf(last) - 1)
    for (;;) {
      const local = this.#local.nextRun(new Date(passed))?.getTime()
      if (local === undefined) return undefined
      const time = Math.max(at, local - offset)
      const change = this.#zone.firstIn(at, Math.min(time, at + reachMs), offset)
      if (change) {
        at = change.at
        offset = change.after
        passed = this.#beginOf(change) - 1
      } else if (time <= at + reachMs) return time
      else {
        // The pattern has no local time near the changes in between.
        at = time - reachMs
        offset = this.#zone.at(at)
      }
    }
  }

  /** The newest time before `ms`; `undefined`: there is none. */
  before(ms: number): number | undefined {
    let [at, offset] = [ms, this.#zone.at(ms - 1)]
    // Local times from `coming` on have their time at `at` or later.
    let coming = ms + offset
    for (;;) {
      const local = this.#local.previousRuns(1, new Date(coming))[0]?.getTime()
      if (local === undefined) return undefined
      const time = local - offset
      const isNear = time >= at - reachMs
      const from = isNear ? time - correctionMs : at - reachMs
      const change = this.#zone.lastIn(from, at - 1, offset)
      if (change && local < this.#beginOf(change)) {
        at = change.at
        offset = change.before
        coming = at + offset
      } else if (change) return Math.max(change.at, time)
      else if (isNear) return time
      else {
        at = time + reachMs
        offset = this.#zone.at(at - 1)
        coming = local + 1
      }
    }
  }

  /** The first local time whose time is not before a change: the begin of the span after it. */
  #beginOf({ at, before, after }: OffsetChange): number {
    const isJoined = this.#isFixed && Math.abs(after - before) < correctionMs
    return at + (isJoined ? before : after)
  }

  /**
   * How many times there are from `first` to `until`, up to twice `max`, and the newest `max` of
   * them. A pattern of every second has too many to look at each one.
   */
  between(
    first: number,
    until: number,
    max: number,
  ): { readonly count: number; readonly newest: readonly number[] } {
    const oldest: number[] = []
    let at: number | undefined = first
    for (; at !== undefined && at <= until && oldest.length < max; at = this.after(at))
      oldest.push(at)
    const next = at
    if (next === undefined || next > until) return { count: oldest.length, newest: oldest }
    const newest: number[] = []
    let found = this.before(until + 1)
    for (; found !== undefined && newest.length < max; found = this.before(found))
      newest.push(found)
    newest.reverse()
    return { count: oldest.length + newest.filter((each) => each >= next).length, newest }
  }
}
