/**
 * `keelson/wal`: the log as a library. One folder, one writer, numbered entries, and a promise per
 * entry that resolves when it is synced. Entries that arrive during a sync form the next group. A
 * torn tail is cut, other damage is refused, and a failed sync is final. docs/wal.md shows its use;
 * FORMAT.md describes the bytes.
 */

import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { encodeOpaque, entryHeaderBytes, entryTypeMax } from '../frames/wal-entry.ts'
import type { LogDescription } from '../ports/log-host.ts'
import { framePayloadMax } from '../segments/log-limits.ts'
import {
  type Appended,
  type AppendOptions,
  type CheckedAppend,
  checkAppendOptions,
  givenBytes,
} from './wal-append.ts'
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
  checkedReadOptions,
  type ReadOptions,
  readLog,
  type WalCheckpoint,
  type WalEntry,
} from './wal-reading.ts'
import {
  repairWal,
  type VerifyOptions,
  verifyWal,
  type WalRepair,
  type WalVerification,
} from './wal-repair.ts'

export { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
export type { Appended, AppendOptions } from './wal-append.ts'
export type { WalReport } from './wal-opening.ts'
export type { WalOptions } from './wal-options.ts'
export type { ReadOptions, WalCheckpoint, WalEntry } from './wal-reading.ts'
export type { VerifyOptions, WalRepair, WalVerification } from './wal-repair.ts'

/** The description of a log. */
export type WalDescription = LogDescription & {
  readonly mode: 'open' | 'failed' | 'closing'
  readonly level: 'durable' | 'written'
  /** The entries and steps that wait, the entries in flight, and the bytes of both. */
  readonly queued: number
  readonly inFlight: number
  readonly bytes: number
}

/** The result of a release: what it removed, and the first LSN of the log. */
export type Released = {
  readonly removed: number
  readonly removedBytes: number
  readonly firstLsn: number
}

/** An open log. */
export class Wal {
  /** The report of the opening. */
  readonly report: WalReport
  /**
   * Resolves with the failure that ended the log, whether a call was pending or not; never if it is
   * closed before.
   */
  readonly failed: Promise<KeelsonError>
  readonly #opened: OpenedWal
  readonly #commits: WalCommits
  readonly #payloadMax: number
  #closing: Promise<void> | undefined
  #isClosed = false

  /** @internal For `Wal.open`. */
  constructor(opened: OpenedWal) {
    this.report = opened.report
    this.#opened = opened
    this.#payloadMax = framePayloadMax(logOptionsOf(opened.settings)) - entryHeaderBytes
    const { host, settings, ports, report } = opened
    let fail: (failure: KeelsonError) => void = () => undefined
    this.failed = new Promise((resolve) => {
      fail = resolve
    })
    this.#commits = new WalCommits({
      host,
      settings,
      clock: ports.clock,
      lastLsn: report.lastLsn,
      ended: (reason) => {
        if (!this.#isClosed) fail(reason)
      },
    })
    void host.died?.then((failure) => this.#commits.end(failure))
  }

  /**
   * Opens the log in a folder and creates it if there is none.
   * @throws KeelsonError with nothing changed except LOCK: `CONFIG`, `LOCKED_DIR` with
   * `details.holder`, `CORRUPT` with file, offset, lsn and evidence, `UNSUPPORTED_VERSION`,
   * `READ_ONLY`, `NO_SPACE`, `CONFLICT` for the log of a store
   */
  static async open(options: WalOptions): Promise<Wal> {
    return new Wal(await openWalFiles(checkWalOptions(options), machinePorts()))
  }

  /**
   * Reads the whole log in `dir` and cuts a torn tail, as an opening would. The log must not be
   * open. A valid log is left unchanged.
   * @throws KeelsonError `NO_SEGMENTS` if there is no log, `CORRUPT` with nothing changed; else as
   * `open`
   */
  static async repair(dir: string): Promise<WalRepair> {
    return repairWal(dir, machinePorts())
  }

  /**
   * Verifies the whole log in `dir`, open or not, also after damage, and reports the LSNs that are
   * proven to be lost. Changes nothing. Damage is a result here and not an error.
   * @throws KeelsonError `NO_SEGMENTS` if there is no log, `UNSUPPORTED_VERSION`, `CONFIG`,
   * `READ_ONLY`
   */
  static async verify(dir: string, options: VerifyOptions = noOptions): Promise<WalVerification> {
    return verifyWal(dir, machinePorts(), options)
  }

  /**
   * Appends an entry. Resolves when it is synced; at a weaker level when it is written, as the
   * answer says. `type` is for the caller, 0 to 65,535. The bytes are copied at once.
   * Rejects with `TOO_LARGE`, `INVALID_ARGUMENT`, `BUSY`, `NO_SPACE` or `NOT_SUBMITTED` if nothing
   * was written; with `UNKNOWN_OUTCOME` if the entry may be in the log; with `SHARD_DOWN` after a
   * failure; with `CLOSED`.
   */
  append(type: number, bytes: Uint8Array, options: AppendOptions = plainly): Promise<Appended> {
    // Not an async function: it would cost a second promise and two more turns of the microtask
    // queue.
    let entry: Uint8Array
    let checked: CheckedAppend = plainly
    try {
      this.#refuseClosed()
      entry = checkEntry(type, bytes, this.#payloadMax)
      if (options !== plainly) checked = checkAppendOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#commits.append(type, entry, checked)
  }

  /** `append` with type 0. */
  writeEntry(bytes: Uint8Array, options: AppendOptions = plainly): Promise<Appended> {
    return this.append(0, bytes, options)
  }

  /** Resolves when everything called before is synced. Rejects as `append`. */
  async sync(): Promise<{ readonly durableLsn: number }> {
    this.#refuseClosed()
    return { durableLsn: await this.#commits.sync() }
  }

  /**
   * Resolves when the outcome of everything called before is decided: it is in the log, or never
   * will be. Await it after an `UNKNOWN_OUTCOME`, then read. Rejects as `append`: the outcome in a
   * failed log is decided when it is opened again.
   */
  async settled(): Promise<void> {
    this.#refuseClosed()
    await this.#commits.inOrder(async () => undefined)
  }

  /**
   * Writes and syncs a checkpoint: everything called before is durable elsewhere too. A read
   * `fromCheckpoint` begins after it, and `release` goes no further. `opaque` is stored with it.
   * Returns the LSN of the checkpoint; rejects as `append`.
   */
  async createCheckpoint(opaque: Uint8Array = new Uint8Array(0)): Promise<number> {
    this.#refuseClosed()
    const bytes = checkEntry(0, opaque, this.#payloadMax)
    return this.#commits.checkpoint(encodeOpaque(bytes))
  }

  /**
   * Reads the entries that were answered before the read began, in order, in pieces of at most 256
   * KiB. One piece is read ahead, so appends continue during the read. Entries still to be read are
   * not released; leaving the loop frees them.
   * @throws KeelsonError `INVALID_ARGUMENT`; the iteration throws as `readLog`
   */
  read(options: ReadOptions & { checkpoints: true }): AsyncGenerator<WalEntry | WalCheckpoint>
  read(options?: ReadOptions & { checkpoints?: false }): AsyncGenerator<WalEntry>
  read(options: ReadOptions = noOptions): AsyncGenerator<WalEntry | WalCheckpoint> {
    this.#refuseClosed()
    const own = checkedReadOptions(options)
    const source = {
      host: this.#opened.host,
      settle: async () => {
        if (this.#commits.lastLsn > this.#commits.durableLsn) await this.sync()
        this.#check()
      },
      check: () => this.#check(),
    }
    return readLog(source, own)
  }

  /** Reads every entry of the log. */
  readAll(): AsyncGenerator<WalEntry> {
    return this.read()
  }

  /** Reads from `lsn` on, inclusive; `BAD_CURSOR` if it was released. */
  readFrom(lsn: number): AsyncGenerator<WalEntry> {
    return this.read({ from: lsn })
  }

  /**
   * Removes whole segments, oldest first, that have no frame after `lsn`, after the newest
   * checkpoint, or that a read still needs. Rejects with `SHARD_DOWN` (`details.reason` `'disk'`)
   * if a file could not be removed; the log continues with it.
   */
  async release(lsn: number): Promise<Released> {
    this.#check()
    if (!Number.isSafeInteger(lsn) || lsn < 0) throw invalidArgument('lsn', 'an LSN', lsn)
    try {
      const { host, report } = this.#opened
      const { epoch } = report
      const { heldBytes: _, ...released } = await host.run('release', { epoch, lsn })
      return released
    } catch (error) {
      if (isKeelsonError(error) && error.details.reason === 'poisoned') this.#commits.end(error)
      throw error
    }
  }

  /** Describes the log, also after a failure. @throws KeelsonError `CLOSED` */
  async describe(): Promise<WalDescription> {
    if (this.#isClosed) throw closed()
    const log = await this.#opened.host.run('describe', null)
    const mode = this.#isClosing ? 'closing' : this.#commits.failure ? 'failed' : 'open'
    return { ...log, mode, level: walLevelOf(this.#opened.settings), ...this.#commits.load }
  }

  /**
   * Settles everything called before, closes the log cleanly, and releases the folder. Later calls
   * reject with `CLOSED`; a second `close` returns the same promise. It rejects with the failure of
   * a failed log, and still releases the folder.
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

  /** Checks that the log is open. @throws KeelsonError `CLOSED`, or the failure of the log */
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

/** The default options, which need no check. */
const plainly: AppendOptions = Object.freeze({})

const closed = (): KeelsonError => new KeelsonError('CLOSED', 'the log is closed')

/** Checks the arguments and returns the bytes to append. */
const checkEntry = (type: number, given: Uint8Array, limit: number): Uint8Array => {
  if (!Number.isInteger(type) || type < 0 || type > entryTypeMax)
    throw invalidArgument('type', `a whole number from 0 to ${entryTypeMax}`, type)
  const bytes = givenBytes(given)
  if (bytes.length <= limit) return bytes
  throw new KeelsonError('TOO_LARGE', `an entry holds at most ${limit} bytes`, {
    details: { limit, size: bytes.length },
  })
}
