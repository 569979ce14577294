/** Parses options by name and kind. Pure. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { KeelsonError } from '../../errors.ts'

/** The options of a command. */
export type WordOptions = NonNullable<ParseArgsConfig['options']>

/**
 * Options and positional words.
 * @throws KeelsonError `INVALID_ARGUMENT` for an unknown option, or one without its value
 */
export const parsedWords = (words: readonly string[], options: WordOptions) => {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
  } catch (error) {
    // The first sentence of parseArgs's message is enough.
    throw wrongWords((error as Error).message.split('. ')[0] ?? 'it cannot be read', error)
  }
}

/**
 * The value of an optional option.
 * @throws KeelsonError `INVALID_ARGUMENT` when it is empty
 */
export const filledOption = (option: string, value: unknown): string | undefined => {
  if (value === '') throw wrongWords(`${option} needs a value`)
  return value as string | undefined
}

/**
 * The value of a required option.
 * @throws KeelsonError `INVALID_ARGUMENT` when it is missing or empty
 */
export const neededOption = (command: string, option: string, value: unknown): string => {
  const given = filledOption(option, value)
  if (given === undefined) throw wrongWords(`${command} needs ${option}`)
  return given
}

/** The error for a wrong command line. */
export const wrongWords = (what: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `command line: ${what}`, cause ? { cause } : {})
