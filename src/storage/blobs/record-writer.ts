/**
 * Writes the records of one put, one behind another, in large pieces that are put together on a workbench. A payload is read
 * once from the caller's memory, and summed up while it is still near. Its SHA-256 stands in front of it and may be
 * known only when it has gone to the file: then its first block and its last ones are written once more, whole. Nothing is
 * synced here; until it is, nobody refers to a record.
 */
import type { DiskFile } from '../ports/disk.ts'
import { writeAll } from '../segments/segment-file.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import {
  blobBlockBytes,
  blobHeaderBytes,
  encodeBlobHeader,
  encodeBlobTrailer,
  recordBytes,
} from './blob-record.ts'
import { type PayloadSum, type PayloadSums, PromptSums, payloadSum } from './payload-sums.ts'
import { jobBytesMax } from './sum-board.ts'

// What records are put together on before they are written: memory that is used again for every put, because pages that nobody
// has had before cost more than the bytes that go into them, in pieces of one write each; and whoever sums up what stands there.

/** A workbench. */
export type Workbench = {
  readonly memory: Uint8Array
  /** The memory is so many pieces of so many bytes, a multiple of a block. */
  readonly pieces: number
  readonly pieceBytes: number
  /** Whoever sums up the payloads of the next put, which brings so many bytes. */
  sumsFor(bytes: number): PayloadSums
}

/** A bench on which everything is done by whoever has it. */
export const plainBench = (pieceBytes = 1024 * 1024): Workbench => {
  // Only who puts needs it.
  let memory: Uint8Array | undefined
  let sums: PayloadSums | undefined
  return {
    pieces: 1,
    pieceBytes,
    get memory() {
      memory ??= new Uint8Array(pieceBytes)
      return memory
    },
    sumsFor() {
      sums ??= new PromptSums(this.memory)
      return sums
    },
  }
}

/** So many sums may be outstanding. */
const openMax = 32

/** A record whose payload is staged and whose sums do not stand in it yet. */
type Open = { readonly payload: Uint8Array; readonly offset: number }

/** The writing of one put, which begins at a block of a segment. */
export class RecordWriter {
  readonly #segment: number
  readonly #file: DiskFile
  readonly #bench: Workbench
  readonly #sums: PayloadSums
  readonly #open: Open[] = []
  readonly #refs: BlobRef[] = []
  /** For each piece, what of the sums has to be settled before it is used again. */
  readonly #marks: number[] = []
  /** Where the present piece goes in the file, which one it is and how far it is filled. */
  #at: number
  #piece = 0
  #filled = 0

  /** `bytes`: of all payloads together. */
  constructor(
    { segment, file, end }: { segment: number; file: DiskFile; end: number },
    bench: Workbench,
    bytes: number,
  ) {
    this.#segment = segment
    this.#file = file
    this.#bench = bench
    this.#at = end
    this.#sums = bench.sumsFor(bytes)
    this.#sums.reset()
  }

  /** Takes the payload of the next record. @throws DiskError */
  add(payload: Uint8Array): void {
    const offset = this.#at + this.#filled + blobHeaderBytes
    this.#blank(blobHeaderBytes)
    this.#sums.begin({ segment: this.#segment, offset }, payload.length)
    for (let at = 0; at < payload.length; ) {
      const stroke = payload.subarray(at, at + Math.min(jobBytesMax, this.#room()))
      const from = this.#piece * this.#bench.pieceBytes + this.#filled
      const to = from + stroke.length
      this.#bench.memory.set(stroke, from)
      this.#sums.add(from, to)
      this.#filled += stroke.length
      at += stroke.length
    }
    this.#sums.end()
    this.#blank(recordBytes(payload.length) - blobHeaderBytes - payload.length)
    this.#open.push({ payload, offset })
    this.#complete(this.#open.length < openMax ? 'now' : 'wait')
  }

  /** Writes what is not written; answers the references, in order. @throws DiskError */
  end(): BlobRef[] {
    // Those whose sum is there are complete by now; for the others the disk need not wait.
    this.#write()
    while (this.#open.length > 0) this.#complete('wait')
    return this.#refs
  }

  /** Puts the sums that are there, or with `wait` at least one, where they belong. */
  #complete(patience: 'now' | 'wait'): void {
    for (let next = patience; this.#open.length > 0; next = 'now') {
      const open = this.#open[0] as Open
      const place = { segment: this.#segment, offset: open.offset }
      const sum =
        this.#sums.next(next) ?? (next === 'wait' ? payloadSum(open.payload, place) : undefined)
      if (!sum) return
      this.#open.shift()
      this.#seal(open, sum)
    }
  }

  /** Header and trailer of a record, with all of the blocks in which they stand. */
  #seal({ payload, offset }: Open, { sha256, chunks }: PayloadSum): void {
    const ref = { size: payload.length, segment: this.#segment, offset, sha256 }
    this.#refs.push(ref)
    const header = encodeBlobHeader(ref.size, sha256)
    const trailer = encodeBlobTrailer(ref, header, chunks)
    for (const { from, to } of borders(ref.size)) {
      const blocks = new Uint8Array(to - from)
      lay(blocks, header, -from)
      lay(blocks, payload, blobHeaderBytes - from)
      lay(blocks, trailer, blobHeaderBytes + ref.size - from)
      this.#replace(blocks, ref.offset - blobHeaderBytes + from)
    }
  }

  /** Blocks at an offset of the file: on the bench as far as they are there, else in the file. */
  #replace(blocks: Uint8Array, offset: number): void {
    const written = Math.min(blocks.length, Math.max(0, this.#at - offset))
    if (written > 0) writeAll(this.#file, blocks.subarray(0, written), offset, 'ENOSPC')
    if (written === blocks.length) return
    const start = this.#piece * this.#bench.pieceBytes
    this.#bench.memory.set(blocks.subarray(written), start + offset + written - this.#at)
  }

  #blank(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const length = Math.min(left, this.#room())
      const from = this.#piece * this.#bench.pieceBytes + this.#filled
      this.#bench.memory.fill(0, from, from + length)
      this.#filled += length
      left -= length
    }
  }

  /** How much more goes on the present piece, which is a fresh one when the one before is full. */
  #room(): number {
    if (this.#filled === this.#bench.pieceBytes) this.#write()
    const mark = this.#filled === 0 ? this.#marks[this.#piece] : undefined
    if (mark !== undefined) this.#sums.settle(mark)
    return this.#bench.pieceBytes - this.#filled
  }

  #write(): void {
    if (this.#filled === 0) return
    const from = this.#piece * this.#bench.pieceBytes
    const bytes = this.#bench.memory.subarray(from, from + this.#filled)
    writeAll(this.#file, bytes, this.#at, 'ENOSPC')
    this.#marks[this.#piece] = this.#sums.mark()
    this.#piece = (this.#piece + 1) % this.#bench.pieces
    this.#at += this.#filled
    this.#filled = 0
  }
}

/** The blocks of a record in which its header and its trailer stand. */
const borders = (size: number): { readonly from: number; readonly to: number }[] => {
  const to = recordBytes(size)
  const tail = Math.floor((blobHeaderBytes + size) / blobBlockBytes) * blobBlockBytes
  if (tail <= blobBlockBytes) return [{ from: 0, to }]
  return [
    { from: 0, to: blobBlockBytes },
    { from: tail, to },
  ]
}

/** What of `source`, whose first byte belongs at `at`, lies within `target`; `at` may be before it or behind it. */
const lay = (target: Uint8Array, source: Uint8Array, at: number): void => {
  const from = Math.max(0, -at)
  const to = Math.min(source.length, target.length - at)
  if (from < to) target.set(source.subarray(from, to), at + from)
}
