/**
 * Builds the bytes of one write: frames in groups that begin on sector boundaries, in one reused
 * buffer. It chains LSNs and CRCs from the end of the log. The log advances only after the write
 * has succeeded, so a failed write leaves nothing to undo.
 */

import { type ViewedBytes, viewedBytes, writeU64 } from '../../bytes/u64.ts'
import { stampBytes } from './control-payload.ts'
import {
  frameBytes,
  frameHeaderBytes,
  groupFlag,
  roundUp,
  type Salt,
  writeFrameHeader,
} from './frame.ts'
import type { FrameEnd } from './frame-cursor.ts'

/** The facts that the frames of one write share. */
export type GroupFacts = {
  readonly salt: Salt
  readonly sectorBytes: number
  /** The last durable LSN; it is written into every header. */
  readonly durableLsn: number
}

/** The largest buffer kept between writes. The largest groups, with their headers, fit. */
const keptBytes = 8 * 1024 * 1024

/** Encodes one write after another. */
export class GroupEncoder {
  #buffer: ViewedBytes = viewedBytes(Buffer.allocUnsafeSlow(64 * 1024))
  #facts: GroupFacts = { salt: { low: 0, high: 0 }, sectorBytes: 512, durableLsn: 0 }
  #size = 0
  #startsGroup = true
  #fileOffset = 0
  #endOffset = 0
  #lsn = 0
  #crc = 0

  /**
   * Begins a write after the frame that ends at `last`, at the next sector boundary. `capacity`
   * bytes must be enough for the write.
   */
  begin(last: FrameEnd, facts: GroupFacts, capacity: number): void {
    if (capacity > this.#buffer.bytes.length || this.#buffer.bytes.length > keptBytes)
      this.#buffer = viewedBytes(
        Buffer.allocUnsafeSlow(Math.max(capacity, Math.min(keptBytes, this.#buffer.bytes.length))),
      )
    this.#facts = facts
    this.#size = 0
    this.#startsGroup = true
    this.#fileOffset = roundUp(last.offset, facts.sectorBytes)
    this.#endOffset = last.offset
    this.#lsn = last.lsn
    this.#crc = last.crc
  }

  /** Adds a frame and copies its payload. Returns its LSN. */
  add(type: number, payload: Uint8Array): number {
    const at = this.#size
    this.#buffer.bytes.set(payload, at + frameHeaderBytes)
    return this.#finishFrame(type, at, payload.length)
  }

  /** Adds a DATA frame; its first eight payload bytes become `time`. */
  addStamped(
    type: number,
    source: Uint8Array,
    from: number,
    payloadBytes: number,
    time: number,
  ): number {
    const payloadAt = this.#size + frameHeaderBytes
    const rest = source.subarray(from + stampBytes, from + payloadBytes)
    this.#buffer.bytes.set(rest, payloadAt + stampBytes)
    writeU64(this.#buffer.view, payloadAt, time)
    return this.#finishFrame(type, this.#size, payloadBytes)
  }

  #finishFrame(type: number, at: number, payloadBytes: number): number {
    const lsn = this.#lsn + 1
    const flags = this.#startsGroup ? groupFlag : 0
    const { salt, durableLsn } = this.#facts
    this.#crc = writeFrameHeader(
      this.#buffer,
      at,
      { payloadBytes, lsn, type, flags, prevCrc: this.#crc, durableLsn },
      salt,
    )
    this.#lsn = lsn
    this.#startsGroup = false
    this.#size = at + frameBytes(payloadBytes)
    this.#endOffset = this.#fileOffset + this.#size
    if (payloadBytes % 8 !== 0)
      this.#buffer.bytes.fill(0, at + frameHeaderBytes + payloadBytes, this.#size)
    return lsn
  }

  /** Ends the current group: the next frame begins another. */
  endGroup(): void {
    const end = roundUp(this.#size, this.#facts.sectorBytes)
    this.#buffer.bytes.fill(0, this.#size, end)
    this.#size = end
    this.#startsGroup = true
  }

  /** The offset of the next frame in the file. */
  get nextOffset(): number {
    return this.#fileOffset + this.#size
  }

  /** The end of the last frame that was added. */
  get end(): FrameEnd {
    return { offset: this.#endOffset, lsn: this.#lsn, crc: this.#crc }
  }

  /** The file offset of the write. */
  get fileOffset(): number {
    return this.#fileOffset
  }

  /**
   * Pads to whole sectors and returns the bytes to write. They are valid until the next `begin`.
   */
  finish(): Uint8Array {
    const end = roundUp(this.#size, this.#facts.sectorBytes)
    this.#buffer.bytes.fill(0, this.#size, end)
    return this.#buffer.bytes.subarray(0, end)
  }
}
