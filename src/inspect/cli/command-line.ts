/** Parses the command line: words in, a checked command out. Pure. */
import { extname } from 'node:path'
import {
  type BackupCommand,
  backupUsage,
  type OpenCommand,
  parseBackup,
  parseOpen,
  parseRestore,
  type RestoreCommand,
  type RestoreReplicaCommand,
} from '../backup/backup-command-line.ts'
import { filledOption, neededOption, parsedWords, wrongWords } from '../command/command-words.ts'
import { type DoctorCommand, doctorUsage, parseDoctor } from '../doctor/doctor-command-line.ts'
import type { RecordFormat } from '../ingest/record-splitter.ts'
import {
  type JournalCommand,
  journalUsage,
  parseJournalCommand,
} from '../journal/journal-command-line.ts'
import { parseWalCommand, type WalCommand, walUsage } from '../wal/wal-command-line.ts'

/** The words that say which instance. Paths are as they were written. */
export type InstanceWords = {
  readonly config: string | undefined
  readonly dir: string | undefined
  /** `--acts`: a copy acts from here on. */
  readonly acts?: true
  /** `--no-app`: the store alone, whatever the configuration has. */
  readonly app?: false
}

/** `keelson start`, `keelson run` and `keelson attach`. */
export type InstanceCommand = InstanceWords & {
  readonly kind: 'start' | 'run' | 'attach'
  readonly verbose: boolean
  /** `--log json` of `keelson run`: its lines are JSON. */
  readonly log?: 'json'
}

/** `keelson ingest`. `file` is a path, or `-` for standard input. */
export type IngestCommand = {
  readonly kind: 'ingest'
  readonly file: string
  readonly dir: string
  readonly key: string
  readonly format: RecordFormat
  readonly verbose: boolean
}

/** The commands of `keelson`. */
export type ParsedCommand =
  | InstanceCommand
  | IngestCommand
  | BackupCommand
  | RestoreCommand
  | RestoreReplicaCommand
  | OpenCommand
  | DoctorCommand
  | WalCommand
  | JournalCommand
  /** `text`: the help of one command; `usage` by default. */
  | { readonly kind: 'help'; readonly text?: string }
  | { readonly kind: 'version' }

/** The output of `keelson help`. */
export const usage = `Usage:
  keelson start [FILE] [--dir DIR] [--acts | --no-app]
      Starts the instance and gives a prompt. Piped input is run line by line.
      FILE            keelson.config.ts, .js, .mjs or .json, also as --config FILE;
                      by default the one in this folder, if any
      --dir DIR       the data folder; by default the configuration's, else ./keelson-data
      --acts          a restored folder acts from here on, in the place of its origin
      --no-app        the store alone: no actor runs, no alarm fires, no replica is written

  keelson run [FILE] [--dir DIR] [--acts | --no-app] [--log text|json]
      The same as a service: no prompt, a line that says ready, an orderly end at SIGTERM or SIGINT.
      --log json      one object of JSON for each line

  keelson attach [FILE] [--dir DIR]
      The prompt of an instance that runs: of keelson run, or one with the option attach.
      It ends without ending the instance.

  keelson ingest FILE --dir DIR --key FIELD [--format ndjson|json]
      Puts the records of FILE (- for standard input) into the store, each under the value of FIELD.
      --dir DIR       the data folder
      --key FIELD     the field that holds the key, a string or a number; a.b reaches into records
      --format        one record on each line, or one array; by default what the ending of FILE says

${backupUsage}

${doctorUsage}

${walUsage}

${journalUsage}

  keelson help, keelson --version

Everywhere: --verbose shows stacks of errors, as KEELSON_DEBUG=1 does.
Exit status: 0 in order, 1 a failure (CODE: message on standard error), 2 a wrong command line;
of wal: 3 a torn tail that opening would cut, 4 damage; of journal verify: 4 the proof does not hold.`

/**
 * Parses the words after `keelson`.
 * @throws KeelsonError `INVALID_ARGUMENT` that names the fault
 */
export const parseCommandLine = (words: readonly string[]): ParsedCommand => {
  const [first, ...rest] = words
  if (first === 'wal') return parseWalCommand(rest)
  if (first === 'journal') return parseJournalCommand(rest)
  if (first === undefined || first === 'help' || words.includes('--help') || words.includes('-h'))
    return { kind: 'help' }
  if (first === '--version' || first === '-v' || first === 'version') return { kind: 'version' }
  if (first === 'start' || first === 'run' || first === 'attach')
    return instanceCommand(first, rest)
  if (first === 'ingest') return ingestCommand(rest)
  if (first === 'backup') return parseBackup(rest)
  if (first === 'restore') return parseRestore(rest)
  if (first === 'open') return parseOpen(rest)
  if (first === 'doctor') return parseDoctor(rest)
  throw wrongWords(
    `there is no command '${first}'; the commands are start, run, attach, ingest, backup, restore, open, doctor, wal, journal, help`,
  )
}

const instanceCommand = (
  kind: InstanceCommand['kind'],
  words: readonly string[],
): InstanceCommand => {
  const { values, positionals } = parsedWords(words, {
    config: { type: 'string' },
    dir: { type: 'string' },
    verbose: { type: 'boolean' },
    ...(kind !== 'attach' && { acts: { type: 'boolean' }, 'no-app': { type: 'boolean' } }),
    ...(kind === 'run' && { log: { type: 'string' } }),
  })
  const { log = 'text', acts, 'no-app': noApp } = values
  if (acts && noApp) throw wrongWords('--acts and --no-app exclude each other')
  if (log !== 'text' && log !== 'json')
    throw wrongWords(`--log must be text or json, found '${String(log)}'`)
  const [config = filledOption('--config', values.config), ...others] = positionals
  const second = positionals[0] === undefined ? undefined : (values.config ?? others[0])
  if (second !== undefined)
    throw wrongWords(`${kind} takes one configuration file, and '${String(second)}' is another`)
  if (config === '') throw wrongWords(`${kind}: the name of the configuration file is empty`)
  return {
    kind,
    config,
    dir: filledOption('--dir', values.dir),
    verbose: values.verbose === true,
    ...(log === 'json' && { log }),
    ...(acts === true && { acts }),
    ...(noApp === true && { app: false }),
  }
}

const ingestCommand = (words: readonly string[]): IngestCommand => {
  const { values, positionals } = parsedWords(words, {
    dir: { type: 'string' },
    key: { type: 'string' },
    format: { type: 'string' },
    verbose: { type: 'boolean' },
  })
  const [file, second] = positionals
  if (file === undefined || file === '')
    throw wrongWords('ingest needs a file, or - for standard input')
  if (second !== undefined) throw wrongWords(`ingest takes one file, and '${second}' is another`)
  return {
    kind: 'ingest',
    file,
    dir: neededOption('ingest', '--dir', values.dir),
    key: neededOption('ingest', '--key', values.key),
    format: formatOf(file, values.format),
    verbose: values.verbose === true,
  }
}

const endings: Readonly<Record<string, RecordFormat>> = {
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.json': 'json',
}

const formatOf = (file: string, given: unknown): RecordFormat => {
  if (given === 'ndjson' || given === 'json') return given
  if (given !== undefined)
    throw wrongWords(`--format must be ndjson or json, found '${String(given)}'`)
  const format = file === '-' ? 'ndjson' : endings[extname(file).toLowerCase()]
  if (format === undefined)
    throw wrongWords(`'${file}' does not say its format; --format ndjson or json does`)
  return format
}
