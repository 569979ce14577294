/** Reads the words of a command by a table of its options. Pure. */

import { parseArgs } from 'node:util'
import { KeelsonError, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'

/** Checks the value of an option, `undefined` if it was not given. `option` names it in refusals. */
type Read<T> = (value: unknown, option: string) => T

/** An option: whether a value follows it, and how that is read. */
export type WordOption<T> = { readonly type: 'boolean' | 'string'; readonly read: Read<T> }

/** Options by name, without their dashes. */
export type WordOptions = Readonly<Record<string, WordOption<unknown>>>

/** The values of options by name. */
type ValuesOf<O extends WordOptions> = {
  readonly [K in keyof O]: O[K] extends WordOption<infer T> ? T : never
}

/** A switch, off by default. */
export const flag: WordOption<boolean> = { type: 'boolean', read: (value) => value === true }

/** A text that is not empty, or nothing. */
export const text: WordOption<string | undefined> = {
  type: 'string',
  read: (value, option) => {
    if (value === '') throw wrongWords(`${option} needs a value`)
    return value as string | undefined
  },
}

/** An option with a value that `read` makes of its text. */
export const read = <T>(of: (given: string | undefined, option: string) => T): WordOption<T> => ({
  type: 'string',
  read: (value, option) => of(text.read(value, option), option),
})

/** A text that must be given. */
export const needed = read((given, option) => {
  if (given === undefined) throw wrongWords(`${option} is needed`)
  return given
})

/** A whole number from `min` on, or `otherwise`. */
export const whole = <T>(min: number, otherwise: T): WordOption<number | T> =>
  read((given, option) => {
    if (given === undefined) return otherwise
    const number = /^\d+$/.test(given) ? Number(given) : Number.NaN
    if (Number.isSafeInteger(number) && number >= min) return number
    throw wrongWords(`${option} needs a whole number from ${min}, found '${given}'`)
  })

/** The options of commands that report: how the report is printed, and whether progress is shown. */
export const reported = { json: flag, progress: flag } as const

/**
 * Options, each read, and positional words. Every command has `verbose`.
 * @throws KeelsonError `INVALID_ARGUMENT` for an unknown option, or a wrong value
 */
export const parsedWords = <O extends WordOptions>(
  words: readonly string[],
  table: O,
): {
  readonly values: ValuesOf<O> & { readonly verbose: boolean }
  readonly positionals: string[]
} => {
  const all: WordOptions = { ...table, verbose: flag }
  const options = Object.fromEntries(
    Object.entries(all).map(([name, { type }]) => [name, { type }] as const),
  )
  const { values, positionals } = parsed(words, options)
  const entries = Object.entries(all).map(([name, { read: of }]) => [
    name,
    of(ownOf(values, name), `--${name}`),
  ])
  return { values: Object.fromEntries(entries), positionals }
}

const parsed = (
  words: readonly string[],
  options: Record<string, { type: 'boolean' | 'string' }>,
) => {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
  } catch (error) {
    // The first sentence of parseArgs's message is enough.
    throw wrongWords(keptError(error).message.split('. ')[0] ?? 'it cannot be read', error)
  }
}

/**
 * The options of a command with one positional word, which `what` names in refusals.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const wordsWith = <O extends WordOptions>(
  name: string,
  what: string,
  words: readonly string[],
  table: O,
) => {
  const { values, positionals } = parsedWords(words, table)
  const [word, second] = positionals
  if (word === undefined || word === '') throw wrongWords(`${name} needs ${what}`)
  if (second !== undefined) throw wrongWords(`${name} takes ${what}, and '${second}' is another`)
  return { word, ...values }
}

/** The help of one command. */
export type Help = { readonly kind: 'help'; readonly text: string }

/** A command of a group: its help, and how its words are read. */
export type GroupedCommand<T> = {
  readonly usage: string
  readonly parse: (words: readonly string[]) => T
}

/** The help of a group of commands. */
export const usageOf = (group: Readonly<Record<string, GroupedCommand<unknown>>>): string =>
  Object.values(group)
    .map(({ usage }) => usage)
    .join('\n\n')

/**
 * Parses the words after the name of a group of commands, such as `wal`.
 * @throws KeelsonError `INVALID_ARGUMENT` that names the fault
 */
export const parseGroup = <T>(
  of: string,
  group: Readonly<Record<string, GroupedCommand<T>>>,
  [name, ...words]: readonly string[],
): T | Help => {
  const isHelp = (word: string): boolean => word === '--help' || word === '-h'
  if (name === undefined || name === 'help' || isHelp(name))
    return { kind: 'help', text: `Usage:\n${usageOf(group)}` }
  const command = ownOf(group, name)
  if (!command)
    throw wrongWords(
      `there is no command '${of} ${name}'; there are ${Object.keys(group).join(', ')}`,
    )
  if (words.some(isHelp)) return { kind: 'help', text: `Usage:\n${command.usage}` }
  return command.parse(words)
}

/** The error for a wrong command line. */
export const wrongWords = (what: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `command line: ${what}`, cause ? { cause } : {})
