/**
 * How long something took in the last minute: counts in buckets whose bounds grow by a fifth, in
 * six parts of ten seconds each. Pure.
 */

const partMs = 10_000
const partsMax = 6
const smallestMs = 0.01
const growth = 1.2
/** Up to 70 days: a run may take so long. */
const buckets = 150

type Part = { readonly from: number; readonly counts: Float64Array; maxMs: number }

/** The times of the last minute. Times of the caller's clock are in ms and do not go back. */
export class RecentTimes {
  #parts: Part[] = []

  /** Adds a time that counts `weight` times. */
  add(now: number, tookMs: number, weight = 1): void {
    const part = this.#partAt(now)
    const at = Math.ceil(Math.log(Math.max(tookMs, smallestMs) / smallestMs) / Math.log(growth))
    const bucket = Math.min(at, buckets - 1)
    part.counts[bucket] = (part.counts[bucket] as number) + weight
    part.maxMs = Math.max(part.maxMs, tookMs)
  }

  /** The times since `now - withinMs`, rounded up to whole parts. */
  summary(now: number, withinMs = partMs * partsMax) {
    const parts = this.#parts.filter(({ from }) => from > now - withinMs - partMs)
    const counts = new Float64Array(buckets)
    for (const part of parts)
      part.counts.forEach((each, at) => {
        counts[at] = (counts[at] as number) + each
      })
    const count = counts.reduce((sum, each) => sum + each, 0)
    const maxMs = Math.max(0, ...parts.map((part) => part.maxMs))
    const at = (share: number): number => Math.min(maxMs, boundOf(counts, count * share))
    return { count, p50Ms: rounded(at(0.5)), p99Ms: rounded(at(0.99)), maxMs: rounded(maxMs) }
  }

  #partAt(now: number): Part {
    const last = this.#parts.at(-1)
    if (last && now - last.from < partMs) return last
    const part = { from: now, counts: new Float64Array(buckets), maxMs: 0 }
    this.#parts = [...this.#parts.slice(1 - partsMax), part]
    return part
  }
}

/** The bound of the bucket with the value of this rank. */
const boundOf = (counts: Float64Array, rank: number): number => {
  let sum = 0
  for (const [at, count] of counts.entries()) {
    sum += count
    if (sum > 0 && sum >= rank) return smallestMs * growth ** at
  }
  return 0
}

/** Three digits are enough for a view. */
export const rounded = (value: number): number => Number(value.toPrecision(3))
