/**
 * Makes a shard of a data folder from rows and frames that come one by one, as a replica has them.
 * Frames keep their LSNs, and the log its id. Each LSN between them, which was a frame of the log's
 * own, becomes an IDLE frame. The log ends with CLEAN_CLOSE. The MANIFEST comes last: it names the
 * frames as durable, so the loss of one is noticed.
 */

import { startSha256 } from '../../bytes/sha256.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  anyLog,
  type BlobRef,
  type Disk,
  type DiskFile,
  decodeFrame,
  decodeRow,
  frameTypes,
  isStoredValue,
  keepNumbers,
  makeFolders,
  type NamedSnapshot,
  PlacedBlob,
  type ProjectedPosition,
  pathIn,
  refsOf,
  refsOfUnit,
  replaceManifest,
  SealedLog,
  type ShardFolders,
  type SnapshotRecord,
  SnapshotWriter,
  type StoredFrame,
  snapshotName,
} from '../../storage/index.ts'

/**
 * Where a shard is made, and its log: `base` is what the rows show, before the first frame, and
 * `nextSegment` is the number of its next segment of blobs.
 */
export type ShardPlan = {
  readonly disk: Disk
  readonly clock: Clock
  readonly folders: ShardFolders
  readonly walId: string
  readonly epoch: number
  readonly base: ProjectedPosition | undefined
  readonly nextSegment: number
}

const noBytes = new Uint8Array(0)

/** A shard that is being made. Rows first, then frames, then blobs, then `finish`. */
export class ShardBuilder {
  readonly #plan: ShardPlan
  #rows: { readonly file: DiskFile; readonly writer: SnapshotWriter } | undefined
  #snapshot: NamedSnapshot | undefined
  readonly #log: SealedLog
  /** The last LSN in the log, and the greatest stamp. */
  #lsn: number
  #time = 0
  readonly #refs = new Map<string, BlobRef>()
  readonly #rowRefs = new Set<string>()

  /** Makes the folders. @throws DiskError */
  constructor(plan: ShardPlan) {
    const { disk, clock, folders, walId, epoch, base } = plan
    this.#plan = plan
    for (const dir of [folders.wal, folders.snapshots, folders.blobs]) makeFolders(disk, dir)
    this.#lsn = base?.lsn ?? 0
    this.#time = base?.frame?.time ?? 0
    const log = { walId, epoch, baseLsn: this.#lsn + 1 }
    this.#log = new SealedLog({ disk, clock, dir: folders.wal }, anyLog, log)
    if (!base) return
    const file = disk.open(pathIn(folders.snapshots, `${snapshotName(base.lsn)}.tmp`), 'create')
    this.#rows = { file, writer: new SnapshotWriter(file, base) }
  }

  /** The blobs that rows and frames refer to, each once. */
  get refs(): readonly BlobRef[] {
    return [...this.#refs.values()]
  }

  /** Adds a row of the base; their keys must rise. @throws KeelsonError `CORRUPT`; DiskError */
  row(record: SnapshotRecord): void {
    const { value } = decodeRow(record.key, record.record)
    const refs = isStoredValue(value) ? refsOf(value) : []
    this.#refer(refs)
    for (const ref of refs) this.#rowRefs.add(placeOf(ref))
    this.#rows?.writer.add(record)
  }

  /** Adds a frame; their LSNs must rise. @throws KeelsonError `CORRUPT`; DiskError */
  frame({ lsn, payload }: StoredFrame): void {
    if (lsn <= this.#lsn) throw corrupt(`the frame ${lsn} comes behind lsn ${this.#lsn}`)
    const { units, time } = decodeFrame(payload)
    for (const unit of units) this.#refer(refsOfUnit(unit))
    while (++this.#lsn < lsn) this.#log.add(frameTypes.idle, noBytes)
    this.#log.add(frameTypes.data, payload)
    this.#time = Math.max(this.#time, time)
  }

  /**
   * Writes a blob to the place that its reference names, and compares its content with that. Without
   * pieces there is none: a frame that was refused may refer to what has been freed since.
   * @throws KeelsonError `CORRUPT`; DiskError
   */
  async blob(ref: BlobRef, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const { disk, folders } = this.#plan
    let blob: PlacedBlob | undefined
    try {
      const sha256 = startSha256()
      for await (const bytes of pieces) {
        blob ??= new PlacedBlob(disk, folders.blobs, ref)
        sha256.add(bytes)
        blob.add(bytes)
      }
      if (!blob && !this.#rowRefs.has(placeOf(ref))) return
      if (Buffer.compare(sha256.end(), ref.sha256) !== 0)
        throw corrupt('a large value is not what its reference names')
      blob?.finish()
    } finally {
      blob?.close()
    }
  }

  /** Ends the snapshot and the log. All of it is durable on return. @throws DiskError */
  finish(): { readonly lsn: number } {
    const { disk, folders, nextSegment } = this.#plan
    this.#endRows()
    disk.syncFolder(folders.blobs)
    keepNumbers(disk, folders.blobs, nextSegment)
    const lsn = this.#lsn
    const { manifest } = this.#log.finish({
      generation: 1,
      checkpointLsn: this.#snapshot?.lsn ?? 0,
      lastTime: this.#time,
      snapshots: this.#snapshot ? [this.#snapshot] : [],
    })
    replaceManifest(disk, folders.wal, manifest)
    return { lsn }
  }

  /** Closes what is open after a failure. */
  abandon(): void {
    this.#log.abandon()
    this.#rows?.file.close()
    this.#rows = undefined
  }

  #endRows(): void {
    const { disk, folders } = this.#plan
    const rows = this.#rows
    if (!rows) return
    this.#rows = undefined
    const { lsn, bytes, sum } = rows.writer.end()
    rows.file.sync()
    rows.file.close()
    const path = pathIn(folders.snapshots, snapshotName(lsn))
    disk.rename(`${path}.tmp`, path)
    disk.syncFolder(folders.snapshots)
    this.#snapshot = { lsn, bytes, sum }
  }

  #refer(refs: readonly BlobRef[]): void {
    for (const ref of refs) this.#refs.set(placeOf(ref), ref)
  }
}

const placeOf = ({ segment, offset }: BlobRef): string => `${segment}:${offset}`

const corrupt = (evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the replica cannot be restored: ${evidence}`, {
    details: { evidence },
  })
