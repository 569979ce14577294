/** The check of options that the functions of `keelson/postgres` take. Pure. */
import { invalidArgument, unknownOption } from '../../errors.ts'

/**
 * Refuses what is no object, and names that are not in `known`.
 * @throws KeelsonError `INVALID_ARGUMENT`, which never has what was given: it may be a URL with a
 * password
 */
export const checkOptions = (options: unknown, known: readonly string[]): void => {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', 'an object', typeof options)
  for (const name of Object.keys(options))
    if (!known.includes(name)) throw unknownOption('INVALID_ARGUMENT', name, known)
}
