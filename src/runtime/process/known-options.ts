/**
 * A check of the names of options, for callers without types: a misspelt name would have no effect,
 * unnoticed.
 */
import { invalidArgument } from '../../errors.ts'

/**
 * Throws `INVALID_ARGUMENT` unless `options`, the options of `what`, are an object with no other
 * keys than `known`.
 */
export const expectOptions = (what: string, options: unknown, known: ReadonlySet<string>): void => {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument(`the options of ${what}`, 'an object', options)
  for (const key in options) {
    if (!known.has(key))
      throw invalidArgument(`an option of ${what}`, `one of ${[...known].join(', ')}`, key)
  }
}
