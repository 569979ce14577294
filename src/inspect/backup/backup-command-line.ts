/** Parses `keelson backup`, `keelson restore` and `keelson open`: words in, a checked command out. Pure. */
import { filledOption, neededOption, parsedWords, wrongWords } from '../command/command-words.ts'

/** The options of both commands. Paths are as written. */
type FolderWords = {
  readonly dir: string
  readonly to: string
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** `keelson backup`. */
export type BackupCommand = FolderWords & {
  readonly kind: 'backup'
  readonly consistent: boolean
}

/** A point in a log: an LSN, or a time in ms since 1970. */
export type Moment = { readonly lsn: number } | { readonly time: number }

/** `keelson restore`. Without `at`, to the end of the backup. */
export type RestoreCommand = FolderWords & {
  readonly kind: 'restore'
  readonly at: Moment | undefined
}

/** `keelson restore --from`. `from`: where a server is. */
export type RestoreReplicaCommand = {
  readonly kind: 'restore replica'
  readonly from: string
  readonly to: string
  readonly instance: string | undefined
  readonly json: boolean
  readonly progress: boolean
  readonly verbose: boolean
}

/** `keelson open`. `dir` is a data folder or a backup. */
export type OpenCommand = {
  readonly kind: 'open'
  readonly dir: string
  readonly at: Moment | undefined
  readonly progress: boolean
  readonly verbose: boolean
}

/** The part of `keelson help` about backups. */
export const backupUsage = `  keelson backup DIR --to DIR2 [--consistent] [--json] [--progress]
      Copies the data folder DIR, which nothing has open, into DIR2: a new folder, or an earlier backup of
      DIR, which then gets what is new. Everything is verified. A running instance has app.backup(dir).
      --consistent    all shards as of one moment

  keelson restore DIR2 --to DIR [--at LSN|TIME] [--json] [--progress]
      Makes the data folder DIR, which must be missing or empty, of the backup DIR2. Its logs get new ids.
      --at LSN        as of this LSN, of a backup with one shard; by default all that the backup has
      --at TIME       as of this time, such as 2026-11-21T10:00:00Z

  keelson restore --from postgres://… --to DIR [--instance ID] [--json] [--progress]
      Makes the data folder DIR of what is replicated there (docs/replication.md). Its logs keep their ids.
      --instance ID   the folder to restore, where several are replicated there

  keelson open DIR --at LSN|TIME [--progress]
      The prompt on the data folder or backup DIR as of then: on a copy beside it, which is removed in the
      end with what was written there. DIR must not be open.`

const flags = {
  to: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
  verbose: { type: 'boolean' },
} as const

/** Parses the words after `keelson backup`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseBackup = (words: readonly string[]): BackupCommand => {
  const consistent = { type: 'boolean' } as const
  const { values, positionals } = parsedWords(words, { ...flags, consistent })
  const folders = foldersOf('backup', positionals, values)
  return { kind: 'backup', ...folders, consistent: values.consistent === true }
}

const text = { type: 'string' } as const

/** Parses the words after `keelson restore`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseRestore = (words: readonly string[]): RestoreCommand | RestoreReplicaCommand => {
  const own = { at: text, from: text, instance: text }
  const { values, positionals } = parsedWords(words, { ...flags, ...own })
  if (values.from !== undefined) return replicaOf(positionals, values)
  if (values.instance !== undefined) throw wrongWords('--instance needs --from')
  const folders = foldersOf('restore', positionals, values)
  const at = filledOption('--at', values.at)
  return { kind: 'restore', ...folders, at: at === undefined ? undefined : momentOf(at) }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
const replicaOf = (
  [dir]: readonly string[],
  values: Readonly<Record<string, unknown>>,
): RestoreReplicaCommand => {
  const from = neededOption('restore', '--from', values.from)
  if (dir !== undefined) throw wrongWords(`restore takes --from or a backup, and '${dir}' is one`)
  if (values.at !== undefined) throw wrongWords('--at needs a backup: a replica is restored whole')
  if (!/^postgres(?:ql)?:\/\//.test(from)) throw wrongWords('--from needs postgres://…')
  return {
    kind: 'restore replica',
    from,
    to: neededOption('restore', '--to', values.to),
    instance: filledOption('--instance', values.instance),
    json: values.json === true,
    progress: values.progress === true,
    verbose: values.verbose === true,
  }
}

/** Parses the words after `keelson open`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseOpen = (words: readonly string[]): OpenCommand => {
  const { to: _, json: __, ...own } = flags
  const { values, positionals } = parsedWords(words, { ...own, at: { type: 'string' } })
  const [dir, second] = positionals
  if (dir === undefined || dir === '') throw wrongWords('open needs a folder')
  if (second !== undefined) throw wrongWords(`open takes one folder, and '${second}' is another`)
  const at = momentOf(neededOption('open', '--at', values.at))
  return {
    kind: 'open',
    dir,
    at,
    progress: values.progress === true,
    verbose: values.verbose === true,
  }
}

const foldersOf = (
  name: string,
  [dir, second]: readonly string[],
  values: Readonly<Record<string, unknown>>,
): FolderWords => {
  if (dir === undefined || dir === '') throw wrongWords(`${name} needs a folder`)
  if (second !== undefined) throw wrongWords(`${name} takes one folder, and '${second}' is another`)
  return {
    dir,
    to: neededOption(name, '--to', values.to),
    json: values.json === true,
    progress: values.progress === true,
    verbose: values.verbose === true,
  }
}

const momentOf = (text: string): Moment => {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { lsn: Number(text) }
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(time)) return { time }
  throw wrongWords(`--at needs an LSN or a time such as 2026-11-21T10:00:00Z, found '${text}'`)
}
