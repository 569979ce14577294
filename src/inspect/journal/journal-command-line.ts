/** Parses `keelson journal`: words in, a checked command out. Pure. */
import { filledOption, neededOption, parsedWords, wrongWords } from '../command/command-words.ts'

/** Which log. `dir` is the folder of a log or of a shard, or a data folder. */
type LogWords = {
  readonly dir: string
  readonly shard: number
  /** The file to write; standard output by default. */
  readonly out: string | undefined
  readonly verbose: boolean
}

/** `keelson journal head`. `since`: the file of an earlier head. */
export type JournalHeadCommand = LogWords & {
  readonly kind: 'journal head'
  readonly since: string | undefined
}

/** `keelson journal prove`. `at`: as of so many groups; by default, all. */
export type JournalProveCommand = LogWords & {
  readonly kind: 'journal prove'
  readonly lsn: number
  readonly index: number
  readonly at: number | undefined
}

/** `keelson journal verify`. All are names of files. */
export type JournalVerifyCommand = {
  readonly kind: 'journal verify'
  readonly proof: string
  readonly entry: string | undefined
  readonly head: string | undefined
  readonly key: string | undefined
  readonly json: boolean
  readonly verbose: boolean
}

/** The commands of `keelson journal`. */
export type JournalCommand = JournalHeadCommand | JournalProveCommand | JournalVerifyCommand

/** The help of one command. */
export type JournalHelp = { readonly kind: 'help'; readonly text: string }

const usages = {
  head: `  keelson journal head DIR [--since HEAD] [--shard N] [--out FILE]
      The end of the chain of commitments of a log: what an operator publishes. Nothing is changed.
      --since HEAD    instead the proof that the chain continues that of an earlier head`,
  prove: `  keelson journal prove DIR --lsn N [--index I] [--at GROUPS] [--shard N] [--out FILE]
      The proof that a write is in the log. It holds the write itself. Works on a copy of the log.
      --lsn N         the LSN that the write was answered with
      --index I       its place in the frame of this LSN; 0
      --at GROUPS     against the head with so many groups; by default the present one
      --shard N       of a data folder; 0`,
  verify: `  keelson journal verify PROOF [--entry FILE] [--head HEAD] [--key PEM] [--json]
      Checks a proof without any log, and prints what it proves.
      Exit status: 0 the proof holds, 4 it does not, or is of a newer version.
      --entry FILE    the write must be these bytes
      --head HEAD     the proof must be against this head
      --key PEM       the group must be signed with this key`,
} as const

/** The part of `keelson help` about proofs. */
export const journalUsage = Object.values(usages).join('\n\n')

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const place = { shard: text, out: text, verbose: flag }

/** Parses the words after `keelson journal`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseJournalCommand = (words: readonly string[]): JournalCommand | JournalHelp => {
  const [name, ...rest] = words
  const wantsHelp = words.includes('--help') || words.includes('-h')
  if (name === undefined || name === 'help' || name === '--help' || name === '-h')
    return { kind: 'help', text: `Usage:\n${journalUsage}` }
  if (name !== 'head' && name !== 'prove' && name !== 'verify')
    throw wrongWords(`there is no command 'journal ${name}'; there are head, prove, verify`)
  if (wantsHelp) return { kind: 'help', text: `Usage:\n${usages[name]}` }
  if (name === 'head') return headCommand(rest)
  return name === 'prove' ? proveCommand(rest) : verifyCommand(rest)
}

type Values = Readonly<Record<string, unknown>>

const headCommand = (words: readonly string[]): JournalHeadCommand => {
  const { values, positionals } = parsedWords(words, { ...place, since: text })
  const since = filledOption('--since', values.since)
  return { kind: 'journal head', ...logWords('head', positionals, values), since }
}

const proveCommand = (words: readonly string[]): JournalProveCommand => {
  const options = { ...place, lsn: text, index: text, at: text }
  const { values, positionals } = parsedWords(words, options)
  neededOption('journal prove', '--lsn', values.lsn)
  return {
    kind: 'journal prove',
    ...logWords('prove', positionals, values),
    lsn: numberOf('--lsn', values.lsn) ?? 0,
    index: numberOf('--index', values.index) ?? 0,
    at: numberOf('--at', values.at),
  }
}

const verifyCommand = (words: readonly string[]): JournalVerifyCommand => {
  const options = { entry: text, head: text, key: text, json: flag, verbose: flag }
  const { values, positionals } = parsedWords(words, options)
  return {
    kind: 'journal verify',
    proof: onlyOne('verify', 'a proof', positionals),
    entry: filledOption('--entry', values.entry),
    head: filledOption('--head', values.head),
    key: filledOption('--key', values.key),
    json: values.json === true,
    verbose: values.verbose === true,
  }
}

const logWords = (name: string, positionals: readonly string[], values: Values): LogWords => ({
  dir: onlyOne(name, 'a folder', positionals),
  shard: numberOf('--shard', values.shard) ?? 0,
  out: filledOption('--out', values.out),
  verbose: values.verbose === true,
})

const onlyOne = (name: string, what: string, positionals: readonly string[]): string => {
  const [first, second] = positionals
  if (first === undefined || first === '') throw wrongWords(`journal ${name} needs ${what}`)
  if (second === undefined) return first
  throw wrongWords(`journal ${name} takes one argument, and '${second}' is another`)
}

const numberOf = (option: string, value: unknown): number | undefined => {
  const given = filledOption(option, value)
  if (given === undefined) return undefined
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN
  if (Number.isSafeInteger(number)) return number
  throw wrongWords(`${option} needs a whole number, found '${given}'`)
}
