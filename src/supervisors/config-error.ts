/** How a wrong option is refused: where it stands, what was expected, what was found. */
import { KeelsonError } from '../errors.ts'

/** A `CONFIG` refusal with `details.path`, `details.expected` and `details.found`. */
export const configError = (path: string, expected: string, found: unknown): KeelsonError =>
  new KeelsonError('CONFIG', `${path}: expected ${expected}, found ${shown(found)}.`, {
    details: { path, expected, found: shown(found) },
  })

const shown = (found: unknown): string => {
  if (typeof found === 'string') return JSON.stringify(found)
  if (typeof found === 'function') return 'a function'
  if (typeof found === 'object' && found !== null)
    return Array.isArray(found) ? 'an array' : 'an object'
  return String(found)
}
