/**
 * The parts of a shard's snapshots that outlive their actor: which ones the log names, how much log
 * has come since, the present attempt, and why the last attempt failed. The requests to their files
 * go through here, so that each ends with the process that made it, and all of them when the shard
 * closes.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import {
  type BlobExtents,
  type BlobStretch,
  isSameSnapshot,
  type LogState,
  type NamedSnapshot,
  namesSnapshot,
  type SnapshotHost,
  type SnapshotHostFactory,
  type SnapshotProgress,
  type SnapshotProtocol,
  type SnapshotRequestKind,
} from '../../storage/index.ts'
import type { SpaceWatch } from '../log/space-watch.ts'
import { dueBytes, type SnapshotRules } from './snapshot-policy.ts'

/** Lets the shards of an instance make their snapshots one after another. */
export class SnapshotTurns {
  #last: Promise<void> = Promise.resolve()
  #backups = 0

  /** Whether a backup has the turn, or waits for it. */
  get hasBackup(): boolean {
    return this.#backups > 0
  }

  /** Resolves when it is the caller's turn, with the function that ends it. */
  take(): Promise<() => void> {
    const before = this.#last
    let leave = (): void => undefined
    this.#last = new Promise((resolve) => {
      leave = resolve
    })
    return before.then(() => leave)
  }

  /** The same for a backup: until it ends no shard leaves. */
  async takeForBackup(): Promise<() => void> {
    this.#backups++
    const leave = await this.take()
    return () => {
      this.#backups--
      leave()
    }
  }
}

/** The snapshots of a shard, for people. Sizes in bytes. */
export type SnapshotHealth = {
  /** The newest one; `undefined` without any. */
  readonly last: NamedSnapshot | undefined
  /** When it was made, in ms since 1970; `undefined`: before the start of the instance. */
  readonly madeAt: number | undefined
  /** The log since the last one, and from how much on the next one is made. */
  readonly logBytes: number
  readonly dueBytes: number
  /** The one that is being made. */
  readonly making: SnapshotProgress | undefined
  /** Why the last attempt failed; `undefined` after one that succeeded. */
  readonly failure: string | undefined
}

/** The place of the snapshots, and the port to them. */
export type SnapshotParts = {
  readonly index: number
  readonly dir: string
  /** The folder is a cache: a snapshot that is not in it is fetched. */
  readonly isCache?: boolean | undefined
  readonly makeHost: SnapshotHostFactory
  readonly rules: SnapshotRules
  readonly turns: SnapshotTurns
  /** It learns which writes the log takes and refuses. */
  readonly space: Pick<SpaceWatch, 'noted'>
}

/** The snapshots of one shard. */
export class ShardSnapshots {
  readonly parts: SnapshotParts
  /** The ones that the log names, oldest first. */
  named: readonly NamedSnapshot[] = []
  making: SnapshotProgress | undefined
  madeAt: number | undefined
  /** How many attempts failed since the instance started, and why the last one did. */
  failures = 0
  failure: string | undefined
  /** The log found no room since the last attempt. */
  isShort = false
  /** The named snapshots that were found damaged. The next one that is named replaces them. */
  unusable: readonly NamedSnapshot[] = []
  /** A snapshot that the log names is lost or damaged. */
  isDamaged = false
  readonly #hosts = new Set<SnapshotHost>()
  /** The blobs that named snapshots refer to, as far as they were asked for. */
  readonly #blobs = new Map<NamedSnapshot, readonly BlobStretch[]>()
  #isClosed = false
  /** The log after the newest snapshot, up to the frame at which it was measured. */
  #measured = { lsn: 0, bytes: 0 }
  /** The bytes of the frames that were applied after that one. */
  #grownBytes = 0
  /** The bytes of the blobs that came after the newest snapshot. */
  #blobBytes = 0
  #lookAt = Number.POSITIVE_INFINITY
  #listener: (() => void) | undefined

  constructor(parts: SnapshotParts) {
    this.parts = parts
  }

  get health(): SnapshotHealth {
    const { madeAt, logBytes, dueBytes, making, failure } = this
    return { last: this.named.at(-1), madeAt, logBytes, dueBytes, making, failure }
  }

  /** The bytes of the log after the newest snapshot, and of the blobs that it keeps. */
  get logBytes(): number {
    return this.#measured.bytes + this.#grownBytes + this.#blobBytes
  }

  /** The bytes of those blobs. They are part of `logBytes`. */
  get blobBytes(): number {
    return this.#blobBytes
  }

  /** The LSN of the newest one; 0 without one. */
  get lsn(): number {
    return this.named.at(-1)?.lsn ?? 0
  }

  /** From how many bytes of log on the next snapshot is made. */
  get dueBytes(): number {
    return dueBytes(this.parts.rules, this.named.at(-1)?.bytes ?? 0)
  }

  /** Sets the listener for changes that may call for a snapshot; it replaces the one before. */
  listen(listener: () => void): void {
    this.#listener = listener
  }

  /** Takes in what the log is now. Frames that it has, and that are applied later, are counted. */
  measured({ snapshots, firstLsn, lastLsn, newBytes }: LogState): void {
    // A sweep finds the ones that came while it was made.
    if (snapshots.at(-1)?.lsn !== this.named.at(-1)?.lsn) this.#blobBytes = 0
    this.named = snapshots
    this.#measured = { lsn: lastLsn, bytes: newBytes }
    this.#grownBytes = 0
    // The beginning of the log is lost, and the projection alone has it.
    if (firstLsn > 1 && !this.named.some(({ lsn }) => lsn >= firstLsn - 1)) this.isDamaged = true
  }

  /** The listener is called when the log has grown by so many bytes. */
  lookAfter(bytes: number): void {
    this.#lookAt = this.logBytes + bytes
  }

  /** A group up to `lsn` was applied, with so many bytes of frames. */
  grew(lsn: number, bytes: number): void {
    if (lsn <= this.#measured.lsn) return
    this.#grownBytes += bytes
    this.#look()
  }

  /** Blobs of so many bytes were written. Also when they are replaced the log keeps them. */
  blobsGrew(bytes: number): void {
    this.blobsMeasured(this.#blobBytes + bytes)
  }

  /** A sweep has found so many bytes of blobs that the log after the newest snapshot keeps. */
  blobsMeasured(bytes: number): void {
    this.#blobBytes = bytes
    this.#look()
  }

  #look(): void {
    if (this.logBytes < this.#lookAt) return
    this.#lookAt = Number.POSITIVE_INFINITY
    this.#listener?.()
  }

  /**
   * The log or the blobs refused a write, or none did if `refusal` is undefined. If there was no room,
   * a snapshot may give some back. `rolled`: the log began a segment.
   */
  refused(refusal: KeelsonError | undefined, rolled?: boolean): void {
    this.parts.space.noted(refusal, rolled)
    if (refusal?.code !== 'NO_SPACE') return
    this.isShort = true
    this.#listener?.()
  }

  /** A snapshot that the log names cannot be used, for this reason. */
  damaged(error: KeelsonError, snapshot: NamedSnapshot): void {
    if (!namesSnapshot(this.unusable, snapshot)) this.unusable = [...this.unusable, snapshot]
    this.isDamaged = true
    this.failure = reasonText(error)
    this.#listener?.()
  }

  /**
   * Carries out one request; once more on another thread if its thread dies. The end of `signal`'s
   * process interrupts it: it rejects with `CLOSED` when no byte is written after it.
   * @throws KeelsonError as `SnapshotProtocol` says; `CLOSED`
   */
  run<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    signal?: AbortSignal,
    onProgress?: (progress: SnapshotProgress) => void,
  ): Promise<SnapshotProtocol[K]['answer']> {
    const asked = () => this.#ask(kind, request, signal, onProgress)
    return asked().catch((error: unknown) => {
      const isOfThread = isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'thread'
      if (isOfThread) return asked()
      throw error
    })
  }

  async #ask<K extends SnapshotRequestKind>(
    kind: K,
    request: SnapshotProtocol[K]['request'],
    signal?: AbortSignal,
    onProgress?: (progress: SnapshotProgress) => void,
  ): Promise<SnapshotProtocol[K]['answer']> {
    if (this.#isClosed || signal?.aborted)
      throw new KeelsonError('CLOSED', 'the work on snapshots was ended')
    const host = this.parts.makeHost(this.parts.index)
    const interrupt = (): void => void host.end()
    signal?.addEventListener('abort', interrupt)
    this.#hosts.add(host)
    try {
      return await host.run(kind, request, onProgress)
    } finally {
      signal?.removeEventListener('abort', interrupt)
      await host.end()
      this.#hosts.delete(host)
    }
  }

  /**
   * Adds the blobs that the named snapshots refer to, also of snapshots that are named during the
   * walk.
   * @throws KeelsonError `CORRUPT` if one cannot be read, `SHARD_DOWN`, `CLOSED`
   */
  async addBlobs(into: BlobExtents, signal: AbortSignal): Promise<void> {
    const added = new Set<NamedSnapshot>()
    for (let next = this.#firstNot(added); next; next = this.#firstNot(added)) {
      added.add(next)
      for (const { segment, from, to } of await this.#blobsOf(next, signal))
        into.add(segment, { from, to })
    }
  }

  #firstNot(known: ReadonlySet<NamedSnapshot>): NamedSnapshot | undefined {
    return this.named.find((snapshot) => ![...known].some((each) => isSameSnapshot(each, snapshot)))
  }

  /** A snapshot does not change: it is read once. */
  async #blobsOf(snapshot: NamedSnapshot, signal: AbortSignal): Promise<readonly BlobStretch[]> {
    for (const known of this.#blobs.keys())
      if (!this.named.some((each) => isSameSnapshot(each, known))) this.#blobs.delete(known)
    for (const [known, blobs] of this.#blobs) if (isSameSnapshot(known, snapshot)) return blobs
    try {
      const request = { dir: this.parts.dir, snapshot }
      const { blobs } = await this.run('blobs', request, signal)
      this.#blobs.set(snapshot, blobs)
      return blobs
    } catch (error) {
      // It may have been replaced since.
      if (!this.named.some((each) => isSameSnapshot(each, snapshot))) return []
      if (isKeelsonError(error, 'CORRUPT')) this.damaged(error, snapshot)
      throw error
    }
  }

  /** Interrupts the present requests, and refuses more. Resolves when all its files are closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.interrupt()
  }

  /** Interrupts the present requests. Resolves when all its files are closed. */
  async interrupt(): Promise<void> {
    await Promise.all([...this.#hosts].map((host) => host.end()))
  }
}
