/**
 * What a supervisor decides, as functions of what it knows: who is started again after which end, how often within
 * which time, and when the end of a child is the end of its supervisor. No process, no clock.
 */
import { type ExitReason, isOrderly } from '../words/exit-reason.ts'

/** When a child that ended is started again: always, unless it ended in order, never. */
export type Restart = 'permanent' | 'transient' | 'temporary'

/** Who is affected by the end of a child: itself, all its siblings, those started after it. */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

/** Which ends of significant children end their supervisor. */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant'

/** Whether a child of this restart type is started again after ending with `reason`. */
export const isRestarted = (restart: Restart, reason: ExitReason): boolean =>
  restart === 'permanent' || (restart === 'transient' && !isOrderly(reason))

/**
 * The moments of the restarts that count at `now`, newest first, this one included. When they are more than the
 * intensity, the supervisor gives up; older ones than decide that are forgotten.
 */
export const recentRestarts = (
  earlier: readonly number[],
  now: number,
  { intensity, periodMs }: { readonly intensity: number; readonly periodMs: number },
): readonly number[] => {
  const recent = earlier.filter((moment) => now - moment <= periodMs)
  return [now, ...recent.slice(0, intensity)]
}

/** What auto-shutdown looks at. */
export interface SignificantChild {
  readonly significant: boolean
  readonly isRunning: boolean
}

/** Whether the end of `ended` ends its supervisor. `left` are the children that remain, `ended` not running among them. */
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
