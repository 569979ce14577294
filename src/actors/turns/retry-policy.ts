/**
 * When a step or an alarm that failed is tried again, and what comes when its tries have ended.
 * Pure.
 */

import { backoffMs, type Retry, retryOf } from '../../clock.ts'
import type { KeptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { ownOf } from '../../own-names.ts'

/**
 * The policy of a server: one policy for all steps and alarms, and separate policies for some of
 * them by name.
 */
export type RetryPolicies<
  Continue extends string = string,
  Alarm extends string = string,
> = Retry & {
  readonly continues?: { readonly [N in Continue]?: Retry }
  readonly alarms?: { readonly [N in Alarm]?: Retry }
}

/** A step or an alarm: where its handler is declared, and its name there. */
export type Attempted = { readonly section: 'continues' | 'alarms'; readonly name: string }

/** The last failure of a step or an alarm, and what comes next. */
export type Failure = {
  /** Another try; the handler `onFailed`; or nothing until `unblock`: it is parked. */
  readonly next: 'retry' | 'onFailed' | 'unblock'
  /** When it failed, in ms since 1970. */
  readonly at: number
  /** When it failed first, and how many tries it has; rows of earlier builds have neither. */
  readonly since?: number
  readonly triesMax?: number
  readonly error: KeptError
}

/** A step or an alarm that has failed `tries` times. */
export type Tried = Attempted & { readonly tries: number }

/** The outcome of a failed try, and the pause before the next one in ms. */
export type AfterTry = {
  readonly error: unknown
  readonly next: Failure['next']
  readonly inMs: number
  /** How many tries it has; absent: it is tried until it succeeds. */
  readonly triesMax?: number
}

/**
 * Decides about another failed try. `canFail`: the server has an `onFailed`. A throw of `unless`
 * is the error of the try, and there is another one. `drawn`: a random number.
 */
export const afterTry = (
  policies: RetryPolicies | undefined,
  { tries, ...attempted }: Tried,
  thrown: unknown,
  canFail: boolean,
  drawn: number,
): AfterTry => {
  const policy = retryOf(policies, ownOf(policies?.[attempted.section], attempted.name))
  let [error, isLast] = [thrown, tries >= policy.max]
  try {
    if (policy.unless(thrown) === true) isLast = true
  } catch (cause) {
    error = cause
  }
  const next = isLast ? (canFail ? 'onFailed' : 'unblock') : 'retry'
  const inMs = isLast ? 0 : Math.ceil(backoffMs(policy, tries, drawn))
  return { error, next, inMs, ...(Number.isFinite(policy.max) && { triesMax: policy.max }) }
}

const messageMax = 500

/** A failure after `before`, as it is kept. */
export const failureOf = (
  { next, error, triesMax }: Omit<AfterTry, 'inMs'>,
  at: number,
  before?: Failure,
): Failure => ({
  next,
  at,
  since: before?.since ?? before?.at ?? at,
  ...(triesMax !== undefined && { triesMax }),
  error: failureRecord(error, messageMax),
})

const nexts = ['retry', 'onFailed', 'unblock'] as const

/**
 * The count of tries and the last failure, as rows have them: a number, or a list that begins with it.
 * A build that knows no `more` reads the rest.
 */
export const packTries = (tries: number, failure: Failure | undefined): unknown => {
  if (failure === undefined) return tries
  const { next, at, since, triesMax, error } = failure
  const { name, message, code, ...others } = error
  const more = {
    ...(since !== undefined && { since }),
    ...(triesMax !== undefined && { triesMax }),
    ...others,
  }
  return [tries, nexts.indexOf(next), at, name, message, code ?? null, more]
}

/** Reads what `packTries` made. */
export const unpackTries = (
  packed: unknown,
): { readonly tries: number; readonly failure: Failure | undefined } => {
  if (typeof packed === 'number') return { tries: packed, failure: undefined }
  const [tries, next, at, name, message, code, more] = packed as [
    ...[number, number, number, string, string, (string | null)?],
    (Omit<KeptError, 'name' | 'message' | 'code'> & Pick<Failure, 'since' | 'triesMax'>)?,
  ]
  const { since, triesMax, ...others } = more ?? {}
  const error = { name, message, ...(typeof code === 'string' && { code }), ...others }
  const times = {
    at,
    ...(since !== undefined && { since }),
    ...(triesMax !== undefined && { triesMax }),
  }
  return { tries, failure: { next: nexts[next] ?? 'unblock', ...times, error } }
}
