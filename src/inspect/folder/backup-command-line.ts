/** Parses `keelson backup`, `keelson restore` and `keelson open`: words in, a checked command out. Pure. */
import {
  flag,
  needed,
  parsedWords,
  read,
  reported,
  text,
  whole,
  wordsWith,
  wrongWords,
} from '../command/command-words.ts'

/** `keelson backup`. Paths are as written. */
export type BackupCommand = ReturnType<typeof parseBackup>

/** A point in a log: an LSN, or a time in ms since 1970. */
export type Moment = { readonly lsn: number } | { readonly time: number }

/** `keelson restore`. Without `at`, to the end of the backup. */
export type RestoreCommand = ReturnType<typeof backupOf>

/** `keelson restore --from`. `from`: where a server is. */
export type RestoreReplicaCommand = ReturnType<typeof replicaOf>

/** `keelson open`. `dir` is a data folder or a backup. */
export type OpenCommand = ReturnType<typeof parseOpen>

/** The part of `keelson help` about backups. */
export const backupUsage = `  keelson backup DIR --to DIR2 [--consistent] [--json] [--progress]
      Copies the data folder DIR into DIR2: a new folder, or an earlier backup of DIR, which then gets what
      is new. Everything is verified. A running instance that takes prompts makes the backup itself.
      --consistent    all shards as of one moment

  keelson restore DIR2 --to DIR [--at LSN|TIME] [--json] [--progress]
      Makes the data folder DIR, which must be missing or empty, of the backup DIR2. Its logs get new ids.
      --at LSN        as of this LSN, of a backup with one shard; by default all that the backup has
      --at TIME       as of this time, such as 2026-11-21T10:00:00Z

  keelson restore DIR2 --to DIR --shards N [--dry-run] [--at LSN|TIME] [--json] [--progress]
      The same with more shards, a multiple of those of the backup. Reasons against it are refused with
      a list and status 4, before anything is made. --dry-run shows the list alone.
      --accept cross-shard        units of the past had keys that are apart now: the program has to change
      --cut-log                   the journal's entries and the history that the log has stay in the backup
      --projections drop:NAME,…   projections that are made again from the present rows; drop:* is all of them
      --new-commitments           a new chain of commitments begins

  keelson restore --from postgres://… --to DIR [--instance ID] [--json] [--progress]
      Makes the data folder DIR of what is replicated there (docs/replication.md). Its logs keep their ids.
      --instance ID   the folder to restore, where several are replicated there

  keelson reshard DIR --shards N [--dry-run] [--json] [--progress]
      Gives the data folder DIR more shards in its place, while nothing has it open. Takes the words of
      restore --shards. The old folder stays as DIR.before. Without --shards it completes a run that was cut
      off at the end.

  keelson open DIR --at LSN|TIME [--reveal] [--progress]
      The prompt on the data folder or backup DIR as of then: on a copy beside it, which is removed in the
      end with what was written there. Of a running instance with the option attach, of its backup.
      --reveal        prints secrets, and the states of durable actors, of which it prints type and length`

/** Parses the words after `keelson backup`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseBackup = (words: readonly string[]) => {
  const options = { ...reported, to: needed, consistent: flag }
  const { word: dir, ...values } = wordsWith('backup', 'one folder', words, options)
  return { kind: 'backup', dir, ...values } as const
}

const moment = read((given) => (given === undefined ? undefined : momentOf(given)))

const isOption = (word: string, name: string): boolean =>
  word === `--${name}` || word.startsWith(`--${name}=`)

/** Words that accept findings when a folder gets more shards. */
const accepted = {
  'dry-run': flag,
  accept: read((given) => {
    if (given === undefined || given === 'cross-shard') return given
    throw wrongWords(`--accept takes cross-shard, found '${given}'`)
  }),
  'cut-log': flag,
  projections: read((given = '') => {
    const names = given.split(',').filter((word) => word !== '')
    const odd = names.find((word) => !/^drop:./.test(word))
    if (odd !== undefined) throw wrongWords(`--projections takes drop:NAME, found '${odd}'`)
    return names.map((word) => word.slice('drop:'.length))
  }),
  'new-commitments': flag,
} as const

const splitOptions = { shards: whole(1, undefined), ...accepted } as const

/** `keelson reshard`. `dir` is as written. */
export type ReshardCommand = ReturnType<typeof parseReshard>

/** Parses the words after `keelson reshard`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseReshard = (words: readonly string[]) => {
  const options = { ...reported, ...splitOptions }
  const { word: dir, ...values } = wordsWith('reshard', 'one folder', words, options)
  return { kind: 'reshard', dir, ...values } as const
}

/** Parses the words after `keelson restore`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseRestore = (words: readonly string[]): RestoreCommand | RestoreReplicaCommand =>
  words.some((word) => /^--from(?:=|$)/.test(word)) ? replicaOf(words) : backupOf(words)

const backupOf = (words: readonly string[]) => {
  const options = { ...reported, ...splitOptions, to: needed, at: moment }
  const { word: dir, ...values } = wordsWith('restore', 'one folder', words, options)
  const alone = Object.keys(accepted).filter((name) => words.some((word) => isOption(word, name)))
  if (values.shards === undefined && alone.length > 0)
    throw wrongWords(`--${alone[0]} needs --shards`)
  return { kind: 'restore', dir, ...values } as const
}

/** A replica is restored whole: there is no `--at`. */
const replicaOf = (words: readonly string[]) => {
  const options = { ...reported, from: needed, to: needed, instance: text }
  const { values, positionals } = parsedWords(words, options)
  const [dir] = positionals
  if (dir !== undefined) throw wrongWords(`restore takes --from or a backup, and '${dir}' is one`)
  if (!/^postgres(?:ql)?:\/\//.test(values.from)) throw wrongWords('--from needs postgres://…')
  return { kind: 'restore replica', ...values } as const
}

/** Parses the words after `keelson open`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseOpen = (words: readonly string[]) => {
  const { progress } = reported
  const options = { progress, reveal: flag, at: read((given) => momentOf(given ?? '')) }
  const { word: dir, ...values } = wordsWith('open', 'one folder', words, options)
  return { kind: 'open', dir, ...values } as const
}

/** A moment by its text. @throws KeelsonError `INVALID_ARGUMENT` */
export const momentOf = (text: string): Moment => {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { lsn: Number(text) }
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(time)) return { time }
  throw wrongWords(`--at needs an LSN or a time such as 2026-11-21T10:00:00Z, found '${text}'`)
}
