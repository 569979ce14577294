/**
 * The rows of a queue that end by time, and the sweep that removes them. A job that is done has two
 * while its result is kept: `v/` by its number, and `w/` by the time at which that is over, so that
 * a sweep looks at no result whose time is to come. The program of its end gives it that time. Pure.
 */
import type { DurableRows, ReadRows } from '../../actors/index.ts'
import type { Attributes } from '../attributes/attributes.ts'
import { isWindowOver } from './add-windows.ts'
import { forgetJob, placeJob, placeRow } from './job-attributes.ts'
import {
  deadPrefix,
  doneRow,
  dueOf,
  type JobRecord,
  logOf,
  numberOf,
  overPrefix,
  overRow,
  ratePrefix,
  readRecord,
  recordedPrefix,
  storedIn,
  uniquePrefix,
  windowPrefixes,
} from './queue-rows.ts'
import type { DoneTry } from './queue-types.ts'
import type { Rates } from './rates.ts'
import type { UniqueTexts } from './unique-texts.ts'

/** A job that is done, without its value. */
export type DoneJob = Pick<JobRecord, 'key' | 'priority' | 'at' | 'tries' | 'attributes'> & {
  /** In ms since 1970. */
  readonly endedAt: number
  readonly log: readonly string[]
  readonly result: unknown
}

/** Keeps the result of a job for a time. */
export const keepDone = (
  number: number,
  { key, priority, at, tries, ...record }: JobRecord,
  end: DoneTry,
  now: number,
  keepMs: number,
  rows: DurableRows,
): void => {
  const { result } = end
  const { attributes } = record
  const log = logOf(record.failure, end.log)
  const told = attributes ? { log, attributes } : log
  const kept = [now, key, priority, at, tries, told, ...(result === undefined ? [] : [result])]
  rows.put(doneRow(number), kept)
  placeJob(number, attributes, doneRow(number), rows)
  // The sweep reads no result: it gets the attributes from here.
  rows.put(overRow(now + keepMs, number), attributes ?? 0)
}

/** The log of a job with attributes, and these. */
type Told = { readonly log: readonly string[]; readonly attributes: Attributes }

/**
 * A job that is done; `undefined`: its result is not kept.
 * @throws KeelsonError `CORRUPT` if its row cannot be read
 */
export const readDone = (number: number, rows: Pick<ReadRows, 'get'>): DoneJob | undefined => {
  const kept = rows.get<readonly unknown[]>(doneRow(number))
  if (kept === undefined) return undefined
  const [endedAt, key, priority, at, tries, told, result] = kept as [
    ...[number, string, number, number, number, Told | readonly string[]],
    unknown?,
  ]
  const { log, attributes } = 'log' in told ? told : { log: told, attributes: undefined }
  return { endedAt, key, priority, at, tries, log, result, attributes }
}

/** Removes a result. False: none is kept. The row of its time follows when that is over. */
export const removeDone = (number: number, rows: DurableRows): boolean => {
  const place = rows.get<string>(placeRow(number))
  if (place !== undefined) forgetJob(number, readDone(number, rows)?.attributes, rows)
  return rows.delete(doneRow(number))
}

/** How many results one sweep removes. */
const doneMax = 1_000

/** How many rows one sweep reads: those of dead jobs may have 1 MiB each. */
const readMax = 100

/** The terms of a sweep. */
export type SweepTerms = {
  readonly now: number
  /** How long a dead job is kept, in ms. */
  readonly keepMs: number
  readonly texts: UniqueTexts
  readonly rates: Rates | undefined
  /** A dead job is removed. */
  readonly forgets: () => void
}

/**
 * Looks at one page of the rows from `from` on that end by time, and removes those whose time is
 * over. Returns where the next page begins; `undefined`: at the first one.
 */
export const sweepRows = (
  from: string | undefined,
  terms: SweepTerms,
  rows: DurableRows,
): string | undefined => {
  const isFirst = from === undefined || from === overPrefix
  if (isFirst && sweepDone(terms.now, rows)) return overPrefix
  const page = { gte: isFirst ? deadPrefix : from, limit: readMax, values: false }
  const { entries, exhausted } = rows.range(page)
  for (const [row] of entries) if (isOver(row, terms, rows)) rows.delete(row)
  return exhausted ? undefined : `${entries.at(-1)?.[0]}!`
}

/** True: more results may be over. */
const sweepDone = (now: number, rows: DurableRows): boolean => {
  const { entries } = rows.range({ prefix: overPrefix, limit: doneMax })
  const over = entries.filter(([row]) => dueOf(row) <= now)
  for (const [row, attributes] of over) {
    if (attributes) forgetJob(numberOf(row), attributes as Attributes, rows)
    rows.delete(doneRow(numberOf(row)))
    rows.delete(row)
  }
  return over.length === doneMax
}

/** Whether the time of a row is over. That of a job or a text stays if it cannot be read. */
const isOver = (row: string, terms: SweepTerms, rows: DurableRows): boolean => {
  const { now, keepMs, texts, rates, forgets } = terms
  if (row.startsWith(ratePrefix))
    return rates?.forgets(row.slice(ratePrefix.length), now, rows) ?? true
  if (row.startsWith(uniquePrefix) || row.startsWith(recordedPrefix))
    return texts.isOver(storedIn(row, rows), now)
  if (Object.values(windowPrefixes).some((prefix) => row.startsWith(prefix)))
    return isWindowOver(row, storedIn(row, rows), now, rows)
  const { failure, attributes } = readRecord(row, rows) ?? {}
  if (failure === undefined || failure.at + keepMs > now) return false
  forgetJob(numberOf(row), attributes, rows)
  forgets()
  return true
}
