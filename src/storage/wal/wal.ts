/**
 * `keelson/wal`: the log as a library. One folder, one writer, entries with a number, and a promise for each that resolves
 * when it is synced; what arrives while a group is on its way to the disk is the next group. A torn tail is cut, damage is
 * refused, a failed sync is final. docs/wal.md shows it at work; FORMAT.md has the bytes.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { encodeOpaque, entryHeaderBytes, entryTypeMax } from '../frames/wal-entry.ts'
import type { LogDescription } from '../ports/log-host.ts'
import { framePayloadMax } from '../segments/log-limits.ts'
import { type Appended, type AppendOptions, checkAppendOptions, givenBytes } from './wal-append.ts'
import { WalCommits } from './wal-commits.ts'
import {
  logOptionsOf,
  machinePorts,
  type OpenedWal,
  openWalFiles,
  type WalReport,
} from './wal-opening.ts'
import { checkWalOptions, type WalOptions, walLevelOf } from './wal-options.ts'
import {
  checkReadOptions,
  type ReadOptions,
  readLog,
  type WalCheckpoint,
  type WalEntry,
} from './wal-reading.ts'
import { repairWal, type WalRepair } from './wal-repair.ts'
import { type VerifyOptions, verifyWal, type WalVerification } from './wal-verification.ts'

export { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
export type { Appended, AppendOptions } from './wal-append.ts'
export type { WalReport } from './wal-opening.ts'
export type { WalOptions } from './wal-options.ts'
export type { ReadOptions, WalCheckpoint, WalEntry } from './wal-reading.ts'
export type { WalRepair } from './wal-repair.ts'
export type { VerifyOptions, WalVerification } from './wal-verification.ts'

/** A log as people look at it. */
export type WalDescription = LogDescription & {
  readonly mode: 'open' | 'failed' | 'closing'
  readonly level: 'durable' | 'written'
  /** Entries and steps that wait, entries on their way to the disk, and the bytes of both. */
  readonly queued: number
  readonly inFlight: number
  readonly bytes: number
}

/** What a release removed, and where the log begins now. */
export type Released = {
  readonly removed: number
  readonly removedBytes: number
  readonly firstLsn: number
}

/** An open log. */
export class Wal {
  /** What opening found and did. */
  readonly report: WalReport
  readonly #opened: OpenedWal
  readonly #commits: WalCommits
  readonly #payloadMax: number
  #closing: Promise<void> | undefined
  #isClosed = false

  /** For `Wal.open`. */
  constructor(opened: OpenedWal) {
    this.report = opened.report
    this.#opened = opened
    this.#payloadMax = framePayloadMax(logOptionsOf(opened.settings)) - entryHeaderBytes
    const { host, settings, ports, report } = opened
    this.#commits = new WalCommits({ host, settings, clock: ports.clock, lastLsn: report.lastLsn })
  }

  /**
   * Opens the log in a folder, and makes it when there is none.
   * @throws KeelsonError `CONFIG`, `LOCKED_DIR` with `details.holder`, `CORRUPT` with file, offset, lsn and evidence,
   * `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`, `CONFLICT` for the log of a store: nothing was changed, LOCK apart.
   */
  static async open(options: WalOptions): Promise<Wal> {
    return new Wal(await openWalFiles(checkWalOptions(options), machinePorts()))
  }

  /**
   * Reads the whole log in `dir`, which nobody has open, and cuts a torn tail as opening would. What is whole is left as it is.
   * @throws KeelsonError `NO_SEGMENTS` when there is no log, `CORRUPT` with nothing changed; else as `open`.
   */
  static async repair(dir: string): Promise<WalRepair> {
    return repairWal(dir, machinePorts())
  }

  /**
   * Reads the whole log in `dir`, open or not, and says what it is: also behind damage, with the LSNs that are proven to be
   * lost. Changes nothing. Damage is an answer here, no error.
   * @throws KeelsonError `NO_SEGMENTS` when there is no log, `UNSUPPORTED_VERSION`, `CONFIG`, `READ_ONLY`.
   */
  static async verify(dir: string, options: VerifyOptions = {}): Promise<WalVerification> {
    return verifyWal(dir, machinePorts(), options)
  }

  /**
   * Appends an entry. Resolves when it is synced; at a weaker level when it is written, and the answer says so. `type` is the
   * caller's own, 0 to 65,535. The bytes are copied at once. `TOO_LARGE`, `INVALID_ARGUMENT`, `BUSY`, `NO_SPACE`,
   * `NOT_SUBMITTED`: nothing was written; `UNKNOWN_OUTCOME`: it may be there; `SHARD_DOWN` after a failure, `CLOSED`.
   */
  append(type: number, bytes: Uint8Array, options: AppendOptions = plainly): Promise<Appended> {
    // Not an async function: each would cost a second promise, and two more turns of the microtask queue.
    let entry: Uint8Array
    try {
      this.#refuseClosed()
      entry = checkEntry(type, bytes, this.#payloadMax)
      if (options !== plainly) checkAppendOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#commits.append(type, entry, options)
  }

  /** `append` with type 0. */
  writeEntry(bytes: Uint8Array, options: AppendOptions = plainly): Promise<Appended> {
    return this.append(0, bytes, options)
  }

  /** Resolves when everything is synced that was called before. Rejects as `append` does. */
  async sync(): Promise<{ readonly durableLsn: number }> {
    this.#refuseClosed()
    return { durableLsn: await this.#commits.sync() }
  }

  /**
   * Resolves when everything is decided that was called before: it stands in the log, or never will. Await it after an
   * `UNKNOWN_OUTCOME`, then read. Rejects as `append` does: a log that failed decides when it is opened again.
   */
  async settled(): Promise<void> {
    this.#refuseClosed()
    await this.#commits.inOrder(async () => undefined)
  }

  /**
   * Writes down, synced, that everything that was called before is durable elsewhere too: a reading `fromCheckpoint` begins
   * behind it, and `release` goes no further. `opaque` is kept with it. Answers the checkpoint's own LSN; rejects as `append`.
   */
  async createCheckpoint(opaque: Uint8Array = new Uint8Array(0)): Promise<number> {
    this.#refuseClosed()
    const bytes = checkEntry(0, opaque, this.#payloadMax)
    return this.#commits.checkpoint(encodeOpaque(bytes))
  }

  /**
   * Reads entries in order: those that were answered before the reading began, in pieces of at most 256 KiB, one of
   * them ahead of the reader, so that appends go on meanwhile. What is still to be read is not released; leaving the loop frees it.
   * @throws KeelsonError `INVALID_ARGUMENT`; what the reading itself throws: see `readLog`.
   */
  read(options: ReadOptions & { checkpoints: true }): AsyncGenerator<WalEntry | WalCheckpoint>
  read(options?: ReadOptions & { checkpoints?: false }): AsyncGenerator<WalEntry>
  read(options: ReadOptions = {}): AsyncGenerator<WalEntry | WalCheckpoint> {
    this.#refuseClosed()
    checkReadOptions(options)
    const source = {
      host: this.#opened.host,
      settle: async () => {
        if (this.#commits.lastLsn > this.#commits.durableLsn) await this.sync()
        this.#check()
      },
      check: () => this.#check(),
    }
    return readLog(source, { ...options })
  }

  /** Reads the whole log. */
  readAll(): AsyncGenerator<WalEntry> {
    return this.read()
  }

  /** Reads from `lsn` on, itself included. */
  readFrom(lsn: number): AsyncGenerator<WalEntry> {
    return this.read({ from: lsn })
  }

  /**
   * Removes whole segments, the oldest first, that hold nothing behind `lsn`, the newest checkpoint, or what a reading still
   * needs. Rejects with `SHARD_DOWN` (`details.reason` `'disk'`) when a file could not be removed: the log goes on with it.
   */
  async release(lsn: number): Promise<Released> {
    this.#check()
    if (!Number.isSafeInteger(lsn) || lsn < 0) throw invalid('lsn', lsn)
    try {
      return await this.#opened.host.run('release', { lsn })
    } catch (error) {
      if (isKeelsonError(error) && error.details.reason === 'poisoned') this.#commits.end(error)
      throw error
    }
  }

  /** How the log stands; also after it failed. @throws KeelsonError `CLOSED`. */
  async describe(): Promise<WalDescription> {
    if (this.#isClosed) throw closed()
    const log = await this.#opened.host.run('describe', null)
    const mode = this.#isClosing ? 'closing' : this.#commits.failure ? 'failed' : 'open'
    return { ...log, mode, level: walLevelOf(this.#opened.settings), ...this.#commits.load }
  }

  /**
   * Lets everything that was called before settle, ends the log so that the next opening has nothing to doubt, and gives up
   * the folder. Whatever is called from now on is `CLOSED`; calling it again gives the same promise. Rejects with the failure
   * of a log that had failed; the folder is given up all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { host, claim } = this.#opened
    try {
      await this.#commits.inOrder(() => host.run('close', { projectedLsn: 0 }))
    } catch (error) {
      throw this.#commits.failure ?? error
    } finally {
      this.#isClosed = true
      this.#commits.end(closed())
      await host.end()
      claim.release()
    }
  }

  /** @throws what everybody gets from now on: the log is closed, or failed. */
  #check(): void {
    this.#refuseClosed()
    if (this.#commits.failure) throw this.#commits.failure
  }

  get #isClosing(): boolean {
    return this.#closing !== undefined
  }

  #refuseClosed(): void {
    if (this.#isClosing) throw closed()
  }
}

/** Options that say nothing, and need no check. */
const plainly: AppendOptions = Object.freeze({})

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'the log is closed')

const invalid = (path: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be ${String(found)}`, {
    details: { path, found },
  })

/** The bytes to append. */
const checkEntry = (type: number, given: Uint8Array, limit: number): Uint8Array => {
  if (!Number.isInteger(type) || type < 0 || type > entryTypeMax) throw invalid('type', type)
  const bytes = givenBytes(given)
  if (bytes.length <= limit) return bytes
  throw new KeelsonError('TOO_LARGE', `an entry holds at most ${limit} bytes`, {
    details: { limit, size: bytes.length },
  })
}
