/**
 * One attempt at a snapshot: it is made, verified, named by the log, and only then the log before it
 * is given back. A crash between any two steps leaves files that nothing names, or log that the next
 * snapshot gives back.
 */
import { KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { type NamedSnapshot, namesSnapshot, type SnapshotFacts } from '../../storage/index.ts'
import type { SnapshotReason } from '../core/storage-events.ts'
import { emit } from '../core/storage-events.ts'
import * as WalWriter from '../log/wal-writer.ts'
import type { SnapshotShard } from './snapshot-shard.ts'

/** The process that makes the attempt. */
type Maker = { readonly signal: AbortSignal; readonly system: System }

/** The terms of an attempt. */
export type AttemptTerms = {
  readonly reason: SnapshotReason
  /** As fast as the disk can, and writers wait rather than let it grow beyond its bound. */
  readonly isHurried: boolean
}

/** The name of the hold on the gate while a hurried attempt nears its bound. */
const hurriedHold = 'snapshot'

/** From this part of `snapshot.pinnedBytesMax` on, writers wait for a hurried attempt. */
const nearBound = 0.75

/**
 * Makes a snapshot of what the shard's projection shows, and gives the log before it back.
 * @throws KeelsonError `CORRUPT` if the projection (or, with `details.file`, the new file) is
 * damaged; `BUSY` (reason `pinned`); `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN`, `CLOSED`; `FENCED` if the
 * log has begun another epoch: no file stays
 */
export const makeSnapshot = async (
  shard: SnapshotShard,
  terms: AttemptTerms,
  maker: Maker,
): Promise<NamedSnapshot> => {
  const leave = await shard.snapshots.parts.turns.take()
  const { system } = maker
  const began = system.clock.monotonic()
  try {
    emit(system, shard, 'snapshot.started', { reason: terms.reason })
    const { epoch } = await shard.files.log().run('state', null)
    const facts = await written(shard, terms, maker)
    await named(shard, epoch, facts, maker)
    const { lsn, rows, bytes } = facts
    const tookMs = system.clock.monotonic() - began
    shard.snapshots.madeAt = system.clock.now()
    emit(system, shard, 'snapshot.made', { lsn, rows, bytes, tookMs })
    await release(shard, epoch, lsn, maker)
    return { lsn, bytes, sum: facts.sum }
  } finally {
    leave()
  }
}

/** A verified file with every row of one state. Nothing names it yet. */
const written = async (
  shard: SnapshotShard,
  { isHurried }: AttemptTerms,
  { signal }: Maker,
): Promise<SnapshotFacts> => {
  const { snapshots, parts } = shard
  const { bytesPerSecond, pinnedBytesMax } = parts.settings.snapshot
  const { projection } = shard.view().layers
  await projection.settled()
  const pin = projection.pin()
  const bytesAtFirst = projection.describe().bytes
  try {
    const request = {
      dir: snapshots.parts.dir,
      projection: parts.folders.lmdb,
      pinnedBytesMax,
      ...(isHurried
        ? { bytesPerSecond: Number.POSITIVE_INFINITY }
        : bytesPerSecond !== undefined && { bytesPerSecond }),
    }
    const facts = await snapshots.run('make', request, signal, (progress) => {
      snapshots.making = progress
      if (!isHurried || !pin.isHeld) return
      const grown = projection.describe().bytes - bytesAtFirst
      if (grown >= nearBound * pinnedBytesMax) shard.gate.hold(hurriedHold)
    })
    if (pin.isHeld) return facts
    throw new KeelsonError('CLOSED', 'the projection was closed while its snapshot was made')
  } finally {
    pin.release()
    shard.gate.release(hurriedHold)
    snapshots.making = undefined
  }
}

/** From here on the log before the snapshot is not needed to rebuild the shard. */
const named = async (
  shard: SnapshotShard,
  epoch: number,
  { lsn, bytes, sum }: NamedSnapshot,
  { signal, system }: Maker,
): Promise<void> => {
  if (signal.aborted) throw new KeelsonError('CLOSED', 'the process that made it has ended')
  const { snapshot: rules, wal } = shard.parts.settings
  const { snapshots } = shard
  const request = {
    epoch,
    snapshot: { lsn, bytes, sum },
    keep: rules.keep,
    without: snapshots.unusable,
    // A segment of small frames may keep a hundred thousand blobs.
    endsSegment: snapshots.blobBytes >= wal.maxFileSize,
  }
  await WalWriter.heard(writerOf(system, shard), shard.files.log().run('name', request))
  await measureLog(shard)
  // An engine may still name one that is older.
  snapshots.unusable = snapshots.unusable.filter(
    (each) => each.lsn !== lsn && namesSnapshot(snapshots.named, each),
  )
}

const writerOf = (system: System, { index, parts: { instance } }: SnapshotShard) =>
  system.to(WalWriter.name(instance, index))

/** Asks the log how long it is, and which snapshots it names. @throws KeelsonError */
export const measureLog = async ({ files, snapshots }: SnapshotShard): Promise<void> =>
  // Taken in at once: a frame that is applied from here on is one that the answer does not have.
  snapshots.measured(await files.log().run('state', null))

/** Gives back what the named snapshots replace and no other needs: segments, older snapshots, rows of their blobs. */
const release = async (
  shard: SnapshotShard,
  epoch: number,
  lsn: number,
  { signal, system }: Maker,
): Promise<void> => {
  const { firstLsn } = await releaseSegments(system, shard, epoch, lsn)
  await tidySnapshots(shard, signal)
  shard.releasedRows.begin(firstLsn)
}

/** The result of a release: the removed segments, and the first LSN that the log has then. */
export type Released = {
  readonly removed: number
  readonly removedBytes: number
  readonly firstLsn: number
}

/**
 * Gives back the log up to `lsn` at most, and no frame that a snapshot, the retention, a reader, a
 * replica or the journal needs (invariant L5). It waits for a running snapshot or backup.
 * @throws KeelsonError `SHARD_DOWN`, `CLOSED`
 */
export const releaseLog = async (
  system: System,
  shard: SnapshotShard,
  lsn: number,
): Promise<Released> => {
  const leave = await shard.snapshots.parts.turns.take()
  try {
    const { epoch, snapshots } = await shard.files.log().run('state', null)
    const coveredLsn = shard.snapshots.isDamaged ? 0 : (snapshots.at(-1)?.lsn ?? 0)
    const released = await releaseSegments(system, shard, epoch, lsn, coveredLsn)
    shard.releasedRows.begin(released.firstLsn)
    return released
  } finally {
    leave()
  }
}

/** `coveredLsn`: what the snapshots replace; without the journal it could be given back. */
const releaseSegments = async (
  system: System,
  shard: SnapshotShard,
  epoch: number,
  lsn: number,
  coveredLsn = lsn,
): Promise<Released> => {
  const { files, replication, journal } = shard
  const journalLsn = await journal.floor(
    () => shard.view(),
    () => files.log(),
  )
  const wanted = Math.min(coveredLsn, replication.floor)
  const request = { epoch, lsn: Math.min(lsn, wanted, journalLsn), wanted }
  const releasing = files.log().run('release', request)
  const { heldBytes, ...released } = await WalWriter.heard(writerOf(system, shard), releasing)
  const worse = journal.measured(heldBytes)
  if (worse) system.logger.warn(heldLine(shard), { shard: shard.index, ...worse })
  const { removed, removedBytes, firstLsn } = released
  if (removedBytes > 0)
    emit(system, shard, 'log.released', { segments: removed, bytes: removedBytes, firstLsn })
  return released
}

const heldLine = ({ index, journal }: SnapshotShard): string => {
  const { bytes, maxBytes, by, state } = journal.health.held
  const then = state === 'full' ? 'appends are refused' : `from ${maxBytes} on appends are refused`
  return `the journal of shard ${index} holds ${bytes} bytes of the log for ${by.join(', ')}: ${then}`
}

/** Removes what a crash left. In its turn: the log does not name the file of an attempt yet. */
export const tidyLeftovers = async (shard: SnapshotShard, signal: AbortSignal): Promise<void> => {
  const leave = await shard.snapshots.parts.turns.take()
  try {
    await tidySnapshots(shard, signal)
  } finally {
    leave()
  }
}

/** Removes the files that the log does not name: older snapshots, and what a crash left. */
const tidySnapshots = async ({ snapshots }: SnapshotShard, signal: AbortSignal): Promise<void> => {
  await snapshots.run('tidy', { dir: snapshots.parts.dir, kept: snapshots.named }, signal)
}
