/** How a wrong argument is refused: where it stands, what was expected, what was found. Pure. */
import { KeelsonError } from '../errors.ts'

/** An `INVALID_ARGUMENT` with `details.path`, `details.expected` and `details.found`. */
export const invalidArgument = (path: string, expected: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} must be ${expected}.`, {
    details: { path, expected, found: String(found) },
  })

/** Refuses what is no object, and options of other names. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkOptionNames = (options: unknown, names: readonly string[]): void => {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', 'an object', options)
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw invalidArgument(name, `one of ${names.join(', ')}`, name)
}
