/** Parses `keelson wal`: words in, a checked command out. Pure. */
import { filledOption, neededOption, parsedWords, wrongWords } from '../command/command-words.ts'

/**
 * `keelson wal verify`. `dir` is the folder of a log or of a shard, or a data folder. Paths are as
 * written.
 */
export type WalVerifyCommand = {
  readonly kind: 'wal verify'
  readonly dir: string
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/**
 * `keelson wal dump`. LSNs from `from` to `to`, inclusive. `width` is the number of characters
 * shown of a value.
 */
export type WalDumpCommand = {
  readonly kind: 'wal dump'
  readonly dir: string
  readonly from?: number
  readonly to: number
  readonly width: number
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** `keelson wal salvage`. */
export type WalSalvageCommand = {
  readonly kind: 'wal salvage'
  readonly dir: string
  readonly to: string
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** The commands of `keelson wal`. */
export type WalCommand = WalVerifyCommand | WalDumpCommand | WalSalvageCommand

/** The help of one command. */
export type WalHelp = { readonly kind: 'help'; readonly text: string }

const usages = {
  verify: `  keelson wal verify DIR [--json] [--progress]
      Reads a whole log, or every log of a data folder, and changes nothing. Names each damaged place by
      file, offset and LSN, and the LSNs that are proven to be lost. Works while an instance runs.
      Exit status: 0 clean, 3 a torn tail that opening would cut (nothing acknowledged is in it), 4 damage.
      --json          one object on standard output
      --progress      shows how far it is, on standard error, also where that is no terminal`,
  dump: `  keelson wal dump DIR [--from LSN] [--to LSN] [--width N] [--json]
      Prints every frame with what it carries, and damaged places where they are, and goes on behind them.
      --from, --to    only frames with these LSNs, both included
      --width N       how many characters of a value are shown; 60 by default
      --json          one object a line, values whole`,
  salvage: `  keelson wal salvage DIR --to DIR2 [--json] [--progress]
      Makes DIR2, which must be missing or empty, of every frame of DIR that can be read, under their LSNs,
      and lists the LSNs that are lost. DIR is only read. Of a data folder comes a data folder that starts.
      Exit status: 0 nothing is lost, 4 something is.
      --to DIR2       where to; neither in DIR nor around it
      --json          one object on standard output
      --progress      shows how far it is, on standard error, also where that is no terminal`,
} as const

/** The part of `keelson help` about logs. */
export const walUsage = Object.values(usages).join('\n\n')

const flags = {
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
  verbose: { type: 'boolean' },
} as const

/**
 * Parses the words after `keelson wal`.
 * @throws KeelsonError `INVALID_ARGUMENT` that names the fault
 */
export const parseWalCommand = (words: readonly string[]): WalCommand | WalHelp => {
  const [name, ...rest] = words
  const wantsHelp = words.includes('--help') || words.includes('-h')
  if (name === undefined || name === 'help' || name === '--help' || name === '-h')
    return { kind: 'help', text: `Usage:\n${walUsage}` }
  if (name !== 'verify' && name !== 'dump' && name !== 'salvage')
    throw wrongWords(`there is no command 'wal ${name}'; there are verify, dump, salvage`)
  if (wantsHelp) return { kind: 'help', text: `Usage:\n${usages[name]}` }
  if (name === 'verify') return verifyCommand(rest)
  return name === 'dump' ? dumpCommand(rest) : salvageCommand(rest)
}

const verifyCommand = (words: readonly string[]): WalVerifyCommand => {
  const { values, positionals } = parsedWords(words, flags)
  return { kind: 'wal verify', dir: folderOf('verify', positionals), ...switches(values) }
}

const dumpCommand = (words: readonly string[]): WalDumpCommand => {
  const string = { type: 'string' } as const
  const { values, positionals } = parsedWords(words, {
    ...flags,
    from: string,
    to: string,
    width: string,
  })
  const from = values.from === undefined ? undefined : numberOf('--from', values.from, 1)
  const to = numberOf('--to', values.to, Number.MAX_SAFE_INTEGER)
  if (from !== undefined && to < from) throw wrongWords(`--to ${to} lies before --from ${from}`)
  const width = numberOf('--width', values.width, 60)
  return {
    kind: 'wal dump',
    dir: folderOf('dump', positionals),
    ...(from !== undefined && { from }),
    to,
    width,
    ...switches(values),
  }
}

const salvageCommand = (words: readonly string[]): WalSalvageCommand => {
  const { values, positionals } = parsedWords(words, { ...flags, to: { type: 'string' } })
  const to = neededOption('wal salvage', '--to', values.to)
  return { kind: 'wal salvage', dir: folderOf('salvage', positionals), to, ...switches(values) }
}

const switches = ({ json, progress, verbose }: Readonly<Record<string, unknown>>) => ({
  json: json === true,
  progress: progress === true,
  verbose: verbose === true,
})

const folderOf = (name: string, positionals: readonly string[]): string => {
  const [dir, second] = positionals
  if (dir === undefined || dir === '') throw wrongWords(`wal ${name} needs a folder`)
  if (second !== undefined)
    throw wrongWords(`wal ${name} takes one folder, and '${second}' is another`)
  return dir
}

const numberOf = (option: string, value: unknown, otherwise: number): number => {
  const given = filledOption(option, value)
  if (given === undefined) return otherwise
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw wrongWords(`${option} needs a whole number from 1, found '${given}'`)
}
