/**
 * The blobs of a shard on a disk: handles the requests of a `BlobHost`, one after another. The
 * caller decides which blobs are live.
 */

import { startSha256 } from '../../bytes/sha256.ts'
import { KeelsonError } from '../../errors.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import { attempt, refusing, writeAll } from '../ports/disk-failure.ts'
import { blobHeaderBytes, type Extent } from '../values/blob-extents.ts'
import type { BlobRef } from '../values/blob-reference.ts'
import { clearing } from './blob-clearing.ts'
import { listBlobs } from './blob-folder.ts'
import type { BlobProtocol, BlobRequestKind } from './blob-host.ts'
import { BlobReading } from './blob-reader.ts'
import { blobBytesMax, ChunkSums, encodeBlobHeader, encodeBlobTrailer } from './blob-record.ts'
import { BlobWriter } from './blob-writer.ts'

// Writes a blob of unknown size, piece by piece, into a separate segment: first the payload, then
// the trailer, the header last. The blob has no reference before the final sync. Aborting the
// stream removes the file.

/**
 * Bytes from one sync to the next. The last sync then has little to do, and the page cache stays
 * small.
 */
const syncEvery = 32 * 1024 * 1024

/** A blob that is being written as a stream. */
export class BlobStreamWriter {
  readonly segment: number
  readonly #disk: Disk
  readonly #dir: string
  readonly #file: DiskFile
  readonly #writer: BlobWriter
  readonly #sha = startSha256()
  readonly #sums: ChunkSums
  #size = 0
  #unsynced = 0

  /** @throws KeelsonError `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` */
  constructor(disk: Disk, dir: string, writer: BlobWriter) {
    const { segment, file } = refusing(() => writer.create())
    this.segment = segment
    this.#disk = disk
    this.#dir = dir
    this.#file = file
    this.#writer = writer
    this.#sums = new ChunkSums({ segment, offset: blobHeaderBytes })
  }

  /**
   * Writes the next bytes. Returns the size so far. @throws as the constructor, `TOO_LARGE`; then
   * call `abort`
   */
  write(bytes: Uint8Array): number {
    if (this.#size + bytes.length > blobBytesMax)
      throw new KeelsonError('TOO_LARGE', `a blob has at most ${blobBytesMax} bytes`)
    refusing(() => {
      writeAll(this.#file, bytes, blobHeaderBytes + this.#size, 'ENOSPC')
      this.#sha.add(bytes)
      this.#sums.add(bytes)
      this.#size += bytes.length
      this.#unsynced += bytes.length
      if (this.#unsynced < syncEvery) return
      this.#file.sync()
      this.#unsynced = 0
    })
    return this.#size
  }

  /**
   * Makes the blob durable. Returns its reference. @throws as the constructor; then call `abort`
   */
  finish(): BlobRef {
    const sum = this.#sha.end()
    const place = { segment: this.segment, offset: blobHeaderBytes }
    const header = encodeBlobHeader(this.#size, sum)
    const trailer = encodeBlobTrailer(place, header, this.#sums.end())
    refusing(() => {
      writeAll(this.#file, trailer, blobHeaderBytes + this.#size, 'ENOSPC')
      writeAll(this.#file, header, 0, 'ENOSPC')
      this.#file.sync()
      this.#disk.syncFolder(this.#dir)
      this.#file.close()
    })
    this.#writer.reached(this.segment, blobHeaderBytes + this.#size + trailer.length)
    return { size: this.#size, ...place, sha256: sum }
  }

  /** Removes the file. If that fails, a sweep removes it later. */
  abort(): void {
    attempt(() => this.#file.close())
    attempt(() => this.#disk.remove(this.#file.path))
  }
}

type Handlers = {
  readonly [K in BlobRequestKind]: (
    request: BlobProtocol[K]['request'],
  ) => BlobProtocol[K]['answer']
}

/** The clearing in progress. There is at most one. */
type Clearing = {
  readonly segment: number
  readonly live: readonly Extent[]
  readonly steps: Generator<undefined, number>
}

const newBuffer = (bytes: number): Uint8Array => new Uint8Array(bytes)

/** Bytes of one write. */
const writeBytes = 2 * 1024 * 1024

/** Separates the ids of streams and readings of different openings. */
const idsOfOpening = 2 ** 32

/** One opening of a shard's blobs. */
export class Blobs {
  readonly #disk: Disk
  readonly #makeBuffer: (bytes: number) => Uint8Array
  #buffer: Uint8Array | undefined
  readonly #streams = new Map<number, BlobStreamWriter>()
  readonly #readings = new Map<number, BlobReading>()
  #dir = ''
  #writer: BlobWriter | undefined
  #lastId = 0
  #clearing: Clearing | undefined

  readonly #handlers: Handlers = {
    open: (options) => this.#open(options),
    put: ({ payloads }) => ({ refs: this.#opened().put(payloads) }),
    streamOpen: () => {
      const stream = ++this.#lastId
      this.#streams.set(stream, new BlobStreamWriter(this.#disk, this.#dir, this.#opened()))
      return { stream }
    },
    streamWrite: ({ stream, bytes }) =>
      this.#streaming(stream, (writer) => ({ length: writer.write(bytes), bytes })),
    streamFinish: ({ stream }) =>
      this.#streaming(stream, (writer) => {
        const ref = writer.finish()
        this.#streams.delete(stream)
        return { ref }
      }),
    streamAbort: ({ stream }) => this.#abort(stream),
    readOpen: ({ ref, from, to }) => {
      const reading = ++this.#lastId
      this.#readings.set(reading, new BlobReading(this.#disk, this.#dir, ref, from, to))
      return { reading }
    },
    readNext: (request) => this.#readNext(request),
    readClose: ({ reading }) => {
      this.#readings.get(reading)?.close()
      this.#readings.delete(reading)
      return null
    },
    survey: () => this.#survey(),
    seal: () => {
      this.#opened().seal()
      return null
    },
    clear: (request) => refusing(() => this.#clear(request)),
  }

  /** `makeBuffer` makes the memory that blobs are written from; the first put calls it. */
  constructor(disk: Disk, makeBuffer = newBuffer) {
    this.#disk = disk
    this.#makeBuffer = makeBuffer
  }

  /** Handles a request. @throws KeelsonError as the protocol says */
  handle<K extends BlobRequestKind>(
    kind: K,
    request: BlobProtocol[K]['request'],
  ): BlobProtocol[K]['answer'] {
    return this.#handlers[kind](request)
  }

  /** Closes all files and aborts all streams. */
  abandon(): void {
    this.#endClearing()
    for (const stream of [...this.#streams.keys()]) this.#abort(stream)
    for (const reading of this.#readings.values()) reading.close()
    this.#readings.clear()
    this.#writer?.close()
    this.#writer = undefined
  }

  #open(options: BlobProtocol['open']['request']): BlobProtocol['open']['answer'] {
    const listing = refusing(() => listBlobs(this.#disk, options.dir))
    this.#dir = options.dir
    this.#lastId = options.opening * idsOfOpening
    this.#writer = new BlobWriter(this.#disk, () => this.#writeBuffer(), options, listing)
    return { segments: listing.segments, strange: listing.strange }
  }

  #writeBuffer(): Uint8Array {
    this.#buffer ??= this.#makeBuffer(writeBytes)
    return this.#buffer
  }

  #opened(): BlobWriter {
    if (this.#writer) return this.#writer
    throw new KeelsonError('SHARD_DOWN', 'the blobs are not open')
  }

  /** Runs `action` on a stream, and aborts the stream if it fails. */
  #streaming<T>(stream: number, action: (writer: BlobStreamWriter) => T): T {
    const writer = this.#streams.get(stream)
    if (!writer) throw new KeelsonError('EXITED', 'this stream has ended')
    try {
      return action(writer)
    } catch (error) {
      this.#abort(stream)
      throw error
    }
  }

  #abort(stream: number): null {
    const writer = this.#streams.get(stream)
    this.#streams.delete(stream)
    writer?.abort()
    return null
  }

  #readNext({ reading, bytes }: BlobProtocol['readNext']['request']) {
    const found = this.#readings.get(reading)
    if (!found) throw new KeelsonError('EXITED', 'this reading has ended')
    let done = true
    try {
      const answer = found.next(bytes)
      done = answer.done
      return answer
    } finally {
      if (done) this.#handlers.readClose({ reading })
    }
  }

  #survey(): BlobProtocol['survey']['answer'] {
    const writer = this.#opened()
    const streaming = new Set([...this.#streams.values()].map(({ segment }) => segment))
    const segments = refusing(() => writer.list()).filter(({ segment }) => !streaming.has(segment))
    return { segments, active: writer.active }
  }

  #clear({ segment, live }: BlobProtocol['clear']['request']): BlobProtocol['clear']['answer'] {
    const writer = this.#opened()
    const isStream = [...this.#streams.values()].some((stream) => stream.segment === segment)
    if (writer.active === segment || isStream)
      throw new KeelsonError('INVALID_ARGUMENT', `segment ${segment} is being written`)
    if (!isSameWork(this.#clearing, segment, live)) {
      this.#endClearing()
      if (live.length === 0) writer.promiseNumbers()
      writer.willCut(segment, live.at(-1)?.to ?? 0)
      this.#clearing = { segment, live, steps: clearing(this.#disk, this.#dir, segment, live) }
    }
    let done = true
    try {
      const { steps } = this.#clearing as Clearing
      const step = steps.next()
      done = step.done === true
      return step.done ? { done, freedBytes: step.value } : { done, freedBytes: 0 }
    } finally {
      if (done) this.#clearing = undefined
    }
  }

  /** Stops the clearing in progress: closes its files and removes its copy. */
  #endClearing(): void {
    this.#clearing?.steps.return(0)
    this.#clearing = undefined
  }
}

/**
 * Whether a clearing has the same live extents. If not, it would drop blobs that became live since
 * it began.
 */
const isSameWork = (
  work: Clearing | undefined,
  segment: number,
  live: readonly Extent[],
): boolean =>
  work?.segment === segment &&
  work.live.length === live.length &&
  work.live.every(({ from, to }, at) => from === live[at]?.from && to === live[at]?.to)
