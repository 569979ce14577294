/**
 * One step of a follower: it asks how far the replica is, or sends one chunk of frames, or one
 * piece of a snapshot. The position of the replica decides what it sends; nothing is remembered
 * here. It is apart from `replicator.ts`, which counts failures and waits.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  decodeRow,
  type EntryContent,
  type EntryPlace,
  type EntryUnit,
  type EventPayload,
  entityOf,
  entriesOf,
  entryContent,
  entryCounts,
  entryIdRowKey,
  frameBytes,
  isSameSnapshot,
  isStoredValue,
  type LogHost,
  type LogState,
  markOf,
  type ReplicaProgress,
  type ReplicaSession,
  type ReplicatedEntry,
  readEventPayload,
  refsOf,
  rowClassOf,
  type SnapshotRecord,
} from '../../storage/index.ts'
import { levelOf } from '../core/settings.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { emit } from '../core/storage-events.ts'
import type { ChunkSpan, Claim, FollowedShard, Follower, Gathered, Refusal } from './follower.ts'
import { jsonText } from './readable-key.ts'
import {
  blobsOf,
  changesOf,
  chunkLength,
  type DecodedFrame,
  decodedFrame,
  isShown,
  type Sides,
  sidesOf,
  type TakenFrame,
  unloggedOf,
} from './replica-chunk.ts'
import type { ReplicatedShard } from './replicated-shard.ts'

/** The bytes that one read of the log, or of a snapshot, transfers to this thread. */
const readBytes = 1024 * 1024

/** How long a refusal holds before the replica is asked again, in ms: people may have acted. */
const refusalMs = 300_000

/** The process that sends. */
type Sender = { readonly signal: AbortSignal; readonly system: System }

/**
 * The result of a step: it sent something, found nothing to send, or found that there is something.
 * `found` says nothing of the replica: what is sent next may be refused, as it was before.
 */
export type Stepped = 'sent' | 'idle' | 'found'

/**
 * Takes the next step for any shard, the one that waited longest first.
 * @throws what the replica or the log rejects with: the session cannot be used further
 */
export const step = async (
  follower: Follower,
  session: ReplicaSession,
  sender: Sender,
): Promise<Stepped> => {
  const now = sender.system.clock.monotonic()
  const waiting = follower.shards
    .filter(({ shard }) => shard.phase.kind === 'open')
    .filter(({ refusal }) => !refusal || refusal.until <= now)
    .sort((one, other) => one.turn - other.turn)
  for (const followed of waiting) {
    followed.turn = ++follower.turns
    const stepped = await refusing(follower, followed, sender, () =>
      advance(follower, followed, session, sender),
    )
    if (stepped !== 'idle') return stepped
  }
  return 'idle'
}

/** Does `work` for one shard. A refusal concerns that shard alone: the others go on. */
const refusing = async (
  follower: Follower,
  followed: FollowedShard,
  { system }: Sender,
  work: () => Promise<Stepped>,
): Promise<Stepped> => {
  const { claim } = followed
  try {
    const stepped = await work()
    // A claim shows nothing: the frames after it may be refused again.
    if (claim && claim === followed.claim) accepted(follower, followed, system)
    return stepped
  } catch (error) {
    // Its log was closed: it is opened again, or the instance ends.
    if (followed.shard.phase.kind !== 'open') return 'idle'
    const isFenced = isKeelsonError(error, 'FENCED')
    const isHalted =
      isKeelsonError(error, 'CORRUPT') || isKeelsonError(error, 'UNSUPPORTED_VERSION')
    if (!isFenced && !isHalted) throw error
    followed.claim = undefined
    refused(follower, followed, system, { kind: isFenced ? 'fenced' : 'halted', error })
    return 'idle'
  }
}

/** Ends a refusal, and reports that. */
const accepted = ({ index }: Follower, followed: FollowedShard, system: System): void => {
  if (followed.refusal) emit(system, followed.shard, 'replication.back', { follower: index })
  followed.refusal = undefined
}

/** Notes a refusal. It is reported once, however often it is looked at again. */
const refused = (
  { index: follower, terms }: Follower,
  followed: FollowedShard,
  system: System,
  refusal: Omit<Refusal, 'until' | 'since'>,
): void => {
  const { kind: state, error } = refusal
  const { shard } = followed
  const before = followed.refusal
  const isNew = before?.kind !== state
  if (isNew) {
    const reason = reasonText(error)
    const { description } = terms.replica
    system.logger.warn(`${description} is ${state} for shard ${shard.index}: ${reason}`)
    emit(system, shard, 'replication.refused', { follower, state, reason })
  }
  const since = isNew ? system.clock.now() : before.since
  followed.refusal = { kind: state, error, since, until: system.clock.monotonic() + refusalMs }
}

const advance = async (
  follower: Follower,
  followed: FollowedShard,
  session: ReplicaSession,
  sender: Sender,
): Promise<Stepped> => {
  const { shard } = followed
  const host = shard.files.log()
  if (followed.claim?.host !== host) {
    await claim(follower, followed, session, host, sender.system)
    return 'found'
  }
  if (followed.load) return sendPiece(followed, followed.claim, session, sender)
  return sendChunk(follower, followed, session, sender)
}

/** Asks how far the replica is, and takes the lease, if it belongs to this log. */
const claim = async (
  follower: Follower,
  followed: FollowedShard,
  session: ReplicaSession,
  host: LogHost,
  { logger }: System,
): Promise<void> => {
  const { shard } = followed
  const { instanceId, holder, terms } = follower
  const state = await host.run('state', null)
  const { walId, epoch, firstLsn } = state
  const log = { walId, shard: shard.index, shards: shard.parts.shardCount, instanceId }
  const seen = await session.look(log)
  if (seen) {
    refuseOdd(seen)
    await refuseDiverged(host, state, seen)
  }
  const lease = { epoch, holder }
  const needsSnapshot = (seen?.lsn ?? 0) + 1 < firstLsn
  await session.claim(log, lease, seen, needsSnapshot)
  if (needsSnapshot && seen && !seen.load)
    logger.warn(
      `${terms.replica.description} gets a snapshot of shard ${shard.index}: the entries of the ` +
        `journal from lsn ${seen.lsn + 1} up to lsn ${firstLsn - 1} are missing there`,
    )
  const lsn = seen?.lsn ?? 0
  const bytes = await bytesAfter(host, lsn)
  followed.load = seen?.load ?? (needsSnapshot ? 'due' : undefined)
  followed.claim = { host, log, lease, firstLsn }
  followed.begun(lsn, bytes)
}

/**
 * Refuses a progress that nobody has written: this member misreads it, and it says nothing of the log.
 * @throws KeelsonError `CORRUPT`
 */
const refuseOdd = ({ lsn, mark, lease, load }: ReplicaProgress): void => {
  const isCount = (found: number): boolean => Number.isSafeInteger(found) && found >= 0
  const isMark = !mark || (Number.isSafeInteger(mark.time) && Number.isSafeInteger(mark.crc))
  const isLoad = load === undefined || load === 'due' || typeof load === 'object'
  if (isCount(lsn) && isCount(lease.epoch) && isMark && isLoad) return
  throw new KeelsonError(
    'CORRUPT',
    `the progress of the replica reads as ${jsonText({ lsn, mark, lease, load })}, which none can be`,
  )
}

const bytesAfter = async (log: LogHost, lsn: number): Promise<number> =>
  (await log.run('state', { after: lsn })).bytesAfter

/**
 * Refuses a log that is not the one that the replica has: an older copy of it, or a diverged one.
 * @throws KeelsonError `FENCED`
 */
const refuseDiverged = async (
  host: LogHost,
  { durableLsn, firstLsn }: LogState,
  { lsn, mark }: ReplicaProgress,
): Promise<void> => {
  if (lsn > durableLsn)
    throw new KeelsonError(
      'FENCED',
      `the replica has frames up to lsn ${lsn}, and this log ends with ${durableLsn}: it is an older copy`,
    )
  if (!mark || lsn < firstLsn) return
  const { frames, bytes } = await host.run('read', { from: lsn, to: lsn, maxBytes: 1 })
  const [frame] = frames
  if (frame) {
    const own = markOf(frame.time, bytes.subarray(frame.offset, frame.offset + frame.length))
    if (own.time === mark.time && own.crc === mark.crc) return
  }
  throw new KeelsonError(
    'FENCED',
    `the replica has another frame at lsn ${lsn}: it follows a diverged copy of this log`,
  )
}

const sendChunk = async (
  follower: Follower,
  followed: FollowedShard,
  session: ReplicaSession,
  { system }: Sender,
): Promise<Stepped> => {
  const { shard, claim: claimed, lsn: after } = followed
  if (!claimed) return 'idle'
  const { host, log, lease } = claimed
  if (followed.through >= shard.appliedLsn) return 'idle'
  const span = { host, from: followed.through + 1, bytesMax: follower.terms.chunkBytes }
  const gathered = await gatheredFrom(followed, span)
  if (gathered === 'released') return snapshotDue(followed)
  const { frames, decoded, sides, to } = gathered
  const last = frames.at(-1)
  if (!last) {
    followed.passed(to)
    return 'idle'
  }
  const pin = shard.blobs.pins.hold()
  try {
    // From here on no sweep frees the blobs. None has, if the log still has the frames.
    pin.add(sides.refs)
    if (sides.refs.length > 0 && (await host.run('state', null)).firstLsn > span.from)
      return snapshotDue(followed)
    const sending = session.commit({
      log,
      lease,
      after,
      lsn: last.lsn,
      mark: markOf(last.time, last.payload),
      frames,
      entries: entriesIn(shard, decoded),
      changes: changesOf(shard, sides),
      blobs: blobsOf(shard, sides),
    })
    if (last.lsn < shard.appliedLsn) gatherAhead(followed, { ...span, from: last.lsn + 1 })
    await sending
  } finally {
    pin.release()
  }
  const bytes = frames.reduce((sum, { payload }) => sum + frameBytes(payload.length), 0)
  followed.sent(last.lsn, bytes, last.time)
  const facts = { follower: follower.index, frames: frames.length, bytes, lsn: last.lsn }
  emit(system, shard, 'replication.sent', facts)
  return 'sent'
}

/** The log begins after what the replica has. */
const snapshotDue = (followed: FollowedShard): Stepped => {
  followed.load = 'due'
  return 'found'
}

/** Begins with the chunk after the one that is being sent: the replica is busy with that one. */
const gatherAhead = (followed: FollowedShard, span: ChunkSpan): void => {
  const gathered = gather(followed.shard, span)
  // The step that takes it gathers it again. If the chunk before it was not sent, no step does.
  gathered.catch(() => undefined)
  followed.ahead = { span, gathered }
}

const gatheredFrom = (followed: FollowedShard, span: ChunkSpan): Promise<Gathered> => {
  const { ahead, shard } = followed
  followed.ahead = undefined
  const isAhead = ahead?.span.host === span.host && ahead.span.from === span.from
  const now = (): Promise<Gathered> => gather(shard, span)
  // The shard may not have been open then.
  return isAhead ? ahead.gathered.catch(now) : now()
}

const gather = async (shard: ReplicatedShard, span: ChunkSpan): Promise<Gathered> => {
  const taken = await takenFrames(shard, span)
  if (taken === 'released') return taken
  const decoded = taken.frames.map(decodedFrame)
  const sides = sidesOf(decoded)
  return { ...taken, decoded, sides: { ...sides, freed: unloggedOf(shard, sides.refs) } }
}

/**
 * Whole groups of a span; `released` if the log begins after it. None: there is nothing for the
 * replica that is durable, up to the LSN `to`. Only applied frames: the rows that go with them are
 * read from what is applied.
 */
const takenFrames = async (
  shard: ReplicatedShard,
  { host, from, bytesMax }: ChunkSpan,
): Promise<{ readonly frames: readonly TakenFrame[]; readonly to: number } | 'released'> => {
  const frames: TakenFrame[] = []
  const to = shard.appliedLsn
  // The log is written, and synced when it is due or asked for.
  if (levelOf(shard.parts.settings) === 'written') await host.run('sync', null)
  for (let next = from; ; ) {
    const read = await readFrom(host, next, to)
    if (!read) return 'released'
    for (const { lsn, time, startsGroup, offset, length } of read.frames) {
      const payload = read.bytes.subarray(offset, offset + length)
      frames.push({ lsn, time, startsGroup, payload })
    }
    next = read.next
    const end = Math.min(to, read.durableLsn)
    const isEnd = read.frames.length === 0 || next > end
    // A further read would mostly be of the chunk after this one.
    const isFull = bytesOf(frames) + readBytes > bytesMax
    const count = isFull || isEnd ? chunkLength(frames, isEnd, bytesMax) : 0
    if (count > 0 || isEnd) return { frames: frames.slice(0, count), to: end }
  }
}

const bytesOf = (frames: readonly TakenFrame[]): number =>
  frames.reduce((sum, { payload }) => sum + payload.length, 0)

const readFrom = async (host: LogHost, from: number, to: number) => {
  try {
    return await host.run('read', { from, to, maxBytes: readBytes })
  } catch (error) {
    if (isKeelsonError(error, 'BAD_CURSOR')) return undefined
    throw error
  }
}

/** Sends the next rows of the newest snapshot: after the rows that were sent of it, if any were. */
const sendPiece = async (
  followed: FollowedShard,
  { log, lease }: Claim,
  session: ReplicaSession,
  { signal }: Sender,
): Promise<Stepped> => {
  const { shard, load } = followed
  const { snapshots } = shard
  const newest = snapshots.named.at(-1)
  if (!newest) return 'idle'
  const begun = load !== 'due' && load && isSameSnapshot(load.snapshot, newest) ? load : undefined
  const from = begun && { offset: begun.offset, rows: begun.rows }
  const request = { dir: snapshots.parts.dir, snapshot: newest, maxBytes: readBytes }
  const isReplaced = (): boolean => {
    const present = snapshots.named.at(-1)
    return !present || !isSameSnapshot(present, newest)
  }
  const answer = await snapshots
    .run('rows', { ...request, ...(from && { from }) }, signal)
    .catch((error: unknown) => {
      // It was replaced while it was read.
      if (isReplaced()) return undefined
      if (isKeelsonError(error, 'CORRUPT')) snapshots.damaged(error, newest)
      throw error
    })
  if (!answer) return 'found'
  const records = recordsIn(answer)
  const rows = begun?.rows ?? 0
  const refs = refsIn(records)
  const { next, position } = answer
  const pin = shard.blobs.pins.hold()
  try {
    // From here on no sweep frees the blobs. None has, if the log still names the snapshot.
    pin.add(refs)
    if (isReplaced()) return 'found'
    await session.load({
      log,
      lease,
      snapshot: newest,
      rows,
      records,
      changes: changesOf(shard, namedIn(records)),
      blobs: blobsOf(shard, { refs }),
      next: next ? { kind: 'more', offset: next.offset } : { kind: 'complete', position },
    })
  } finally {
    pin.release()
  }
  if (next) followed.load = { snapshot: newest, ...next }
  else {
    followed.load = undefined
    followed.begun(newest.lsn, await bytesAfter(shard.files.log(), newest.lsn))
  }
  return 'sent'
}

const recordsIn = ({
  bytes,
  lengths,
}: {
  readonly bytes: Uint8Array
  readonly lengths: readonly number[]
}): readonly SnapshotRecord[] => {
  const records: SnapshotRecord[] = []
  let at = 0
  const taken = (length = 0): Uint8Array => {
    at += length
    return bytes.subarray(at - length, at)
  }
  for (let index = 0; index < lengths.length; index += 2)
    records.push({ key: taken(lengths[index]), record: taken(lengths[index + 1]) })
  return records
}

/** The owners of rows: users' keys, and durable actors. */
const namedIn = (records: readonly SnapshotRecord[]): Omit<Sides, 'refs'> => {
  const [keys, entities] = [new Set<string>(), new Set<string>()]
  for (const { key } of records) {
    const rowKey = Buffer.from(key.buffer, key.byteOffset, key.length).toString()
    const rowClass = rowClassOf(rowKey)
    if (rowClass === 'value') keys.add(rowKey)
    const entity = rowClass === 'entity' ? entityOf(rowKey) : undefined
    if (entity !== undefined && isShown(entity)) entities.add(entity)
  }
  return { clears: new Set(), keys, entities }
}

const refsIn = (records: readonly SnapshotRecord[]) =>
  records.flatMap(({ key, record }) => {
    const { value } = decodeRow(key, record)
    return isStoredValue(value) ? refsOf(value) : []
  })

// The entries of the journal in frames, as rows that people can read.

/**
 * The entries of applied frames that count, in order. Each is made when it is taken.
 * @throws KeelsonError `SHARD_DOWN`, `CORRUPT`
 */
export function* entriesIn(
  shard: ShardCore,
  frames: readonly DecodedFrame[],
): IterableIterator<ReplicatedEntry> {
  for (const { lsn, time, units } of frames) {
    let index = 0
    for (const unit of units)
      for (const entry of entriesOf(unit)) {
        const place = { lsn, index: index++, time }
        const row = shard.view().row(entryIdRowKey(entry.id))
        if (entryCounts(row, place)) yield rowOf(entry, place)
      }
  }
}

const rowOf = (entry: EntryUnit, place: EntryPlace): ReplicatedEntry => {
  const { id, type, command, response, events, effects } = entryContent(entry)
  return {
    ...place,
    id,
    type,
    body: entry.body,
    command: payloadText(command),
    response: payloadText(response),
    events: listText(events),
    effects: listText(effects),
  }
}

const payloadText = (payload: EventPayload): string | undefined =>
  jsonText(readEventPayload(payload).value)

/** Payloads with their types and versions, as a list. */
const listText = (list: EntryContent['events']): string | undefined =>
  jsonText(
    list.map(({ type, payload }) => {
      const { version, value } = readEventPayload(payload)
      return { type, version, value }
    }),
  )
