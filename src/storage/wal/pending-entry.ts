/**
 * An entry from the call to its answer: its place in a group and the promise of its caller. It is
 * apart from `wal-commits.ts` because it knows its caller, and they the order of all.
 */
import { entryHeaderBytes, putEntry } from '../frames/wal-entry.ts'
import { type Fate, outcomeOf } from '../groups/outcome.ts'
import type { GroupWrite, WriteGroup } from '../groups/write-group.ts'
import type { Appended, CheckedAppend } from './wal-append.ts'

/** The bytes of accepted entries without an answer. */
export type Backlog = { bytes: number }

/** The least size that an entry counts in the backlog: its promise takes that much. */
const countedMin = 256

/** The size in the backlog of an entry with this many bytes. */
export const countedBytes = (bytes: number): number =>
  Math.max(countedMin, entryHeaderBytes + bytes)

/** One entry. It counts in the backlog until it is settled. */
export class PendingEntry implements GroupWrite {
  readonly length: number
  departsAt = 0
  /**
   * Absent without a deadline: few entries have one, and a number here would cost each of them
   * memory.
   */
  deadlineAt: number | undefined
  place = 0
  readonly #type: number
  #bytes: Uint8Array
  readonly #options: CheckedAppend
  readonly #backlog: Backlog
  readonly #resolve: (appended: Appended) => void
  readonly #reject: (error: unknown) => void
  #unwatch: (() => void) | undefined

  constructor(
    type: number,
    bytes: Uint8Array,
    options: CheckedAppend,
    backlog: Backlog,
    resolve: (appended: Appended) => void,
    reject: (error: unknown) => void,
  ) {
    this.length = entryHeaderBytes + bytes.length
    this.#type = type
    this.#bytes = bytes
    this.#options = options
    this.#backlog = backlog
    this.#resolve = resolve
    this.#reject = reject
    backlog.bytes += countedBytes(bytes.length)
  }

  get weight(): number {
    return 1
  }

  get endsAt(): number {
    return this.deadlineAt ?? Number.POSITIVE_INFINITY
  }

  encode(into: Buffer, at: number): void {
    putEntry(into, at, this.#type, this.#bytes)
    // The caller's memory is not held until the answer.
    this.#bytes = none
  }

  /** Withdraws the entry from `group` when the caller's signal is aborted. */
  watch(group: WriteGroup<PendingEntry>): void {
    const { signal } = this.#options
    if (!signal) return
    const abort = (): void => group.giveUp(this, signal.reason)
    signal.addEventListener('abort', abort)
    this.#unwatch = () => signal.removeEventListener('abort', abort)
  }

  /** Answers the caller: the entry is in the log. */
  answer(appended: Appended): void {
    this.#settle()
    this.#resolve(appended)
  }

  failed(fate: Fate, cause: unknown): void {
    this.#settle()
    const { deadlineMs } = this.#options
    this.#reject(outcomeOf(fate, cause, deadlineMs === undefined ? {} : { deadlineMs }))
  }

  #settle(): void {
    this.#backlog.bytes -= countedBytes(this.length - entryHeaderBytes)
    this.#unwatch?.()
  }
}

const none = new Uint8Array(0)
