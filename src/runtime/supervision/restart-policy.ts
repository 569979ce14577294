/**
 * The decisions of a supervisor as pure functions: which child is restarted after which end, how
 * many restarts are allowed, and when the end of a child ends its supervisor. No process, no clock.
 */
import { type ExitReason, isOrderly } from '../words/exit-reason.ts'

/** When a child is restarted: always, unless it ended in order, never. */
export type Restart = 'permanent' | 'transient' | 'temporary'

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
  left: readonly SignificantChild[],
): boolean => {
  if (autoShutdown === 'never' || !ended.significant) return false
  return (
    autoShutdown === 'any_significant' ||
    !left.some((child) => child.significant && child.isRunning)
  )
}
