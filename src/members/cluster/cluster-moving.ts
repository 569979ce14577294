/**
 * Moves the shards of a data folder into the engine of a cluster. The log in the engine has the id and
 * the frames of the one in the folder, at their LSNs. Large values and saved states come first, then
 * the frames, then the newest snapshot. When all shards are there, the folder is marked as a
 * cache, and the entry `instance` makes the cluster. Until then the move may be repeated: it goes on
 * after the frames that the engine has, unless the folder was used since.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type BlobRef,
  type Disk,
  decodeFrame,
  type EngineHead,
  type EngineLog,
  type EngineSession,
  engineStart,
  type FrameMark,
  frameTypes,
  knownFeatures,
  type LogHost,
  type NamedSnapshot,
  refsOfUnit,
  shardFolder,
} from '../../storage/index.ts'
import { blobName, putBlob } from '../engine-files/blob-cache.ts'
import { EngineSnapshots } from '../engine-files/engine-snapshots.ts'
import { putStates } from '../engine-files/engine-states.ts'
import { EngineCalls } from '../engine-log/engine-calls.ts'
import { markText } from '../engine-log/engine-inspection.ts'
import { encodeGroup } from '../engine-log/group-frames.ts'
import { readGroupAt } from '../engine-log/group-reading.ts'
import { engineName } from '../engine-log/snapshot-names.ts'
import { type ClusterTerms, factsIn, movingEntry } from '../leases/cluster-directory.ts'
import { madeBefore, setTerms } from './cluster-making.ts'

/** A shard of a folder that has no writer. */
export type ShardToMove = {
  readonly shard: number
  /** Reads its log. */
  readonly log: Pick<LogHost, 'run'>
  /** The id of its log. */
  readonly walId: string
  /** The epoch in which it was opened for the move. */
  readonly epoch: number
  readonly firstLsn: number
  /** The last LSN when it was opened for the move. Housekeeping may have come since. */
  readonly openedLsn: number
  readonly lastLsn: number
  /** The greatest stamp, in ms since 1970. */
  readonly lastTime: number
  /** The bytes of its log, about. */
  readonly logBytes: number
  /** The newest snapshot; `undefined` of a shard that never had a frame. */
  readonly snapshot: NamedSnapshot | undefined
  /** The mark of the last frame before `firstLsn`, if a snapshot shows it. */
  readonly mark: FrameMark | undefined
  /** The blobs that its rows refer to. */
  readonly blobs: readonly BlobRef[]
  /** Whether the log still refers to this blob. A blob whose write was refused may be freed. */
  readonly isLogged: (ref: BlobRef) => boolean
}

/** The folder, the engine, and who hears of each upload of so many bytes. */
export type MoveParts = {
  readonly session: EngineSession
  readonly disk: Disk
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly dir: string
  readonly onMoved: (bytes: number) => void
}

/**
 * Begins a move, or goes on with one. No member makes the cluster from now on.
 * @throws KeelsonError `CONFLICT` if the cluster was made before
 */
export const beginMove = async ({ directory }: EngineSession): Promise<void> => {
  const view = await directory.view()
  const { terms } = factsIn(view)
  if (terms) throw madeBefore(terms.shards)
  const revision = view.entries.get(movingEntry)?.revision ?? 0
  await directory.set(movingEntry, revision, 'a folder')
}

/**
 * The engine has all shards, whose logs have the ids `logs`: it is the truth from now on. Repeating
 * it is harmless.
 * @throws KeelsonError `CONFLICT` if it has other logs; `NO_SEGMENTS` if it lacks one
 */
export const endMove = async (
  session: EngineSession,
  logs: readonly string[],
  given: Pick<ClusterTerms, 'copies' | 'placement'>,
): Promise<void> => {
  const { directory } = session
  const heads = await Promise.all(logs.map((_, shard) => session.log(`${shard}`).head()))
  const { terms } = factsIn(await directory.view())
  const isSame = heads.every(({ logId }, shard) => logId === logs[shard])
  if (!isSame || (terms && terms.shards !== logs.length))
    throw madeBefore(terms?.shards ?? logs.length)
  if (!terms) await setTerms(directory, { shards: logs.length, ...given, losses: 0 })
  const entry = (await directory.view()).entries.get(movingEntry)
  if (entry) await directory.set(movingEntry, entry.revision)
}

/** The bytes that a move of the shard uploads, about. */
export const bytesToMove = ({ snapshot, blobs, logBytes }: ShardToMove): number =>
  blobs.reduce((sum, { size }) => sum + size, logBytes + (snapshot?.bytes ?? 0))

/**
 * Moves a shard.
 * @throws KeelsonError `CONFLICT` if the engine has another log of this shard; `CORRUPT` if a file of
 * the folder is damaged, or the engine does not give back what it got; `CLOSED` by the signal
 */
export const moveShard = async (parts: MoveParts, moved: ShardToMove): Promise<void> => {
  const { session, clock, signal } = parts
  const why = new KeelsonError('CLOSED', 'the move was interrupted')
  const calls = new EngineCalls(clock, { mayRefuse: () => true, signal, why })
  const log = session.log(`${moved.shard}`)
  try {
    const head = await calls.ask(() => begunAt(log, moved))
    await moveBlobs(parts, moved, calls)
    await moveStates(parts, moved, calls)
    await moveFrames(parts, moved, head, log, calls)
    await moveSnapshot(parts, moved, head, log, calls)
  } finally {
    calls.end(why)
  }
}

/**
 * The head to go on from. The last group of an attempt takes one LSN more than the folder has. If
 * that was used since, it may have a frame there: then its log is moved from the beginning.
 */
const begunAt = async (log: EngineLog, moved: ShardToMove): Promise<EngineHead> => {
  const head = await log.create(moved.walId)
  if (head.logId !== moved.walId) throw otherLog(moved, head.logId)
  // Each start begins an epoch, and so does each attempt.
  const isUsed = head.end.epoch < moved.epoch - 1 || moved.lastLsn > moved.openedLsn
  if (!isUsed) return head
  const fresh = { ...head, end: engineStart, trimmed: { lsn: 0, mark: '' }, snapshots: [] }
  await log.replace(head, fresh)
  return fresh
}

const otherLog = ({ shard, walId }: ShardToMove, found: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the engine has another log of shard ${shard}`, {
    details: { shard, found, expected: walId },
  })

/** The blobs of the rows, and those of the frames: a reader of the past asks for them. */
const moveBlobs = async (
  { session: { files }, disk, dir, onMoved }: MoveParts,
  moved: ShardToMove,
  calls: EngineCalls,
): Promise<void> => {
  const { shard } = moved
  const refs = new Map(moved.blobs.map((ref) => [blobName(shard, ref), ref]))
  for await (const { payloads } of runsOf(moved, moved.firstLsn))
    for (const payload of payloads)
      for (const ref of decodeFrame(payload).units.flatMap((unit) => [...refsOfUnit(unit)]))
        if (moved.isLogged(ref)) refs.set(blobName(shard, ref), ref)
  const cache = { files, disk, shard, dir: shardFolder(dir, shard).blobs }
  for (const ref of refs.values()) {
    await calls.ask(() => putBlob(cache, ref))
    onMoved(ref.size)
  }
}

const moveStates = (
  { session: { files }, disk, dir }: MoveParts,
  { shard, epoch }: ShardToMove,
  calls: EngineCalls,
): Promise<void> => {
  const { snapshots } = shardFolder(dir, shard)
  return putStates({ files, disk, dir: snapshots, prefix: `shard-${shard}/` }, epoch, calls)
}

/** Frames with consecutive LSNs and one stamp. A group of a shared log has one. */
type Run = { readonly time: number; readonly lastLsn: number; readonly payloads: Uint8Array[] }

/** The bytes of one read of the log, and of one group. */
const readBytes = 1024 * 1024

/** The DATA frames of the log from `from` on. */
async function* runsOf({ log, lastLsn }: ShardToMove, from: number): AsyncGenerator<Run> {
  for (let next = from; next <= lastLsn; ) {
    const read = await log.run('read', { from: next, to: lastLsn, maxBytes: readBytes })
    let run: Run | undefined
    for (const { type, lsn, time, offset, length } of read.frames) {
      if (type !== frameTypes.data) continue
      if (run && (run.time !== time || run.lastLsn + 1 !== lsn)) {
        yield run
        run = undefined
      }
      const payloads: Uint8Array[] = run?.payloads ?? []
      payloads.push(read.bytes.subarray(offset, offset + length))
      run = { time, lastLsn: lsn, payloads }
    }
    if (run) yield run
    if (read.next <= next) return
    next = read.next
  }
}

/** Appends what the engine lacks. A last group without frames proves them all. */
const moveFrames = async (
  { clock, onMoved }: MoveParts,
  moved: ShardToMove,
  head: EngineHead,
  log: EngineLog,
  calls: EngineCalls,
): Promise<void> => {
  const { walId, epoch, firstLsn, lastLsn, lastTime } = moved
  const owner = `moved-${Buffer.from(clock.randomBytes(8)).toString('hex')}`
  let after = head.end
  const last =
    after.lsn > 0 ? await readGroupAt({ log, calls, logId: walId }, after.lsn) : undefined
  let bytesBefore = last ? last.content.bytesBefore + last.group.bytes.length : 0
  const append = async ({ time, lastLsn: lsn, payloads }: Run): Promise<void> => {
    const end = { epoch, lsn, id: `${owner}-${lsn}` }
    const lengths = payloads.map(({ length }) => length)
    const content = { time, bytesBefore, payloads: Buffer.concat(payloads), lengths }
    const place = { after, end, provenLsn: after.lsn }
    const bytes = encodeGroup(walId, place, content)
    const group = { ...place, bytes }
    await calls.ask(() => log.append(group, knownFeatures))
    after = end
    bytesBefore += bytes.length
    onMoved(bytes.length)
  }
  for await (const run of runsOf(moved, Math.max(firstLsn, head.end.lsn + 1))) await append(run)
  await append({ time: lastTime, lastLsn: Math.max(lastLsn, after.lsn) + 1, payloads: [] })
}

/** Uploads the snapshot and names it. The log begins where that of the folder does. */
const moveSnapshot = async (
  { session: { files }, disk, dir, clock, onMoved }: MoveParts,
  { shard, epoch, firstLsn, snapshot, mark }: ShardToMove,
  head: EngineHead,
  log: EngineLog,
  calls: EngineCalls,
): Promise<void> => {
  if (!snapshot) return
  const trimTo = firstLsn - 1
  const first = head.snapshots[0]
  // An engine trims up to the older of two snapshots. That of an earlier attempt may be too old, as the
  // folder has given back frames since: then this one is named twice.
  const epochs = first && first.lsn < trimTo ? [epoch - 1, epoch] : [epoch]
  const uploads = new EngineSnapshots({
    files,
    log,
    disk,
    clock,
    shard,
    dir: shardFolder(dir, shard).snapshots,
  })
  for (const each of epochs) {
    const named = engineName(each, snapshot)
    await calls.ask(() => uploads.upload(named.file, snapshot))
    await calls.ask(() => log.name(epoch, named))
  }
  onMoved(snapshot.bytes)
  if (trimTo > head.trimmed.lsn) await calls.ask(() => log.trim(epoch, trimTo, markText(mark)))
}
