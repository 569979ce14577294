/** The verdict of the gate about one figure, from the times that it was taken. Pure. */
import { median } from '../wal/turns.mjs'

/** A figure that is worse than the kept one by less than this is no news. */
const worseMax = 0.1

/** Twice the standard error of a mean: equal builds differ by less, nineteen times of twenty. Of one value, that value. */
const spreadOf = (values) => {
  if (values.length === 1) return Math.abs(values[0])
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  return 2 * Math.sqrt(variance / Math.max(1, values.length - 1))
}

/**
 * `pairs`: of each pair the CPU of an operation of Keelson as a multiple of the floor's, in two processes of the same build. `kept`:
 * the best median that is kept; `undefined`: none. Answers the median of all, how much worse it is than the kept one (0.1: a
 * tenth), how far the build is from itself, and whether the gate is shut.
 */
export const verdictOf = (pairs, kept) => {
  const ratio = median(pairs.flat())
  const spread = spreadOf(pairs.map(([one, other]) => Math.log(one / other)))
  const worse = kept === undefined ? undefined : ratio / kept - 1
  return { ratio, spread, worse, isWorse: worse > worseMax && Math.log1p(worse) > spread }
}
