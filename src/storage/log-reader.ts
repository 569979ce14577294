/**
 * Reads frames out of a log's segments, each verified on the way, bounded in bytes. It remembers where recent
 * reads ended, so that whoever reads on does not walk through the segment again; it holds no file open.
 */
import type { KeelsonError } from '../errors.ts'
import { readStamp } from './control-payload.ts'
import type { Disk } from './disk.ts'
import { type FrameHeader, frameTypes } from './frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from './frame-cursor.ts'
import { corruption, unsupported } from './log-errors.ts'
import { pathIn } from './log-folder.ts'
import type { ReadAnswer, ReadFrame, ReadRequest } from './log-host.ts'
import type { LogSegment } from './segment-chain.ts'

/** How many places are remembered: a few followers, and as many point reads. */
const placesMax = 64

type Place = { readonly name: string; readonly end: FrameEnd }

/** What is gathered for one answer. */
type Gathering = {
  readonly from: number
  readonly lastLsn: number
  readonly maxBytes: number
  readonly checkpoints: boolean
  readonly frames: ReadFrame[]
  bytes: Uint8Array
  size: number
}

/** Reads from the log in `dir`. One reader serves one life of the log. */
export class LogReader {
  readonly #disk: Disk
  readonly #dir: string
  /** The least recently used first. */
  #places: Place[] = []

  constructor(disk: Disk, dir: string) {
    this.#disk = disk
    this.#dir = dir
  }

  /**
   * Frames from `from` on and up to `to` and `durableLsn`: at least one when there is any, then as many as `maxBytes` of
   * payloads allow. @throws KeelsonError `CORRUPT` with file, offset and lsn.
   */
  read(
    segments: readonly LogSegment[],
    durableLsn: number,
    { from, to = Number.POSITIVE_INFINITY, maxBytes, checkpoints = false }: ReadRequest,
  ): ReadAnswer {
    const bytes = new Uint8Array(Math.min(Math.max(maxBytes, 1024), 64 * 1024))
    const lastLsn = Math.min(to, durableLsn)
    const gathering = { from, lastLsn, maxBytes, checkpoints, frames: [], bytes, size: 0 }
    let next = from
    for (const segment of segments) {
      if (segment.lastLsn < next) continue
      if (next > lastLsn) break
      const reached = this.#readSegment(segment, next, gathering)
      next = reached.next
      if (reached.isFull) break
    }
    return {
      frames: gathering.frames,
      bytes: gathering.bytes.subarray(0, gathering.size),
      next,
      durableLsn,
    }
  }

  #readSegment(
    segment: LogSegment,
    from: number,
    gathering: Gathering,
  ): { readonly next: number; readonly isFull: boolean } {
    const { name, header, lastLsn, endOffset } = segment
    const file = this.#disk.open(pathIn(this.#dir, name), 'read')
    try {
      const cursor = new FrameCursor(file, header, this.#placeBefore(segment, from), endOffset)
      const last = Math.min(lastLsn, gathering.lastLsn)
      let reached = cursor.end
      while (cursor.end.lsn < last) {
        const frame = cursor.next()
        if (!frame) throw stopped(segment, cursor)
        refuseOtherEnd(segment, cursor.end)
        if (!gather(gathering, cursor, frame)) {
          this.#remember({ name, end: reached })
          return { next: frame.lsn, isFull: true }
        }
        reached = cursor.end
      }
      this.#remember({ name, end: reached })
      return { next: Math.max(from, reached.lsn + 1), isFull: false }
    } finally {
      file.close()
    }
  }

  /** The remembered place that is nearest before `from`, or the segment's start. */
  #placeBefore(segment: LogSegment, from: number): FrameEnd {
    let nearest = segmentStart(segment.header)
    for (const { name, end } of this.#places)
      if (name === segment.name && end.lsn < from && end.lsn > nearest.lsn) nearest = end
    return nearest
  }

  #remember(place: Place): void {
    const others = this.#places.filter(
      ({ name, end }) => name !== place.name || end.lsn !== place.end.lsn,
    )
    this.#places = [...others.slice(-(placesMax - 1)), place]
  }
}

/** What ends elsewhere than the log says is whole, and not the segment that the log means. */
const refuseOtherEnd = ({ name, lastLsn, endOffset, lastCrc }: LogSegment, end: FrameEnd): void => {
  if (end.lsn < lastLsn || (end.offset === endOffset && end.crc === lastCrc)) return
  const evidence = `the log says that this segment goes to lsn ${lastLsn} at offset ${endOffset}`
  throw corruption({ file: name, offset: end.offset, lsn: end.lsn, evidence })
}

const stopped = ({ name }: LogSegment, cursor: FrameCursor): KeelsonError => {
  const { offset, lsn } = cursor.end
  if (cursor.stop === 'unsupported') return unsupported(name, { offset, lsn: lsn + 1 })
  const evidence = 'a frame that had been durable is not whole any more'
  return corruption({ file: name, offset, lsn: lsn + 1, evidence })
}

/** Adds a frame to the answer; false when the answer is full and the frame is for the next one. */
const gather = (gathering: Gathering, cursor: FrameCursor, frame: FrameHeader): boolean => {
  const isData = frame.type === frameTypes.data
  const isWanted = isData || (gathering.checkpoints && frame.type === frameTypes.checkpoint)
  if (!isWanted || frame.lsn < gathering.from) return true
  const size = gathering.size + frame.payloadBytes
  if (gathering.frames.length > 0 && size > gathering.maxBytes) return false
  if (size > gathering.bytes.length) {
    const grown = new Uint8Array(
      Math.max(size, Math.min(gathering.maxBytes, 2 * gathering.bytes.length)),
    )
    grown.set(gathering.bytes.subarray(0, gathering.size))
    gathering.bytes = grown
  }
  const { buffer, at } = cursor.payload
  gathering.bytes.set(cursor.payloadBytes(frame), gathering.size)
  gathering.frames.push({
    lsn: frame.lsn,
    type: frame.type,
    time: isData ? readStamp(buffer.view, at, frame.payloadBytes) : 0,
    offset: gathering.size,
    length: frame.payloadBytes,
  })
  gathering.size = size
  return true
}
