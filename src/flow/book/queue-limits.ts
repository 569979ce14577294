/**
 * The limits of a queue that are declared, and that may be changed while the program runs. A changed
 * limit holds until it is reset, over restarts and over programs that declare another one. It is
 * apart from the terms because the stored changes outlive the program whose terms these are. Pure.
 */
import {
  argument,
  type Check,
  flag,
  object,
  optional,
  or,
  refusal,
  wholeFrom,
} from '../../check.ts'
import type { QueueLimits } from '../book/queue-types.ts'
import type { RateLimit } from '../book/rates.ts'
import type { Duration } from '../runs/body.ts'
import { duration } from '../runs/options.ts'

/** A rate: the most tries that begin in any time of this length, in ms, of the queue or of each key. */
export type QueueRate = { readonly max: number; readonly per: number; readonly key: boolean }

/** Limits that a queue may change at run time. The others stay as they are. */
export type LimitsChange = {
  /** The most jobs that run at once, up to 10,000. */
  readonly concurrency?: number
  /** The most jobs of one key that run at once, up to 10,000, which is no limit. */
  readonly perKey?: number
  /** As of the declaration; `null`: no rate. */
  readonly rate?: { readonly max: number; readonly per: Duration; readonly key?: boolean } | null
}

/** Limits that were changed at run time, and no others. */
export type ChangedLimits = {
  readonly concurrency?: number
  readonly perKey?: number
  /** `null`: no rate. */
  readonly rate?: QueueRate | null
}

/** The limits of a queue that may change at run time. `rate`: `null`: it has none. */
export type LimitValues = Required<ChangedLimits>

/** The limits that a queue holds now, the ones changed at run time, and the ones of its declaration. */
export type LimitsLook = LimitValues & {
  readonly changed: readonly (keyof LimitValues)[]
  readonly declared: LimitValues
}

/** The most jobs that run at once: their claims are in the state of the queue. */
const concurrencyMax = 10_000

/** The checks of the limits that a declaration and a change have in common. */
export const limitChecks = {
  concurrency: wholeFrom(1, concurrencyMax),
  perKey: wholeFrom(1, concurrencyMax),
  rate: object({ max: wholeFrom(1), per: duration, key: or(flag, false) }),
}

/** Without `perKey` as many jobs of a key may run as of the queue. */
export const perKeyDefault = concurrencyMax

type GivenRate = NonNullable<LimitsChange['rate']>

const rateOrNone: Check<QueueRate | null, GivenRate | null> = (found, at) =>
  found === null ? null : limitChecks.rate(found, at)

const changes = object({
  concurrency: optional(limitChecks.concurrency),
  perKey: optional(limitChecks.perKey),
  rate: optional(rateOrNone),
})

/** A checked change, of one limit at least. @throws KeelsonError `INVALID_ARGUMENT` */
export const limitsChange = (given: LimitsChange): ChangedLimits => {
  const at = argument('', 'a change of limits')
  const change = changes(given, at)
  // A limit that is left out has no member.
  if (Object.keys(change).length > 0) return change as ChangedLimits
  throw refusal(at, 'concurrency, perKey or rate', 'none of them')
}

const rateOf = (rate: QueueRate | null): RateLimit | undefined =>
  rate === null ? undefined : { max: rate.max, perMs: rate.per, key: rate.key }

/** The limits that hold: the changed ones, then those of the declaration. */
export const limitsWith = (
  declared: QueueLimits,
  changed: ChangedLimits | undefined,
): QueueLimits => {
  if (changed === undefined) return declared
  const { concurrency, perKey, rate } = { ...valuesOf(declared), ...changed }
  return { ...declared, concurrency, perKey, rate: rateOf(rate) }
}

const valuesOf = ({ concurrency, perKey, rate }: QueueLimits): LimitValues => ({
  concurrency,
  perKey,
  rate: rate ? { max: rate.max, per: rate.perMs, key: rate.key } : null,
})

/** A look at the limits of a queue. */
export const limitsLook = (
  declared: QueueLimits,
  changed: ChangedLimits | undefined,
): LimitsLook => ({
  ...valuesOf(limitsWith(declared, changed)),
  changed: Object.keys(changed ?? {}) as (keyof LimitValues)[],
  declared: valuesOf(declared),
})

/** Whether two rates count the same. */
export const isSameRate = (one: RateLimit | undefined, other: RateLimit | undefined): boolean =>
  one?.max === other?.max && one?.perMs === other?.perMs && one?.key === other?.key
