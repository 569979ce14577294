/**
 * Values larger than memory, in and out, in pieces: constant memory, back-pressure, verified. A stream in is a blob of its own,
 * which the key names only when the last byte is durable; a stream out shows the value as it was when it was asked for,
 * whatever is written meanwhile.
 */
import { constants } from 'node:buffer'
import { Readable } from 'node:stream'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
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
import * as BlobStore from '../blobs/blob-store.ts'
import { settlingPin } from '../blobs/large-write.ts'
import { blobValueRef } from '../shard/blob-command.ts'
import type { Shard } from '../shard/shard.ts'
import type { CheckedWrite } from '../writing/write-options.ts'
import { type Submitted, submit } from '../writing/write-path.ts'
import { type ByteSource, chunksOf, piecesOf, type WatchTaker } from './stream-source.ts'

/** A value that came as a stream: how long it is, and the SHA-256 of its bytes in hex. */
export type StreamedIn = { readonly length: number; readonly sha256: string }

/**
 * So many bytes go to the files, and come from them, at once. A stream has two pieces, one at the files and one at this end, and uses
 * them again: memory that is made anew is garbage of some thread until V8 looks, which it does for every 32 to 64 MiB.
 */
const pieceBytes = 512 * 1024
const piecesMax = 2

/** What is to be written: whence, how long it has to be, and the command that names it once it is there. */
export type StreamWrite = {
  readonly source: ByteSource
  readonly size: number | undefined
  readonly options: CheckedWrite
  readonly command: (value: RowValueOfBlob) => Command
}

type RowValueOfBlob = ReturnType<typeof blobValueRef>

/**
 * Reads the source to its end into a blob, then writes the command. When anything fails the source is ended and the key is as it
 * was. @throws what the source throws; `INVALID_ARGUMENT` for a chunk that is no bytes, or another length than `size`; `TOO_LARGE`;
 * what a write throws; `NOT_SUBMITTED` when the blob store ended meanwhile
 */
export const streamIn = async (
  system: System,
  shard: Shard,
  { source, size, options, command }: StreamWrite,
): Promise<StreamedIn & { readonly submitted: Submitted }> => {
  if (shard.phase.kind === 'down' || shard.phase.kind === 'closed') throw shard.unavailable()
  const pin = shard.blobs.pins.hold()
  const { ref, submitted } = await settlingPin(
    pin,
    (async () => {
      const ref = await blobOf(system, shard, source, size, pin)
      const value = blobValueRef(valueTags.bytes, ref)
      const units: Unit[] = [command(value)]
      const submitted = await submit(system, shard, { units, options })
      return { ref, submitted }
    })(),
  )
  return { length: ref.size, sha256: Buffer.from(ref.sha256).toString('hex'), submitted }
}

/** Writes a blob out of a source. Nothing of it is left when that fails. */
const blobOf = async (
  system: System,
  shard: Shard,
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
  /** Pieces on their way, the oldest first. */
  const writes: Promise<{ readonly bytes: Uint8Array }>[] = []
  const memory = async (): Promise<Uint8Array> => {
    const back = writes.length < piecesMax ? undefined : await writes.shift()
    return back?.bytes ?? new Uint8Array(pieceBytes)
  }
  const untilGone: WatchTaker = (tell) => system.monitor(store, (reason) => tell(ended(reason)))
  try {
    let length = 0
    // Whatever fails within ends the source too.
    for await (const bytes of piecesOf(chunksOf(source, untilGone), pieceBytes, memory)) {
      length += bytes.length
      if (size !== undefined && length > size) throw otherSize(size, 'more')
      const writing = run('streamWrite', { stream: await opened(), bytes, isGiven: true })
      writing.catch(toldLater)
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

/** Whoever waits for the same promise later learns of it. */
const toldLater = (): void => undefined

const otherSize = (expected: number, found: number | 'more'): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'The stream is not as long as was said.', {
    details: { path: ['size'], expected, found },
  })

/** Ends of the blob store say nothing about the log: it has nothing of this yet. */
const neverSubmitted = (error: unknown): never => {
  const isGone = isKeelsonError(error, 'EXITED') || isKeelsonError(error, 'NO_PROCESS')
  throw isGone ? ended(error) : error
}

const ended = (cause: unknown): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'The blob store ended: nothing was written.', { cause })

/**
 * The bytes of a text or of bytes from `from` up to `to`, clamped, as a stream. It ends with an error when what is stored is
 * damaged: `CORRUPT`; the last bytes of a whole blob come only once its SHA-256 has held.
 * @throws KeelsonError `WRONG_TYPE` for a structured value and a compound key
 */
export const streamOut = (
  system: System,
  shard: Shard,
  stored: RowValue,
  from: number,
  to: number,
): Readable => {
  const rope = isStoredValue(stored) ? ropeOf(stored) : undefined
  if (!rope || rope.content === valueTags.structured)
    throw new KeelsonError('WRONG_TYPE', 'Only text and bytes have streams.')
  const bytes = bytesOf(system, shard, ropeSlice(rope, from, to))
  return Readable.from(copies(bytes), { objectMode: false, highWaterMark: pieceBytes })
}

/**
 * A whole value, whatever its size, read without blocking and verified.
 * @throws KeelsonError `CORRUPT`; `TOO_LARGE` for what a string or a Buffer cannot hold; `WRONG_TYPE` for a compound key
 */
export const loadValue = async (
  system: System,
  shard: Shard,
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
  const whole = new Uint8Array(length)
  let at = 0
  for await (const bytes of bytesOf(system, shard, rope.parts)) {
    whole.set(bytes, at)
    at += bytes.length
  }
  return rope.content === valueTags.bytes
    ? Buffer.from(whole.buffer)
    : decodeValue({ tag: rope.content, bytes: whole })
}

/** Whoever reads a stream may keep what comes. */
async function* copies(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    // A quarter of what `new Uint8Array(piece)` takes.
    const copy = Buffer.allocUnsafeSlow(piece.length)
    copy.set(piece)
    yield copy
  }
}

/** The bytes of parts, one piece after another, each lent until the next is asked for. What they refer to stays meanwhile. */
async function* bytesOf(
  system: System,
  shard: Shard,
  parts: readonly RopePart[],
): AsyncGenerator<Uint8Array> {
  const pin = shard.blobs.pins.hold()
  try {
    for (const part of parts) if (part.kind === 'blob') pin.add([part.ref])
    for (const part of parts)
      if (part.kind === 'inline') yield part.bytes
      else yield* blobBytes(system, shard, part)
  } finally {
    pin.release()
  }
}

async function* blobBytes(
  system: System,
  shard: Shard,
  { ref, from, to }: RopePart & { readonly kind: 'blob' },
): AsyncGenerator<Uint8Array> {
  const store = system.to(BlobStore.name(shard.parts.instance, shard.index))
  const { reading } = await BlobStore.stream(store, 'readOpen', { ref, from, to }).catch(goneDown)
  const read = (bytes: Uint8Array = new Uint8Array(Math.min(pieceBytes, ref.size))) => {
    const request = { reading, bytes, isGiven: true }
    const reads = BlobStore.stream(store, 'readNext', request).catch(goneDown)
    reads.catch(toldLater)
    return reads
  }
  let isOpen = true
  try {
    let spare: Uint8Array | undefined
    for (let next = read(); isOpen; ) {
      const { bytes, done } = await next
      isOpen = !done
      // The next piece comes while this one is looked at.
      if (isOpen) next = read(spare)
      yield bytes
      spare = new Uint8Array(bytes.buffer)
    }
  } finally {
    if (isOpen) await BlobStore.stream(store, 'readClose', { reading }).catch(() => undefined)
  }
}

const goneDown = (error: unknown): never => {
  const isGone = isKeelsonError(error, 'EXITED') || isKeelsonError(error, 'NO_PROCESS')
  if (!isGone) throw error
  throw new KeelsonError('SHARD_DOWN', 'The blob store ended while it was read.', {
    details: { reason: 'blob_store' },
    cause: error,
  })
}
