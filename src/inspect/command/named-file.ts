/** Files that the words of a command name: what cannot be read or written is a refusal. */
import { readFileSync, writeFileSync } from 'node:fs'
import { KeelsonError } from '../../errors.ts'

/** The bytes of a file. @throws KeelsonError `INVALID_ARGUMENT` */
export const readNamed = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw unreadable(path, (cause as Error).message, cause)
  }
}

/** Writes a whole file, a new one for its own user only. @throws KeelsonError `INVALID_ARGUMENT` */
export const writeNamed = (path: string, text: string): void => {
  try {
    writeFileSync(path, text, { mode: 0o600 })
  } catch (cause) {
    throw refused(path, 'written', (cause as Error).message, cause)
  }
}

/** The refusal of a file that cannot be read. */
export const unreadable = (path: string, why: string, cause?: unknown): KeelsonError =>
  refused(path, 'read', why, cause)

const refused = (path: string, done: string, found: string, cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be ${done}: ${found}`, {
    details: { path, found },
    cause,
  })
