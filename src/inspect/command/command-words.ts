/** Words of a command line taken apart: options checked by name and kind, what is wrong told in one sentence. Pure. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { KeelsonError } from '../../errors.ts'

/** Which options a command takes. */
export type WordOptions = NonNullable<ParseArgsConfig['options']>

/** Options and the rest. @throws KeelsonError `INVALID_ARGUMENT` for an option that is unknown, or lacks its value. */
export const parsedWords = (words: readonly string[], options: WordOptions) => {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
  } catch (error) {
    // parseArgs explains itself at length; its first sentence says what is wrong.
    throw wrongWords((error as Error).message.split('. ')[0] ?? 'it cannot be read', error)
  }
}

/** The value of an option that may be missing. @throws KeelsonError `INVALID_ARGUMENT` when it is empty. */
export const filledOption = (option: string, value: unknown): string | undefined => {
  if (value === '') throw wrongWords(`${option} needs a value`)
  return value as string | undefined
}

/** The value of an option that must be there. @throws KeelsonError `INVALID_ARGUMENT` when it is missing or empty. */
export const neededOption = (command: string, option: string, value: unknown): string => {
  const given = filledOption(option, value)
  if (given === undefined) throw wrongWords(`${command} needs ${option}`)
  return given
}

/** The error for a wrong command line. */
export const wrongWords = (what: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `The command line: ${what}.`, cause ? { cause } : {})
