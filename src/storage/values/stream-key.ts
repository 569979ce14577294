/**
 * Names, row keys and offsets of durable streams. The owner of a stream by itself is the entity
 * `$stream/NAME`, whose shard it has. That of an entity is its entity, a NUL and its name: it is in the
 * shard of the entity, whose turns make it and delete it. A stream has a birth: the LSN of the frame that made it, and a
 * number among the births of that frame. Its chunks and producers are rows of their birth, so a stream
 * that is made again under the same name shares none of them. Pure.
 */
import { invalidArgument } from '../../errors.ts'
import type { RowRange } from '../ports/projection-store.ts'
import { checkEntityId, isEntity, isEntityId, ownKeyOf, ownRowKey, ownRows } from './entity-key.ts'
import { prefixOf, rowsBeginning, rowsOf } from './row-key.ts'

/** The kind that owns the streams by themselves. It has no actors. */
const streamKind = '$stream'

const ownerPrefix = `${streamKind}/`

/**
 * The owner of the stream with a name: 1 to 256 bytes without `{`, `}` and NUL.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const streamOwner = (name: unknown): string => ownerPrefix + checkEntityId(name, 'name')

/** Whether an entity is the owner of a stream by itself. */
export const isStreamOwner = (entity: string): boolean => entity.startsWith(ownerPrefix)

/**
 * The owner of the stream of an entity with a name: as of a stream by itself.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const entityStream = (entity: string, name: unknown): string =>
  `${entity}\0${checkEntityId(name, 'name')}`

/** Whether an owner has its stream from an entity. */
export const isEntityStream = (owner: string): boolean => owner.includes('\0')

/** The entity of an owner, whose shard the stream has. */
export const entityOfStream = (owner: string): string => {
  const end = owner.indexOf('\0')
  return end < 0 ? owner : owner.slice(0, end)
}

/** Whether a text is the owner of a stream. */
export const isStream = (owner: string): boolean => {
  const entity = entityOfStream(owner)
  if (!isEntity(entity)) return false
  return entity === owner ? isStreamOwner(owner) : isEntityId(owner.slice(entity.length + 1))
}

/** The name of the stream of an owner. */
export const streamNameOf = (owner: string): string =>
  isEntityStream(owner) ? owner.slice(owner.indexOf('\0') + 1) : owner.slice(ownerPrefix.length)

const numberDigits = 14
const placeDigits = 2

/** The most births of one stream in one frame. */
export const birthsMax = 16 ** placeDigits

const digits = (number: number, count: number): string => number.toString(16).padStart(count, '0')

/** A birth: the frame that made the stream, and a number among the births of that frame. */
export const streamBirth = (lsn: number, place: number): string =>
  digits(lsn, numberDigits) + digits(place, placeDigits)

const birthDigits = numberDigits + placeDigits

const headPrefix = prefixOf('streamHead')
const chunkPrefix = prefixOf('streamChunk')
const producerPrefix = prefixOf('streamProducer')

/** The key of the head of a stream. */
export const streamHeadKey = (owner: string): string => headPrefix + owner

/** The heads of all streams by themselves whose names begin with `prefix`, in the order of names. */
export const streamHeads = (prefix: string): RowRange =>
  rowsBeginning(headPrefix + ownerPrefix + prefix)

/** The heads of the streams of an entity whose names begin with `prefix`, in the order of names. */
export const entityHeads = (entity: string, prefix: string): RowRange =>
  rowsBeginning(`${headPrefix}${entity}\0${prefix}`)

/** The heads of all streams, those of actors too. */
export const allStreamHeads = rowsOf('streamHead')

/** Whether a head is that of a stream by itself. */
export const isHeadAlone = (headKey: string): boolean =>
  isStreamOwner(headKey.slice(headPrefix.length))

/** The name of the stream with this head. */
export const streamNameIn = (headKey: string): string =>
  streamNameOf(headKey.slice(headPrefix.length))

/** The key of the chunk that begins with the message of a number. */
export const streamChunkKey = (owner: string, birth: string, number: number): string =>
  `${chunkPrefix}${owner}\0${birth}${digits(number, numberDigits)}`

/** The chunks of a birth that begin with a message from `from` up to, and including, `to`. */
export const streamChunks = (owner: string, birth: string, from: number, to: number): RowRange => ({
  gte: streamChunkKey(owner, birth, from),
  lte: streamChunkKey(owner, birth, to),
})

/** The number of the first message of the chunk with this key. */
export const chunkNumberOf = (chunkKey: string): number =>
  Number.parseInt(chunkKey.slice(-numberDigits), 16)

/** The key of a producer of a stream. */
export const streamProducerKey = (owner: string, birth: string, id: string): string =>
  `${producerPrefix}${owner}\0${birth}${id}`

/** All producers of a birth, and the pieces of their messages. */
export const streamProducers = (owner: string, birth: string): RowRange =>
  rowsBeginning(streamProducerKey(owner, birth, ''))

/** A place in a stream: after so many of its messages. */
export type StreamPlace = { readonly birth: string; readonly number: number }

/** The offset of a place: opaque for its users. Offsets of one stream sort as their places. */
export const offsetOf = ({ birth, number }: StreamPlace): string =>
  `${birth}_${digits(number, numberDigits)}`

const offsetForm = /^[0-9a-f]{16}_[0-9a-f]{14}$/

/** The place of an offset; `undefined` for what no stream gave. */
export const offsetPlace = (offset: unknown): StreamPlace | undefined => {
  if (typeof offset !== 'string' || !offsetForm.test(offset)) return undefined
  const birth = offset.slice(0, birthDigits)
  const number = Number.parseInt(offset.slice(birthDigits + 1), 16)
  return Number.isSafeInteger(number) ? { birth, number } : undefined
}

/** The place of an offset. @throws KeelsonError `INVALID_ARGUMENT` for what no stream gave */
export const placeIn = (offset: unknown, path: string): StreamPlace => {
  const place = offsetPlace(offset)
  if (place) return place
  throw invalidArgument(path, 'an offset of a stream', offset)
}

/** The offset before the last `count` messages of a stream with these ends. */
export const offsetBefore = (
  { start, end }: { readonly start: string; readonly end: string },
  count: number,
): string => {
  const [from, to] = [placeIn(start, 'start'), placeIn(end, 'end')]
  return offsetOf({ birth: to.birth, number: Math.max(from.number, to.number - count) })
}

/** The key of an earlier piece of the messages of a producer, from the one of a number on. */
export const streamPieceKey = (owner: string, birth: string, id: string, number: number): string =>
  `${streamProducerKey(owner, birth, id)}/${digits(number, numberDigits)}`

/** The earlier pieces of the messages of a producer, in their order. */
export const streamPieces = (owner: string, birth: string, id: string): RowRange =>
  rowsBeginning(`${streamProducerKey(owner, birth, id)}/`)

// The rows that a removal takes away when a birth has ended: of a stream its chunks and
// producers, of an entity the rows that it keeps itself. A key in a removal is that of such a
// row after its birth; of a stream its letter comes first.

/** The rows of a birth that has ended, in order. */
export const birthRows = (entity: string, birth: string): readonly RowRange[] =>
  isStream(entity)
    ? [chunkPrefix, producerPrefix].map((each) => rowsBeginning(`${each}${entity}\0${birth}`))
    : [ownRows(entity, birth)]

/** The key in a removal of a row of a birth. */
export const birthKeyOf = (entity: string, rowKey: string): string =>
  isStream(entity)
    ? (rowKey[1] ?? '') + rowKey.slice(chunkPrefix.length + entity.length + 1 + birthDigits)
    : ownKeyOf(rowKey)

/** The row of a birth that a key in a removal names. */
export const birthRowKey = (entity: string, birth: string, key: string): string =>
  isStream(entity) ? `\0${key[0]}${entity}\0${birth}${key.slice(1)}` : ownRowKey(entity, birth, key)
