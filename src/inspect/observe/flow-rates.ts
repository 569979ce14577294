/**
 * How many runs of each workflow start and end a second, and how long they take from start to end.
 * It listens while a page looks, and says what was in the last minute.
 */
import type { Flows } from '../../observe/index.ts'
import type { SystemEvents } from '../../runtime/index.ts'
import { telemetry } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { RecentTimes, rounded } from './recent-times.ts'
import { WhileLooked } from './while-looked.ts'

/** The rates of one workflow. */
type Rates = NonNullable<Flows['workflows'][number]['rates']>

/** A rate is that of the last minute, in whole parts. In ms. */
const partMs = 10_000
const partsMax = 6

/** A rate of a shorter time says nothing. In ms. */
const measuredMsMin = 1_000

type Counted = 'started' | 'completed' | 'failed'

/** The rates of the workflows of one instance. */
export class FlowRates {
  readonly #app: App
  readonly #looked: WhileLooked
  #runs = new Map<string, RecentRuns>()
  #begunAt = 0

  constructor(app: App) {
    this.#app = app
    this.#looked = new WhileLooked(app.system.clock, () => this.#begin())
  }

  /** A page looks. */
  look(): void {
    this.#looked.look()
  }

  /** Those of one workflow; `undefined`: it was not measured for long enough. */
  of(type: string): Rates | undefined {
    const now = this.#app.system.clock.monotonic()
    return now - this.#begunAt < measuredMsMin ? undefined : this.#of(type).rates(now)
  }

  /** Ends the measurements. */
  end(): void {
    this.#looked.end()
  }

  #begin(): () => void {
    const { clock } = this.#app.system
    const bus = telemetry(this.#app.system)
    this.#runs = new Map()
    this.#begunAt = clock.monotonic()
    const started: SystemEvents['flow.started'] = ({ type }) =>
      this.#of(type).count('started', clock.monotonic())
    const ended: SystemEvents['flow.ended'] = ({ type, end: { status }, at, startedAt }) => {
      const now = clock.monotonic()
      const runs = this.#of(type)
      runs.times.add(now, Math.max(0, at - startedAt))
      if (status === 'completed' || status === 'failed') runs.count(status, now)
    }
    bus.on('flow.started', started)
    bus.on('flow.ended', ended)
    return () => {
      bus.off('flow.started', started)
      bus.off('flow.ended', ended)
    }
  }

  #of(type: string): RecentRuns {
    const found = this.#runs.get(type) ?? new RecentRuns(this.#begunAt)
    this.#runs.set(type, found)
    return found
  }
}

/** The runs of one workflow that have started and ended in the last minute. */
class RecentRuns {
  readonly times = new RecentTimes()
  readonly #begunAt: number
  /** By the number of their part since the begin. */
  readonly #parts = new Map<number, Record<Counted, number>>()

  constructor(begunAt: number) {
    this.#begunAt = begunAt
  }

  count(what: Counted, now: number): void {
    const at = this.#partAt(now)
    const part = this.#parts.get(at) ?? { started: 0, completed: 0, failed: 0 }
    part[what]++
    this.#parts.set(at, part)
    for (const old of this.#parts.keys()) if (old <= at - partsMax) this.#parts.delete(old)
  }

  rates(now: number): Rates {
    const first = Math.max(0, this.#partAt(now) - partsMax + 1)
    const seconds = (now - this.#begunAt - first * partMs) / 1_000
    const rateOf = (what: Counted): number => {
      let count = 0
      for (const [at, part] of this.#parts) if (at >= first) count += part[what]
      return rounded(count / Math.max(1, seconds))
    }
    const { count, p50Ms, p99Ms } = this.times.summary(now)
    return {
      startedPerSecond: rateOf('started'),
      completedPerSecond: rateOf('completed'),
      failedPerSecond: rateOf('failed'),
      ...(count > 0 && { p50Ms, p99Ms }),
    }
  }

  #partAt(now: number): number {
    return Math.floor((now - this.#begunAt) / partMs)
  }
}
