/**
 * What the options of a start must be, for callers that no compiler checks. A name that is none, or a bound that compares
 * with nothing, would go unnoticed until it matters.
 */
import { KeelsonError } from '../errors.ts'
import { describeReason } from './exit-reason.ts'
import type { StartOptions } from './start-options.ts'
import { isDelay, noDelay } from './timer-heap.ts'
import { isVia } from './via.ts'

/** Throws `INVALID_ARGUMENT` unless the name, the bound of the mailbox and the time of a start are such, or left out. */
export const expectStartOptions = (options: StartOptions<unknown>): void => {
  expectOptions('the options of a start', options)
  for (const key in options) if (!known.has(key)) throw wrong('an option of a start', expected, key)
  const { name, mailboxMax, timeoutMs } = options
  if (name !== undefined && !isVia(name)) expectName(name)
  if (mailboxMax !== undefined) expectMailboxMax(mailboxMax)
  if (timeoutMs !== undefined && !isDelay(timeoutMs))
    throw noDelay('timeoutMs of a start', timeoutMs)
}

const known = new Set(['name', 'mailboxMax', 'app', 'instance', 'timeoutMs', 'kind', 'label'])
const expected = `one of ${[...known].join(', ')}`

/** Throws `INVALID_ARGUMENT` unless `found` is an object. */
export const expectOptions = (what: string, found: unknown): void => {
  if (typeof found !== 'object' || found === null) throw wrong(what, 'an object', found)
}

/** Throws `INVALID_ARGUMENT` unless `found` is a text that is not empty. */
export const expectName = (found: unknown): void => {
  if (typeof found !== 'string' || found === '') throw wrong('a name', 'a text', found)
}

/** Throws `INVALID_ARGUMENT` unless `found` is a whole number from 1, or infinite. */
export const expectMailboxMax = (found: unknown): void => {
  if (found === Number.POSITIVE_INFINITY) return
  if (!Number.isSafeInteger(found) || (found as number) < 1) {
    throw wrong('mailboxMax', 'a whole number from 1, or Infinity', found)
  }
}

const wrong = (what: string, expected: string, found: unknown): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `${what}: expected ${expected}, found ${describeReason(found)}`,
    { details: { expected, found } },
  )
