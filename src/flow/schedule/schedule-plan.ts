/** Which runs a schedule starts, and when it looks again. Pure. */
import type { CronTimes } from './cron.ts'

/** The times that passed while nothing could start: the last of them, all, or none. */
export type Missed = 'one' | 'all' | 'none'

/** A time that comes while the run of an earlier one goes on: it is left out, waits, or starts. */
export type Overlap = 'skip' | 'queue' | 'allow'

/** How a schedule starts runs. */
export type SchedulePolicy = { readonly missed: Missed; readonly overlap: Overlap }

/** The declaration of a schedule in a program. */
export type Declared = SchedulePolicy & { readonly cron: string; readonly zone: string }

/** The state of a schedule, with the declaration that it was made by. Times in ms since 1970. */
export type Plan = Declared & {
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

/**
 * The plan that a declaration goes on with at `now`; the same object if it says what the plan says.
 * A change of the declaration counts from `now` on. So a new pattern starts nothing for an earlier
 * time, and the times that passed under another policy are decided by that policy.
 */
export const planFor = (
  declared: Declared,
  times: CronTimes,
  now: number,
  plan: Plan | undefined,
): Plan => {
  const { cron, zone, missed, overlap } = declared
  if (plan?.cron !== cron || plan.zone !== zone) {
    const begun = { waiting: [], running: undefined, skipped: 0, ...plan, ...declared }
    return { ...begun, next: times.after(now) }
  }
  const isSame = plan.missed === missed && plan.overlap === overlap
  return isSame ? plan : { ...planAt(plan, times, now), ...declared }
}

/** The plan after the times until `now`. */
export const planAt = (plan: Plan, times: CronTimes, now: number): Plan => {
  const { missed, overlap } = plan
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
export const startable = ({ waiting, running, overlap }: Plan): number | undefined =>
  running === undefined || overlap === 'allow' ? waiting[0] : undefined

/** The plan after the run of the first waiting time has started. */
export const planStarted = (plan: Plan): Plan => {
  const [running, ...waiting] = plan.waiting
  return { ...plan, waiting, running: plan.overlap === 'allow' ? undefined : running }
}
