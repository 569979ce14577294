/**
 * Reads frames from the segments of a log. Every frame is verified, and each answer is bounded in
 * bytes. The reader remembers where recent reads ended, so a follower does not scan a segment
 * again. It keeps no file open. It is apart from `log.ts` because of what it remembers: a log is
 * written without it.
 */
import type { KeelsonError } from '../../errors.ts'
import { readStamp } from '../frames/control-payload.ts'
import { type FrameHeader, frameTypes, groupFlag } from '../frames/frame.ts'
import { FrameCursor, type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { corruption, unsupported } from '../frames/log-errors.ts'
import { closing, type Disk, pathIn } from '../ports/disk.ts'
import type { ReadAnswer, ReadFrame, ReadRequest } from '../ports/log-host.ts'
import type { LogSegment } from '../segments/segment-chain.ts'

/** The number of remembered places: for a few followers and as many point reads. */
const placesMax = 64

type Place = { readonly name: string; readonly end: FrameEnd }

/**
 * The frames of one answer. They are not copied: an answer is a part of one window, which is given
 * away with it and never filled again.
 */
type Gathering = {
  readonly from: number
  readonly lastLsn: number
  readonly maxBytes: number
  readonly checkpoints: boolean
  readonly frames: ReadFrame[]
  size: number
}

/**
 * The bytes to read at once: about the wanted size, with a minimum because a small read may have to
 * search.
 */
const windowBytes = (maxBytes: number): number =>
  Math.min(Math.max(maxBytes, 64 * 1024), 1024 * 1024)

/** Reads from the log in `dir` during one epoch of the log. */
export class LogReader {
  readonly #disk: Disk
  readonly #dir: string
  /** Remembered places, least recently used first. */
  #places: Place[] = []

  constructor(disk: Disk, dir: string) {
    this.#disk = disk
    this.#dir = dir
  }

  /**
   * Frames from `from` on, up to `to` and `durableLsn`: at least one if there is any, then more
   * from the same window, up to `maxBytes` of payloads. @throws KeelsonError `CORRUPT` with file,
   * offset and lsn
   */
  read(
    segments: readonly LogSegment[],
    durableLsn: number,
    { from, to = Number.POSITIVE_INFINITY, maxBytes, checkpoints = false }: ReadRequest,
  ): ReadAnswer {
    const lastLsn = Math.min(to, durableLsn)
    const gathering: Gathering = { from, lastLsn, maxBytes, checkpoints, frames: [], size: 0 }
    let next = from
    for (const segment of segments) {
      if (segment.lastLsn < next) continue
      if (next > lastLsn) break
      const reached = this.#readSegment(segment, next, gathering)
      next = reached.next
      if (gathering.frames.length > 0)
        return { frames: gathering.frames, bytes: reached.bytes, next, durableLsn }
    }
    return { frames: [], bytes: new Uint8Array(0), next, durableLsn }
  }

  #readSegment(
    segment: LogSegment,
    from: number,
    gathering: Gathering,
  ): { readonly next: number; readonly bytes: Uint8Array } {
    const { name, header, lastLsn, endOffset } = segment
    return closing(this.#disk.open(pathIn(this.#dir, name), 'read'), (file) => {
      const place = this.#placeBefore(segment, from)
      const window = windowBytes(gathering.maxBytes)
      const cursor = new FrameCursor(file, header, place, endOffset, window)
      const end = walk(segment, cursor, Math.min(lastLsn, gathering.lastLsn), gathering)
      this.#remember({ name, end })
      return { next: Math.max(from, end.lsn + 1), bytes: takeBytes(cursor, gathering.frames) }
    })
  }

  /** The nearest remembered place before `from`, or the start of the segment. */
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

/**
 * Walks up to frame `last` or to the end of the answer. Returns the end of the last frame that it
 * has consumed.
 */
const walk = (
  segment: LogSegment,
  cursor: FrameCursor,
  last: number,
  gathering: Gathering,
): FrameEnd => {
  let lsn = cursor.end.lsn
  while (lsn < last) {
    const isFirst = gathering.frames.length === 0
    const frame = isFirst ? cursor.next() : cursor.nextInWindow()
    // A frame outside of the window begins the next answer, and so does a damaged one.
    if (!frame && !isFirst) break
    if (!frame) throw stopped(segment, cursor)
    if (frame.lsn >= segment.lastLsn) refuseOtherEnd(segment, cursor.end)
    if (!gather(gathering, cursor, frame))
      return { offset: cursor.frameOffset, lsn: frame.lsn - 1, crc: frame.prevCrc }
    lsn = frame.lsn
  }
  return cursor.end
}

/**
 * Refuses frames that are valid but end elsewhere than the log recorded: the file is another
 * segment.
 */
const refuseOtherEnd = (
  { name, lastLsn, endOffset, lastCrc }: LogSegment,
  { offset, lsn, crc }: FrameEnd,
): void => {
  if (offset === endOffset && crc === lastCrc) return
  const evidence = `the log recorded that this segment ends with lsn ${lastLsn} at offset ${endOffset}`
  throw corruption({ file: name, offset, lsn, evidence })
}

const stopped = ({ name }: LogSegment, cursor: FrameCursor): KeelsonError => {
  const { offset, lsn } = cursor.end
  if (cursor.stop === 'unsupported') return unsupported(name, { offset, lsn: lsn + 1 })
  const evidence = 'a durable frame has been damaged'
  return corruption({ file: name, offset, lsn: lsn + 1, evidence })
}

/**
 * Adds a frame to the answer; false if the answer is full and the frame belongs to the next one.
 */
const gather = (gathering: Gathering, cursor: FrameCursor, frame: FrameHeader): boolean => {
  const { lsn, type, payloadBytes: length } = frame
  const isData = type === frameTypes.data
  const isWanted = isData || (gathering.checkpoints && type === frameTypes.checkpoint)
  if (!isWanted || lsn < gathering.from) return true
  const size = gathering.size + length
  if (gathering.frames.length > 0 && size > gathering.maxBytes) return false
  const { buffer, at } = cursor.payload
  const time = isData ? readStamp(buffer.view, at, length) : 0
  const startsGroup = (frame.flags & groupFlag) !== 0
  gathering.frames.push({ lsn, type, time, startsGroup, offset: at, length })
  gathering.size = size
  return true
}

/** The bytes of the answer: the window itself, or a copy if less than half of it is used. */
const takeBytes = (cursor: FrameCursor, frames: ReadFrame[]): Uint8Array => {
  const [first] = frames
  const last = frames.at(-1)
  if (!first || !last) return new Uint8Array(0)
  const { bytes } = cursor.payload.buffer
  const end = last.offset + last.length
  if (2 * (end - first.offset) >= bytes.length) return bytes
  const shift = first.offset
  for (const [index, frame] of frames.entries())
    frames[index] = { ...frame, offset: frame.offset - shift }
  return bytes.slice(shift, end)
}
