/** Which runs a schedule starts, and when it looks again. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Attributes } from '../attributes/attributes.ts'
import type { CronTimes } from './cron.ts'

/** The times that passed while nothing could start: the last of them, all, or none. */
export type Missed = 'one' | 'all' | 'none'

/** A time that comes while the run of an earlier one goes on: it is left out, waits, or starts. */
export type Overlap = 'skip' | 'queue' | 'allow'

/** The input of a run that a schedule starts. */
export type Scheduled = {
  /** The time of the pattern, in ms since 1970. The run may begin later, and never earlier. */
  readonly at: number
}

/** The options of a schedule. */
export type ScheduleOptions = {
  /** The IANA time zone of the pattern, such as `'Europe/Berlin'`; `'UTC'` by default. */
  readonly zone?: string
  /**
   * The times that passed while the program was down: one run for the last of them, which is the
   * default; a run for each of the newest 1,000; or none for times more than a minute ago.
   */
  readonly missed?: Missed
  /**
   * A time that comes before the run of an earlier one has ended: it is left out, which is the
   * default; its run starts after that end, and at most 1,000 wait; or it starts at once.
   */
  readonly overlap?: Overlap
  /** The attributes with which its runs start. A change of them counts for the runs that start later. */
  readonly attributes?: Attributes
}

/** How a schedule starts runs. */
export type SchedulePolicy = { readonly missed: Missed; readonly overlap: Overlap }

/** The declaration of a schedule: in a program, or by the call that has made it. */
export type Declared = SchedulePolicy & {
  readonly cron: string
  readonly zone: string
  /** The name of the workflow whose runs it starts. */
  readonly workflow: string
  /** The input of its runs, which may be `undefined`, in a list. Without one they get their time. */
  readonly input?: readonly [input?: unknown]
  /** The attributes of its runs. Absent: they have none. */
  readonly attributes?: Attributes
}

/** A time of the pattern, in ms since 1970; or a trigger, whose text begins with its time. */
export type Mark = number | string

/** The state of a schedule, with the declaration that it was made by. Times in ms since 1970. */
export type Plan = Declared & {
  /** The next time; `undefined`: there is none, or the schedule is paused. */
  readonly next: number | undefined
  /** The marks whose runs have to start, in order. */
  readonly waiting: readonly Mark[]
  /** The run, as `type/id`, whose end the next one waits for. With `allow` none does. */
  readonly running: string | undefined
  /** The run that was started last, as `type/id`. */
  readonly last?: string | undefined
  readonly isPaused: boolean
  /** How many times were left out: of the times in one rest 2,000 at most count. */
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
  const { cron, zone } = declared
  if (plan?.cron !== cron || plan.zone !== zone) {
    const born = { waiting: [], running: undefined, isPaused: false, skipped: 0 }
    const begun = { ...born, ...declaredBy(plan, declared) }
    return { ...begun, next: begun.isPaused ? undefined : times.after(now) }
  }
  const known = planBehind(plan, times, now)
  return isOf(known, declared) ? known : declaredBy(planAt(known, times, now), declared)
}

/** The plan with this declaration, which may have no attributes any more. */
const declaredBy = <P extends Plan | undefined>(plan: P, declared: Declared): P & Declared => {
  const { attributes: _, ...others } = { ...plan }
  return { ...others, ...declared } as P & Declared
}

/**
 * The plan after a clock that was ahead: its next time is the one after `now`. It would start nothing until
 * the clock has come to where it was. A time that it has come to before has its run, and gets no other one.
 */
export const planBehind = (plan: Plan, times: CronTimes, now: number): Plan => {
  if (plan.next === undefined || plan.next <= now) return plan
  const next = times.after(now)
  return next !== undefined && next < plan.next ? { ...plan, next } : plan
}

/** Whether a plan has this declaration. */
export const isOf = (plan: Plan, declared: Declared): boolean =>
  (['cron', 'zone', 'missed', 'overlap', 'workflow'] as const).every(
    (name) => plan[name] === declared[name],
  ) &&
  isDeepStrictEqual(plan.input, declared.input) &&
  isDeepStrictEqual(plan.attributes, declared.attributes)

/** The plan that is paused, or goes on. Times of a pause start nothing, and none is missed. */
export const planPaused = (plan: Plan, isPaused: boolean, times: CronTimes, now: number): Plan => {
  if (plan.isPaused === isPaused) return plan
  const until = isPaused ? planAt(plan, times, now) : plan
  return { ...until, isPaused, next: isPaused ? undefined : times.after(now) }
}

/** The plan with a run that is to start now; the reason, if its policy or its bound refuses one. */
export const planTriggered = (plan: Plan, mark: Mark): Plan | 'busy' | 'full' => {
  const { overlap, running, waiting } = plan
  if (overlap === 'skip' && (running !== undefined || waiting.length > 0)) return 'busy'
  return waiting.length >= waitingMax ? 'full' : { ...plan, waiting: [...waiting, mark] }
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

/** The mark whose run starts now. A paused schedule starts triggered runs alone. */
export const startable = ({ waiting, running, overlap, isPaused }: Plan): Mark | undefined =>
  running === undefined || overlap === 'allow'
    ? waiting.find((mark) => !isPaused || typeof mark === 'string')
    : undefined

/** The plan after the run of a mark has started, as `type/id`. */
export const planStarted = (plan: Plan, started: Mark, run: string): Plan => ({
  ...plan,
  waiting: plan.waiting.filter((mark) => mark !== started),
  running: plan.overlap === 'allow' ? plan.running : run,
  last: run,
})

/** The time of a mark, in ms since 1970. */
export const timeOf = (mark: Mark): number =>
  typeof mark === 'number' ? mark : Date.parse(mark.slice(0, mark.indexOf('/')))

/** The id of the run of a mark. */
export const runIdOf = (schedule: string, mark: Mark): string =>
  `${schedule}/${typeof mark === 'number' ? new Date(mark).toISOString() : mark}`
