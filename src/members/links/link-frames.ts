/**
 * Frames in a stream of bytes: four bytes with the length of what follows. It keeps one frame at
 * most, in memory that grows with what has come, and not with what a length says. Pure.
 */
import { KeelsonError } from '../../errors.ts'

/** The bytes before the body of a frame. */
export const headBytes = 4

/** The most bytes of a body, in both directions. */
export const bodyMax = 8 * 1024 * 1024

/** Writes the length into a frame whose head has been left free. */
export const sealed = (frame: Buffer): Buffer => {
  frame.writeUInt32BE(frame.length - headBytes, 0)
  return frame
}

/** The memory of a frame that has not come whole, at first. */
const memoryMin = 16 * 1024

/** Cuts a stream into the bodies of its frames. */
export class FrameReader {
  #memory = Buffer.alloc(0)
  #filled = 0

  /**
   * Calls `take` with the body of each frame that ends in `bytes`. A body is not kept beyond that.
   * `max`: the most bytes of the next body.
   * @throws KeelsonError `TOO_LARGE` for a longer one; what `take` throws. Nothing can be read then
   */
  read(bytes: Buffer, max: () => number, take: (body: Buffer) => void): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#filled === 0 && bytes.length - at >= headBytes) {
        const end = at + headBytes + lengthAt(bytes, at, max())
        if (end <= bytes.length) {
          take(bytes.subarray(at + headBytes, end))
          at = end
          continue
        }
      }
      at = this.#keep(bytes, at, max(), take)
    }
  }

  /** Takes what the frame that has begun still needs. Returns the place after it. */
  #keep(bytes: Buffer, at: number, max: number, take: (body: Buffer) => void): number {
    const needed = this.#filled < headBytes ? headBytes : headBytes + lengthAt(this.#memory, 0, max)
    const count = Math.min(needed - this.#filled, bytes.length - at)
    this.#room(this.#filled + count, needed)
    bytes.copy(this.#memory, this.#filled, at, at + count)
    this.#filled += count
    if (this.#filled >= headBytes && this.#filled === headBytes + lengthAt(this.#memory, 0, max)) {
      const frame = this.#memory.subarray(0, this.#filled)
      this.#memory = Buffer.alloc(0)
      this.#filled = 0
      take(frame.subarray(headBytes))
    }
    return at + count
  }

  #room(size: number, needed: number): void {
    if (size <= this.#memory.length) return
    const grown = Math.max(size, Math.min(needed, Math.max(memoryMin, 2 * this.#memory.length)))
    const memory = Buffer.allocUnsafeSlow(grown)
    this.#memory.copy(memory, 0, 0, this.#filled)
    this.#memory = memory
  }
}

const lengthAt = (bytes: Buffer, at: number, max: number): number => {
  const length = bytes.readUInt32BE(at)
  if (length <= max) return length
  throw new KeelsonError('TOO_LARGE', `a frame has ${length} bytes, more than ${max}`)
}
