/** A write over several shards: each part is atomic, the whole is not, and whoever wrote learns what became of each part. */
import { isKeelsonError, KeelsonError } from '../errors.ts'

/** The part of one shard, under way. */
export type SpreadPart<T> = { readonly shard: number; readonly work: Promise<T> }

/** What became of one shard's part, in the `details.outcomes` of `PARTIAL`. */
export type SpreadOutcome =
  | ({ readonly shard: number; readonly ok: true } & Readonly<Record<string, unknown>>)
  | { readonly shard: number; readonly ok: false; readonly error: unknown }

/**
 * What all parts answer, in their order, once all have settled.
 * @throws what the part of the only shard throws; KeelsonError `PARTIAL` with `details.outcomes` when one of several fails
 */
export const settledParts = async <T extends object>(
  parts: readonly SpreadPart<T>[],
): Promise<readonly T[]> => {
  const [only] = parts
  if (only && parts.length === 1) return [await only.work]
  const settled = await Promise.allSettled(parts.map(({ work }) => work))
  const outcomes = settled.map((one, at): SpreadOutcome => {
    const shard = parts[at]?.shard ?? at
    return one.status === 'fulfilled'
      ? { ...one.value, shard, ok: true }
      : { shard, ok: false, error: one.reason }
  })
  const failed = outcomes.filter((one) => !one.ok)
  if (failed.length > 0) throw partial(outcomes, failed)
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

const partial = (
  outcomes: readonly SpreadOutcome[],
  failed: readonly SpreadOutcome[],
): KeelsonError => {
  const [first] = failed.map((one) => (one.ok === false ? one.error : undefined))
  return new KeelsonError(
    'PARTIAL',
    `The write failed on ${failed.length} of ${outcomes.length} shards${isKeelsonError(first) ? ` (${first.code})` : ''}.`,
    { details: { outcomes }, cause: first },
  )
}
