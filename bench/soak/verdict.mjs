/** Whether a series of samples stays flat. Pure. */

/** The middle of some numbers; 0 of none. */
const middle = (values) => {
  const sorted = values.toSorted((one, other) => one - other)
  const half = sorted.length >> 1
  if (sorted.length === 0) return 0
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** At most so many points are compared pair by pair. */
const pointsMax = 400

/**
 * The slope of the line through points `[x, y]` by Theil and Sen: the middle of the slopes of all pairs. One sample, however
 * high, does not move it; a saw-tooth has none.
 */
export const slopeOf = (points) => {
  const step = Math.max(1, Math.ceil(points.length / pointsMax))
  const some = points.filter((_, at) => at % step === 0)
  const slopes = []
  for (const [at, [x, y]] of some.entries())
    for (const [later, value] of some.slice(at + 1))
      if (later > x) slopes.push((value - y) / (later - x))
  return middle(slopes)
}

/**
 * Judges `points`, `[seconds, value]`, by their last three quarters: the first one warms up. `growth` is what the line through
 * them gains from the beginning to the end of these. Flat is a growth of at most `share` of the middle value, or of at most
 * `atMost`. `explained` is growth that has a known reason, such as rows that are kept by design: it is subtracted. A series without
 * samples is not flat.
 */
export const verdictOf = (points, { share = 0, atMost = 0, explained = 0 }) => {
  const known = points.filter(([, value]) => Number.isFinite(value))
  const judged = known.slice(Math.floor(known.length / 4))
  const [first, last] = [judged[0]?.[0] ?? 0, judged.at(-1)?.[0] ?? 0]
  const growth = slopeOf(judged) * (last - first)
  const level = middle(judged.map(([, value]) => value))
  const bound = Math.max(atMost, share * level)
  return {
    level,
    growth,
    explained,
    bound,
    isFlat: judged.length > 0 && growth - explained <= bound,
  }
}
