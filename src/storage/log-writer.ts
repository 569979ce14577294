/**
 * The open log: one writer, one file at a time. A commit is one write of whole sectors and one sync; a frame counts
 * only once its sync returned. When a group does not fit, the segment is sealed and the next one begun. The first write
 * or sync that fails is the last one: what the disk then holds nobody knows, so the log is poisoned and stays so.
 */
import { KeelsonError } from '../errors.ts'
import { frameOffsets } from './commit-request.ts'
import { frameTypes } from './frame.ts'
import { segmentStart } from './frame-cursor.ts'
import { GroupEncoder } from './group-encoder.ts'
import { poison, refusalOf } from './log-errors.ts'
import type { Commit, CommitRequest } from './log-host.ts'
import { framePayloadMax } from './log-limits.ts'
import type { OpenedLog } from './log-opening.ts'
import { type LogPlace, newSegmentHeader } from './log-place.ts'
import { type Manifest, writeManifest } from './manifest.ts'
import { SegmentAppender } from './segment-appender.ts'
import { type LogSegment, segmentAfter } from './segment-chain.ts'
import { attempt, installSegment, prepareSpare } from './segment-file.ts'

/** What a commit has done so far. */
type Progress = {
  readonly lsns: number[]
  bytesWritten: number
  syncMs: number
  rolled: boolean
}

/** A log that takes frames, from its opening to `close` or `abandon`. */
export class LogWriter {
  readonly #place: LogPlace
  readonly #encoder = new GroupEncoder()
  #sealed: readonly LogSegment[]
  #newest: SegmentAppender
  /** The last state that was written to the MANIFEST. */
  #manifest: Manifest
  #lastTime: number
  #checkpointLsn: number
  #failure: KeelsonError | undefined
  #isClosed = false

  constructor(place: LogPlace, opened: OpenedLog) {
    this.#place = place
    this.#sealed = opened.chain
    this.#newest = new SegmentAppender(opened.newest, this.#encoder, place.clock)
    this.#manifest = opened.manifest
    this.#lastTime = opened.manifest.lastTime
    this.#checkpointLsn = opened.manifest.checkpointLsn
  }

  /** Up to here frames are synced. */
  get durableLsn(): number {
    return this.#newest.durableLsn
  }

  /** The last frame that was written. */
  get lastLsn(): number {
    return this.#newest.end.lsn
  }

  /** Everything up to here is durable outside the log. */
  get checkpointLsn(): number {
    return this.#checkpointLsn
  }

  /** All segments as they are now, the one being written last. */
  get segments(): readonly LogSegment[] {
    return [...this.#sealed, this.#newest.segment]
  }

  /**
   * Writes frames, and syncs them when the request says so. Those that would need a new segment for which there is no
   * space are refused, before any byte of them is written; a later commit tries again.
   * @throws KeelsonError `TOO_LARGE`, `INVALID_ARGUMENT` with nothing written; `SHARD_DOWN` with the reason `poisoned`.
   */
  commit(request: CommitRequest): Commit {
    this.#refuseUnlessOpen()
    const payloadMax = framePayloadMax(this.#place.options)
    const offsets = frameOffsets(request, payloadMax, this.lastLsn)
    const time = Math.max(this.#lastTime, request.now)
    const nextLsn = this.lastLsn + 1
    const progress: Progress = { lsns: [], bytesWritten: 0, syncMs: 0, rolled: false }
    const refused = this.#irrevocably(() => this.#commit(request, offsets, time, progress))
    return {
      firstLsn: progress.lsns[0] ?? nextLsn,
      count: progress.lsns.length,
      time,
      durableLsn: this.durableLsn,
      ...progress,
      ...(refused ? { refused } : {}),
    }
  }

  /** Makes everything that was written durable. @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`. */
  sync(): void {
    this.#refuseUnlessOpen()
    this.#irrevocably(() => this.#newest.sync())
  }

  /**
   * Ends the log so that the next opening has nothing to doubt: CHECKPOINT, then CLEAN_CLOSE, each with its sync, then the
   * MANIFEST says so. @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`; the file is closed all the same.
   */
  close(projectedLsn: number): void {
    try {
      this.#refuseUnlessOpen()
      this.#irrevocably(() => this.#closeCleanly(projectedLsn))
    } finally {
      this.abandon()
    }
  }

  /** Closes the file and nothing else, as a crash would. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#newest.close()
  }

  #refuseUnlessOpen(): void {
    if (this.#failure) throw this.#failure
    if (this.#isClosed) throw new KeelsonError('CLOSED', 'The log is closed')
  }

  /** Whatever is thrown in here, a disk's error or a bug, leaves a file that nobody can vouch for. */
  #irrevocably<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      this.#failure = poison(error)
      throw this.#failure
    }
  }

  /** Writes group by group, rolling in between, and answers why the rest was refused. */
  #commit(
    request: CommitRequest,
    offsets: readonly number[],
    time: number,
    progress: Progress,
  ): KeelsonError | undefined {
    const { bytes, lengths } = request
    let refused: KeelsonError | undefined
    for (let from = 0; from < lengths.length && !refused; ) {
      const newest = this.#newest
      const to = newest.firstThatDoesNotFit(lengths, from)
      // The space for a new segment is taken before the old one is given up.
      const rolls = to < lengths.length
      if (rolls) refused = this.#takeSpace()
      newest.begin(lengths, from, to)
      for (; from < to; from++)
        progress.lsns.push(newest.addData(bytes, offsets[from] ?? 0, lengths[from] ?? 0, time))
      if (progress.lsns.length > 0) this.#lastTime = time
      if (rolls && !refused) this.#roll(request.projectedLsn, progress)
      else progress.bytesWritten += newest.write()
    }
    if (request.sync) progress.syncMs += this.#newest.sync()
    return refused
  }

  #takeSpace(): KeelsonError | undefined {
    const { disk, dir, options } = this.#place
    try {
      prepareSpare(disk, dir, options.maxFileSize)
      return undefined
    } catch (error) {
      const refusal = refusalOf(error)
      if (!(refusal instanceof KeelsonError)) throw error
      if (refusal.code !== 'SHARD_DOWN') return refusal
      // The spare failed, and only the spare: nothing of the log is in doubt, and a later commit may have more luck.
      return new KeelsonError('BUSY', 'No new segment could be prepared', {
        details: refusal.details,
        cause: error,
      })
    }
  }

  /**
   * Writes what the encoder holds, CHECKPOINT and SEAL, syncs, and begins the next segment in the spare. It exists from
   * its rename on, and counts from the MANIFEST on: one that a crash leaves in between is empty and is taken back.
   */
  #roll(projectedLsn: number, progress: Progress): void {
    const { disk, dir, clock } = this.#place
    const old = this.#newest
    old.addCheckpoint(this.#checkpoint(projectedLsn))
    old.addEndMark(frameTypes.seal)
    progress.bytesWritten += old.write()
    progress.syncMs += old.sync()
    old.trim()
    const { walId, epoch, seq } = old.header
    const { lsn: lastLsn, offset: endOffset, crc: lastCrc } = old.end
    const header = newSegmentHeader(this.#place, {
      walId,
      epoch,
      seq: seq + 1,
      baseLsn: lastLsn + 1,
      prev: { seq, lastLsn, endOffset, lastCrc },
    })
    const made = installSegment(disk, dir, header)
    const newest = { ...made, header, end: segmentStart(header) }
    this.#sealed = this.segments
    this.#newest = new SegmentAppender(newest, this.#encoder, clock)
    old.close()
    this.#writeManifest()
    progress.rolled = true
  }

  /** Nobody projects what is not durable, and a projection that was begun anew takes no checkpoint back. */
  #checkpoint(projectedLsn: number): number {
    this.#checkpointLsn = Math.max(this.#checkpointLsn, Math.min(projectedLsn, this.durableLsn))
    return this.#checkpointLsn
  }

  #writeManifest(cleanClose?: Manifest['cleanClose']): void {
    const { walId, epoch, seq, baseLsn, salt } = this.#newest.header
    this.#manifest = {
      generation: this.#manifest.generation + 1,
      walId,
      epoch,
      newest: { seq, baseLsn, salt },
      recoveredLsn: this.durableLsn,
      checkpointLsn: this.#checkpointLsn,
      checkpointSegment: segmentAfter(this.segments, this.#checkpointLsn)?.header.seq ?? seq,
      lastTime: this.#lastTime,
      ...(cleanClose ? { cleanClose } : {}),
    }
    writeManifest(this.#place.disk, this.#place.dir, this.#manifest)
  }

  #closeCleanly(projectedLsn: number): void {
    const newest = this.#newest
    newest.sync()
    newest.begin()
    newest.addCheckpoint(this.#checkpoint(projectedLsn))
    newest.write()
    newest.sync()
    newest.begin()
    newest.addEndMark(frameTypes.cleanClose)
    newest.write()
    newest.sync()
    this.#writeManifest({ lastLsn: newest.end.lsn, endOffset: newest.end.offset })
    // The next opening begins a segment of its own; what is left of this one is given back.
    attempt(() => newest.trim())
  }
}
