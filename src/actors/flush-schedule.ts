/**
 * When the projection is flushed: a debounce with a hard deadline. Pure; the rule is FerricStore's LMDBWriter's, with
 * each deadline on its own, so that the earliest one wins.
 */

/** How long to gather, to wait for quiet, and to let the oldest wait at most, in ms; and how many operations suffice. */
export type FlushRules = {
  readonly intervalMs: number
  readonly quietMs: number
  readonly maxLagMs: number
  readonly maxOps: number
}

/** What waits to be flushed: how much, since when, and when the last came. Times in ms of one monotonic clock. */
export type Pending = {
  readonly operations: number
  readonly firstAt: number
  readonly lastAt: number
}

/** In how many ms the pending operations are due; 0 for at once. */
export const flushDueIn = (rules: FlushRules, pending: Pending, now: number): number => {
  if (pending.operations >= rules.maxOps) return 0
  const gathered = pending.firstAt + rules.intervalMs
  const quiet = pending.lastAt + rules.quietMs
  const lag = pending.firstAt + rules.maxLagMs
  return Math.max(0, Math.min(Math.max(gathered, quiet), lag) - now)
}

/** The delay before retry number `attempt` (from 1): doubling from 50 ms to 5 s, with up to half of it as jitter. */
export const retryDelayMs = (attempt: number, random: () => number): number => {
  const delay = Math.min(5_000, 50 * 2 ** Math.min(attempt - 1, 10))
  return delay / 2 + (delay / 2) * random()
}
