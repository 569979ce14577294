/** Which runs a schedule starts, and when it looks again. Pure. */
import type { CronTimes } from './cron.ts'

/** The times that passed while nothing could start: the last of them, all, or none. */
export type Missed = 'one' | 'all' | 'none'

/** A time that comes while the run of an earlier one goes on: it is left out, waits, or starts. */
export type Overlap = 'skip' | 'queue' | 'allow'

/** How a schedule starts runs. */
export type SchedulePolicy = { readonly missed: Missed; readonly overlap: Overlap }

/** The state of a schedule. Times in ms since 1970. */
export type Plan = {
  readonly cron: string
  readonly zone: string
  /** The next time; `undefined`: there is none. */
  readonly next: number | undefined
  /** The times whose runs are to start, in order. */
  readonly waiting: readonly number[]
  /** The time whose run goes on. With `allow` nobody waits for its end. */
  readonly running: number | undefined
  /** How many times were left out. */
  readonly skipped: number
}

/** The most times that wait, or that are made good after a time of rest. */
export const waitingMax = 1_000

/** A time that is later than this was missed. */
const missedMs = 60_000

/** The plan of a pattern that counts from `now` on. `before`: the plan of another pattern. */
export const planFrom = (
  cron: string,
  zone: string,
  times: CronTimes,
  now: number,
  before: Plan | undefined,
): Plan => ({
  ...{ waiting: [], running: undefined, skipped: 0, ...before },
  ...{ cron, zone, next: times.after(now) },
})

/** The plan after the times until `now`. */
export const planAt = (
  plan: Plan,
  times: CronTimes,
  { missed, overlap }: SchedulePolicy,
  now: number,
): Plan => {
  if (plan.next === undefined || plan.next > now) return plan
  const { count, newest } = times.between(plan.next, now, waitingMax)
  const wanted =
    missed === 'all'
      ? newest
      : missed === 'one'
        ? newest.slice(-1)
        : newest.filter((at) => now - at <= missedMs)
  const isFree = plan.running === undefined && plan.waiting.length === 0
  const room = overlap === 'skip' ? (isFree ? 1 : 0) : waitingMax - plan.waiting.length
  const taken = wanted.slice(0, Math.max(0, room))
  return {
    ...plan,
    next: times.after(now),
    waiting: [...plan.waiting, ...taken],
    skipped: plan.skipped + count - taken.length,
  }
}

/** The time whose run is to start now. */
export const startable = ({ waiting, running }: Plan, overlap: Overlap): number | undefined =>
  running === undefined || overlap === 'allow' ? waiting[0] : undefined

/** The plan after the run of the first waiting time has started. */
export const planStarted = (plan: Plan, overlap: Overlap): Plan => {
  const [running, ...waiting] = plan.waiting
  return { ...plan, waiting, running: overlap === 'allow' ? undefined : running }
}
