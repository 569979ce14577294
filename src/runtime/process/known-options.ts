/**
 * Options are checked by their names, for callers that no compiler checks: a name with a slip in it would set nothing, and
 * nobody would notice before it matters.
 */
import { KeelsonError } from '../../errors.ts'
import { describeReason } from '../words/exit-reason.ts'

/** Throws `INVALID_ARGUMENT` unless `options`, those of `what`, are an object with no other keys than `known`. */
export const expectOptions = (what: string, options: unknown, known: ReadonlySet<string>): void => {
  if (typeof options !== 'object' || options === null)
    throw unexpected(`the options of ${what}`, 'an object', options)
  for (const key in options) {
    if (!known.has(key))
      throw unexpected(`an option of ${what}`, `one of ${[...known].join(', ')}`, key)
  }
}

/** The error of an argument that is not what was expected. */
export const unexpected = (what: string, expected: string, found: unknown): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `${what}: expected ${expected}, found ${describeReason(found)}`,
    { details: { expected, found } },
  )
