/**
 * The streams of other members to and from the shards here. Each is as one of a caller here, which takes
 * or gives a piece when it is asked. It ends with the link to its member, so that what was streamed in
 * leaves nothing, and what is streamed out holds nothing. It is apart from `owner-answers.ts`, as
 * `shard-readers.ts` is.
 */

import { PassThrough, type Readable } from 'node:stream'
import { types } from 'node:util'
import {
  checkedKey,
  checkedOffset,
  checkLinked,
  checkWrite,
  granted,
  isCount,
  ownWriteOptions,
  type ShardClient,
  streamIn,
  streamOut,
  type WritingShard,
} from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { pieceBytes } from './routed-streams.ts'
import { unitIn } from './store-message.ts'

type Given = readonly unknown[]

/** A stream of another member. */
type Open = {
  readonly member: string
  /** Reads the next piece of a stream that is sent to the member. */
  readonly next?: () => Promise<Uint8Array | undefined>
  /** Takes the next piece of a stream that the member sends. */
  readonly take?: (piece: Uint8Array) => Promise<void>
  readonly finish?: () => Promise<unknown>
  readonly end: () => void
}

/** The most streams that one other member may have open here. */
const streamsMax = 1_024

/** Answers the streams of other members from now on. `shardHere`: as of `answerReaders`. */
export const answerStreams = (
  system: System,
  way: ShardClient,
  shards: number,
  shardHere: (index: unknown) => WritingShard,
): void => {
  const open = new Map<string, Open>()
  const endAll = (member: string): void => {
    for (const [key, each] of open) if (each.member === member) end(key)
  }
  const end = (key: string): void => {
    open.get(key)?.end()
    open.delete(key)
  }
  const begin = (member: unknown, id: unknown, made: (member: string) => Open): string => {
    const key = keyOf(member, id)
    checkLinked(way, member as string)
    const count = [...open.values()].filter((each) => each.member === member).length
    if (count >= streamsMax) throw new KeelsonError('BUSY', `${streamsMax} streams are open here`)
    end(key)
    open.set(key, made(member as string))
    return way.member
  }
  const known = ([member, id]: Given): Open => {
    const found = open.get(keyOf(member, id))
    if (found) return found
    throw new KeelsonError('NO_PROCESS', 'the stream has ended with its link')
  }
  way.onUnlinked(endAll)
  way.answer('stream.read', (payload) => {
    const [index, member, id, key, from, to] = payload as Given
    const readable = readableOf(system, shardHere(index), key, from, to)
    try {
      return readable && begin(member, id, (member) => outgoing(member, readable))
    } catch (error) {
      readable?.destroy()
      throw error
    }
  })
  way.answer('stream.write', (payload) => {
    const [index, member, id, ...given] = payload as Given
    const shard = shardHere(index)
    return begin(member, id, (member) => incoming(system, shard, shards, member, given))
  })
  way.answer('stream.next', (payload) => known(payload as Given).next?.())
  way.answer('stream.take', (payload) => {
    const [, , piece] = payload as Given
    if (!types.isUint8Array(piece)) throw invalidArgument('payload', 'a piece of bytes', piece)
    return known(payload as Given).take?.(piece)
  })
  way.answer('stream.finish', async (payload) => {
    const [member, id] = payload as Given
    try {
      return await known(payload as Given).finish?.()
    } finally {
      open.delete(keyOf(member, id))
    }
  })
  way.answer('stream.end', (payload) => {
    const [member, id] = payload as Given
    end(keyOf(member, id))
  })
}

const keyOf = (member: unknown, id: unknown): string => {
  if (typeof member === 'string' && typeof id === 'string') return `${id}/${member}`
  throw invalidArgument('payload', 'a stream', id)
}

/** The value of a key as a stream. @throws KeelsonError as `getStream` of the store */
const readableOf = (
  system: System,
  shard: WritingShard,
  key: unknown,
  from: unknown,
  to: unknown,
): Readable | undefined => {
  const checked = checkedKey(key as string)
  const end = to === Number.POSITIVE_INFINITY ? to : checkedOffset(to, 'to')
  const row = shard.ownersView().get(checked, shard.now())
  return row && streamOut(system, shard, row.value, checkedOffset(from, 'from'), end)
}

const outgoing = (member: string, readable: Readable): Open => {
  const pieces = piecesIn(readable)
  const next = async (): Promise<Uint8Array | undefined> => (await pieces.next()).value
  return { member, next, end: () => readable.destroy() }
}

async function* piecesIn(readable: Readable): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of readable)
    for (let at = 0; at < chunk.length; at += pieceBytes) yield chunk.subarray(at, at + pieceBytes)
  return undefined
}

/** A put whose value comes in pieces. @throws KeelsonError `INVALID_ARGUMENT` */
const incoming = (
  system: System,
  shard: WritingShard,
  shards: number,
  member: string,
  [frame, size, options]: Given,
): Open => {
  if (!types.isUint8Array(frame) || !(size === null || isCount(size)))
    throw invalidArgument('payload', 'a put of a stream', size)
  const put = unitIn(frame, shard.index, shards)
  if (put.kind !== 'put') throw invalidArgument('payload', 'a put', put.kind)
  const { deadlineMs } = shard.parts.settings
  const own = ownWriteOptions('commit', Object(options))
  const checked = checkWrite(own, deadlineMs, shard.replication.isFollowed)
  const source = new PassThrough({ highWaterMark: pieceBytes })
  // The reader of the source hears of its errors.
  source.on('error', () => undefined)
  const work = streamIn(system, shard, {
    source,
    size: (size ?? undefined) as number | undefined,
    options: checked,
    command: (value) => ({ ...put, value }),
  })
  work.catch(() => source.destroy())
  const take = async (piece: Uint8Array): Promise<void> => {
    const written = new Promise<void>((resolve, reject) => {
      source.write(Buffer.from(piece), (error) => (error ? reject(error) : resolve()))
    })
    await written.catch(() => work)
  }
  const finish = async (): Promise<unknown> => {
    source.end()
    const { submitted, length, sha256 } = await work
    granted(submitted.answers)
    return { lsn: submitted.position.lsn, length, sha256 }
  }
  const end = (): void => {
    source.destroy(new KeelsonError('NOT_SUBMITTED', 'the stream was cut off'))
  }
  return { member, take, finish, end }
}
