/**
 * The source of an incoming stream: its chunks while they are consumed, cut into pieces of one
 * size. A stalled source does not block anything else.
 */
/// <reference lib="es2024.string" />

import { types } from 'node:util'
import { realView } from '../../bytes/real-bytes.ts'
import { invalidArgument } from '../../errors.ts'
import type { ByteSource } from '../core/shard-client.ts'

/** Registers `onEnd` for the end of the consumer. Returns a function that unregisters it. */
export type WatchTaker = (onEnd: (reason: unknown) => void) => () => void

/**
 * The chunks of a source. The source is ended with the iteration. @throws the source's errors, and
 * the reason of `watchTaker`, also while waiting for the source
 */
export async function* chunksOf(
  source: ByteSource,
  watchTaker: WatchTaker,
): AsyncGenerator<unknown> {
  const chunks = iteratorOf(source)
  let state: 'resting' | 'asked' | 'ended' = 'resting'
  let gone: { readonly reason: unknown } | undefined
  let interrupt = (_: unknown): void => undefined
  const forget = watchTaker((reason) => {
    gone = { reason }
    interrupt(reason)
  })
  const next = async (): Promise<IteratorResult<unknown>> => {
    try {
      return await chunks.next()
    } catch (error) {
      state = 'ended'
      throw error
    }
  }
  try {
    for (;;) {
      if (gone) throw gone.reason
      state = 'asked'
      const { done, value } = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
        interrupt = reject
        next().then(resolve, reject)
      })
      state = done === true ? 'ended' : 'resting'
      if (done === true) return
      yield value
    }
  } finally {
    forget()
    if (state === 'resting') await chunks.return?.()
    else if (state === 'asked') abandon(source, chunks)
  }
}

type Chunks = AsyncIterator<unknown> | Iterator<unknown>

const iteratorOf = (source: ByteSource): Chunks =>
  Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()

/** Ends a source that nobody reads. */
export const endSource = (source: ByteSource): void => abandon(source, iteratorOf(source))

/**
 * Ends a source with a pending read: a stream is destroyed, an iterator is ended when it answers.
 */
const abandon = (source: ByteSource, chunks: Chunks): void => {
  if ('destroy' in source && typeof source.destroy === 'function') source.destroy()
  void (async () => chunks.return?.())().catch(() => undefined)
}

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800

/**
 * The bytes of the chunks. Text may be cut inside a character: a high surrogate at the end of a
 * chunk is joined to the next chunk. @throws KeelsonError `INVALID_ARGUMENT` for a chunk that is
 * neither bytes nor text, and for a lone surrogate
 */
async function* bytesOf(chunks: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  let held = ''
  for await (const chunk of chunks) {
    if (typeof chunk === 'string') {
      const text = held + chunk
      const end = text.length - (isHighSurrogate(text.charCodeAt(text.length - 1)) ? 1 : 0)
      held = text.slice(end)
      yield utf8Of(text.slice(0, end))
    } else {
      utf8Of(held)
      held = ''
      yield viewOfChunk(chunk)
    }
  }
  utf8Of(held)
}

/** Reads the real extent of a chunk. Throws for detached memory too. */
const viewOfChunk = (chunk: unknown): Uint8Array => {
  try {
    if (types.isUint8Array(chunk)) return realView(chunk)
  } catch {
    throw invalidArgument('readable', 'chunks of bytes or text', 'bytes that were given away')
  }
  throw invalidArgument('readable', 'chunks of bytes or text', chunk)
}

const utf8Of = (text: string): Uint8Array =>
  text.isWellFormed() ? Buffer.from(text) : refuseSurrogate()

const refuseSurrogate = (): never => {
  throw invalidArgument('readable', 'well-formed text', 'text with a lone surrogate')
}

/** The chunks in pieces of `pieceBytes`, in the given memory. Holds one piece at a time. */
export async function* piecesOf(
  chunks: AsyncIterable<unknown>,
  pieceBytes: number,
  memory: () => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let piece: Uint8Array | undefined
  let filled = 0
  for await (const bytes of bytesOf(chunks)) {
    for (let at = 0; at < bytes.length; ) {
      piece ??= await memory()
      const taken = bytes.subarray(at, at + pieceBytes - filled)
      piece.set(taken, filled)
      filled += taken.length
      at += taken.length
      if (filled < pieceBytes) continue
      yield piece
      piece = undefined
      filled = 0
    }
  }
  if (piece) yield piece.subarray(0, filled)
}
