/**
 * Puts the records of a stream into a store, each under the value of one of its fields, through the
 * durable path. The records in flight are bounded in number and bytes, so memory does not grow with
 * the stream. A record that is refused for its own sake is reported and skipped. Any other error
 * ends the ingestion in order: acknowledged records are durable, and the result says up to which
 * record.
 */

import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { noMore } from '../../check.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type RecordFormat, recordSplitter } from './record-splitter.ts'

/** The part of a store that ingestion uses. */
export type RecordStore = { put(key: string, value: unknown): Promise<unknown> }

/** The progress of an ingestion. */
export type IngestProgress = {
  /** Records read so far. */
  readonly records: number
  /** Bytes of the stream that are done: read and not in flight. */
  readonly bytes: number
  /** Records that the store has acknowledged: durable. */
  readonly acknowledged: number
  /** Records that were refused for their own sake. */
  readonly failed: number
  /** Every record up to this number (the first is 1) was acknowledged or refused. */
  readonly through: number
  readonly elapsedMs: number
}

/**
 * A record that was refused for its own sake: no JSON, no usable key, a value that cannot be
 * stored.
 */
export type IngestFailure = { readonly record: number; readonly error: KeelsonError }

/** The options of an ingestion. */
export type IngestOptions = {
  /** The field whose value is the key: a string or a finite number. `a.b` reaches into records. */
  readonly key: string
  /** `ndjson` by default. */
  readonly format?: RecordFormat
  /** Called some five times a second while records move, and at the end. */
  readonly onProgress?: (progress: IngestProgress) => void
  /** Called with each refused record. */
  readonly onFailure?: (failure: IngestFailure) => void
  /**
   * Ends it in order: reading stops, and the puts in flight are awaited. The input is destroyed.
   */
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

/** The most puts in flight: enough to fill groups, few enough to answer soon. */
const putsMax = 1_024
/** The most bytes of records in flight. A larger record goes alone. */
const bytesMax = 16 * 1024 * 1024
const progressMs = 200

/**
 * Ingests `input`. Resolves at its end, or after the signal, when every record given to the store
 * has been answered.
 * @throws KeelsonError the error that ended it: the store's (`SHARD_DOWN`, `NO_SPACE`,
 * `UNKNOWN_OUTCOME` …) or the splitter's (`INVALID_ARGUMENT`, `TOO_LARGE`), with `details.record`
 * and the progress in `details.progress`
 */
export const ingest = async (
  store: RecordStore,
  input: Readable,
  options: IngestOptions,
  ...surplus: []
): Promise<IngestProgress> => {
  noMore(surplus, 'ingest(store, input, { … })')
  const ingestion = new Ingestion(store, options)
  const stop = (): void => void input.destroy()
  options.signal?.addEventListener('abort', stop, { once: true })
  if (options.signal?.aborted) stop()
  try {
    await ingestion.take(input, options.format ?? 'ndjson')
  } catch (error) {
    // A destroyed stream reports a premature end, which was intended.
    if (!options.signal?.aborted) ingestion.fail(ingestion.records + 1, error)
  } finally {
    options.signal?.removeEventListener('abort', stop)
    input.destroy()
  }
  return ingestion.finish()
}

/** One ingestion: the puts in flight, and the counts. */
class Ingestion {
  readonly #store: RecordStore
  readonly #options: IngestOptions
  readonly #clock: Clock
  readonly #startedAt: number
  /** Answered records after the first unanswered one. */
  readonly #answered = new Set<number>()
  records = 0
  #read = 0
  #acknowledged = 0
  #failed = 0
  #through = 0
  #puts = 0
  #putBytes = 0
  #wake: (() => void) | undefined
  #shownAt: number
  #end: { readonly record: number; readonly error: unknown } | undefined

  constructor(store: RecordStore, options: IngestOptions) {
    this.#store = store
    this.#options = options
    this.#clock = options.clock ?? systemClock()
    this.#startedAt = this.#clock.monotonic()
    this.#shownAt = this.#startedAt
  }

  /** Reads to the end, or to the first error. */
  async take(input: Readable, format: RecordFormat): Promise<void> {
    const splitter = recordSplitter(format)
    for await (const chunk of input) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array)
      await this.#takeAll(splitter.push(bytes))
      this.#read += bytes.length
      if (this.#isOver) return
    }
    const last = splitter.end()
    if (last) await this.#takeAll([last])
  }

  /** Ends the ingestion. The first error is its result. */
  fail(record: number, error: unknown): void {
    this.#end ??= { record, error }
  }

  /** Awaits the puts in flight. */
  async finish(): Promise<IngestProgress> {
    await this.#until(() => this.#puts === 0)
    const progress = this.#progress()
    this.#options.onProgress?.(progress)
    if (this.#end) throw endError(this.#end, progress)
    return progress
  }

  get #isOver(): boolean {
    return this.#end !== undefined || this.#options.signal?.aborted === true
  }

  async #takeAll(records: Iterable<Uint8Array>): Promise<void> {
    for (const record of records) {
      if (!this.#hasRoom(record.length)) await this.#until(() => this.#hasRoom(record.length))
      if (this.#isOver) return
      this.#put(record)
    }
  }

  #hasRoom(length: number): boolean {
    return this.#puts === 0 || (this.#puts < putsMax && this.#putBytes + length <= bytesMax)
  }

  /** Waits until `reached`, checked at each answer. One wait at a time. */
  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  #put(bytes: Uint8Array): void {
    const record = ++this.records
    const { length } = bytes
    this.#puts++
    this.#putBytes += length
    // A store that throws instead of rejecting is treated the same.
    new Promise((resolve) => {
      const { key, value } = keyed(record, bytes, this.#options.key)
      resolve(this.#store.put(key, value))
    })
      .then(
        () => this.#acknowledge(record),
        (error: unknown) => this.#refuse(record, error),
      )
      .finally(() => this.#answer(length))
      .catch((error: unknown) => this.fail(record, error))
  }

  #acknowledge(record: number): void {
    this.#acknowledged++
    this.#pass(record)
  }

  #refuse(record: number, error: unknown): void {
    if (isKeelsonError(error) && ownFaults.includes(error.code)) {
      this.#failed++
      this.#pass(record)
      this.#options.onFailure?.({ record, error: numbered(record, error) })
    } else this.fail(record, error)
  }

  #pass(record: number): void {
    this.#answered.add(record)
    while (this.#answered.delete(this.#through + 1)) this.#through++
  }

  #answer(length: number): void {
    this.#puts--
    this.#putBytes -= length
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
    const now = this.#clock.monotonic()
    if (now - this.#shownAt < progressMs) return
    this.#shownAt = now
    this.#options.onProgress?.(this.#progress())
  }

  #progress(): IngestProgress {
    return {
      records: this.records,
      bytes: Math.max(0, this.#read - this.#putBytes),
      acknowledged: this.#acknowledged,
      failed: this.#failed,
      through: this.#through,
      elapsedMs: this.#clock.monotonic() - this.#startedAt,
    }
  }
}

/** Codes of a faulty record, not of a faulty store. */
const ownFaults: readonly ErrorCode[] = ['INVALID_ARGUMENT', 'TOO_LARGE', 'WRONG_TYPE', 'LOCKED']

const endError = (
  { record, error }: { readonly record: number; readonly error: unknown },
  progress: IngestProgress,
): KeelsonError =>
  isKeelsonError(error)
    ? new KeelsonError(error.code, `ended at record ${record}: ${error.message}`, {
        details: { ...error.details, record, progress },
        cause: error,
      })
    : new KeelsonError('INVALID_ARGUMENT', `the input cannot be read: ${String(error)}`, {
        details: { record, progress },
        cause: error,
      })

/**
 * The record and its key. @throws KeelsonError `INVALID_ARGUMENT`, naming the record by its number
 */
const keyed = (
  record: number,
  bytes: Uint8Array,
  field: string,
): { readonly key: string; readonly value: unknown } => {
  const value = parsed(record, bytes)
  const key = fieldOf(value, field)
  if (typeof key === 'string') return { key, value }
  if (typeof key === 'number' && Number.isFinite(key)) return { key: String(key), value }
  const found = key === undefined ? 'nothing' : JSON.stringify(key).slice(0, 40)
  throw refused(record, `field '${field}': expected a string or a number, found ${found}`, {
    field,
    found,
  })
}

const parsed = (record: number, bytes: Uint8Array): unknown => {
  if (!isUtf8(bytes)) throw refused(record, 'not UTF-8', {})
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
  } catch (cause) {
    throw refused(record, `not JSON: ${(cause as Error).message}`, {})
  }
}

/** The field with exactly this name, otherwise the one at the path. */
const fieldOf = (value: unknown, field: string): unknown => {
  const own = ownField(value, field)
  return own === undefined && field.includes('.') ? field.split('.').reduce(ownField, value) : own
}

const ownField = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

/**
 * The error with the record's number in its message and details. The store does not know the
 * number.
 */
const numbered = (record: number, error: KeelsonError): KeelsonError =>
  error.details.record === record
    ? error
    : new KeelsonError(error.code, `record ${record}: ${error.message}`, {
        details: { ...error.details, record },
        cause: error,
      })

const refused = (record: number, what: string, details: Record<string, unknown>): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `record ${record}: ${what}`, {
    details: { record, ...details },
  })
