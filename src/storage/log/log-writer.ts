/**
 * The open log: one writer, one file at a time. A commit is one write of whole sectors and one
 * sync. A frame counts only after its sync returned. When a group does not fit, the segment is
 * sealed and the next one begins. After a failed write or sync the content of the disk is unknown,
 * so the log is poisoned for good. It is apart from `log.ts`, which also answers reads and
 * releases, because the commit point is here.
 */

import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { CommitmentChain } from '../commitments/commitment-chain.ts'
import { checkpointBytes } from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { GroupEncoder } from '../frames/group-encoder.ts'
import { poison } from '../frames/log-errors.ts'
import { type DiskFile, type DiskFolder, pathIn } from '../ports/disk.ts'
import { attempt, refusing } from '../ports/disk-failure.ts'
import type { Commit, CommitmentHead, CommitRequest, Naming } from '../ports/log-host.ts'
import { type NamedSnapshot, namesSnapshot } from '../ports/named-snapshot.ts'
import type { SpareTask } from '../ports/spare-file.ts'
import { frameOffsets, framePayloadMax, refuseLengths } from '../segments/log-limits.ts'
import {
  type LogPlace,
  refuseLostLock,
  successorHeader,
  whileOwned,
} from '../segments/log-place.ts'
import { type Manifest, snapshotsMax, writeManifest } from '../segments/manifest.ts'
import { SegmentAppender } from '../segments/segment-appender.ts'
import { type LogSegment, manifestOf } from '../segments/segment-chain.ts'
import { installSegment } from '../segments/segment-file.ts'
import type { OpenedLog } from './log-opening.ts'
import { keptSnapshots, type LogOpening, releasable, retentionEnd } from './log-retention.ts'
import { SpareShelf } from './spare-shelf.ts'

/** The progress of a commit. */
type Progress = {
  readonly lsns: number[]
  bytesWritten: number
  syncMs: number
  rolled: boolean
}

/** A commit whose frames are written. The log takes no other request before its end. */
export type WrittenCommit = {
  /** The file to sync; absent if the request asks for no sync, or nothing was written. */
  readonly unsynced: DiskFile | undefined
  /**
   * Ends the commit. `sync` syncs the file, or throws why it could not be synced.
   * @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`
   */
  readonly end: (sync: () => void) => Commit
}

/** A log that accepts frames from its opening to `close` or `abandon`. */
export class LogWriter {
  /** The spare segments. */
  readonly spares: SpareShelf
  readonly #place: LogPlace
  /** Both stay open: a roll must not fail for a descriptor that is not there. */
  readonly #folder: DiskFolder
  readonly #manifestFile: DiskFile
  readonly #encoder = new GroupEncoder()
  readonly #commitments: CommitmentChain | undefined
  #sealed: readonly LogSegment[]
  #newest: SegmentAppender
  /** The last state written to the MANIFEST. */
  #manifest: Manifest
  #lastTime: number
  readonly #opening: Omit<LogOpening, 'elapsedMs'>
  /** The time of its opening by the monotonic clock. */
  readonly #openedAt: number
  #checkpointLsn: number
  #failure: KeelsonError | undefined
  #isClosed = false

  constructor(place: LogPlace, opened: OpenedLog) {
    this.#place = place
    this.spares = new SpareShelf(place)
    this.#folder = opened.folder
    this.#manifestFile = opened.manifestFile
    this.#commitments = opened.commitments
    this.#sealed = opened.chain
    this.#newest = new SegmentAppender(opened.newest, this.#encoder, place.clock)
    this.#manifest = opened.manifest
    this.#lastTime = opened.manifest.lastTime
    this.#checkpointLsn = opened.manifest.checkpointLsn
    const { seq, createdMs: openedMs } = opened.newest.header
    this.#opening = { seq, openedMs, lastTime: this.#lastTime }
    this.#openedAt = place.clock.monotonic()
  }

  /** The last synced LSN. */
  get durableLsn(): number {
    return this.#newest.durableLsn
  }

  /** The last written LSN. */
  get lastLsn(): number {
    return this.#newest.end.lsn
  }

  /** Everything up to this LSN is durable outside the log. */
  get checkpointLsn(): number {
    return this.#checkpointLsn
  }

  /** All segments in their current state, the current one last. */
  get segments(): readonly LogSegment[] {
    return [...this.#sealed, this.#newest.segment]
  }

  /**
   * A spare to make in the background; report its end with `spares.settle`. Unused logs get none,
   * because many logs are never used.
   */
  beginSpare(): SpareTask | undefined {
    if (this.#failure || this.#isClosed || this.#newest.isUntouched) return undefined
    return this.spares.begin(this.#newest.isHalfFull ? 2 : 1)
  }

  /** Whether frames with these payloads need a new segment while its spare is being made. */
  waitsForSpare(lengths: ArrayLike<number>, features = 0): boolean {
    if (this.#failure || !this.spares.isWorthWaitingFor) return false
    return this.#lacks(features) || this.#newest.firstThatDoesNotFit(lengths, 0) < lengths.length
  }

  /**
   * Writes frames and syncs them if the request asks for it. A segment whose header lacks a feature
   * of the frames ends before them. Frames that need a new segment without
   * space for it are refused before any of their bytes is written; a later commit tries again.
   * @throws KeelsonError `TOO_LARGE`, `INVALID_ARGUMENT` with nothing written; `SHARD_DOWN` with
   * the reason `poisoned`
   */
  commit(request: CommitRequest): Commit {
    const { unsynced, end } = this.write(request)
    return end(() => unsynced?.sync())
  }

  /** As `commit`, up to the sync. @throws as `commit` */
  write(request: CommitRequest): WrittenCommit {
    this.#refuseUnlessOpen()
    const offsets = frameOffsets(request, framePayloadMax(this.#place.options), this.lastLsn)
    const time = Math.max(this.#lastTime, request.now)
    const nextLsn = this.lastLsn + 1
    const progress: Progress = { lsns: [], bytesWritten: 0, syncMs: 0, rolled: false }
    const place = this.#place
    const { clock } = place
    // Each look at LOCK is a call of the system. A commit has two, however its file is synced: before
    // its first byte, and after the last thing that its answer promises.
    const { refused, unsynced } = this.#orPoison(() => {
      refuseLostLock(place)
      const refused = this.#write(request, offsets, time, progress)
      const unsynced = request.sync ? this.#newest.unsynced : undefined
      if (!unsynced) refuseLostLock(place)
      return { refused, unsynced }
    })
    const began = clock.monotonic()
    return {
      unsynced,
      end: (sync) => {
        if (unsynced)
          this.#orPoison(() => {
            sync()
            progress.syncMs += clock.monotonic() - began
            this.#synced()
            refuseLostLock(place)
          })
        return {
          firstLsn: progress.lsns[0] ?? nextLsn,
          count: progress.lsns.length,
          time,
          durableLsn: this.durableLsn,
          ...progress,
          ...(refused ? { refused } : {}),
        }
      },
    }
  }

  /**
   * Makes all written frames durable. @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`
   */
  sync(): void {
    this.#refuseUnlessOpen()
    this.#irrevocably(() => this.#newest.sync())
  }

  /**
   * Makes everything durable and writes a marker that proves it. Returns false if it is already
   * proven or there is no room. @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`
   */
  mark(): boolean {
    this.sync()
    if (!this.#newest.wantsMarker) return false
    this.#irrevocably(() => this.#newest.mark())
    return true
  }

  /**
   * Makes everything durable, records in a CHECKPOINT and the MANIFEST that it is kept elsewhere,
   * and returns both LSNs.
   * @throws KeelsonError `TOO_LARGE`, `NO_SPACE`, `READ_ONLY` with nothing written;
   * `SHARD_DOWN` (`poisoned`)
   */
  checkpoint(opaque: Uint8Array): { readonly lsn: number; readonly coveredLsn: number } {
    this.#refuseUnlessOpen()
    const lengths = [checkpointBytes(opaque.length)]
    refuseLengths(lengths, framePayloadMax(this.#place.options), this.lastLsn)
    if (this.#newest.firstThatDoesNotFit(lengths, 0) === 0) {
      const refused = this.#irrevocably(() => this.spares.provide())
      if (refused) throw refused
      this.#irrevocably(() => this.#rollNow())
    }
    return this.#irrevocably(() => {
      const newest = this.#newest
      // A CHECKPOINT proves the frames that it covers, so they must be durable first.
      newest.sync()
      const coveredLsn = this.#checkpoint(this.durableLsn)
      newest.begin(lengths)
      newest.addCheckpoint(coveredLsn, opaque)
      newest.write()
      newest.sync()
      this.#writeManifest()
      return { lsn: this.lastLsn, coveredLsn }
    })
  }

  /**
   * Makes everything durable, and returns the end of the chain of commitments, if there is one.
   * @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`
   */
  head(): CommitmentHead | undefined {
    this.sync()
    return this.#commitments?.head
  }

  /** The snapshots that the MANIFEST names, oldest first. */
  get snapshots(): readonly NamedSnapshot[] {
    return this.#manifest.snapshots
  }

  /**
   * Names a snapshot in the MANIFEST and moves the checkpoint up to it; `keep` of the named ones
   * stay, and the ones that the retention needs, but none of `without`. Both slots of the MANIFEST are written, because an
   * older one may name a file that is about to be removed.
   * @throws KeelsonError `INVALID_ARGUMENT`; `SHARD_DOWN` with the reason `poisoned`
   */
  name(snapshot: NamedSnapshot, { keep, without = [], endsSegment = false }: Naming): void {
    this.#refuseUnlessOpen()
    this.#refuseName(snapshot, keep)
    const { lsn, bytes, sum } = snapshot
    const others = this.snapshots.filter(
      (other) => other.lsn !== lsn && !namesSnapshot(without, other),
    )
    const named = [...others, { lsn, bytes, sum }]
    named.sort((one, other) => one.lsn - other.lsn)
    const snapshots = keptSnapshots(named, keep, this.#retainedEnd())
    this.#irrevocably(() => {
      this.#checkpoint(lsn)
      for (let slot = 0; slot < 2; slot++) this.#writeManifest({ snapshots })
    })
    const isEmpty = this.lastLsn < this.#newest.header.baseLsn
    if (endsSegment && !isEmpty && !this.#irrevocably(() => this.spares.provide()))
      this.#irrevocably(() => this.#rollNow())
  }

  /** Ends the newest segment between two commits. */
  #rollNow(): void {
    this.#newest.begin()
    this.#roll(this.#checkpointLsn)
  }

  #refuseName({ lsn }: NamedSnapshot, keep: number): void {
    const firstLsn = this.segments[0]?.header.baseLsn ?? 1
    const isCovered = lsn >= firstLsn - 1 && lsn <= this.durableLsn
    if (isCovered && Number.isInteger(keep) && keep >= 1 && keep <= snapshotsMax) return
    throw new KeelsonError('INVALID_ARGUMENT', 'the log cannot name this snapshot', {
      details: { lsn, firstLsn, durableLsn: this.durableLsn, keep },
    })
  }

  /** The last LSN that no retention keeps. */
  #retainedEnd(): number {
    const { retention } = this.#place.options
    if (!retention) return Number.POSITIVE_INFINITY
    const elapsedMs = this.#elapsedMs
    return retentionEnd(this.segments, retention, { ...this.#opening, elapsedMs })
  }

  get #elapsedMs(): number {
    return Math.floor(this.#place.clock.monotonic() - this.#openedAt)
  }

  /**
   * Removes the segments without frames beyond `lsn`, the checkpoint of the MANIFEST and its oldest
   * snapshot, if none is within the retention, and returns them. Each removal is durable before the
   * next, oldest first. So a crash leaves a log with a later start, never a log with a gap.
   * @throws KeelsonError `SHARD_DOWN` with the reason `disk` (the rest stays), or `poisoned` if the
   * sync of a folder failed
   */
  release(lsn: number): readonly LogSegment[] {
    this.#refuseUnlessOpen()
    const { disk, dir } = this.#place
    const gone = this.releasable(lsn)
    for (const { name } of gone) {
      refusing(() => whileOwned(this.#place, () => disk.remove(pathIn(dir, name))))
      this.#sealed = this.#sealed.slice(1)
      this.#irrevocably(() => this.#folder.sync())
    }
    return gone
  }

  /** The segments that a release up to `lsn` would remove. */
  releasable(lsn: number): readonly LogSegment[] {
    const [oldest] = this.#manifest.snapshots
    const covered = [lsn, this.#manifest.checkpointLsn, oldest?.lsn ?? lsn]
    const limits = [...covered, this.#retainedEnd(), this.#commitments?.keptLsn ?? lsn]
    return releasable(this.#sealed, ...limits)
  }

  /**
   * Closes the log cleanly: CHECKPOINT, then CLEAN_CLOSE, each synced, then the MANIFEST. The next
   * opening has nothing to examine. @throws KeelsonError `SHARD_DOWN` with the reason `poisoned`;
   * the file is closed all the same
   */
  close(projectedLsn: number): void {
    try {
      this.#refuseUnlessOpen()
      this.#irrevocably(() => this.#closeCleanly(projectedLsn))
    } finally {
      this.abandon()
    }
  }

  /** Closes only the file, as a crash would. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#newest.close()
    this.spares.close()
    for (const open of [this.#manifestFile, this.#folder]) attempt(() => open.close())
  }

  #refuseUnlessOpen(): void {
    if (this.#failure) throw this.#failure
    if (this.#isClosed) throw new KeelsonError('CLOSED', 'the log is closed')
  }

  /**
   * Poisons the log if `action` throws: after a disk error, a bug or a lost lock the file cannot be
   * trusted.
   */
  #orPoison<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      this.#failure = poison(error)
      throw this.#failure
    }
  }

  /** The same between two looks at LOCK. */
  #irrevocably<T>(action: () => T): T {
    return this.#orPoison(() => whileOwned(this.#place, action))
  }

  #synced(): void {
    this.#newest.synced()
    if (this.#commitments?.isPartFull) this.#commitments.settle()
  }

  /** Writes group by group with rolls in between. Returns why the rest was refused. */
  #write(
    request: CommitRequest,
    offsets: readonly number[],
    time: number,
    progress: Progress,
  ): KeelsonError | undefined {
    const { lengths, features } = request
    let refused: KeelsonError | undefined
    for (let from = 0; from < lengths.length && !refused; ) {
      const newest = this.#newest
      const to = this.#lacks(features) ? from : newest.firstThatDoesNotFit(lengths, from)
      // The space for a new segment is allocated before the old one is sealed.
      const rolls = to < lengths.length
      if (rolls) refused = this.spares.provide()
      newest.begin(lengths, from, to)
      if (from < to) this.#addGroup(request, offsets, from, to, time, progress.lsns)
      from = to
      if (progress.lsns.length > 0) this.#lastTime = time
      if (rolls && !refused) {
        const { bytesWritten, syncMs } = this.#roll(request.projectedLsn, features)
        progress.bytesWritten += bytesWritten
        progress.syncMs += syncMs
        progress.rolled = true
      } else progress.bytesWritten += newest.write()
    }
    return refused
  }

  /** Whether a reader of the segment would not be warned of a feature of these frames. */
  #lacks(features = 0): boolean {
    return (features & ~this.#newest.header.features) !== 0
  }

  /** Adds the DATA frames `from` up to `to`, and after them the commitment to their records. */
  #addGroup(
    { bytes, lengths }: CommitRequest,
    offsets: readonly number[],
    from: number,
    to: number,
    time: number,
    lsns: number[],
  ): void {
    const newest = this.#newest
    const commitments = this.#commitments?.commits ? this.#commitments : undefined
    let lsn = 0
    for (let at = from; at < to; at++) {
      const [offset, length] = [offsets[at] ?? 0, lengths[at] ?? 0]
      lsn = newest.addData(bytes, offset, length, time)
      lsns.push(lsn)
      commitments?.addFrame(lsn, time, bytes.subarray(offset, offset + length))
    }
    if (commitments) newest.addCommitment(commitments.seal(lsn + 1, time))
  }

  /**
   * Writes the encoder's frames, CHECKPOINT and SEAL, syncs, and begins the next segment in the
   * spare. The segment exists from its rename on and counts once the MANIFEST names it. If a crash
   * comes in between, the segment is empty and the next opening takes it back.
   */
  #roll(
    projectedLsn: number,
    features = 0,
  ): { readonly bytesWritten: number; readonly syncMs: number } {
    const { dir, clock } = this.#place
    const old = this.#newest
    old.addCheckpoint(this.#checkpoint(projectedLsn))
    old.addEndMark(frameTypes.seal)
    const bytesWritten = old.write()
    const syncMs = old.sync()
    old.trim()
    this.#commitments?.settle()
    const header = successorHeader(this.#place, old.segment, {
      features,
      chain: this.#commitments?.anchor,
      createdMs: this.#opening.openedMs + this.#elapsedMs,
    })
    const file = this.spares.take()
    const name = installSegment({ dir, folder: this.#folder }, file, { header })
    const newest = { name, file, header, end: segmentStart(header) }
    this.#sealed = this.segments
    this.#newest = new SegmentAppender(newest, this.#encoder, clock)
    old.close()
    this.#writeManifest()
    return { bytesWritten, syncMs }
  }

  /**
   * The checkpoint is never beyond the durable LSN, and a restarted projection does not move it
   * back.
   */
  #checkpoint(projectedLsn: number): number {
    this.#checkpointLsn = Math.max(this.#checkpointLsn, Math.min(projectedLsn, this.durableLsn))
    return this.#checkpointLsn
  }

  #writeManifest(news: Partial<Pick<Manifest, 'cleanClose' | 'snapshots'>> = noOptions): void {
    this.#manifest = manifestOf(this.segments, {
      generation: this.#manifest.generation + 1,
      recoveredLsn: this.durableLsn,
      checkpointLsn: this.#checkpointLsn,
      lastTime: this.#lastTime,
      snapshots: this.snapshots,
      ...news,
    })
    writeManifest(this.#manifestFile, this.#manifest)
    this.#newest.prove()
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
    const { lsn: lastLsn, offset: endOffset } = newest.end
    this.#writeManifest({ cleanClose: { lastLsn, endOffset } })
    // The next opening begins a new segment, so the rest of this one is freed.
    attempt(() => newest.trim())
    this.spares.discard()
  }
}
