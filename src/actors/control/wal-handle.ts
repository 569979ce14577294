/** `app.wal(shard)`: the log of one shard, to inspect, sync and read it, and to give it back. */

import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import {
  type Command,
  type CommitmentHead,
  commandsOf,
  decodeFrame,
  type LogHost,
  type NamedSnapshot,
} from '../../storage/index.ts'
import type { Access } from '../core/access.ts'
import { ownOptions } from '../core/argument-check.ts'
import { askedAtOwner, checkHere } from '../core/at-owner.ts'
import { isCount } from '../core/payload-check.ts'
import * as WalWriter from '../log/wal-writer.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { type Released, releaseLog } from '../snapshots/snapshot-attempt.ts'
import * as Snapshotter from '../snapshots/snapshotter.ts'
import { timeoutOf } from './control-request.ts'
import type { ControlShard } from './control-shard.ts'

/** Which frames to read. LSNs are inclusive. */
export type FramesOptions = {
  /** The first LSN; by default the first that the log has. 0 counts as 1. */
  readonly from?: number
  /** The last LSN; by default the last durable one. */
  readonly to?: number
}

/** A frame of the log. */
export type LoggedFrame = {
  readonly lsn: number
  /** Its stamp, in ms since 1970. */
  readonly time: number
  /**
   * The commands of the store in it, in order, also refused ones and those of turns of durable
   * actors. None in frames with entries of the journal alone.
   */
  readonly commands: readonly Command[]
  /** Its whole payload, as FORMAT.md describes it: a view, to be copied if it is kept for long. */
  readonly bytes: Uint8Array
}

/** The bytes of the log that one step of a read transfers. */
const readBytes = 256 * 1024

/** The log of one shard. */
export class WalHandle {
  readonly #system: System
  readonly #shard: ControlShard
  readonly #access: Access

  /** @internal */
  constructor(system: System, shard: ControlShard, access: Access) {
    this.#system = system
    this.#shard = shard
    this.#access = access
  }

  /**
   * The position of readers: every frame up to `lsn` is applied, and up to `projectedLsn`
   * projected.
   * @throws KeelsonError `ELSEWHERE`, `CLOSED`
   */
  get position(): { readonly shard: number; readonly lsn: number; readonly projectedLsn: number } {
    this.#checkHere('position')
    const { index, appliedLsn, projectedLsn } = this.#shard
    return { shard: index, lsn: appliedLsn, projectedLsn }
  }

  /**
   * Describes the writer and its log: LSNs, segments, recovery, durability.
   * @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT` of a shard that is not open; `CLOSED`
   */
  async describe(): Promise<WalWriter.LogWriterDescription> {
    return this.#asked('describe', [], () => WalWriter.describe(this.#writer))
  }

  /**
   * Makes every committed frame durable; resolves with the durable LSN. It matters only with
   * `wal.syncInterval`.
   * @throws KeelsonError as `describe` does; `SHARD_DOWN`
   */
  async sync(): Promise<number> {
    return this.#asked('sync', [], async () => {
      try {
        return await WalWriter.sync(this.#writer)
      } catch (error) {
        // A sync that fails takes the shard down, and its writer ends.
        throw this.#shard.phase.kind === 'down' ? this.#shard.unavailable() : error
      }
    })
  }

  /**
   * Makes every committed frame durable, and resolves with the end of the chain of commitments: the
   * number of headers, the root over them, and the last one's hash, LSN and time. Publish it, or
   * give it to an auditor. `undefined` if the log has no commitment.
   * @throws KeelsonError as `describe` does; `SHARD_DOWN`
   */
  async commitment(): Promise<CommitmentHead | undefined> {
    const found = await this.#asked('commitment', [], async () => {
      await this.sync()
      return WalWriter.heard(this.#writer, this.#shard.files.log().run('head', null))
    })
    return found ?? undefined
  }

  /**
   * Makes a snapshot that has everything applied before the call, which is the log's checkpoint,
   * and gives the log before it back: `control.snapshot` of this shard. A recovery begins after it.
   * @throws KeelsonError as `control.snapshot` does
   */
  async checkpoint(options: { readonly timeoutMs?: number } = noOptions): Promise<NamedSnapshot> {
    this.#access.check()
    const { instance, index, settings } = this.#shard.parts
    const timeoutMs = timeoutOf(options, settings.deadlineMs)
    const here = (): Promise<NamedSnapshot> => {
      const snapshotter = this.#system.to(Snapshotter.name(instance, index))
      return LmdbWriter.answerOf(this.#shard, Snapshotter.snapshot(snapshotter, timeoutMs))
    }
    return this.#asked('checkpoint', [{ timeoutMs }], here, timeoutMs)
  }

  /**
   * Reads the frames of writes that were durable before the read began, in order, each verified. The
   * log that is still to be read is not given back until the loop ends.
   * @throws KeelsonError `INVALID_ARGUMENT`; the iteration throws `BAD_CURSOR` for a `from` below the
   * first LSN that the log has, `CORRUPT`, `ELSEWHERE`, `CLOSED`; `SHARD_DOWN`, also if the thread of
   * the log dies, which ends the hold on the log: read on from the LSN after the last frame
   */
  read(options: FramesOptions = noOptions): AsyncGenerator<LoggedFrame, void, undefined> {
    this.#checkHere('read()')
    const { from, to } = ownOptions(options, ['from', 'to'])
    for (const [name, lsn] of Object.entries({ from, to }))
      if (lsn !== undefined && !isCount(lsn)) throw invalidArgument(name, 'an LSN', lsn)
    return this.#frames(from, to)
  }

  /**
   * Gives back whole segments of the log, oldest first, up to `lsn` at most, by default as far as
   * may be: never what a snapshot, the retention, a reader, a required replica or the journal
   * needs. A snapshot does the same at its end. It waits for a running snapshot or backup. A log in
   * an engine gives back frames, and `removed` is 0.
   * @throws KeelsonError `INVALID_ARGUMENT`, `SHARD_DOWN`, `CLOSED`; `FENCED` if the log began
   * another epoch since: try again
   */
  async release(lsn: number = Number.MAX_SAFE_INTEGER): Promise<Released> {
    this.#access.check()
    if (!isCount(lsn)) throw invalidArgument('lsn', 'an LSN', lsn)
    return this.#asked('release', [lsn], () => releaseLog(this.#system, this.#shard, lsn))
  }

  #asked<T>(
    method: string,
    given: readonly unknown[],
    here: () => Promise<T>,
    timeoutMs = this.#shard.parts.settings.deadlineMs,
  ): Promise<T> {
    this.#access.check()
    return askedAtOwner(this.#shard, `wal.${method}`, given, timeoutMs, here)
  }

  /** @throws KeelsonError `ELSEWHERE`, `CLOSED` */
  #checkHere(act: string): void {
    this.#access.check()
    const shard = this.#shard
    checkHere(shard, `wal(${shard.index}).${act}`)
  }

  async *#frames(
    from: number | undefined,
    to: number | undefined,
  ): AsyncGenerator<LoggedFrame, void, undefined> {
    const log = this.#shard.files.log()
    const begun = await pinned(log, from, to)
    if (!begun) return
    const { last, pin } = begun
    let { next } = begun
    try {
      while (next <= last) {
        const read = await log.run('read', { from: next, to: last, maxBytes: readBytes })
        for (const { lsn, time, offset, length } of read.frames) {
          this.#access.check()
          const bytes = read.bytes.subarray(offset, offset + length)
          yield { lsn, time, commands: decodeFrame(bytes).units.flatMap(commandsOf), bytes }
        }
        if (read.next <= next) return
        next = read.next
        await log.run('pin', { from: next, pin })
      }
    } finally {
      await log.run('unpin', { pin }).catch(() => undefined)
    }
  }

  get #writer() {
    this.#access.check()
    const { instance, index } = this.#shard.parts
    return this.#system.to(WalWriter.name(instance, index))
  }
}

/**
 * Pins the first frame to read, and fixes the last one; `undefined` if there is nothing to read.
 * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`
 */
const pinned = async (
  log: LogHost,
  from: number | undefined,
  to = Number.MAX_SAFE_INTEGER,
): Promise<{ readonly next: number; readonly last: number; readonly pin: number } | undefined> => {
  for (;;) {
    const { firstLsn, durableLsn } = await log.run('state', null)
    const [next, last] = [Math.max(1, from ?? firstLsn), Math.min(to, durableLsn)]
    if (next < firstLsn) throw givenBack(next, firstLsn)
    if (next > last) return undefined
    try {
      return { next, last, ...(await log.run('pin', { from: next })) }
    } catch (error) {
      // A read from the first frame is not refused if that was given back since.
      if (from !== undefined || !isKeelsonError(error, 'BAD_CURSOR')) throw error
    }
  }
}

const givenBack = (from: number, firstLsn: number): KeelsonError =>
  new KeelsonError('BAD_CURSOR', `the log begins at LSN ${firstLsn}`, {
    details: { from, firstLsn },
  })
