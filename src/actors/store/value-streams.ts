/**
 * Streams of values larger than memory, in and out, in pieces: constant memory, back-pressure,
 * verified. An incoming stream becomes a blob; the key refers to it only when the last byte is
 * durable. An outgoing stream shows the value as of its start, whatever is written later.
 */

import { constants } from 'node:buffer'
import { Readable } from 'node:stream'
import { isGone, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  type BlobProtocol,
  type BlobRef,
  type Command,
  decodeValue,
  isStoredValue,
  type RopePart,
  type RowValue,
  ropeLength,
  ropeOf,
  ropeSlice,
  type Unit,
  valueTags,
} from '../../storage/index.ts'
import { blobValueRef } from '../blobs/blob-command.ts'
import type { BlobPin } from '../blobs/blob-pins.ts'
import * as BlobStore from '../blobs/blob-store.ts'
import type { ByteSource, CheckedWrite, StreamedIn } from '../core/shard-client.ts'
import { settlingPin } from '../writing/large-write.ts'
import { type Submitted, submit } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { chunksOf, endSource, piecesOf, type WatchTaker } from './stream-source.ts'
import { naming } from './value-reading.ts'

/**
 * Bytes of one piece. A stream has two pieces, one at the files and one at the caller, and reuses
 * them: new memory for each piece would stay as garbage until V8 collects, every 32 to 64 MiB.
 */
const pieceBytes = 512 * 1024
const piecesMax = 2

/**
 * A stream to be written: its source, its expected length, and the command that refers to the blob.
 */
export type StreamWrite = {
  readonly source: ByteSource
  readonly size: number | undefined
  readonly options: CheckedWrite
  readonly command: (value: RowValueOfBlob) => Command
}

type RowValueOfBlob = ReturnType<typeof blobValueRef>

/**
 * Reads the source to its end into a blob, then writes the command. On any failure the source is
 * ended and the key is unchanged. @throws the source's error; `INVALID_ARGUMENT` for a chunk that
 * is not bytes or a length other than `size`; `TOO_LARGE`; the errors of a write; `NOT_SUBMITTED`
 * when the blob store ended before
 */
export const streamIn = async (
  system: System,
  shard: WritingShard,
  { source, size, options, command }: StreamWrite,
): Promise<StreamedIn & { readonly submitted: Submitted }> => {
  // A source is read once: a stream begins only while its shard is open here.
  if (shard.phase.kind !== 'open' && !(await shard.reopened(shard.opened, options.deadlineMs))) {
    endSource(source)
    throw shard.unavailable()
  }
  const pin = shard.blobs.pins.hold()
  const { ref, submitted } = await settlingPin(
    pin,
    (async () => {
      const ref = await blobOf(system, shard, source, size, pin)
      const value = blobValueRef(valueTags.bytes, ref)
      const units: Unit[] = [command(value)]
      const submitted = await submit(system, shard, { units, options }).catch(neverSubmitted)
      return { ref, submitted }
    })(),
  )
  return { length: ref.size, sha256: Buffer.from(ref.sha256).toString('hex'), submitted }
}

/** Writes a blob from a source. A failed write leaves nothing. */
const blobOf = async (
  system: System,
  shard: WritingShard,
  source: ByteSource,
  size: number | undefined,
  pin: Parameters<typeof BlobStore.stream>[3],
): Promise<BlobRef> => {
  const store = system.to(BlobStore.name(shard.parts.instance, shard.index))
  const run = <K extends 'streamOpen' | 'streamWrite' | 'streamFinish' | 'streamAbort'>(
    kind: K,
    request: BlobProtocol[K]['request'],
  ) => BlobStore.stream(store, kind, request, pin).catch(neverSubmitted)
  let stream: number | undefined
  const opened = async (): Promise<number> => {
    stream ??= (await run('streamOpen', null)).stream
    return stream
  }
  /** Pieces being written, oldest first. */
  const writes: Promise<{ readonly bytes: Uint8Array }>[] = []
  const memory = async (): Promise<Uint8Array> => {
    const back = writes.length < piecesMax ? undefined : await writes.shift()
    return back?.bytes ?? new Uint8Array(pieceBytes)
  }
  const untilGone: WatchTaker = (onEnd) => system.monitor(store, (reason) => onEnd(ended(reason)))
  try {
    let length = 0
    // A failure in the loop ends the source too.
    for await (const bytes of piecesOf(chunksOf(source, untilGone), pieceBytes, memory)) {
      length += bytes.length
      if (size !== undefined && length > size) throw otherSize(size, 'more')
      const writing = run('streamWrite', { stream: await opened(), bytes, isGiven: true })
      writing.catch(handledLater)
      writes.push(writing)
    }
    if (size !== undefined && length < size) throw otherSize(size, length)
    await Promise.all(writes)
    return (await run('streamFinish', { stream: await opened() })).ref
  } catch (error) {
    if (stream !== undefined) await run('streamAbort', { stream }).catch(() => undefined)
    throw error
  }
}

/** The rejection is handled where the same promise is awaited later. */
const handledLater = (): void => undefined

const otherSize = (expected: number, found: number | 'more'): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'The stream is not as long as was said.', {
    details: { path: ['size'], expected, found },
  })

/** The blob store has ended, or the shard has left: nothing has reached the log. */
const neverSubmitted = (error: unknown): never => {
  if (isKeelsonError(error, 'ELSEWHERE'))
    throw new KeelsonError('NOT_SUBMITTED', 'The shard has moved: nothing was written.', {
      details: error.details,
      cause: error,
    })
  throw isGone(error) ? ended(error) : error
}

const ended = (cause: unknown): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'The blob store ended: nothing was written.', { cause })

/**
 * The bytes of a text or bytes value from `from` up to `to`, clamped, as a stream. Its blobs are
 * kept until it is closed. Damage ends it with `CORRUPT`. The last bytes of a whole blob are
 * delivered only after its SHA-256 has been verified.
 * @throws KeelsonError `WRONG_TYPE` for a structured value and a compound key
 */
export const streamOut = (
  system: System,
  shard: WritingShard,
  stored: RowValue,
  from: number,
  to: number,
): Readable => {
  const rope = isStoredValue(stored) ? ropeOf(stored) : undefined
  if (!rope || rope.content === valueTags.structured)
    throw new KeelsonError('WRONG_TYPE', 'Only text and bytes have streams.')
  const parts = ropeSlice(rope, from, to)
  const pin = pinOf(shard, parts)
  const bytes = copies(bytesOf(system, shard, parts, pin))
  const stream = Readable.from(bytes, { objectMode: false, highWaterMark: pieceBytes })
  // It is closed too if it was destroyed before its first read.
  return stream.once('close', () => pin.release())
}

/**
 * A whole value, whatever its size, read without blocking and verified.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` if a string or a Buffer cannot hold it; `WRONG_TYPE`
 * for a compound key
 */
export const loadValue = async (
  system: System,
  shard: WritingShard,
  stored: RowValue,
): Promise<unknown> => {
  if (!isStoredValue(stored))
    throw new KeelsonError('WRONG_TYPE', 'The key has fields; `fields` reads them.')
  if (stored.tag !== valueTags.blob) return decodeValue(stored)
  const rope = ropeOf(stored)
  const length = ropeLength(rope)
  const lengthMax =
    rope.content === valueTags.text ? constants.MAX_STRING_LENGTH : constants.MAX_LENGTH
  if (length > lengthMax)
    throw new KeelsonError('TOO_LARGE', 'No value in memory is so long: use `getStream`.', {
      details: { length, lengthMax },
    })
  const pin = pinOf(shard, rope.parts)
  const read = async (): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(length)
    let at = 0
    for await (const piece of bytesOf(system, shard, rope.parts, pin)) {
      bytes.set(piece, at)
      at += piece.length
    }
    return bytes
  }
  // A thread that dies under the read leaves it to the next one.
  const again = (error: unknown): Promise<Uint8Array<ArrayBuffer>> => {
    if (!isKeelsonError(error, 'SHARD_DOWN') || error.details.reason !== 'thread') throw error
    return read()
  }
  const whole = await read()
    .catch(again)
    .finally(() => pin.release())
  return rope.content === valueTags.bytes
    ? Buffer.from(whole.buffer)
    : decodeValue({ tag: rope.content, bytes: whole })
}

/** `loadValue` of a key, whose errors name it. */
export const loadKey = async (
  system: System,
  shard: WritingShard,
  key: string,
  stored: RowValue,
): Promise<unknown> => {
  try {
    return await loadValue(system, shard, stored)
  } catch (error) {
    throw naming(error, { key })
  }
}

/** Copies of the pieces, because a reader of the stream may keep them. */
async function* copies(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    // A quarter of what `new Uint8Array(piece)` takes.
    const copy = Buffer.allocUnsafeSlow(piece.length)
    copy.set(piece)
    yield copy
  }
}

/** Keeps the blobs of parts. */
const pinOf = (shard: WritingShard, parts: readonly RopePart[]): BlobPin => {
  const pin = shard.blobs.pins.hold()
  for (const part of parts) if (part.kind === 'blob') pin.add([part.ref])
  return pin
}

/**
 * The bytes of parts whose blobs are pinned, piece by piece. Each piece is valid until the next is
 * requested.
 */
async function* bytesOf(
  system: System,
  shard: WritingShard,
  parts: readonly RopePart[],
  pin: BlobPin,
): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (pin.isReleased) throw wasAway()
    if (part.kind === 'inline') yield part.bytes
    else yield* blobBytes(system, shard, part)
  }
}

/** Another owner does not know of the pin: its sweep may have freed what is not read yet. */
const wasAway = (): KeelsonError =>
  new KeelsonError('SHARD_DOWN', 'Another member has had the shard since the read began.', {
    details: { reason: 'elsewhere' },
  })

async function* blobBytes(
  system: System,
  shard: WritingShard,
  { ref, from, to }: RopePart & { readonly kind: 'blob' },
): AsyncGenerator<Uint8Array> {
  const store = system.to(BlobStore.name(shard.parts.instance, shard.index))
  const { reading } = await BlobStore.stream(store, 'readOpen', { ref, from, to }).catch(
    goneDown(shard),
  )
  const read = (bytes: Uint8Array = new Uint8Array(Math.min(pieceBytes, ref.size))) => {
    const request = { reading, bytes, isGiven: true }
    const reads = BlobStore.stream(store, 'readNext', request).catch(goneDown(shard))
    reads.catch(handledLater)
    return reads
  }
  let isOpen = true
  try {
    let spare: Uint8Array | undefined
    for (let next = read(); isOpen; ) {
      const { bytes, done } = await next
      isOpen = !done
      // Reads the next piece while the caller uses this one.
      if (isOpen) next = read(spare)
      yield bytes
      spare = new Uint8Array(bytes.buffer)
    }
  } finally {
    if (isOpen) await BlobStore.stream(store, 'readClose', { reading }).catch(() => undefined)
  }
}

const goneDown =
  (shard: WritingShard) =>
  (error: unknown): never => {
    if (!isGone(error)) throw error
    if (shard.closing) throw shard.closing
    throw new KeelsonError('SHARD_DOWN', 'The blob store ended while it was read.', {
      details: { reason: 'blob_store' },
      cause: error,
    })
  }
