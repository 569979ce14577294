/**
 * The decisions of a supervisor as pure functions: which child is restarted after which end, how
 * many restarts are allowed, and when the end of a child ends its supervisor. No process, no clock.
 */
import { backoffMs } from '../../clock.ts'
import { type ExitReason, isOrderly } from '../words/exit-reason.ts'

/** When a child is restarted: always, unless it ended in order, never. */
export type Restart = 'permanent' | 'transient' | 'temporary'

/**
 * The time between restarts of one child. It is `fromMs` before the first restart in a row, doubles
 * with each, and is `toMs` at most. Each wait is drawn between half of this time and all of it, so
 * that children which failed together do not return together.
 */
export interface Backoff {
  /** Whole milliseconds from 1. */
  readonly fromMs: number
  /** Whole milliseconds, not less than `fromMs`. A child that ran this long begins a new row. */
  readonly toMs: number
}

/**
 * A restart type, or one with a back-off: then each restart waits, and spends no intensity. Without
 * a `type` the child is permanent.
 */
export type RestartOption =
  | Restart
  | { readonly type?: Exclude<Restart, 'temporary'> | undefined; readonly backoff: Backoff }

/** The restart type and the back-off of a specification, `permanent` and none by default. */
export const restartPlan = (
  restart: RestartOption = 'permanent',
): { readonly type: Restart; readonly backoff: Backoff | undefined } =>
  typeof restart === 'string'
    ? { type: restart, backoff: undefined }
    : { type: restart.type ?? 'permanent', backoff: restart.backoff }

/** The wait in ms before the restart with this number in a row, from 1. `drawn` is from 0 to 1. */
export const restartWaitMs = ({ fromMs, toMs }: Backoff, row: number, drawn: number): number =>
  backoffMs({ baseMs: fromMs, maxMs: toMs, jitter: 0.5 }, row, drawn)

/**
 * The children that are restarted together: the ended one, all, or it and those started after it.
 */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

/** Which ends of significant children end the supervisor. */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant'

/** Whether a child of this restart type is restarted after `reason`. */
export const isRestarted = (restart: Restart, reason: ExitReason): boolean =>
  restart === 'permanent' || (restart === 'transient' && !isOrderly(reason))

/** The limit of restarts: more than `intensity` of them in `periodMs` are too many. */
export type RestartLimit = { readonly intensity: number; readonly periodMs: number }

/**
 * The times of the restarts that count at `now`, newest first, including this one. Older times than
 * the decision needs are dropped.
 */
export const recentRestarts = (
  earlier: readonly number[],
  now: number,
  { intensity, periodMs }: RestartLimit,
): readonly number[] => {
  const recent = earlier.filter((moment) => now - moment <= periodMs)
  return [now, ...recent.slice(0, intensity)]
}

/** Whether the supervisor gives up instead of restarting. `recent` is from `recentRestarts`. */
export const givesUp = (recent: readonly number[], { intensity }: RestartLimit): boolean =>
  recent.length > intensity

/** The facts for auto-shutdown. */
export interface SignificantChild {
  readonly significant: boolean
  readonly isRunning: boolean
}

/**
 * Whether the end of `ended` ends its supervisor. `left` are the remaining children, including
 * `ended` if it stays, not running.
 */
export const endsSupervisor = (
  autoShutdown: AutoShutdown,
  ended: SignificantChild,
  left: Iterable<SignificantChild>,
): boolean => {
  if (autoShutdown === 'never' || !ended.significant) return false
  if (autoShutdown === 'any_significant') return true
  for (const child of left) if (child.significant && child.isRunning) return false
  return true
}
