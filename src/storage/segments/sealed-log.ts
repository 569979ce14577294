/**
 * Writes a log that is complete from the beginning: frames in LSN order, in as many segments as
 * needed, each as long as its frames. The header of a segment is written after its frames, when the
 * length is known. The segment exists after its sync and rename.
 */
import type { Clock } from '../../clock.ts'
import { encodeEndMark } from '../frames/control-payload.ts'
import { frameBytes, frameTypes, roundUp } from '../frames/frame.ts'
import { GroupedFrames } from '../frames/grouped-frames.ts'
import { encodeSegmentHeader, noPredecessor, type SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { attempt, writeAll } from '../ports/disk-failure.ts'
import { knownFeatures } from '../ports/log-host.ts'
import { sealedSpareName, segmentName } from './log-folder.ts'
import { newSegmentHeader } from './log-place.ts'
import type { Manifest } from './manifest.ts'
import { type LogSegment, manifestOf } from './segment-chain.ts'

/**
 * The layout of all segments, in bytes, and the features of their headers. `fileBytes`: a longer
 * file gets no further group.
 */
export type SealedLayout = Pick<SegmentHeader, 'features' | 'sectorBytes' | 'payloadMax'> & {
  readonly fileBytes: number
}

/** The layout for a log whose options are not known: it takes every frame that a log can have. */
export const anyLog: SealedLayout = {
  features: knownFeatures,
  sectorBytes: 4096,
  payloadMax: 1024 * 1024 * 1024,
  fileBytes: 16 * 1024 * 1024,
}

/** An existing folder, and the clock for random ids and time stamps. */
export type SealedPlace = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  /** Nothing is synced: it is for this process alone. */
  readonly isTemporary?: boolean
}

/** Writes one log. Call `abandon` after a failure. */
export class SealedLog {
  readonly #place: SealedPlace
  readonly #layout: SealedLayout
  readonly #chain: LogSegment[] = []
  #header: SegmentHeader
  #frames: GroupedFrames
  #file: DiskFile | undefined

  /** The first frame gets the LSN `baseLsn`. */
  constructor(
    place: SealedPlace,
    layout: SealedLayout,
    log: Pick<SegmentHeader, 'walId' | 'epoch' | 'baseLsn'>,
  ) {
    this.#place = place
    this.#layout = layout
    const prev = { ...noPredecessor, lastLsn: log.baseLsn - 1 }
    this.#header = this.#newHeader({ ...log, seq: 1, prev })
    this.#frames = this.#framesOf(this.#header)
  }

  /** Adds the frame of the next LSN. @throws DiskError */
  add(type: number, payload: Uint8Array): void {
    const isFull = this.#frames.end.offset >= this.#layout.fileBytes
    if (isFull && this.#frames.begins(payload.length)) this.#finishSegment()
    this.#frames.add(type, payload)
  }

  /**
   * Ends the log with CLEAN_CLOSE, and returns the MANIFEST that names all of it, from these facts.
   * All frames are durable on return; the MANIFEST is to be written. @throws DiskError
   */
  finish(
    facts: Pick<Manifest, 'generation' | 'checkpointLsn' | 'lastTime' | 'snapshots'>,
  ): SealedResult {
    const { offset, lsn } = this.#frames.finish()
    const { baseLsn, sectorBytes } = this.#header
    const mark = (endOffset: number) =>
      encodeEndMark({ lastLsn: lsn, count: lsn - baseLsn + 2, endOffset })
    const markOffset = roundUp(offset, sectorBytes)
    this.#frames.add(frameTypes.cleanClose, mark(markOffset + frameBytes(mark(0).length)))
    const { lastLsn, endOffset } = this.#finishSegment()
    const checkpointLsn = Math.min(facts.checkpointLsn, lastLsn)
    const cleanClose = { lastLsn, endOffset }
    const ended = { ...facts, checkpointLsn, recoveredLsn: lastLsn, cleanClose }
    return { chain: this.#chain, manifest: manifestOf(this.#chain, ended) }
  }

  /** Closes the open file. Has no effect after `finish`. */
  abandon(): void {
    const file = this.#file
    this.#file = undefined
    if (file) attempt(() => file.close())
  }

  #framesOf(header: SegmentHeader): GroupedFrames {
    return new GroupedFrames(header, (bytes, at) => writeAll(this.#open(), bytes, at, 'ENOSPC'))
  }

  #open(): DiskFile {
    const { disk, dir } = this.#place
    this.#file ??= disk.open(pathIn(dir, sealedSpareName), 'create')
    return this.#file
  }

  #finishSegment(): LogSegment {
    const { disk, dir, isTemporary } = this.#place
    const { offset: endOffset, lsn: lastLsn, crc: lastCrc } = this.#frames.finish()
    const file = this.#open()
    const header = {
      ...this.#header,
      allocatedBytes: roundUp(endOffset, this.#header.sectorBytes),
    }
    writeAll(file, encodeSegmentHeader(header), 0, 'ENOSPC')
    if (!isTemporary) file.sync()
    this.#file = undefined
    file.close()
    const name = segmentName(header.baseLsn, header.seq)
    disk.rename(pathIn(dir, sealedSpareName), pathIn(dir, name))
    if (!isTemporary) disk.syncFolder(dir)
    const segment = { name, header, lastLsn, endOffset, lastCrc }
    this.#chain.push(segment)
    const { walId, epoch, seq } = header
    const prev = { seq, lastLsn, endOffset, lastCrc }
    this.#header = this.#newHeader({ walId, epoch, seq: seq + 1, baseLsn: lastLsn + 1, prev })
    this.#frames = this.#framesOf(this.#header)
    return segment
  }

  #newHeader(
    log: Pick<SegmentHeader, 'walId' | 'epoch' | 'seq' | 'baseLsn' | 'prev'>,
  ): SegmentHeader {
    const { fileBytes, ...layout } = this.#layout
    const options = { maxFileSize: fileBytes, sectorBytes: layout.sectorBytes }
    const place = { clock: this.#place.clock, options }
    return newSegmentHeader(place, { ...log, ...layout, allocatedBytes: 0 })
  }
}

/** A sealed log: its segments, and the MANIFEST for them. */
export type SealedResult = { readonly chain: readonly LogSegment[]; readonly manifest: Manifest }
