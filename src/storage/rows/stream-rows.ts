/**
 * The effect of a unit of streams on rows. Each part is decided by itself, from the rows alone and the
 * frame's stamp, so that live writes and replays agree. It is apart from `unit-application.ts`, which
 * knows units and no parts. Pure.
 */
import { u32In } from '../../bytes/u64.ts'
import type { StreamAnswer, StreamDone, StreamRefusal } from '../commands/command-answer.ts'
import type {
  ProducerNumber,
  StreamAct,
  StreamAppend,
  StreamCreate,
  StreamPart,
  StreamsUnit,
} from '../commands/stream-unit.ts'
import { removalRowKey } from '../values/entity-key.ts'
import { entityRow } from '../values/entity-row.ts'
import { compareKeys } from '../values/key.ts'
import {
  birthsMax,
  isEntityStream,
  type StreamPlace,
  streamBirth,
  streamChunkKey,
  streamHeadKey,
  streamPieceKey,
  streamPieces,
  streamProducerKey,
  streamProducers,
} from '../values/stream-key.ts'
import {
  chunkBytes,
  chunkHeadBytes,
  chunkStamp,
  contentTypeOf,
  grownChunk,
  isJsonType,
  jsonType,
  mediaTypeOf,
  messageHeadBytes,
  messagesIn,
  newChunk,
  newHead,
  readStreamHead,
  readStreamProducer,
  type StreamHead,
  type StreamOrigin,
  type StreamProducer,
  type StreamTerms,
  streamAgedAt,
  streamHeadRow,
  streamProducerRow,
} from '../values/stream-row.ts'
import { isExpired, type RowSink, type Rows } from './rows.ts'

/** The most bytes of messages that a stream keeps. */
export const streamBytesMax = 2 ** 30

/** The most producers of a stream. */
export const streamProducersMax = 10_000

/** The most forks of a stream. */
const forksMax = 64

/** The bytes of a full chunk, and of one in a long append. */
const chunkMax = 8 * 1024
const longChunkMax = 64 * 1024

/** The most chunks that a trim, and an append, remove at once. */
const trimmedChunksMax = 1_000
const droppedChunksMax = 8

/** The most rows of pieces that go with a producer. */
const forgottenPiecesMax = 1_000

/** The most rows of producers that one part forgets: a producer has one, and one more for each piece. */
const forgottenRowsMax = 2 * streamProducersMax

type Stamp = { readonly lsn: number; readonly time: number }

/** The rows, and the changes of the unit, which later parts see. */
type Changing = Rows & RowSink

/**
 * Applies the parts in order. Returns the answer of each.
 * @throws KeelsonError `CORRUPT` for a damaged row
 */
export const applyStreams = (
  { parts }: StreamsUnit,
  rows: Changing,
  stamp: Stamp,
): readonly StreamAnswer[] => parts.map((part) => applyPart(part, rows, stamp, false))

/**
 * Applies the parts of a turn, up to the first that is refused. Returns its stream, and why.
 * @throws as `applyStreams`
 */
export const applyTurnStreams = (
  parts: readonly StreamPart[],
  rows: Changing,
  stamp: Stamp,
): { readonly owner: string; readonly why: StreamRefusal['why'] } | undefined => {
  for (const part of parts) {
    const answer = applyPart(part, rows, stamp, true)
    if (answer.kind === 'refusedPart') return { owner: part.owner, why: answer.why }
  }
  return undefined
}

const applyPart = (
  part: StreamPart,
  rows: Changing,
  stamp: Stamp,
  isInTurn: boolean,
): StreamAnswer => {
  const { owner } = part
  const row = rows.get(streamHeadKey(owner))
  let head = row && readStreamHead(row)
  const stray = isInTurn || !isEntityStream(owner) ? undefined : strayOf(part, head, rows)
  if (stray) return refusal(stray, head)
  if (row && head && isExpired(row, stamp.time)) {
    end(owner, head, rows)
    head = undefined
  }
  switch (part.act) {
    case 'delete':
      return deleted(owner, head, rows)
    case 'unfork':
      return unforked(part.fork, owner, head, rows)
    case 'forget':
      return forgotten(part.id, owner, head, rows)
    case 'forgetAll':
      return allForgotten(owner, head, rows)
    case 'expire':
      return head
        ? aged(owner, head, rows, stamp.time)
        : { kind: 'removed', existed: row !== undefined }
  }
  if (head?.terms?.isDeleted) return refusal('deleted', head)
  if (head) return acted(part, owner, head, rows, stamp)
  if (!makes(part)) return refusal('none', undefined)
  const birth = freeBirth(owner, rows, stamp.lsn)
  if (birth === undefined) return refusal('births', undefined)
  const made = newHead(birth, stamp.time)
  return part.act === 'create'
    ? created(part, owner, made, rows, stamp.time)
    : acted(part, owner, made, rows, stamp)
}

/**
 * Why a part that comes in no turn of its entity is refused: then only a producer appends which a turn has
 * begun. So what is late makes no stream again, and reaches no other one of the name.
 */
const strayOf = (
  part: StreamPart,
  head: StreamHead | undefined,
  rows: Rows,
): StreamRefusal['why'] | undefined => {
  if (!head) return 'none'
  const { owner } = part
  const id = part.act === 'append' ? part.producer?.id : undefined
  const isBegun = id !== undefined && rows.get(streamProducerKey(owner, head.birth, id))
  return isBegun ? undefined : 'fenced'
}
/** Whether a part makes a stream, if there is none. */
const makes = (part: StreamPart): boolean =>
  part.act === 'append' ? !part.to : ['begin', 'keep', 'create'].includes(part.act)

/** A birth that no row of an ended one has; `undefined` if this frame has had too many. */
const freeBirth = (owner: string, rows: Rows, lsn: number): string | undefined => {
  for (let place = 0; place < birthsMax; place++) {
    const birth = streamBirth(lsn, place)
    if (!rows.get(removalRowKey(owner, birth))) return birth
  }
  return undefined
}

/** The stream ends at once; its chunks and producers are removed piece by piece. */
const end = (owner: string, head: StreamHead, rows: Changing): void => {
  rows.set(streamHeadKey(owner), undefined)
  rows.set(removalRowKey(owner, head.birth), entityRow(nothing))
}

/** Ends a stream. If it has forks its head stays, so that nobody makes another one of the name. */
const deleted = (owner: string, head: StreamHead | undefined, rows: Changing): StreamAnswer => {
  if (!head || head.terms?.isDeleted) return { kind: 'removed', existed: false }
  const { terms } = head
  const sources = terms?.source ? [terms.source.owner] : []
  end(owner, head, rows)
  if (terms?.forks?.length) {
    terms.isDeleted = true
    withoutChunks(head)
    kept(owner, head, rows)
    sources.push(owner)
  }
  return { kind: 'removed', existed: true, ...(sources.length > 0 && { sources }) }
}

/** Every chunk of the stream is gone. */
const withoutChunks = (head: StreamHead): void => {
  head.floor = head.next
  head.firstChunk = head.next
  head.lastChunk = head.next
  head.second = 0
  head.secondMs = 0
  head.bytes = 0
}

const unforked = (
  fork: string,
  owner: string,
  head: StreamHead | undefined,
  rows: Changing,
): StreamAnswer => {
  const { terms } = head ?? {}
  const isNoted = terms?.forks?.includes(fork) === true
  if (!head || !terms?.forks || !isNoted) return { kind: 'removed', existed: false }
  terms.forks = terms.forks.filter((each) => each !== fork)
  if (terms.isDeleted && terms.forks.length === 0) end(owner, head, rows)
  else kept(owner, head, rows)
  return { kind: 'removed', existed: true }
}

const nothing = new Uint8Array(0)

const acted = (
  part: Exclude<StreamAct, { act: 'delete' | 'expire' | 'unfork' | 'forget' | 'forgetAll' }>,
  owner: string,
  head: StreamHead,
  rows: Changing,
  { time }: Stamp,
): StreamAnswer => {
  switch (part.act) {
    case 'append':
      return appended(part, owner, head, rows, time)
    case 'begin':
      return begun(part.id, owner, head, rows)
    case 'create':
      return isMadeSo(head, part)
        ? done(head, head.next, undefined, false, true)
        : refusal('differs', head)
    case 'touch':
      touch(head, time)
      return kept(owner, head, rows)
    case 'fork':
      return forked(part.birth, part.fork, owner, head, rows)
    case 'reopen':
      head.isClosed = false
      return kept(owner, head, rows)
    case 'keep':
      head.keeps = part.keeps
      drop(owner, head, rows, time)
      return kept(owner, head, rows)
    case 'trim':
      return trimmed(part.before, owner, head, rows)
  }
}

/** Sets the row of a head that a part has changed. */
const kept = (
  owner: string,
  head: StreamHead,
  rows: Changing,
  producer?: StreamProducer,
  isLeft = false,
): StreamDone => {
  rows.set(streamHeadKey(owner), streamHeadRow(head))
  return done(head, head.next, producer, isLeft)
}

const done = (
  { birth, floor, next, isClosed }: StreamHead,
  end: number,
  producer?: StreamProducer,
  isLeft = false,
  isRepeat = false,
): StreamDone => ({
  kind: 'stream',
  birth,
  floor,
  next,
  isClosed,
  end,
  isRepeat,
  producer: producer && { epoch: producer.epoch, next: producer.next },
  isLeft,
})

const refusal = (
  why: StreamRefusal['why'],
  head: StreamHead | undefined,
  producer?: StreamProducer,
): StreamRefusal => ({
  kind: 'refusedPart',
  why,
  birth: head?.birth,
  next: head?.next ?? 0,
  producer: producer && { epoch: producer.epoch, next: producer.next },
})

const created = (
  part: StreamCreate,
  owner: string,
  head: StreamHead,
  rows: Changing,
  time: number,
): StreamAnswer => {
  const { contentType, ttlMs, expiresAt, source, count, packed, closes } = part
  const lasts = ttlMs !== undefined || expiresAt !== undefined
  if (contentType !== jsonType || lasts || source)
    head.terms = { contentType, ttlMs, expiresAt, source, touchedMs: time }
  if (count > 0) grow(owner, head, packed, 0, count, rows, time)
  head.isClosed = closes
  return kept(owner, head, rows)
}

/** Whether a stream was made as this part makes one. */
const isMadeSo = (head: StreamHead, part: StreamCreate): boolean => {
  const { contentType, ttlMs, expiresAt, source } = head.terms ?? plain
  return (
    mediaTypeOf(contentType) === mediaTypeOf(part.contentType) &&
    ttlMs === part.ttlMs &&
    expiresAt === part.expiresAt &&
    head.isClosed === part.closes &&
    isSameSource(source, part.source)
  )
}

const newTerms = (): StreamTerms => ({ contentType: jsonType, touchedMs: 0 })

const plain = newTerms()

const isSameSource = (one: StreamOrigin | undefined, other: StreamOrigin | undefined): boolean =>
  one?.owner === other?.owner && one?.number === other?.number && one?.more === other?.more

/** The stream was read or written. */
const touch = ({ terms }: StreamHead, time: number): void => {
  if (terms?.ttlMs !== undefined) terms.touchedMs = time
}

const forked = (
  birth: string,
  fork: string,
  owner: string,
  head: StreamHead,
  rows: Changing,
): StreamAnswer => {
  if (birth !== head.birth) return refusal('none', head)
  const forks = head.terms?.forks ?? []
  if (forks.includes(fork)) return done(head, head.next)
  if (forks.length >= forksMax) return refusal('forks', head)
  head.terms ??= newTerms()
  head.terms.forks = [...forks, fork]
  return kept(owner, head, rows)
}

const appended = (
  part: StreamAppend,
  owner: string,
  head: StreamHead,
  rows: Changing,
  time: number,
): StreamAnswer => {
  const { producer: number, closes, to } = part
  if (to && to.birth !== head.birth) return refusal('none', head)
  if (!to && !isJsonType(contentTypeOf(head))) return refusal('type', head)
  const key = number && streamProducerKey(owner, head.birth, number.id)
  const row = key === undefined ? undefined : rows.get(key)
  const known = row && readStreamProducer(row)
  const skipped = number ? skippedOf(number, part, known) : 0
  if (typeof skipped === 'string') return refusal(skipped, head, known)
  const isRepeat = skipped > part.count || (part.count > 0 && skipped === part.count)
  if (isRepeat && known) return done(head, known.end, known, false, true)
  const count = part.count - skipped
  if (head.isClosed)
    return count === 0 && !number ? done(head, head.next) : refusal('closed', head, known)
  if (number && !known && head.producers >= streamProducersMax) return refusal('producers', head)
  const order = to?.order
  if (order !== undefined && isBehind(order, head.terms?.order))
    return refusal('order', head, known)
  const from = startOf(part.packed, skipped)
  const bytes = part.packed.length - from - messageHeadBytes * count
  if (head.bytes + bytes > streamBytesMax) return refusal('bytes', head, known)
  if (count > 0) grow(owner, head, part.packed, from, count, rows, time)
  head.isClosed = closes
  touch(head, time)
  if (order !== undefined) {
    head.terms ??= newTerms()
    head.terms.order = order
  }
  drop(owner, head, rows, time)
  if (key === undefined || !number) return kept(owner, head, rows)
  const { epoch, seq, counts } = number
  const next = counts === 'messages' ? Math.max(known?.next ?? 0, seq + part.count) : seq + 1
  const begin = head.next - count
  const isJoined = known?.end === begin
  if (known && !isJoined && counts === 'messages') keepPiece(owner, head, number.id, known, rows)
  const producer = { epoch, next, from: known && isJoined ? known.from : begin, end: head.next }
  rows.set(key, streamProducerRow(producer))
  if (!known) head.producers++
  return kept(owner, head, rows, producer)
}

/** Keeps where the last messages of a producer are, before those of others. */
const keepPiece = (
  owner: string,
  { birth }: StreamHead,
  id: string,
  producer: StreamProducer,
  rows: Changing,
): void => {
  const { from, end } = producer
  if (end > from) rows.set(streamPieceKey(owner, birth, id, from), streamProducerRow(producer))
}
const isBehind = (order: string, last: string | undefined): boolean =>
  last !== undefined && compareKeys(order, last) <= 0

/**
 * How many messages of an append were there before: more than it has, if it is a request that was
 * there.
 */
const skippedOf = (
  { epoch, seq, counts }: ProducerNumber,
  { count }: StreamAppend,
  known: StreamProducer | undefined,
): number | 'gap' | 'fenced' => {
  if (known && epoch < known.epoch) return 'fenced'
  const isNew = !known || (epoch > known.epoch && counts === 'requests')
  const next = isNew ? 0 : known.next
  if (seq > next) return 'gap'
  if (counts === 'messages') return Math.min(count, next - seq)
  return seq < next ? count + 1 : 0
}

/** Where the message after so many begins. */
const startOf = (packed: Uint8Array, skipped: number): number => {
  let at = 0
  for (let each = 0; each < skipped; each++) at += messageHeadBytes + u32In(packed, at)
  return at
}

/** Puts `count` messages from `from` on into chunks. */
const grow = (
  owner: string,
  head: StreamHead,
  packed: Uint8Array,
  from: number,
  count: number,
  rows: Changing,
  time: number,
): void => {
  const { birth, next } = head
  const max = packed.length - from > chunkMax ? longChunkMax : chunkMax
  const hasChunk = head.lastChunk < next
  let last = hasChunk ? rows.get(streamChunkKey(owner, birth, head.lastChunk)) : undefined
  let room = max - (hasChunk ? chunkBytes(last, head.lastChunk).length : chunkHeadBytes)
  let [at, number] = [from, next]
  while (at < packed.length) {
    const [begin, first] = [at, number]
    // A new chunk takes at least one message, however long.
    while (at < packed.length) {
      const size = messageHeadBytes + u32In(packed, at)
      if (size > room && (last || at > begin)) break
      at += size
      room -= size
      number++
    }
    if (last && at > begin) {
      const grown = grownChunk(last, packed, begin, at, max)
      rows.set(streamChunkKey(owner, birth, head.lastChunk), grown)
    } else if (!last) {
      if (first > head.firstChunk && head.second === 0) {
        head.second = first
        head.secondMs = time
      }
      head.lastChunk = first
      rows.set(streamChunkKey(owner, birth, first), newChunk(time, packed, begin, at, max))
    }
    last = undefined
    room = max - chunkHeadBytes
  }
  head.next += count
  head.bytes += packed.length - from - messageHeadBytes * count
  head.writtenMs = time
}

/**
 * Moves the floor over the messages that the stream keeps no longer, and removes their chunks, but
 * for the last one.
 */
const drop = (owner: string, head: StreamHead, rows: Changing, time: number): void => {
  const { bytesMax, messagesMax } = head.keeps
  if (messagesMax > 0) head.floor = Math.max(head.floor, head.next - messagesMax)
  for (let chunks = 0; chunks < droppedChunksMax && head.second !== 0; chunks++) {
    const isOld = isAged(head, time)
    const isBelow = head.second <= head.floor
    const isBeyond =
      bytesMax > 0 &&
      head.bytes >= bytesMax &&
      head.bytes - firstBytes(owner, head, rows) >= bytesMax
    if (!isOld && !isBelow && !isBeyond) break
    removeFirst(owner, head, rows)
  }
}

/** Whether all messages of the first chunk are older than the stream keeps them. */
const isAged = (head: StreamHead, time: number): boolean => {
  const agedAt = streamAgedAt(head)
  return agedAt !== 0 && agedAt <= time
}

/** Removes the chunks whose messages are all too old, the last one too. Without an append nothing else does. */
const aged = (owner: string, head: StreamHead, rows: Changing, time: number): StreamAnswer => {
  if (!isAged(head, time)) return { kind: 'removed', existed: false }
  for (let chunks = 0; chunks < trimmedChunksMax && isAged(head, time); chunks++) {
    if (head.second === 0) {
      rows.set(streamChunkKey(owner, head.birth, head.lastChunk), undefined)
      withoutChunks(head)
    } else removeFirst(owner, head, rows)
  }
  return kept(owner, head, rows)
}

/** The bytes of the messages in the first of several chunks. */
const firstBytes = (owner: string, head: StreamHead, rows: Rows): number => {
  const { birth, firstChunk, second } = head
  const content = chunkBytes(rows.get(streamChunkKey(owner, birth, firstChunk)), firstChunk)
  return content.length - chunkHeadBytes - messageHeadBytes * (second - firstChunk)
}

/** Removes the first of several chunks. */
const removeFirst = (owner: string, head: StreamHead, rows: Changing): void => {
  const { birth, firstChunk, second, lastChunk } = head
  head.bytes -= firstBytes(owner, head, rows)
  rows.set(streamChunkKey(owner, birth, firstChunk), undefined)
  head.floor = Math.max(head.floor, second)
  head.firstChunk = second
  head.second = 0
  head.secondMs = 0
  if (second === lastChunk) return
  const content = chunkBytes(rows.get(streamChunkKey(owner, birth, second)), second)
  head.second = second + messagesIn(content)
  const row = rows.get(streamChunkKey(owner, birth, head.second))
  head.secondMs = chunkStamp(chunkBytes(row, head.second))
}

const trimmed = (
  { birth, number }: StreamPlace,
  owner: string,
  head: StreamHead,
  rows: Changing,
): StreamAnswer => {
  if (birth !== head.birth || number > head.next) return refusal('place', head)
  head.floor = Math.max(head.floor, number)
  const isBelow = (): boolean => head.second !== 0 && head.second <= head.floor
  for (let chunks = 0; chunks < trimmedChunksMax && isBelow(); chunks++)
    removeFirst(owner, head, rows)
  return kept(owner, head, rows, undefined, isBelow())
}

/**
 * The producer has no row any more, so no late append of it is taken. Of very many pieces of its messages
 * some rows stay, until the stream goes: nobody has the same id again.
 */
const forgotten = (
  id: string,
  owner: string,
  head: StreamHead | undefined,
  rows: Changing,
): StreamAnswer => {
  const key = head && streamProducerKey(owner, head.birth, id)
  if (!head || key === undefined || !rows.get(key)) return { kind: 'removed', existed: false }
  rows.set(key, undefined)
  const pieces: string[] = []
  for (const [piece] of rows.range(streamPieces(owner, head.birth, id)))
    if (pieces.push(piece) === forgottenPiecesMax) break
  for (const piece of pieces) rows.set(piece, undefined)
  head.producers--
  return kept(owner, head, rows)
}

/** No producer has a row any more. Of very many some stay, and are counted, until the next part of this kind. */
const allForgotten = (
  owner: string,
  head: StreamHead | undefined,
  rows: Changing,
): StreamAnswer => {
  if (!head || head.producers === 0) return { kind: 'removed', existed: false }
  const found: string[] = []
  for (const [key] of rows.range(streamProducers(owner, head.birth)))
    if (found.push(key) > forgottenRowsMax) break
  for (const key of found.slice(0, forgottenRowsMax)) rows.set(key, undefined)
  if (found.length <= forgottenRowsMax) head.producers = 0
  return kept(owner, head, rows)
}

const begun = (id: string, owner: string, head: StreamHead, rows: Changing): StreamAnswer => {
  const key = streamProducerKey(owner, head.birth, id)
  const row = rows.get(key)
  const known = row && readStreamProducer(row)
  if (!known && head.producers >= streamProducersMax) return refusal('producers', head)
  const producer = {
    epoch: known ? known.epoch + 1 : 0,
    next: known?.next ?? 0,
    from: known?.from ?? head.next,
    end: known?.end ?? head.next,
  }
  rows.set(key, streamProducerRow(producer))
  if (!known) head.producers++
  return kept(owner, head, rows, producer)
}
