/**
 * Streams of large values of a shard that another member has, in pieces. The next piece is asked for,
 * or sent, when the one before has been taken, so a stream has one piece on a link at a time. The owner
 * keeps the stream until its end, or that of the link (`shard-streams.ts`): a stream goes on nowhere
 * else.
 */

import { Readable } from 'node:stream'
import { types } from 'node:util'
import {
  chunksOf,
  isCount,
  isRecord,
  isText,
  piecesOf,
  type RoutedStream,
  type ShardClient,
  type StreamTo,
  type WritingShard,
} from '../../actors/index.ts'
import { againPauses, backoffMs, leftUntil, passed } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { encodeFrame, encodeValue } from '../../storage/index.ts'
import { readFailure, writeFailure } from './routed-outcome.ts'

/** The bytes of one piece. */
export const pieceBytes = 256 * 1024

/** An owner takes or gives a piece within so long, in ms. */
const pieceMs = 30_000

const isStreamed = isRecord({ lsn: isCount, length: isCount, sha256: isText })

/** A stream that the owner of a shard keeps. */
class AskedStream {
  readonly #system: System
  readonly #way: ShardClient
  readonly #shard: WritingShard
  readonly #id: string
  /** The owner, once it has begun the stream. */
  member: string | undefined

  constructor(system: System, way: ShardClient, shard: WritingShard) {
    this.#system = system
    this.#way = way
    this.#shard = shard
    this.#id = Buffer.from(system.clock.randomBytes(8)).toString('hex')
  }

  /** Begins it at the owner. False: there is no such value. @throws KeelsonError as the owner */
  async begin(question: string, given: readonly unknown[]): Promise<boolean> {
    const { index, parts } = this.#shard
    const way = this.#way
    const own = [way.member, this.#id]
    const asked = [index, ...own, ...given]
    const begun = way.ask(index, question, asked, parts.settings.deadlineMs)
    const answer = await begun.catch((error: unknown) => {
      // An owner may have begun it, also this member, and its answer is late. The shard moves.
      if (isKeelsonError(error, 'TIMEOUT'))
        for (const member of [way.member, ...way.others.filter((each) => way.isLinked(each))])
          way.askMember(member, 'stream.end', own, pieceMs).catch(() => undefined)
      throw error
    })
    if (answer === null) return false
    if (typeof answer !== 'string') throw invalidArgument('answer', 'a member', answer)
    this.member = answer
    return true
  }

  /** Asks the owner, and again while the link has no room. @throws KeelsonError as the owner */
  async ask(question: string, given: readonly unknown[], withinMs = pieceMs): Promise<unknown> {
    const { clock } = this.#system
    const endsAt = clock.monotonic() + withinMs
    for (let tries = 1; ; tries++) {
      const pauseMs = backoffMs(againPauses, tries)
      try {
        const leftMs = leftUntil(clock, endsAt)
        const asked = [this.#way.member, this.#id, ...given]
        return await this.#way.askMember(this.member ?? '', question, asked, leftMs)
      } catch (error) {
        const isLate = clock.monotonic() + pauseMs >= endsAt
        if (isLate || !isKeelsonError(error, 'BUSY')) throw error
      }
      await passed(clock, pauseMs)
    }
  }

  /** Ends it at the owner. If that does not hear of it, the end of the link ends it. */
  end(): void {
    if (this.member !== undefined) this.ask('stream.end', []).catch(() => undefined)
  }
}

/** As `ShardClient.streamOut`. */
export const streamFrom = async (
  system: System,
  way: ShardClient,
  shard: WritingShard,
  key: string,
  from: number,
  to: number,
): Promise<Readable | undefined> => {
  const stream = new AskedStream(system, way, shard)
  const failed = (error: unknown): never => {
    throw readFailure(error, shard.index)
  }
  if (!(await stream.begin('stream.read', [key, from, to]).catch(failed))) return undefined
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await stream.ask('stream.next', []).catch(failed)
      if (piece === null) return
      if (!types.isUint8Array(piece)) throw invalidArgument('answer', 'a piece of bytes', piece)
      yield piece
    }
  }
  const readable = Readable.from(pieces(), { objectMode: false, highWaterMark: pieceBytes })
  // Also of a reader that has read nothing.
  return readable.once('close', () => stream.end())
}

/** As `ShardClient.streamIn`. */
export const streamTo = async (
  system: System,
  way: ShardClient,
  shard: WritingShard,
  { source, size, options, terms }: StreamTo,
): Promise<RoutedStream> => {
  const stream = new AskedStream(system, way, shard)
  const frame = encodeFrame({ ...terms, kind: 'put', value: encodeValue(new Uint8Array()) })
  const begun = async (): Promise<void> => {
    if (stream.member === undefined)
      await stream.begin('stream.write', [frame, size ?? null, options]).catch(unwritten)
  }
  const untilGone = (onEnd: (reason: unknown) => void) =>
    way.onUnlinked((member) => {
      if (member === stream.member) onEnd(cutOff())
    })
  try {
    const piece = new Uint8Array(pieceBytes)
    const pieces = piecesOf(chunksOf(source, untilGone), pieceBytes, async () => piece)
    // A failure in the loop ends the source too.
    for await (const bytes of pieces) {
      await begun()
      await stream.ask('stream.take', [bytes]).catch(unwritten)
    }
    await begun()
  } catch (error) {
    stream.end()
    throw error
  }
  const finished = stream.ask('stream.finish', [], options.deadlineMs + pieceMs)
  const answer = await finished.catch((error) => {
    throw writeFailure(error, shard.index)
  })
  if (!isStreamed(answer)) throw invalidArgument('answer', 'the end of a stream', answer)
  const { lsn, length, sha256 } = answer as { lsn: number; length: number; sha256: string }
  return { position: { shard: shard.index, lsn }, length, sha256 }
}

/** Before its last piece was sent nothing is written. */
const unwritten = (error: unknown): never => {
  const isLost = ['EXITED', 'NO_PROCESS', 'UNKNOWN_OUTCOME', 'TIMEOUT', 'CLOSED', 'ELSEWHERE']
  throw isKeelsonError(error) && isLost.includes(error.code) ? cutOff(error) : error
}

const cutOff = (cause?: unknown): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', 'the owner of the shard has gone: nothing was written', {
    cause,
  })
