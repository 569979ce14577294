/**
 * Options are checked by their names, for callers that no compiler checks: a name with a slip in it would set nothing, and
 * nobody would notice before it matters.
 */
import { invalidArgument } from '../../errors.ts'

/** Throws `INVALID_ARGUMENT` unless `options`, those of `what`, are an object with no other keys than `known`. */
export const expectOptions = (what: string, options: unknown, known: ReadonlySet<string>): void => {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument(`the options of ${what}`, 'an object', options)
  for (const key in options) {
    if (!known.has(key))
      throw invalidArgument(`an option of ${what}`, `one of ${[...known].join(', ')}`, key)
  }
}
