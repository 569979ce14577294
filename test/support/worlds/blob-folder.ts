/** A folder of blobs on a simulated disk, for tests: payloads by number, restarts and crashes. */
import type { BlobProtocol } from '../../../src/storage/blobs/blob-host.ts'
import { readBlobRange } from '../../../src/storage/blobs/blob-reader.ts'
import { Blobs } from '../../../src/storage/blobs/blobs.ts'
import { recordExtent } from '../../../src/storage/values/blob-extents.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

/** The folder of the blobs. */
export const dir = '/data/blobs'

/** Bytes that only payload `number` has. */
export const payload = (number: number, size = 300): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at++) bytes[at] = (number * 131 + at * 7 + (at >> 8) + 1) & 0xff
  return bytes
}

/** A folder of blobs on a simulated disk. */
export class BlobWorld {
  readonly disk: SimulatedDisk
  readonly segmentBytes: number
  readonly makeBuffer: (() => Uint8Array) | undefined
  blobs: Blobs
  #lives = 0

  constructor({
    seed = 1,
    segmentBytes = 64 * 1024,
    disk = simulatedDisk({ seed }),
    bufferBytes,
  }: {
    readonly seed?: number
    readonly segmentBytes?: number
    readonly disk?: SimulatedDisk
    /** Records are written in pieces of so many bytes, a multiple of 4,096. */
    readonly bufferBytes?: number
  } = {}) {
    this.disk = disk
    this.makeBuffer = bufferBytes === undefined ? undefined : () => new Uint8Array(bufferBytes)
    this.segmentBytes = segmentBytes
    disk.makeFolder('/data')
    disk.syncFolder('/')
    this.blobs = this.open()
  }

  /** A new life, as a new process begins one. */
  open(): Blobs {
    this.blobs = new Blobs(this.disk, this.makeBuffer)
    this.blobs.handle('open', { dir, segmentBytes: this.segmentBytes, opening: ++this.#lives })
    return this.blobs
  }

  /** The machine loses power and comes back. */
  crash(): Blobs {
    this.disk.crash()
    return this.open()
  }

  put(...payloads: Uint8Array[]): BlobRef[] {
    return [...this.blobs.handle('put', { payloads }).refs]
  }

  /** A blob that comes in these pieces. */
  stream(...pieces: Uint8Array[]): BlobRef {
    const { stream } = this.blobs.handle('streamOpen', null)
    for (const bytes of pieces) this.blobs.handle('streamWrite', { stream, bytes })
    return this.blobs.handle('streamFinish', { stream }).ref
  }

  /** The whole, verified by its SHA-256, read in steps of `step` bytes. */
  whole(ref: BlobRef, step = 100_000): Uint8Array {
    const { reading } = this.blobs.handle('readOpen', { ref, from: 0, to: ref.size })
    const pieces: Uint8Array[] = []
    for (let done = false; !done; ) {
      const next = this.blobs.handle('readNext', { reading, bytes: new Uint8Array(step) })
      pieces.push(next.bytes)
      done = next.done
    }
    return new Uint8Array(Buffer.concat(pieces))
  }

  range(ref: BlobRef, from: number, to: number): Uint8Array {
    return readBlobRange(this.disk, dir, ref, from, to)
  }

  /** Clears every segment of all but the records of `live`, as a sweep does; answers the bytes given back. */
  clearAllBut(live: readonly BlobRef[]): number {
    this.blobs.handle('seal', null)
    let freed = 0
    for (const { segment } of this.survey().segments) {
      const extents = live.filter((ref) => ref.segment === segment).map(recordExtent)
      extents.sort((a, b) => a.from - b.from)
      for (let done = false; !done; ) {
        const step = this.blobs.handle('clear', { segment, live: extents })
        freed += step.freedBytes
        done = step.done
      }
    }
    return freed
  }

  survey(): BlobProtocol['survey']['answer'] {
    return this.blobs.handle('survey', null)
  }

  /** The file of a reference. */
  file(ref: BlobRef): string {
    return `${dir}/${String(ref.segment).padStart(20, '0')}.bloblog`
  }

  /** Flips a bit of byte `at` of the record's payload; negative: of its header, counted from its end. */
  harm(ref: BlobRef, at = 0): void {
    this.disk.flipBit(this.file(ref), (ref.offset + at) * 8)
  }
}

/** The code that `action` throws, or `'ok'`. */
export const codeThrown = (action: () => unknown): unknown => {
  try {
    action()
    return 'ok'
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}
