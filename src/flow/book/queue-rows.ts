/**
 * The rows of a queue: their keys, and the record of a job. A job has one row, whose key says where
 * it is: `r/` ready, in the order of its key; `d/` delayed, in the order of its time; `x/` dead. A
 * running job keeps the row from which it was claimed. A delayed job has a row `i/` beside it, and a
 * kept result has `v/` and `w/`. The rows that end by time come last: of dead jobs, `y/` of unique
 * texts, `y0/` of recorded calls that have added jobs, `y1/` and `y2/` of windows of adds, `z/` of
 * rates. Pure.
 */
import type { ReadRows } from '../../actors/index.ts'
import { isKeelsonError, type KeptError } from '../../errors.ts'
import { readTraced, type TraceContext, withTrace } from '../../trace-context.ts'
import type { Attributes } from '../attributes/attributes.ts'

/** The highest priority; the lowest one is its negative. */
const priorityMax = 1_000

const digits = (number: number, length: number): string => String(number).padStart(length, '0')

const numberDigits = 12

/** The number of a job in a key, in the order of numbers. */
export const jobDigits = (number: number): string => digits(number, numberDigits)

/** The prefix of the ready jobs, in the order of their priorities, the lowest first. */
export const waitingPrefix = 'r/'

/** The prefix of the ready jobs of one priority, in the order of their keys. */
export const waitingPrefixOf = (priority: number): string =>
  `${waitingPrefix}${digits(priority + priorityMax, 4)}/`

/** The prefix of the ready jobs of one key and priority, in the order in which they were added. */
export const readyPrefix = (priority: number, key: string): string =>
  `${waitingPrefixOf(priority)}${encodeURIComponent(key)}/`

/** The priority and the key of a ready job. */
export const placeOf = (row: string): { readonly priority: number; readonly key: string } => {
  const [, priority = '', key = ''] = row.split('/')
  return { priority: Number(priority) - priorityMax, key: decodeURIComponent(key) }
}

/** Which jobs that wait; `before`: of the numbers below this one. */
export type SomeJobs = {
  readonly key: string | undefined
  readonly priority: number | undefined
  readonly before: number
}

/** Whether a job of this number, key and priority is one of these. */
export const isOf = (
  number: number,
  job: Pick<JobRecord, 'key' | 'priority'>,
  { key, priority, before }: SomeJobs,
): boolean =>
  (key ?? job.key) === job.key && (priority ?? job.priority) === job.priority && number < before

/** The row of a ready job under its prefix. */
export const readyRow = (prefix: string, number: number): string =>
  prefix + digits(number, numberDigits)

/** The prefix of the delayed jobs, in the order of their times. */
export const delayedPrefix = 'd/'

/** `dueAt`: in ms since 1970. */
export const delayedRow = (dueAt: number, number: number): string =>
  `${delayedPrefix}${digits(dueAt, 16)}/${digits(number, numberDigits)}`

/** When a delayed job is due, or a result is over. */
export const dueOf = (row: string): number => Number(row.slice(2, 18))

/** The row by which a delayed job is found: its time. */
export const dueRow = (number: number): string => `i/${digits(number, numberDigits)}`

/** The prefix of the jobs that are done, in the order in which they were added. */
export const donePrefix = 'v/'

/** The row of a job that is done, with its result. */
export const doneRow = (number: number): string => donePrefix + digits(number, numberDigits)

/** The prefix of the times at which results are over, in their order. */
export const overPrefix = 'w/'

/** `overAt`: in ms since 1970. */
export const overRow = (overAt: number, number: number): string =>
  `${overPrefix}${digits(overAt, 16)}/${digits(number, numberDigits)}`

/** The prefix of the dead jobs, in the order in which they were added. */
export const deadPrefix = 'x/'

/** The row of a dead job. */
export const deadRow = (number: number): string => deadPrefix + digits(number, numberDigits)

/** The number of a job, by its row. */
export const numberOf = (row: string): number => Number(row.slice(-numberDigits))

/** The row of the holder of a unique text. */
export const uniqueRow = (text: string): string => `${uniquePrefix}${text}`

/** The prefix of the unique texts that are taken. */
export const uniquePrefix = 'y/'

/** Whether a value is a list of whole numbers. */
export const isNumbers = (found: unknown): found is readonly number[] =>
  Array.isArray(found) && found.every(Number.isSafeInteger)

/** The row of a recorded call that has added a job: its number, and until when it is known. */
export const recordedRow = (call: string): string => `${recordedPrefix}${call}`

/** The prefix of the recorded calls that have added jobs. */
export const recordedPrefix = 'y0/'

/** The prefix of the windows under which jobs are added. */
export const windowPrefixes = { debounce: 'y1/', throttle: 'y2/' } as const

/** The row of a window under which jobs are added. */
export const windowRow = (sort: keyof typeof windowPrefixes, key: string): string =>
  `${windowPrefixes[sort]}${key}`

/** The row of the rate of one key. */
export const rateRow = (key: string): string => `${ratePrefix}${key}`

/** The prefix of the rates of keys. */
export const ratePrefix = 'z/'

/** A job as its row has it. */
export type JobRecord = {
  readonly job: unknown
  readonly key: string
  readonly priority: number
  /** When it was added, in ms since 1970. */
  readonly at: number
  /** The tries that have begun, but for the present one. */
  readonly tries: number
  readonly unique: string | undefined
  /** Absent: it has none. Rows of earlier builds have none. */
  readonly attributes?: Attributes | undefined
  /** Of the last try that failed, and when. */
  readonly failure: Failure | undefined
  /** Where its producer is in a trace, or the turn that added it. Absent: in none, or an earlier build wrote the row. */
  readonly trace?: TraceContext
}

/** The end of a try that failed. */
export type Failure = {
  readonly at: number
  /** When the first of these tries failed, and how many there are; rows of earlier builds have neither. */
  readonly since?: number
  readonly triesMax?: number
  readonly error: KeptError
  /** The last lines of the tries until then; absent: there are none. */
  readonly log?: readonly string[]
}

/** The most lines that are kept of the log of a job. */
export const logLinesMax = 100

/** The most bytes of these lines together: with its job a record is below 1 MiB. */
const logBytesMax = 32 * 1024

/** The last lines of a job after a try with these. */
export const logOf = (
  failure: Failure | undefined,
  lines: readonly string[],
): readonly string[] => {
  const kept: string[] = []
  let bytes = 0
  for (const line of [...(failure?.log ?? []), ...lines].slice(-logLinesMax).reverse()) {
    bytes += Buffer.byteLength(line)
    if (bytes > logBytesMax) break
    kept.push(line)
  }
  return kept.reverse()
}

/** The end of one more try that failed, with the lines of its log. */
type FailedNow = Pick<Failure, 'at' | 'error'> & {
  readonly lines: readonly string[]
  readonly triesMax: number
}

/** The failure of a job as its row keeps it, after earlier ones. */
export const failureAfter = (
  { tries, failure: before }: JobRecord,
  { lines, triesMax, ...failed }: FailedNow,
): Failure => {
  const log = logOf(before, lines)
  // The tries of a dead job begin again.
  const since = (tries > 0 ? (before?.since ?? before?.at) : undefined) ?? failed.at
  return {
    ...failed,
    since,
    ...(Number.isFinite(triesMax) && { triesMax }),
    ...(log.length > 0 && { log }),
  }
}

/** The value of a job's row. The job and its trace are last, for both may be absent. */
export const packRecord = (record: JobRecord): readonly unknown[] => {
  const { job, key, priority, at, tries, unique = null, attributes, failure = null, trace } = record
  // Attributes are stored beside the unique text: a job without them has the row that it always had.
  const named = attributes ? { unique, attributes } : unique
  return [key, priority, at, tries, named, failure, ...withTrace(job, trace)]
}

/** The value of a row, or `'unreadable'`: that is the value of no row. */
export const storedIn = (row: string, rows: Pick<ReadRows, 'get'>): unknown => {
  try {
    return rows.get(row)
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return 'unreadable'
    throw error
  }
}

/**
 * The record of a job's row, which may be a large value; `undefined`: it cannot be read, for its
 * blob is damaged, or no version of the queue wrote it.
 */
export const readRecord = (row: string, rows: Pick<ReadRows, 'get'>): JobRecord | undefined => {
  const packed = storedIn(row, rows)
  return isPacked(packed) ? unpackRecord(packed) : undefined
}

/** Whether there is a row, without its value. */
export const hasRow = (row: string, rows: ReadRows): boolean =>
  rows.range({ prefix: row, limit: 1, values: false }).entries.length > 0

const isPacked = (packed: unknown): packed is readonly unknown[] => {
  const [key, priority, at, tries] = Array.isArray(packed) ? packed : []
  return typeof key === 'string' && [priority, at, tries].every(Number.isSafeInteger)
}

/** The unique text of a job with attributes, and these. */
type Named = { readonly unique: string | null; readonly attributes: Attributes }

/** Reads what `packRecord` made. */
const unpackRecord = (packed: readonly unknown[]): JobRecord => {
  const [key, priority, at, tries, named, failure] = packed as [
    ...[string, number, number, number, Named | string | null, JobRecord['failure'] | null],
    ...unknown[],
  ]
  const { unique, attributes } =
    typeof named === 'object' && named ? named : { unique: named, attributes: undefined }
  const { payload: job, trace } = readTraced(packed.slice(6))
  const record = {
    job,
    key,
    priority,
    at,
    tries,
    unique: unique ?? undefined,
    failure: failure ?? undefined,
  }
  if (!trace && !attributes) return record
  return { ...record, ...(trace && { trace }), ...(attributes && { attributes }) }
}
